"""resolver and resolver_timeout: what may be said, and what is said about mistakes."""
import pytest


@pytest.mark.one_engine
@pytest.mark.parametrize('line', [
    'resolver 127.0.0.53;', 'resolver 8.8.8.8 [2001:db8::53]:5353 valid=30s ipv6=off;',
    'resolver ns.example.com:5353 status_zone=z; resolver_timeout 5s;',
    'resolver 127.0.0.11 ipv4=on;'])
def test_good(weir, line):
    run = weir(line, start=False).command('-t')
    assert run.returncode == 0, run.stderr


@pytest.mark.one_engine
@pytest.mark.parametrize('line, says', [
    ('resolver valid=30s;', 'no name server is named'),
    ('resolver 127.0.0.1 valid=soon;', '"soon" is not a value of valid='),
    ('resolver 127.0.0.1 ipv6=maybe;', 'expected: on or off'),
    ('resolver 127.0.0.1 ipv4=off ipv6=off;', 'ipv4 and ipv6 are both off'),
    ('resolver 127.0.0.1 verbose=1;', '"verbose=1" is not a name server'),
    ('resolver 127.0.0.1:99999;', 'is not a name server'),
    ('resolver_timeout x;', '"x" is not a time')])
def test_mistakes(weir, line, says):
    run = weir(line, start=False).command('-t')
    assert run.returncode == 1 and says in run.stderr, run.stderr
