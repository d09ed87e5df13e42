"""proxy_http_version 2: servers that speak HTTP/2, and those that speak it badly."""
import contextlib
import socket
import ssl
import struct
import time

import pytest
from hyperframe import frame as hf

from certificates import authority, certificate, files
from conftest import Client
from h2_upstreams import H2Upstream
from upstreams import Upstream

B = certificate('b.test', '127.0.0.1')


@contextlib.contextmanager
def ups(*scripts, **kw):
    with contextlib.ExitStack() as keep:
        yield [keep.enter_context(H2Upstream(s, **kw)) for s in scripts]


def behind(weir, *us, more='', http='', scheme='http', server='', **kw):
    servers = ' '.join(f'server {u.at} max_fails=0;' for u in us)
    return weir(f'location / {{ proxy_pass {scheme}://back; proxy_http_version 2; {more} }} '
                f'{server}', http=f'upstream back {{ {servers} keepalive 8; }} {http}', **kw)


def answers(weir, script, more='', ask=None, **kw):
    """What a client gets of such a server, and the server."""
    with ups(script) as (u,):
        s = behind(weir, u, more=more, **kw)
        return (ask or (lambda s: s.get('/x')))(s), u, s


# ---- well-behaved ------------------------------------------------------------------------------

def test_requests_and_a_kept_connection(weir):
    with H2Upstream() as u:
        s = behind(weir, u)
        with Client(s.address) as c:
            for i in range(30):
                assert c.ask(f'/a%20b?n={i}').body == b'hello /a%%20b?n=%d' % i
        assert len(u.peers) == 1
        streams = [f.stream_id for f in u.peers[0].frames if isinstance(f, hf.HeadersFrame)]
        assert streams == list(range(1, 60, 2))


def test_the_head_of_a_request(weir):
    seen = []

    def script(peer):
        stream, fields = peer.request()
        seen.append(fields)
        peer.answer(stream)
    answers(weir, script, 'proxy_set_header X-One 1; proxy_set_header Connection upgrade;',
            lambda s: s.raw('GET /p?q HTTP/1.1\r\nHost: a.test\r\nUser-Agent: me\r\n'
                            'Connection: X-Hop\r\nX-Hop: no\r\nKeep-Alive: 3\r\n'
                            'TE: trailers\r\n\r\n'))
    f = seen[0]
    assert (f[':method'], f[':scheme'], f[':path'], f[':authority']) == \
        ('GET', 'http', '/p?q', 'back')
    assert f['x-one'] == '1' and f['user-agent'] == 'me' and f['te'] == 'trailers'
    assert not {'connection', 'x-hop', 'keep-alive', 'host'} & set(f)


@pytest.mark.parametrize('buffering', ['on', 'off'])
@pytest.mark.parametrize('size', [0, 1, 4096, 65535, 65536, 1_000_000])
def test_bodies_of_requests(weir, size, buffering):
    body = bytes(i % 251 for i in range(size))

    def script(peer):
        while True:
            stream, fields = peer.request(whole=False)
            while stream not in peer.ended:
                f = peer.read()
                if isinstance(f, hf.DataFrame) and f.flow_controlled_length:
                    n = f.flow_controlled_length
                    peer.send(hf.WindowUpdateFrame(0, n), hf.WindowUpdateFrame(stream, n))
            assert fields.get('content-length', '0') == str(size)
            peer.answer(stream, b'%d' % (peer.bodies.get(stream, b'') == body))
    with ups(script) as (u,):
        s = behind(weir, u, more=f'proxy_request_buffering {buffering};'
                            'client_max_body_size 0;')
        for _ in range(2):
            assert s.get('/', method='POST', body=body).body == b'1'


@pytest.mark.parametrize('size', [1, 65535, 300_000, 3_000_000])
def test_bodies_of_answers(weir, size):
    body = bytes(i % 253 for i in range(size))

    def script(peer):
        window = {0: 65535}
        while True:
            stream, _ = peer.request()
            peer.send(peer.head(stream, [('content-length', str(size))]))
            window[stream] = peer.settings[4]
            window[0] += sum(f.window_increment for f in peer.frames
                             if isinstance(f, hf.WindowUpdateFrame))
            left = body
            while left:
                most = min(window[0], window[stream], 16384)
                if most:
                    peer.send(peer.data(stream, left[:most], end=len(left) <= most))
                    left = left[most:]
                    window[0] -= most
                    window[stream] -= most
                else:
                    f = peer.until(hf.WindowUpdateFrame)
                    window[f.stream_id] = window.get(f.stream_id, 0) + f.window_increment
            peer.drain()
    with ups(script) as (u,):
        s = behind(weir, u)
        assert s.get('/').body == body


