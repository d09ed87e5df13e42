"""The lab with h2load: what it is told, what is read of it, short real runs over TLS and HTTP/2."""
import os
import re
import shutil
import sys

import pytest

from test_lab import GOOD, lab, left_behind, result_of
from weirlab import h2load, load as loads, plan as plans
from weirlab.servers import Failed

H2LOAD = b'''TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Application protocol: h2
Main benchmark duration is started for thread #0.
Main benchmark duration is over for thread #0. Stopping all clients.
finished in 1.54s, 30204.00 req/s, 33.13MB/s
requests: 30204 total, 30204 started, 30204 done, 30204 succeeded, 0 failed, 0 errored, 0 timeout
time for request:      332us     46.84ms     12.73ms      7.92ms    78.85%
'''
OVER_H2 = {'kind': 'h2load', 'connections': 16, 'streams': 32, 'depth': 1, 'keepalive': True,
           'tls': True}
EACH_ITS_OWN = dict(OVER_H2, streams=0, keepalive=False)


def test_h2load_is_told_streams_or_connections():
    argv = h2load.argv('https://a/', OVER_H2, *h2load.lasting(1, 0.3))
    assert argv[:5] == ['h2load', '-c', '16', '-m', '32']
    assert argv[-5:] == ['-D', '1000ms', '--warm-up-time', '300ms', 'https://a/']
    argv = h2load.argv('https://a/', EACH_ITS_OWN, *h2load.counted(1234.5, EACH_ITS_OWN))
    assert argv[3:8] == ['--h1', '-m', '1', '-H', 'connection: close']
    assert argv[-3:] == ['-n', '1234', 'https://a/']
    assert h2load.counted(3, EACH_ITS_OWN) == ('-n', '16')


def test_h2load_is_read():
    found = h2load.figures(H2LOAD, OVER_H2)
    assert found == {'requests': 30204, 'rps': 30204, 'errors': 0, 'seconds': 1.54,
                     'latency_us': {'max': 46840}}
    some = H2LOAD.replace(b'30204 succeeded, 0 failed', b'30200 succeeded, 4 failed')
    assert h2load.figures(some, OVER_H2)['errors'] == 4
    assert h2load.figures(b'could not connect', OVER_H2) is None


def test_another_protocol_than_asked_for_is_no_figure():
    with pytest.raises(Failed, match='speaks h2; expected http/1.1'):
        h2load.figures(H2LOAD, EACH_ITS_OWN)
    with pytest.raises(Failed, match='expected 1.3'):
        h2load.figures(H2LOAD.replace(b'TLSv1.3', b'TLSv1.2'), OVER_H2)


def tool(tmp_path, monkeypatch, text):
    """A program called h2load that prints `text` and what it was told."""
    (tmp_path / 'h2load').write_text('#!/bin/sh\necho "$@" >>told\ncat <<END\n' + text + 'END\n')
    (tmp_path / 'h2load').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    monkeypatch.chdir(tmp_path)


def test_h2load_says_when_it_counts(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, H2LOAD.decode())
    words = []
    found = loads.run('weir', 'https://a/', OVER_H2, 1, warmup=0.3, mark=words.append)
    assert words == ['begin', 'end'] and found['requests'] == 30204
    with pytest.raises(loads.Cannot, match='h2load has no open loop'):
        loads.run('weir', 'https://a/', OVER_H2, 1, rate=100)


def test_h2load_that_hangs_is_asked_once_more(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, H2LOAD.decode())
    monkeypatch.setattr(loads, 'LAST_SECONDS', 0.3)
    with open(tmp_path / 'h2load', 'a') as script:
        script.write('[ $(wc -l <told) -gt ${HANGS:-1} ] || exec sleep 60\n')
    words = []
    assert loads.run('weir', 'https://a/', OVER_H2, 1, mark=words.append)['requests'] == 30204
    assert words == ['begin', 'end'] * 2
    monkeypatch.setenv('HANGS', '9')
    with pytest.raises(Failed, match='does not end'):
        loads.run('weir', 'https://a/', OVER_H2, 1)


