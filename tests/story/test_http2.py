"""HTTP/2 over cleartext by prior knowledge: requests and answers, and what curl and h2load say."""
import re
import subprocess
import time

import pytest

from h2 import (H2, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, PING,
                SETTINGS, WINDOW_UPDATE, settings)

BIG = bytes(range(256)) * 2000


@pytest.fixture
def site(shared):
    return shared('''
        http2 on;
        location = /say {
            return 200 "$http2 $server_protocol $host $http_host $http_cookie $request"; }
        location = /none { return 204; }
        location = /gone { return 444; }
        location = /where { return 301 /there; }
        location /trailers { add_trailer X-End "$body_bytes_sent"; alias html/; }
        location /limited { limit_rate 100k; alias html/; }
        location /zip { gzip on; gzip_types *; gzip_min_length 1; alias html/; }
        location /h { add_header X-Mixed-Case "Yes"; add_header Keep-Alive "no"; return 200 ok; }
        ''', files={'html/big.bin': BIG, 'html/empty.txt': ''})


def curl(s, path, *args):
    return subprocess.run(['curl', '-s', '--http2-prior-knowledge', '--max-time', '20', *args,
                           f'http://127.0.0.1:{s.port}{path}'], capture_output=True, check=True)


def test_curl(site):
    out = curl(site, '/file.txt', '-i').stdout.decode()
    head, body = out.split('\r\n\r\n')
    assert head.startswith('HTTP/2 200 \r\n') and body == '0123456789'
    assert 'content-length: 10\r\n' in head and 'etag: "' in head and 'connection' not in head
    assert curl(site, '/big.bin').stdout == BIG
    assert curl(site, '/file.txt', '-r', '2-4').stdout == b'234'
    out = curl(site, '/say', '-H', 'Host: a.test', '-b', 'a=1; b=2').stdout.decode()
    assert out == 'h2c HTTP/2.0 a.test a.test a=1; b=2 GET /say HTTP/2.0'


def test_http1_on_the_same_address(site):
    assert site.get('/say').text.startswith(' HTTP/1.1 a.test')
    with site.connect() as c:               # a method that begins like the preface
        assert c.send('PRINT /say HTTP/1.1\r\nHost: a.test\r\n\r\n').answer().status == 200
    with site.connect() as c:
        for byte in 'PROPFIND / HTTP/1.1\r\nHost: a.test\r\n\r\n':
            c.send(byte)
        assert c.answer().status == 405


def test_a_byte_at_a_time(site):
    with H2(site, begin=False) as c:
        whole = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + c.pack(SETTINGS) + \
            c.pack(HEADERS, END_HEADERS | END_STREAM, 1, c.block(c.fields('/file.txt')))
        for i in range(len(whole)):
            c.send(whole[i:i + 1])
        a = c.answer(1)
        assert (a.status, a.body) == (200, b'0123456789')


def test_many_streams_at_once(site):
    with H2(site) as c:
        c.send(b''.join(c.pack(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1,
                               c.block(c.fields(f'/say?{i}'))) for i in range(100)))
        for i in range(100):
            a = c.answer(2 * i + 1)
            assert a.status == 200 and f'GET /say?{i} ' in a.body.decode()
        assert not c.goaways


def test_statuses_and_heads(site):
    with H2(site) as c:
        a = c.get(1, '/none')
        assert a.status == 204 and a['content-length'] is None and c.streams[1].body == b''
        a = c.get(3, '/big.bin', method='HEAD')
        assert (a.status, a.body, a['content-length']) == (200, b'', str(len(BIG)))
        etag = a['etag']
        a = c.get(5, '/big.bin', headers=[('if-none-match', etag)])
        assert (a.status, a.body) == (304, b'') and a['content-length'] is None
        a = c.get(7, '/missing')
        assert a.status == 404 and b'404 Not Found' in a.body
        a = c.get(9, '/where')
        assert a.status == 301 and a['location'].endswith('/there')
        a = c.get(11, '/h')
        assert a['x-mixed-case'] == 'Yes' and a['keep-alive'] is None
        assert all(n == n.lower() for n, _ in a.headers)
        assert c.get(13, '/gone').reset is not None
        a = c.get(15, '/empty.txt')
        assert (a.status, a.body, a['content-length']) == (200, b'', '0')
        a = c.get(17, '*', method='OPTIONS')
        assert a.status == 204
        a = c.get(19, '/file.txt', headers=[('range', 'bytes=0-1,4-5')])
        assert a.status == 206 and a.body.count(b'Content-Range') == 2