def test_over_tls_with_alpn(weir, engine):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*map(str, B.paths))
    c.set_alpn_protocols(['http/1.1', 'h2'])
    with H2Upstream(tls=c) as u:
        s = behind(weir, u, scheme='https', more='proxy_ssl_verify on; proxy_ssl_name b.test; '
                   'proxy_ssl_trusted_certificate ca.crt;', files=files(ca=authority()))
        for i in range(5):
            assert s.get(f'/{i}').body == b'hello /%d' % i
        assert u.peers[0].sock.selected_alpn_protocol() == 'h2'
        # on threads, a connection is not kept while an acknowledgement is on its way
        assert len(u.peers) <= (5 if engine == 'threads' else 1)


def test_tls_without_h2_is_refused(weir):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*map(str, B.paths))
    with Upstream(tls=c) as u:
        s = behind(weir, u, scheme='https')
        assert s.get('/').status == 502
        s.wait_log('did not agree on HTTP/2')


def test_http1_and_http2_to_one_server_share_no_connection(weir):
    with H2Upstream() as u:
        s = weir(f'location /1 {{ proxy_pass http://back; proxy_read_timeout 1s; }} '
                 'location /2 { proxy_pass http://back; proxy_http_version 2; }',
                 http=f'upstream back {{ server {u.at} max_fails=0; keepalive 4; }}')
        assert s.get('/2').status == 200
        assert s.get('/1').status in (502, 504)
        assert s.get('/2').status == 200


def test_padding(weir):
    def script(peer):
        stream, _ = peer.request()
        block = peer.block([(':status', '200'), ('x-a', 'b')])
        peer.send(hf.HeadersFrame(stream, block, pad_length=7,
                                  flags=['PADDED', 'PRIORITY', 'END_HEADERS']))
        for size in (1, 0, 255):
            peer.send(peer.data(stream, b'ab' * size, pad=size or 3))
        peer.send(peer.data(stream, b'', end=True, pad=9))
        peer.drain()
    a, _, _ = answers(weir, script)
    assert a.body == b'ab' * 256 and a['x-a'] == 'b'


def test_every_byte_by_itself(weir):
    def script(peer):
        stream, _ = peer.request()
        whole = b''.join(f.serialize() for f in (
            hf.PingFrame(0, b'12345678'), peer.head(stream, [('x-a', 'b')]),
            peer.data(stream, b'hello', pad=3), peer.trailers(stream, [('x-end', 'yes')])))
        for byte in whole:
            peer.send(bytes([byte]))
            time.sleep(0.001)
        peer.drain()
    a, u, _ = answers(weir, script)
    assert a.body == b'hello' and a['x-a'] == 'b'
    end = time.monotonic() + 3
    while not any(isinstance(f, hf.PingFrame) and f.opaque_data == b'12345678' and
                  'ACK' in f.flags for f in u.peers[0].frames):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_continuation_and_interim_answers(weir):
    def script(peer):
        stream, _ = peer.request()
        for status in ('100', '103', '102'):
            peer.send(peer.head(stream, [('link', '</a>')], status=status))
        block = peer.block([(':status', '200'), ('x-long', 'v' * 500)])
        peer.send(hf.HeadersFrame(stream, block[:10]))
        for at in range(10, 70, 10):
            peer.send(hf.ContinuationFrame(stream, block[at:at + 10]))
        peer.send(hf.ContinuationFrame(stream, block[70:], flags=['END_HEADERS']))
        peer.send(peer.data(stream, b'ok', end=True))
        peer.drain()
    a, _, _ = answers(weir, script)
    assert a.status == 200 and a['x-long'] == 'v' * 500 and a.body == b'ok'


def test_no_body_at_all(weir):
    def script(peer):
        while True:
            stream, fields = peer.request()
            status = fields[':path'][1:] if fields[':method'] == 'GET' else '200'
            peer.send(peer.head(stream, [('x-a', 'b')], status=status, end=True))
    with ups(script) as (u,):
        s = behind(weir, u)
        with Client(s.address) as c:
            for status in (200, 204, 304, 404):
                a = c.ask(f'/{status}')
                assert a.status == status and a.body == b'' and a['x-a'] == 'b'
            assert c.ask('/', method='HEAD').status == 200
        assert len(u.peers) == 1


