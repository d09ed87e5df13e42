"""WebSocket over HTTP/2 (RFC 8441): an extended CONNECT is passed on as an Upgrade of HTTP/1."""
import base64
import time

import pytest

from h2 import CANCEL, DATA, END_STREAM, H2, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
from upstreams import Upstream, reply

UPGRADE = ('proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; '
           'proxy_set_header Connection "upgrade"; proxy_set_header X-Method $request_method;')


def connect(c, stream, path='/chat', protocol='websocket', headers=()):
    return c.headers(stream, [(':method', 'CONNECT'), (':protocol', protocol), (':scheme', 'http'),
                              (':path', path), (':authority', 'a.test'),
                              ('sec-websocket-version', '13'), ('origin', 'http://a.test'),
                              *headers], end=False)


def echo(peer, asked):
    if asked['Upgrade'] != 'websocket':
        peer.send(reply('no upgrade', status='400 Bad Request'))
        return
    peer.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
              'Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nfirst;')
    while piece := peer.sock.recv(65536):
        peer.send(piece.upper())
        if piece.endswith(b'!'):
            break
    return False


@pytest.fixture
def up():
    with Upstream(echo) as u:
        yield u


def site(weir, up, more=''):
    return weir(f'http2 on; location / {{ proxy_pass http://127.0.0.1:{up.port}; {UPGRADE} '
                f'{more} }} location = /file {{ return 200 file; }}')


def test_both_ways(weir, up):
    s = site(weir, up)
    with H2(s) as c:
        connect(c, 1, headers=[('sec-websocket-protocol', 'chat')])
        a = c.until(lambda: 1 in c.streams and c.streams[1].body == b'first;').streams[1]
        assert a.status == 200 and a['sec-websocket-protocol'] == 'chat'
        assert a['upgrade'] is None and a['connection'] is None
        assert a['sec-websocket-accept'] is None
        asked = up.asked[0]
        assert asked.line == 'GET /chat HTTP/1.1' and asked['Connection'] == 'upgrade'
        assert len(base64.b64decode(asked['Sec-WebSocket-Key'])) == 16
        assert asked['Sec-WebSocket-Version'] == '13' and asked['X-Method'] == 'GET'
        for i in range(20):
            before = len(a.body)
            c.frame(DATA, 0, 1, b'hello' * (1 + 100 * i))
            c.until(lambda: len(a.body) == before + 5 * (1 + 100 * i))
        assert c.get(3, '/file').body == b'file'            # beside it
        c.frame(DATA, 0, 1, b'bye!')
        assert c.answer(1).body.endswith(b'BYE!') and a.ended


def test_the_client_ends(weir, up):
    s = site(weir, up)
    with H2(s) as c:
        connect(c, 1).until(lambda: 1 in c.streams and c.streams[1].body == b'first;')
        c.frame(DATA, END_STREAM, 1, b'last')
        a = c.answer(1)
        assert a.body == b'first;LAST' and a.ended
        connect(c, 3).until(lambda: 3 in c.streams and c.streams[3].body == b'first;')
        c.rst(3)
        end = time.monotonic() + 5
        while up.open and time.monotonic() < end:
            time.sleep(0.02)
        assert not up.open and not c.goaways


def test_much_at_once(weir, up):
    """A peer and a client that hold one another back lose nothing."""
    s = site(weir, up)
    with H2(s) as c:
        c.started()
        connect(c, 1).until(lambda: 1 in c.streams and c.streams[1].body == b'first;')
        a, sent = c.streams[1], 0
        for i in range(40):
            c.frame(DATA, 0, 1, bytes([97 + i % 26]) * 10_000)
            sent += 10_000
            c.until(lambda: len(a.body) >= 6 + sent - 50_000)
        c.until(lambda: len(a.body) == 6 + sent)
        assert a.body[6:] == b''.join(bytes([65 + i % 26]) * 10_000 for i in range(40))


def test_what_is_refused(weir, up):
    s = site(weir, up)
    with H2(s) as c:
        connect(c, 1, protocol='connect-udp')
        assert c.answer(1).status == 501
        connect(c, 3, path='/file')
        assert c.answer(3).status == 200 and c.streams[3].body == b'file'
        c.headers(5, [(':method', 'CONNECT'), (':protocol', 'websocket'), (':scheme', 'http'),
                      (':authority', 'a.test')], end=False)
        assert c.answer(5).reset == PROTOCOL_ERROR
        c.headers(7, [(':method', 'CONNECT'), (':protocol', 'websocket'), (':scheme', 'http'),
                      (':path', '/chat'), (':authority', 'b.test'), ('host', 'a.test')], end=False)
        assert c.answer(7).reset == PROTOCOL_ERROR
    s = weir(f'http2 on; location / {{ proxy_pass http://127.0.0.1:{up.port}; }}')
    with H2(s) as c:                    # nothing says that an Upgrade is passed on
        connect(c, 1)
        assert c.answer(1).status == 400


def test_a_reload_does_not_touch_it(weir, up):
    s = site(weir, up)
    with H2(s) as c:
        connect(c, 1, path='/chat?x')
        c.until(lambda: 1 in c.streams and c.streams[1].body == b'first;')
        s.signal(1)                                   
        time.sleep(0.3)
        c.frame(DATA, 0, 1, b'after')
        c.until(lambda: c.streams[1].body == b'first;AFTER')
