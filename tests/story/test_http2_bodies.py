"""Requests' bodies on HTTP/2: read, passed on, refused, held back; answers of upstreams."""
import subprocess
import time

import pytest

from h2 import (CANCEL, DATA, END_STREAM, H2, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR,
                WINDOW_UPDATE, settings)
from upstreams import Upstream, reply

BIG = bytes(range(256)) * 4000


def echo(peer, asked):
    """What came, as it came."""
    peer.send(reply(asked.body, fields=[f'X-Length: {asked["Content-Length"]}',
                                        f'X-Coding: {asked["Transfer-Encoding"]}',
                                        f'X-Line: {asked.line}', f'X-Host: {asked["Host"]}',
                                        f'X-Cookie: {asked["Cookie"]}']))


@pytest.fixture
def up():
    with Upstream(echo) as u:
        yield u


def proxy(weir, up, more='', **kw):
    return weir(f'http2 on; location / {{ proxy_pass http://127.0.0.1:{up.port}; '
                f'proxy_http_version 1.1; {more} }}', **kw)


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_bodies_are_passed_on(weir, up, buffering):
    s = proxy(weir, up, f'proxy_request_buffering {buffering}; client_max_body_size 2m;')
    with H2(s) as c:
        c.started()
        a = c.get(1, '/p?q', method='POST', body=b'hello',
                  headers=[('content-length', '5'), ('cookie', 'a=1'), ('cookie', 'b=2')])
        assert (a.status, a.body, a['x-length']) == (200, b'hello', '5')
        assert a['x-line'] == 'POST /p?q HTTP/1.1' and a['x-cookie'] == 'a=1; b=2'
        assert a['x-host'] == f'127.0.0.1:{up.port}'
        a = c.get(3, '/', method='PUT', body=b'of no length')
        assert a.body == b'of no length'
        assert a['x-coding'] == ('None' if buffering == 'on' else 'chunked')
        a = c.get(5, '/', method='POST', body=b'')
        assert a.body == b''
        assert c.get(7).body == b''
        c.headers(9, c.fields('/', 'POST'), end=False).frame(DATA, 0, 9, b'with ')
        c.frame(DATA, 0, 9, b'trailers').headers(9, [('x-end', '1')])
        assert c.answer(9).body == b'with trailers'


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_a_large_body(weir, up, buffering):
    """More than any window: they open as it is taken."""
    s = proxy(weir, up, f'proxy_request_buffering {buffering}; client_max_body_size 2m;')
    out = subprocess.run(['curl', '-s', '--http2-prior-knowledge', '--data-binary', '@-',
                          '--max-time', '20', f'http://127.0.0.1:{s.port}/'], input=BIG,
                         capture_output=True)
    assert out.stdout == BIG
    out = subprocess.run(['curl', '-s', '--http2-prior-knowledge', '-T', '-', '--max-time', '20',
                          f'http://127.0.0.1:{s.port}/x'], input=BIG, capture_output=True)
    assert out.stdout == BIG


def test_an_upstream_that_does_not_read(weir):
    """The client is held back by its windows; nothing is lost when it is read at last."""
    def slow(peer, asked):
        peer.send(reply(asked.body[-10:]))

    with Upstream(slow) as up:
        s = proxy(weir, up, 'proxy_request_buffering off; client_max_body_size 0;')
        with H2(s) as c:
            c.started()
            sent, size = 0, 600_000
            c.headers(1, c.fields('/', 'POST', headers=[('content-length', str(size))]), end=False)
            window = 65536
            while sent < size:
                if window == 0:
                    f = c.read()
                    if f.kind == WINDOW_UPDATE and f.stream == 1:
                        window += int.from_bytes(f.payload, 'big')
                    continue
                piece = min(window, size - sent, 16384)
                c.frame(DATA, END_STREAM if sent + piece == size else 0, 1,
                        b'z' * piece)
                sent, window = sent + piece, window - piece
            assert c.answer(1).body == b'z' * 10