# ---- the connection's frames -------------------------------------------------------------------

def test_a_ping_on_an_idle_connection_is_answered(weir, engine):
    pinged = []

    def script(peer):
        stream, _ = peer.request()
        peer.answer(stream)
        time.sleep(0.2)
        peer.send(hf.PingFrame(0, b'are you?'))
        f = peer.until(hf.PingFrame)
        pinged.append(f.opaque_data)
        stream, _ = peer.request()
        peer.answer(stream, b'again')
    with ups(script) as (u,):
        s = behind(weir, u)
        assert s.get('/').body == b'hello'
        time.sleep(0.6)
        if engine == 'threads':     # an idle connection is nobody's there: with the next request
            with contextlib.suppress(TimeoutError):     # (whose head the script throws away)
                s.get('/')
            assert pinged == [b'are you?']
            return
        assert pinged == [b'are you?']
        assert s.get('/').body == b'again'
        assert len(u.peers) == 1


def test_goaway_on_an_idle_connection(weir):
    def script(peer):
        while True:
            stream, _ = peer.request()
            peer.answer(stream, b'%d' % peer.number)
            peer.send(hf.GoAwayFrame(0, last_stream_id=stream))
            time.sleep(0.1)
    with ups(script) as (u,):
        s = behind(weir, u)
        for i in range(4):
            assert s.get('/').body == b'%d' % i
            time.sleep(0.1)


def test_goaway_in_an_answer_lets_it_end(weir):
    def script(peer):
        stream, _ = peer.request()
        peer.send(peer.head(stream), hf.GoAwayFrame(0, last_stream_id=2**31 - 1),
                  peer.data(stream, b'half '))
        time.sleep(0.1)
        peer.send(hf.GoAwayFrame(0, last_stream_id=stream), peer.data(stream, b'whole', end=True))
        peer.drain()
    with ups(script) as (u,):
        s = behind(weir, u)
        for _ in range(2):
            assert s.get('/').body == b'half whole'
        assert len(u.peers) == 2


@pytest.mark.parametrize('method', ['GET', 'POST'])
@pytest.mark.parametrize('how', ['goaway', 'refused'])
def test_what_was_not_begun_is_asked_again(weir, how, method):
    """Even a POST: the server says that nothing was done with it."""
    def no(peer):
        stream, _ = peer.request()
        peer.send(hf.GoAwayFrame(0, last_stream_id=0) if how == 'goaway'
                  else hf.RstStreamFrame(stream, error_code=7))
        peer.drain()

    def yes(peer):
        while True:
            stream, _ = peer.request()
            peer.answer(stream, b'yes ' + peer.bodies.get(stream, b''))
    for buffering in ('on', 'off'):
        with ups(no, yes) as us:
            s = behind(weir, *us, more=f'proxy_request_buffering {buffering};')
            body = b'body' if method == 'POST' else b''
            for _ in range(2):      # whoever is first
                a = s.get('/', method=method, body=body)
                assert (a.status, a.body) == (200, b'yes ' + body)
            s.stop()


def test_other_resets_are_not_asked_again(weir):
    def no(peer):
        stream, _ = peer.request()
        peer.send(hf.RstStreamFrame(stream, error_code=2))
        peer.drain()
    with ups(no, no) as us:
        s = behind(weir, *us)
        assert s.get('/', method='POST', body=b'x').status == 502
        assert sum(len(u.peers) for u in us) == 1
        s.wait_log('INTERNAL_ERROR')


