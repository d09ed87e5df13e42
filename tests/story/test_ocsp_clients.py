"""ssl_ocsp: requests of clients whose certificates are not known to be good are refused."""
import http.client
import socket
import ssl
import time

import pytest

from pki import Authority, authority, files
from responders import openssl_responder, responder

SERVER = '''server {{ listen 127.0.0.1:PORT ssl; server_name a.test; ssl_certificate a.crt;
    ssl_certificate_key a.key; ssl_verify_client {verify}; ssl_client_certificate ca.crt;
    ssl_ocsp {ocsp}; {more} location / {{ return 200 "$ssl_client_verify"; }} }}'''

CLIENT, OTHER = authority().issue('client'), authority().issue('other')


def start(weir, more='', verify='on', ocsp='on', http='', **kw):
    return weir(servers=SERVER.format(more=more, verify=verify, ocsp=ocsp), http=http,
                files={**files(a=authority().issue('a.test'), c=CLIENT, o=OTHER),
                       'ca.crt': authority().crt, **kw})


def shake(s, who='c', session=None, c=None, **settings):
    c = c or ssl._create_unverified_context()
    if who:
        c.load_cert_chain(s.dir / f'{who}.crt', s.dir / f'{who}.key')
    for name, value in settings.items():
        setattr(c, name, value)
    t = socket.create_connection(('127.0.0.1', s.port), timeout=20)
    return c.wrap_socket(t, server_hostname='a.test', session=session)


def ask(t):
    t.sendall(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    r = http.client.HTTPResponse(t)
    r.begin()
    return r.status, r.read()


def get(s, who='c'):
    with shake(s, who) as t:
        status, body = ask(t)
        return (status, body.decode()) if status == 200 else status


GOOD = authority().status(CLIENT)
REVOKED = authority().status(CLIENT, revoked=True)


def test_good_and_revoked_by_openssl(weir, tmp_path):
    with openssl_responder(tmp_path, authority(), good=[CLIENT], revoked=[OTHER]) as url:
        s = start(weir, f'ssl_ocsp_responder {url};')
        assert get(s) == (200, 'SUCCESS')
        assert get(s, 'o') == 400
        assert 'the certificate was revoked' in s.log()


def test_a_connection_asks_once(weir):
    with responder(GOOD) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};')
        with shake(s) as t:
            for _ in range(5):
                assert ask(t) == (200, b'SUCCESS')
        assert len(r.asked) == 1
        assert get(s) == (200, 'SUCCESS') and len(r.asked) == 2   # nothing outlives it


def test_the_cache_is_for_all_connections(weir):
    answers = [GOOD]
    with responder(lambda _: answers[0]) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url}; ssl_ocsp_cache shared:ocsp:1m;')
        for _ in range(5):
            assert get(s) == (200, 'SUCCESS')
        assert len(r.asked) == 1
        answers[0] = b'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'
        assert s.command('-s', 'reload').returncode == 0
        assert get(s) == (200, 'SUCCESS')
        assert get(s, 'o') == 400       # of whom nothing is known


def test_a_revoked_one_stays_revoked_in_the_cache(weir):
    answers = [REVOKED]
    with responder(lambda _: answers[0]) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url}; ssl_ocsp_cache shared:ocsp:1m;')
        assert get(s) == 400
        answers[0] = GOOD
        assert get(s) == 400 and len(r.asked) == 1


def test_an_answer_of_seconds_is_not_remembered_for_longer(weir):
    brief = authority().status(CLIENT, next_=3 / 86400)
    answers = [brief]
    with responder(lambda _: answers[0]) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url}; ssl_ocsp_cache shared:ocsp:1m;')
        with shake(s) as t:
            assert ask(t)[0] == 200
            answers[0] = REVOKED
            time.sleep(4)
            assert ask(t)[0] == 400


DOUBTS = {
    'another certificate': authority().status(OTHER),
    'old': authority().status(CLIENT, this=-9, next_=-2),
    'a stranger signed': Authority('weir story authority').status(CLIENT, issuer=authority()),
    'try later': bytes.fromhex('30030a0103'),
    'garbage': b'\x30\x82' + b'\xff' * 500,
    'nothing': b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    'status 500': b'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n',
    'broken off': b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx',
}


@pytest.mark.parametrize('doubt', DOUBTS)
@pytest.mark.parametrize('verify', ['on', 'optional'])
def test_doubts_are_refused(weir, verify, doubt):
    with responder(DOUBTS[doubt]) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};', verify=verify)
        assert get(s) == 400
        assert 'not known to be good' in s.log()


def test_nobody_answers(weir):
    s = start(weir, 'ssl_ocsp_responder http://127.0.0.1:1/;')
    assert get(s) == 400 and 'nobody could be connected to' in s.log()
    t = start(weir)
    assert get(t) == 400 and 'names no responder' in t.log()


def test_others_do_not_wait_for_one_who_waits(weir):
    slow = [True]

    def answer(_):
        if slow[0]:
            slow[0] = False
            time.sleep(3)
        return GOOD

    with responder(answer) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};')
        with shake(s) as t:
            t.sendall(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            r.wait_asked()
            begin = time.monotonic()
            assert get(s) == (200, 'SUCCESS') and time.monotonic() - begin < 2
            h = http.client.HTTPResponse(t)
            h.begin()
            assert h.status == 200


def test_a_client_who_leaves_while_it_is_asked(weir):
    with responder(lambda _: time.sleep(2) or GOOD) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};')
        for _ in range(5):
            with shake(s) as t:
                t.sendall(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        r.wait_asked(1)
        time.sleep(0.2)
        s.stop()


def test_a_server_that_ends_while_it_is_asked(weir):
    with responder(lambda _: time.sleep(1) or GOOD) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};')
        with shake(s) as t:
            t.sendall(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            r.wait_asked(1)
            assert s.command('-s', 'quit').returncode == 0
            h = http.client.HTTPResponse(t)
            h.begin()
            assert h.status == 200


@pytest.mark.parametrize('version', ['TLSv1_2', 'TLSv1_3'])
def test_a_session_that_is_taken_up_is_asked_for_again(weir, version):
    v = getattr(ssl.TLSVersion, version)
    answers = [GOOD]
    with responder(lambda _: answers[0]) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};')
        c = ssl._create_unverified_context()
        with shake(s, c=c, minimum_version=v, maximum_version=v) as t:
            assert ask(t)[0] == 200
            session = t.session
        with shake(s, c=c, session=session) as t:
            assert t.session_reused and ask(t)[0] == 200
            session = t.session
        answers[0] = REVOKED
        with shake(s, c=c, session=session) as t:
            assert t.session_reused and ask(t)[0] == 400


def test_who_needs_no_certificate_is_asked_for_none(weir):
    with responder(GOOD) as r:
        s = start(weir, f'ssl_ocsp_responder {r.url};', verify='optional')
        assert get(s, None) == (200, 'NONE') and not r.asked


@pytest.mark.one_engine
@pytest.mark.parametrize('verify', ['off', 'optional_no_ca'])
def test_it_needs_verified_clients(weir, verify):
    s = weir(servers=SERVER.format(more='', verify=verify, ocsp='on'), start=False,
             files={**files(a=CLIENT), 'ca.crt': authority().crt})
    said = s.command('-t')
    assert said.returncode == 1 and 'ssl_verify_client on or optional' in said.stderr


@pytest.mark.one_engine
def test_a_cache_that_is_none(weir):
    s = weir(http='ssl_ocsp_cache builtin;', start=False)
    assert 'expected: off or shared:name:size' in s.command('-t').stderr