def test_too_large(weir, up):
    s = proxy(weir, up, 'client_max_body_size 1k; proxy_request_buffering off;')
    with H2(s) as c:
        a = c.get(1, '/', method='POST', headers=[('content-length', '2000')], end=False)
        assert a.status == 413
        c.headers(3, c.fields('/', 'POST'), end=False).frame(DATA, 0, 3, b'x' * 1500)
        c.until(lambda: 3 in c.streams and (c.streams[3].ended or c.streams[3].reset is not None))
        assert c.streams[3].status == 413 or c.streams[3].reset is not None
        a = c.get(5, '/', method='POST', body=b'x' * 1000)
        assert (a.status, len(a.body)) == (200, 1000)
    s = proxy(weir, up, 'client_max_body_size 1k;')
    with H2(s) as c:
        c.headers(1, c.fields('/', 'POST'), end=False).frame(DATA, 0, 1, b'x' * 1500)
        a = c.answer(1)
        assert a.status == 413
        c.until(lambda: a.reset is not None)
        assert a.reset == NO_ERROR


def test_an_answer_before_the_body_has_ended(weir):
    """What comes of it is not looked at, and its sender is told that it may stop."""
    s = weir('http2 on; location / { return 200 early; }')
    with H2(s) as c:
        c.headers(1, c.fields('/', 'POST'), end=False)
        a = c.answer(1)
        assert (a.status, a.body) == (200, b'early')
        c.until(lambda: a.reset is not None)
        assert a.reset == NO_ERROR
        for _ in range(70):                         # more than a megabyte: the window opens
            c.frame(DATA, 0, 1, b'x' * 16384)
            c.ping()
        assert c.get(3, '/').body == b'early' and not c.goaways


def test_expect(weir, up):
    s = proxy(weir, up)
    with H2(s) as c:
        c.headers(1, c.fields('/', 'POST', headers=[('expect', '100-continue'),
                                                    ('content-length', '2')]), end=False)
        c.until(lambda: 1 in c.streams and c.streams[1].interim)
        assert c.streams[1].interim[0][0] == 100
        c.body(1, b'ok')
        assert c.answer(1).body == b'ok'


def test_late_and_slow(weir, up):
    s = proxy(weir, up, 'client_body_timeout 1s;')
    with H2(s) as c:
        begin = time.monotonic()
        c.headers(1, c.fields('/', 'POST'), end=False)
        a = c.answer(1)
        assert a.status == 408 and 0.9 < time.monotonic() - begin < 3
        assert c.get(3, '/').status == 200


def test_a_body_cut_short_ends_the_upstreams_connection(weir):
    seen = []

    def watch(peer, asked):
        seen.append(asked)

    with Upstream(raw=lambda peer: seen.append(peer.file.read())) as up:
        s = proxy(weir, up, 'proxy_request_buffering off;')
        with H2(s) as c:
            c.headers(1, c.fields('/', 'POST', headers=[('content-length', '10')]), end=False)
            c.frame(DATA, 0, 1, b'abcde').ping()
            time.sleep(0.3)
            c.frame(DATA, END_STREAM, 1, b'')          # five too few
            c.until(lambda: 1 in c.streams and c.streams[1].reset is not None)
            assert c.streams[1].reset == PROTOCOL_ERROR
            end = time.monotonic() + 5
            while not seen:
                assert time.monotonic() < end
                time.sleep(0.02)
            assert seen[0].endswith(b'\r\n\r\nabcde')


def test_upstreams_answers(weir):
    def script(peer, asked):
        kind = asked.target[1:]
        if kind == 'chunked':
            peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\n'
                      'X-Hop: 1\r\nX-Kept: 2\r\n\r\n')
            for _ in range(3):
                peer.send('5\r\nhello\r\n')
                time.sleep(0.05)
            peer.send('0\r\n\r\n')
        elif kind == 'short':
            peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello')
            return False
        elif kind == 'large':
            peer.send(reply(BIG))
        elif kind == 'head':
            peer.send('HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n')
        elif kind == 'cookies':
            peer.send(reply('x', fields=['Set-Cookie: a=1', 'Set-Cookie: b=2']))
        elif kind == 'wide':
            peer.send(reply('x', fields=[f'X-{i}: {"v" * 900}' for i in range(30)]))
        return True

    with Upstream(script) as up:
        s = proxy(weir, up, 'proxy_buffer_size 64k; proxy_buffers 8 64k; '
                            'proxy_busy_buffers_size 64k;')
        with H2(s) as c:
            a = c.get(1, '/chunked')
            assert a.body == b'hello' * 3 and a['x-kept'] == '2'
            assert a['transfer-encoding'] is None and a['connection'] is None
            a = c.get(3, '/short')
            assert (a.status, a.body, a.reset) == (200, b'hello', INTERNAL_ERROR)
            assert c.get(5, '/large').body == BIG
            a = c.get(7, '/head', method='HEAD')
            assert (a.body, a['content-length']) == (b'', '77')
            a = c.get(9, '/cookies')
            assert [v for n, v in a.headers if n == 'set-cookie'] == ['a=1', 'b=2']
            a = c.get(11, '/wide')                      # a head of more than one frame
            assert len(a.headers) > 30 and a['x-29'] == 'v' * 900