def test_settings_change_in_the_middle(weir):
    """The window shrinks below what was sent, and is opened again."""
    body = b'0123456789' * 3000

    def script(peer):
        stream, _ = peer.request()      # the settings are known before the next one begins
        peer.answer(stream)
        stream, _ = peer.request(whole=False)
        while len(peer.bodies.get(stream, b'')) < 1000:
            peer.read()
        assert len(peer.bodies[stream]) == 1000
        peer.send(hf.SettingsFrame(0, settings={4: 500}),       # it is at -500 now …
                  hf.WindowUpdateFrame(stream, 600))            # … and at 100
        while len(peer.bodies[stream]) < 1100:
            peer.read()
        peer.send(hf.PingFrame(0, b'anymore?'))
        assert 'ACK' in peer.until(hf.PingFrame).flags
        assert len(peer.bodies[stream]) == 1100
        peer.send(hf.SettingsFrame(0, settings={4: 65535, 5: 20000}))
        while stream not in peer.ended:
            peer.read()
        peer.answer(stream, b'%d' % (peer.bodies[stream] == body))
        peer.drain()
    with H2Upstream(script, settings={4: 1000}) as u:
        s = behind(weir, u)
        with Client(s.address) as c:
            assert c.ask('/').body == b'hello'
            assert c.ask('/', method='POST', body=body).body == b'1'
        assert len(u.peers) == 1


def test_a_window_that_stays_shut_is_a_timeout(weir):
    def script(peer):
        peer.request(whole=False)
        peer.drain()
    began = time.monotonic()
    a, _, _ = answers(weir, script, 'proxy_send_timeout 500ms;',
                      lambda s: s.get('/', method='POST', body=b'x' * 200_000), server=
                      'client_max_body_size 0;')
    assert a.status == 504 and 0.4 < time.monotonic() - began < 4


def test_a_slow_client_shuts_the_servers_window(weir):
    sent = [0]

    def script(peer):
        stream, _ = peer.request()
        peer.send(peer.head(stream))
        window = {0: 65535, stream: peer.settings[4]}
        for f in peer.frames:
            if isinstance(f, hf.WindowUpdateFrame):
                window[f.stream_id] += f.window_increment
        while True:
            most = min(*window.values(), 16384)
            while most == 0:
                f = peer.read()
                if isinstance(f, hf.WindowUpdateFrame):
                    window[f.stream_id] += f.window_increment
                most = min(*window.values(), 16384)
            peer.send(peer.data(stream, b'x' * most))
            sent[0] += most
            for k in window:
                window[k] -= most
    with ups(script) as (u,):
        s = behind(weir, u, more='proxy_buffering off; proxy_read_timeout 1s;')
        with Client(s.address) as c:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            end, last = time.monotonic() + 15, -1
            while sent[0] != last:
                assert time.monotonic() < end and sent[0] < 20_000_000
                last = sent[0]
                time.sleep(1)
            time.sleep(1.2)     # longer than proxy_read_timeout: it is not the server's fault
            got = sum(len(c.sock.recv(65536)) for _ in range(200))
            time.sleep(0.5)
            assert got > 1_000_000 or sent[0] > last


# ---- bad servers -------------------------------------------------------------------------------

def raw(kind, flags, stream, payload):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack('>I', stream) + payload


def bomb(peer, stream):
    """One field that stands in the table, said again and again."""
    first = peer.block([(':status', '200'), ('x-big', 'v' * 3000)])
    return hf.HeadersFrame(stream, first + b'\xbe' * 10000, flags=['END_HEADERS'])