def test_a_trial_tells_how_many_handshakes_a_second_holds(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, H2LOAD.decode().replace('protocol: h2', 'protocol: http/1.1'))
    words = []
    loads.run('weir', 'https://a/', EACH_ITS_OWN, 0.5, warmup=0.3, mark=words.append)
    counts = re.findall(r'-n (\d+)', (tmp_path / 'told').read_text())
    assert counts == [str(loads.TRIAL), '15102'] and words == ['begin', 'end']
    tool(tmp_path, monkeypatch, 'could not connect\n')
    with pytest.raises(Failed, match='ended with 0: could not connect'):
        loads.run('weir', 'https://a/', EACH_ITS_OWN, 0.5)


def test_what_h2load_does_not_tell_is_no_metric(tmp_path):
    path = tmp_path / 'p.toml'
    path.write_text(GOOD.replace('"cpu_us"', '"p99_us"')
                    .replace('[load]', '[load]\nkind = "h2load"'))
    with pytest.raises(plans.Mistake, match=':6: h2load does not tell "p99_us"; expected'):
        plans.read(path)


# ---- real runs -------------------------------------------------------------------------------

SECURE = GOOD.replace('name = "idle"', 'name = "{}"').replace('[0, 10]', '{}').replace(
    '[load]', '[load]\nkind = "h2load"\ntls = true')


@pytest.mark.parametrize('varied,values,expected', [
    ('streams', '[0, 8]', [0, 8]), ('keepalive', '[true, false]', [True, False])])
def test_a_real_run_over_tls(tmp_path, varied, values, expected):
    plain = '[[subject]]\nname = "plain"\nkind = "command"\ncommand = ["{}", "-m", ' \
        '"http.server", "-d", "$dir/www", "-b", "127.0.0.1", "$port"]\n'.format(sys.executable)
    run = lab(tmp_path, 'run', 'p.toml', '--seconds', '0.2', '--repetitions', '1',
              plan=SECURE.format(varied, values) + plain)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, out + err
    result = result_of(tmp_path)
    assert result['complete'] and result['generator'] == 'h2load'
    assert {m['subject'] for m in result['missing']} == {'plain'}
    assert {(c['subject'], c['x']) for c in result['cells']} == \
        {(s, x) for s in ('a', 'b', 'a (again)') for x in expected}
    assert all(c['values']['cpu_us'] > 0.5 for c in result['cells'])
    assert left_behind(tmp_path) == []


def test_weir_bench_speaks_it_too(tmp_path):
    plan = SECURE.format('streams', '[0, 8]').replace('kind = "h2load"\n', '') \
        .replace('"cpu_us"', '"cpu_us", "p99_us"')
    run = lab(tmp_path, 'run', 'p.toml', '--seconds', '0.2', '--repetitions', '1', plan=plan)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, out + err
    result = result_of(tmp_path)
    assert result['complete'] and result['generator'] == 'weir bench' and result['missing'] == []
    assert {(c['subject'], c['x']) for c in result['cells']} == \
        {(s, x) for s in ('a', 'b', 'a (again)') for x in (0, 8)}
    assert all(c['values']['p99_us'] > 1 for c in result['cells'])
    assert left_behind(tmp_path) == []


def test_an_older_weir_bench_is_told_before_the_run(monkeypatch):
    monkeypatch.setattr(loads, 'bench_help', lambda weir: '--gaps')
    assert loads.has_bench('weir') and not loads.has_http2('weir')
    with pytest.raises(loads.Cannot, match='wrk'):
        loads.wrk_argv('https://a/', OVER_H2, 1, None)


def test_weir_bench_is_told_streams_and_one_cipher():
    argv = loads.bench_argv('weir', 'https://a/', OVER_H2, 1, None, 0)
    assert argv[2:8] == ['https://a/', '-c', '16', '--http2', '-m', '32']
    assert argv[-2:] == ['--groups', 'X25519']
    assert '--http2' not in loads.bench_argv('weir', 'https://a/', EACH_ITS_OWN, 1, None, 0)


def test_a_missing_generator_is_said_before_the_run(tmp_path, monkeypatch):
    for name in ('openssl', 'strace'):
        (tmp_path / name).symlink_to(shutil.which(name))
    monkeypatch.setenv('PATH', str(tmp_path))
    run = lab(tmp_path, 'run', 'p.toml', plan=SECURE.format('streams', '[1]'))
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert 'no load generator: expected h2load (nghttp2-client)' in err