def test_trailers(site):
    with H2(site) as c:
        a = c.get(1, '/trailers/big.bin')
        assert a.body == BIG and a.trailers == [('x-end', str(len(BIG)))]
        assert a['trailer'] == 'X-End'
        a = c.get(3, '/trailers/empty.txt')
        assert (a.body, a.trailers) == (b'', [('x-end', '0')])
        assert c.get(5, '/trailers/big.bin', method='HEAD').trailers is None


def test_gzip(site):
    out = curl(site, '/zip/big.bin', '--compressed', '-i').stdout
    assert b'content-encoding: gzip' in out and out.split(b'\r\n\r\n', 1)[1] == BIG


def test_windows(site):
    """No more is sent than the windows allow, and what they allow is."""
    with H2(site, windows=False, payload=settings(INITIAL_WINDOW_SIZE=1000)) as c:
        c.ask(1, '/big.bin')
        c.until(lambda: 1 in c.streams and len(c.streams[1].body) == 1000)
        assert c.silent(0.2)
        c.window(1, 500)
        c.until(lambda: len(c.streams[1].body) == 1500)
        c.frame(SETTINGS, payload=settings(INITIAL_WINDOW_SIZE=1100))
        c.until(lambda: len(c.streams[1].body) == 1600)
        c.frame(SETTINGS, payload=settings(INITIAL_WINDOW_SIZE=500))      # 600 below zero
        c.window(1, 600)
        assert c.ping() and len(c.streams[1].body) == 1600
        c.window(1, len(BIG))
        c.until(lambda: sum(n for _, n, _ in c.order) == 65535)
        assert c.silent(0.2)
        a = c.ask(3, '/none').answer(3)           # a head needs no window
        assert a.status == 204
        c.window(0, len(BIG))
        assert c.answer(1).body == BIG


def test_frame_sizes(site, shared):
    with H2(site) as c:
        assert max(c.get(1, '/big.bin').pieces) == 8192
    s = shared('http2 on; http2_chunk_size 16k;', files={'html/big.bin': BIG})
    with H2(s) as c:
        a = c.get(1, '/big.bin')
        assert 8192 < max(a.pieces) <= 16384 and a.body == BIG


def test_limit_rate(site):
    with H2(site) as c:
        begin = time.monotonic()
        c.ask(1, '/limited/big.bin').ask(3, '/file.txt')
        c.answer(3)
        assert time.monotonic() - begin < 0.5
        assert c.answer(1).body == BIG
        assert 3.0 < time.monotonic() - begin < 6          # 512,000 bytes, the first second free


def test_h2load(site):
    out = subprocess.run(['h2load', '-n', '3000', '-c', '4', '-m', '20',
                          f'http://127.0.0.1:{site.port}/file.txt'],
                         capture_output=True, text=True, timeout=60).stdout
    found = re.search(r'(\d+) succeeded, (\d+) failed, (\d+) errored', out)
    # one connection's thousand requests are followed by a goodbye; nothing is refused before
    assert int(found[1]) >= 2900 and '5xx' in out and ' 0 5xx' in out


def test_where_it_is_off(weir):
    s = weir('location / { return 200 hi; }')
    with s.connect() as c:
        c.send(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
        assert c.answer().status in (400, 505)
        assert c.closed()
    with s.connect() as c:                         # Upgrade: h2c is ignored
        a = c.ask('/', headers={'Connection': 'Upgrade, HTTP2-Settings', 'Upgrade': 'h2c',
                                'HTTP2-Settings': 'AAMAAABkAAQAAP__'})
        assert (a.status, a.text) == (200, 'hi')


def test_listen_http2(weir):
    s = weir(servers='server { listen 127.0.0.1:PORT http2; return 200 "$http2"; }')
    with H2(s) as c:
        assert c.get(1).body == b'h2c'
    assert s.command('-t').returncode == 0
    assert 'listen … http2" is obsolete' in s.command('-t').stderr


@pytest.mark.one_engine
def test_obsolete_directives_say_what_replaces_them(weir):
    s = weir('http2 on; http2_idle_timeout 3m; http2_max_requests 10; http2_push off;'
             'http2_push_preload on; http2_max_field_size 4k; http2_max_header_size 16k;'
             'http2_recv_timeout 30s; http2_max_concurrent_pushes 5;',
             http='http2_recv_buffer_size 256k;')
    out = s.command('-t').stderr
    for word in ('keepalive_timeout', 'keepalive_requests', 'large_client_header_buffers',
                 'early_hints', 'client_header_timeout', 'successful'):
        assert word in out