BAD = {
    'not HTTP/2': lambda p, s: b'HTTP/1.1 400 Bad\r\n\r\n',
    'a frame that is too large': lambda p, s: raw(0, 0, s, b'x' * 16385),
    'DATA before the head': lambda p, s: p.data(s, b'x'),
    'DATA of another request': lambda p, s: p.data(s + 2, b'x'),
    'DATA of stream 0': lambda p, s: raw(0, 0, 0, b'x'),
    'HEADERS of another request': lambda p, s: p.head(s + 2),
    'a push': lambda p, s: raw(5, 4, s, b'\0\0\0\2\x88'),
    'CONTINUATION of nothing': lambda p, s: raw(9, 4, s, b'\x88'),
    'a frame inside a block': lambda p, s: raw(1, 0, s, b'\x88') + raw(6, 0, 0, b'12345678'),
    'a broken block': lambda p, s: raw(1, 4, s, b'\xff\xff\xff\xff\xff\xff\xff'),
    'padding without end': lambda p, s: raw(1, 0xc, s, b'\x40\x88'),
    'SETTINGS of 5 bytes': lambda p, s: raw(4, 0, 0, b'12345'),
    'a setting that cannot be': lambda p, s: raw(4, 0, 0, b'\0\5\0\0\0\1'),
    'a window of nothing': lambda p, s: raw(8, 0, s, b'\0\0\0\0'),
    'a window too far': lambda p, s: raw(8, 0, s, b'\x7f\xff\xff\xff') * 2,
    'no status': lambda p, s: hf.HeadersFrame(s, p.block([('a', 'b')]), flags=['END_HEADERS']),
    'two statuses': lambda p, s: p.head(s, [(':status', '201')]),
    'a status of letters': lambda p, s: p.head(s, status='abc'),
    'status 101': lambda p, s: p.head(s, status='101'),
    'an unknown pseudo-field': lambda p, s: p.head(s, [(':path', '/')]),
    'a capital letter': lambda p, s: raw(1, 4, s, b'\x88\0\1A\1b'),
    'a line end in a field': lambda p, s: raw(1, 4, s, b'\x88\0\1a\3b\r\n'),
    'Connection': lambda p, s: p.head(s, [('connection', 'close')]),
    'Transfer-Encoding': lambda p, s: p.head(s, [('transfer-encoding', 'chunked')]),
    'a length of letters': lambda p, s: p.head(s, [('content-length', 'x')]),
    'two lengths': lambda p, s: p.head(s, [('content-length', '5'), ('content-length', '5')]),
    'a length without a body': lambda p, s: p.head(s, [('content-length', '5')], end=True),
    'an interim answer that is the last': lambda p, s: p.head(s, status='103', end=True),
    'interim answers without end': lambda p, s: b''.join(
        p.head(s, status='103').serialize() for _ in range(100)),
    'a head that is too large': lambda p, s: p.head(s, [('a', 'v' * 9000)]),
    'too many fields': lambda p, s: p.head(s, [(f'a{i}', 'v') for i in range(300)]),
    'CONTINUATION without end': lambda p, s: raw(1, 0, s, b'\x88') + raw(9, 0, s, b'') * 1000,
    'a header bomb': bomb,
    'a flood of PING': lambda p, s: raw(6, 0, 0, b'12345678') * 200_000,
    'a flood of SETTINGS': lambda p, s: raw(4, 0, 0, b'') * 200_000,
    'a flood of unknown frames': lambda p, s: raw(77, 0, 0, b'') * 200_000,
    'nothing': lambda p, s: b'',
}


@pytest.mark.parametrize('what', BAD)
def test_a_bad_server_is_a_bad_gateway(weir, what):
    def script(peer):
        stream, _ = peer.request()
        peer.send(BAD[what](peer, stream))
        if what != 'nothing':
            u.hello(peer)   # if the connection lives, it is used again
    with ups(script) as (u,):
        s = behind(weir, u, more='proxy_read_timeout 5s;')
        assert s.get('/').status == 502
        assert len(u.peers) == 1
        u.script = u.hello
        assert s.get('/well').body == b'hello /well'


BAD_BODIES = {
    'a reset': lambda p, s: hf.RstStreamFrame(s, error_code=8),
    'less than was said': lambda p, s: p.data(s, b'', end=True),
    'more than was said': lambda p, s: p.data(s, b'x' * 100),
    'more than the window': lambda p, s: p.data(s, b'') and raw(0, 0, s, b'x' * 16384) * 40,
    'padding without end': lambda p, s: raw(0, 8, s, b'\xff' + b'x' * 10),
    'a second head': lambda p, s: p.head(s, end=False),
    'a pseudo-field in trailers': lambda p, s: p.head(s, end=True),
    'a bad frame': lambda p, s: raw(6, 0, 0, b'123'),
    'the end': lambda p, s: b'',
}


@pytest.mark.parametrize('what', BAD_BODIES)
def test_a_body_that_goes_wrong_breaks_off(weir, what):
    def script(peer):
        stream, _ = peer.request()
        length = [] if what == 'more than the window' else [('content-length', '50')]
        peer.send(peer.head(stream, length), peer.data(stream, b'0123456789'))
        time.sleep(0.1)
        peer.send(BAD_BODIES[what](peer, stream))
        if what != 'the end':
            u.hello(peer)
    with ups(script) as (u,):
        s = behind(weir, u, more='proxy_buffering off;' if 'window' in what else '')
        with Client(s.address) as c:
            if what == 'more than the window':
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            if what == 'more than the window':
                time.sleep(0.5)
            got = c.rest()
        body = got.partition(b'\r\n\r\n')[2]
        assert b' 200 ' in got and not body.endswith(b'0\r\n\r\n') and len(body) != 50
        u.script = u.hello
        assert s.get('/well').body == b'hello /well'
