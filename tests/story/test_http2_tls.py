"""HTTP/2 over TLS: agreed by ALPN, the same in all else; records are full and few."""
import socket
import ssl
import subprocess
import time

import pytest

import certificates
from h2 import CANCEL, END_STREAM, H2, NO_ERROR, PROTOCOL_ERROR, settings
from upstreams import Upstream, reply

BIG = bytes(range(256)) * 4000


def over_tls(s, protocols=('h2',), **kw):
    """An H2 whose bytes go through TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    c = H2(s, begin=False, **kw)
    c.sock = context.wrap_socket(c.sock, server_hostname='a.test')
    assert c.sock.selected_alpn_protocol() == 'h2'
    c.send(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').frame(4, payload=kw.get('payload', b''))
    return c


def server(weir, body, more='', **kw):
    pair = certificates.certificate('a.test')
    names = {'html/big.bin': BIG, **kw.pop('files', {}), **certificates.files(a=pair)}
    return weir(servers=f'server {{ listen 127.0.0.1:PORT ssl; http2 on; server_name a.test; '
                        f'ssl_certificate a.crt; ssl_certificate_key a.key; root html; {more} '
                        f'{body} }}', files=names, **kw)


SAY = 'location /say { return 200 "$http2 $server_protocol $scheme $ssl_alpn_protocol"; }'


def curl(s, path, *args, **kw):
    return subprocess.run(['curl', '-s', '-k', '--http2', '--max-time', '20', *args,
                           f'https://127.0.0.1:{s.port}{path}'], capture_output=True, **kw)


def test_alpn(weir):
    s = server(weir, SAY)
    assert curl(s, '/say').stdout == b'h2 HTTP/2.0 https h2'
    assert curl(s, '/say', '--http1.1').stdout == b' HTTP/1.1 https http/1.1'
    assert curl(s, '/big.bin').stdout == BIG
    with over_tls(s, ('http/1.1', 'h2')) as c:
        assert c.get(1, '/say', scheme='https').body == b'h2 HTTP/2.0 https h2'


def test_many_at_once(weir):
    s = server(weir, SAY)
    with over_tls(s) as c:
        for i in range(50):
            c.ask(2 * i + 1, '/big.bin' if i % 10 == 0 else '/file.txt')
        for i in range(50):
            assert c.answer(2 * i + 1).body == (BIG if i % 10 == 0 else b'0123456789')
    out = subprocess.run(['h2load', '-n', '2000', '-c', '4', '-m', '32',
                          f'https://127.0.0.1:{s.port}/file.txt'], capture_output=True, text=True)
    assert ' 0 failed' in out.stdout and ' 0 errored' in out.stdout, out.stdout


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_bodies(weir, buffering):
    with Upstream(lambda peer, asked: peer.send(reply(asked.body))) as up:
        s = server(weir, f'location /up {{ proxy_pass http://127.0.0.1:{up.port}; '
                         f'proxy_http_version 1.1; proxy_request_buffering {buffering}; '
                         'client_max_body_size 2m; }')
        assert curl(s, '/up', '--data-binary', '@-', input=BIG).stdout == BIG


def test_abuse(weir):
    s = server(weir, SAY)
    with over_tls(s) as c:
        c.frame(0, 0, 0, b'x')
        try:
            assert c.goaway() == PROTOCOL_ERROR
        except ssl.SSLError:
            pytest.fail('the goodbye was cut off')
    with over_tls(s, windows=False) as c:
        c.ask(1, '/big.bin').until(lambda: 1 in c.streams).rst(1)
        assert c.get(3, '/say', method='HEAD').status == 200


def test_reload_and_quit(weir):
    s = server(weir, 'location = /v { return 200 old; } '
                     'location /slow { limit_rate 200k; alias html/big.bin; }')
    with over_tls(s) as c:
        assert c.get(1, '/v').body == b'old'
        c.ask(3, '/slow').until(lambda: 3 in c.streams and c.streams[3].body)
        s.rewrite(s.conf.read_text().replace('200 old', '200 new'))
        s.signal(1)
        end, n = time.monotonic() + 5, 5
        while c.get(n, '/v').body != b'new':
            n += 2
            assert time.monotonic() < end
            time.sleep(0.05)
        s.signal(3)
        assert c.answer(3).body == BIG
        assert c.goaway() == NO_ERROR and c.goaways[-1][0] == n


def test_the_preface_in_the_clear_on_a_port_of_tls(weir):
    s = server(weir, SAY)
    with H2(s) as c:
        c.auto = False
        try:
            c.goaway()
        except Exception:
            pass
        assert not c.settings
