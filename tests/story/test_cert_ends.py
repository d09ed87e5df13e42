"""ssl_certificate_warn: certificates that end soon are named, at the start and while it runs."""
import time

import pytest

from pki import authority, files, now, days
from test_tls import body as ask_body, context

SERVER = '''server {{ listen 127.0.0.1:PORT ssl; server_name {name}; ssl_certificate {file}.crt;
    ssl_certificate_key {file}.key;
    location / {{ return 200 "$ssl_certificate_days"; }} }}'''


def start(weir, http='', **pairs):
    servers = ''.join(SERVER.format(name=f'{n}.test', file=n) for n in pairs)
    return weir(servers=servers, http=http, files=files(**pairs))


def day(n):
    return (now() + days(n)).strftime('%Y-%m-%d')


def test_the_start_names_what_ends_soon(weir):
    s = start(weir, a=authority().issue('a.test', last=10), b=authority().issue('b.test'))
    tested = s.command('-t')
    s.stop()
    for text in tested.stderr, s.log():
        assert 'the certificate expires on ' in text and ', in 9 days' in text
        assert 'a.crt' in text and 'b.crt' not in text
    assert day(10) in s.log() or day(9) in s.log()


def test_every_day_again(weir):
    s = start(weir, 'ssl_certificate_warn 30d every=1s;', a=authority().issue('a.test', last=20),
              b=authority().issue('b.test'), c=authority().issue('c.test', first=-5, last=-1))
    s.file('error.log', contains='a.crt" expires on')
    s.file('error.log', contains='c.crt" expired on')
    count = s.log().count('a.crt" expires on')
    s.file('error.log')
    end = 60
    while s.log().count('a.crt" expires on') <= count and end:
        time.sleep(0.1)
        end -= 1
    assert end and 'b.crt" expires' not in s.log()


def test_a_reload_tells_of_the_new_one(weir):
    s = start(weir, 'ssl_certificate_warn 14d every=1s;', a=authority().issue('a.test', last=5))
    s.file('error.log', contains='a.crt" expires on')
    for name, text in files(a=authority().issue('a.test', last=90)).items():
        (s.dir / name).write_text(text)
    assert s.command('-s', 'reload').returncode == 0
    time.sleep(0.5)
    count = s.log().count('a.crt" expires on')
    time.sleep(2.2)
    assert s.log().count('a.crt" expires on') == count
    (s.dir / 'x.crt').write_text('')
    for name, text in files(a=authority().issue('a.test', last=3)).items():
        (s.dir / name).write_text(text)
    assert s.command('-s', 'reload').returncode == 0
    s.file('error.log', contains='in 2 days')


def test_off(weir):
    s = start(weir, 'ssl_certificate_warn off;', a=authority().issue('a.test', last=5))
    s.stop()
    assert 'expires' not in s.log()


@pytest.mark.parametrize('words', ['soon', '14d every', '14d every=0', '14d often=1d', 'off off'])
@pytest.mark.one_engine
def test_words_that_are_none(weir, words):
    s = weir(http=f'ssl_certificate_warn {words};', start=False)
    said = s.command('-t')
    assert said.returncode == 1 and 'does not say when to warn' in said.stderr


def test_the_days_as_a_variable(weir):
    s = start(weir, a=authority().issue('a.test', last=40), b=authority().issue('b.test', last=-1,
                                                                                 first=-9))
    c = context(verify=False)
    assert ask_body(s, name='a.test', c=c) == (200, b'39')
    assert ask_body(s, name='b.test', c=c) == (200, b'-2')