def test_many_uploads_at_once(weir, up):
    s = proxy(weir, up, 'client_max_body_size 2m;')
    with H2(s) as c:
        c.started()
        for i in range(20):
            c.headers(2 * i + 1, c.fields('/', 'POST'), end=False)
        for k in range(3):
            for i in range(20):
                c.frame(DATA, END_STREAM if k == 2 else 0, 2 * i + 1, bytes([65 + i]) * 10_000)
        for i in range(20):
            assert c.answer(2 * i + 1).body == bytes([65 + i]) * 30_000


def test_a_reset_ends_what_was_begun(weir):
    begun, gone = [], []

    def raw(peer):
        peer.line()
        begun.append(1)
        while peer.line():
            pass
        gone.append(1)

    with Upstream(raw=raw) as up:
        s = proxy(weir, up)
        with H2(s) as c:
            c.ask(1)
            end = time.monotonic() + 5
            while not begun and time.monotonic() < end:
                time.sleep(0.02)
            c.rst(1)
            while not gone and time.monotonic() < end:
                time.sleep(0.02)
            assert gone
            assert c.ping() and not c.goaways


def test_files_read_and_written(weir):
    s = weir('''http2 on; location /up/ { dav_methods PUT; create_full_put_path on;
                client_max_body_size 4m; root html; }
                location /plain/ { alias html/up/; sendfile off; }''')
    (s.dir / 'html').chmod(0o777)
    with H2(s) as c:
        c.started()
        out = subprocess.run(['curl', '-s', '-i', '--http2-prior-knowledge', '-T', '-',
                              f'http://127.0.0.1:{s.port}/up/big.bin'], input=BIG,
                             capture_output=True)
        assert b'HTTP/2 201' in out.stdout
        c.ask(1, '/up/big.bin').ask(3, '/plain/big.bin')
        assert c.answer(1).body == BIG and c.answer(3).body == BIG


def test_a_file_that_becomes_shorter(weir):
    s = weir('http2 on; location / { limit_rate 200k; root html; }', files={'html/f': BIG})
    with H2(s) as c:
        c.ask(1, '/f').until(lambda: 1 in c.streams and len(c.streams[1].body) > 1000)
        (s.dir / 'html/f').write_bytes(b'short')
        a = c.answer(1)
        assert a.reset == INTERNAL_ERROR
    s.wait_log('shorter')


def test_early_hints(weir):
    def script(peer, asked):
        peer.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
        peer.send(reply('done'))

    with Upstream(script) as up:
        s = proxy(weir, up, 'early_hints $http2;')
        with H2(s) as c:
            a = c.get(1)
            assert a.interim == [(103, [('link', '</a.css>; rel=preload')])]
            assert (a.status, a.body) == (200, b'done')


def test_a_byte_a_frame(weir, up):
    """Bytes that wait cost what they are; they arrive in order."""
    s = proxy(weir, up, 'limit_req zone=z burst=5;',
              http='limit_req_zone $host zone=z:1m rate=60r/m;')
    with H2(s) as c:
        c.started().get(1, '/')
        c.headers(3, c.fields('/', 'POST'), end=False)      # it is delayed for a second
        body = bytes(i % 251 for i in range(9000))
        c.send(b''.join(c.pack(DATA, 0, 3, body[i:i + 1]) for i in range(len(body))))
        c.frame(DATA, END_STREAM, 3, b'.')
        assert c.answer(3).body == body + b'.' and not c.goaways
