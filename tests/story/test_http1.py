"""One connection: framing, keeping alive, deadlines, closing. Each close reason of
src/http/reasons.h that a client can cause is named here by the test that causes it."""
import os
import socket
import struct
import time

import h11
import pytest

GET = 'GET /file.txt HTTP/1.1\r\nHost: a.test\r\n\r\n'
ECHO = 'location = /echo { return 200 "read"; }'


def test_keep_alive_and_close(weir):
    """reason: answered"""
    s = weir()
    with s.connect() as c:
        for _ in range(3):
            a = c.ask('/file.txt')
            assert a.status == 200 and a['connection'] in (None, 'keep-alive')
        a = c.ask('/file.txt', headers={'Connection': 'close'})
        assert a['connection'] == 'close' and c.closed()


@pytest.mark.parametrize('head,kept', [
    ('GET / HTTP/1.0\r\nHost: a.test\r\n\r\n', False),
    ('GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n', True),
    ('GET / HTTP/1.0\r\n\r\n', False),
    ('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n', False),
    ('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Keep-Alive\r\n\r\n', True),
    ('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x, close\r\n\r\n', False),
])
def test_versions(weir, head, kept):
    with weir().connect() as c:
        a = c.send(head).answer()
        assert a.status == 200 and a.body == b'<h1>index</h1>\n' and a.raw.startswith(b'HTTP/1.1')
        assert (a['connection'] == 'keep-alive') == (kept and '1.0' in head)
        assert c.closed(0.3) != kept


def test_peer_closes_between_requests(weir):
    """reason: peer_closed"""
    s = weir()
    for _ in range(3):
        with s.connect() as c:
            c.ask('/')
    assert s.get('/').status == 200


def test_peer_resets(weir):
    """reason: peer_reset"""
    s = weir(files={'html/big': bytes(8 << 20)})
    for ask in ('', 'GET / HT', 'GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n'):
        with s.connect() as c:
            c.send(ask)
            time.sleep(0.05)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    assert s.get('/').status == 200


def test_peer_breaks_off_within_a_head(weir):
    """reason: peer_broke_off"""
    s = weir(ECHO)
    for piece in ('GET / HTTP/1.1\r\nHost:', 'POST /echo HTTP/1.1\r\nHost: a.test\r\n'
                  'Content-Length: 5\r\n\r\nab'):
        with s.connect() as c:
            c.send(piece)
            c.sock.shutdown(socket.SHUT_WR)
            assert b' 200 ' not in c.rest()
    assert s.get('/').status == 200


def test_half_closed_client_gets_its_answer(weir):
    s = weir(files={'html/big': bytes(4 << 20)})
    for path, size in (('/file.txt', 10), ('/big', 4 << 20)):
        with s.connect() as c:
            c.send(f'GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n')
            c.sock.shutdown(socket.SHUT_WR)
            a = c.answer()
            assert a.status == 200 and len(a.body) == size


def test_pipelining(weir):
    s = weir(ECHO)
    with s.connect() as c:
        c.send(GET * 50)
        assert [c.answer().body for _ in range(50)] == [b'0123456789'] * 50
        c.send('POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc' + GET +
               'HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n' + GET)
        assert c.answer().body == b'read'
        assert c.answer().body == b'0123456789'
        assert c.answer(head=True).status == 200
        assert c.answer().body == b'0123456789'


def test_pipelined_beyond_every_buffer(weir):
    s = weir('keepalive_requests 5000;')
    with s.connect(timeout=20) as c:
        c.send(GET * 2000)
        assert all(c.answer().body == b'0123456789' for _ in range(2000))


def test_a_request_in_pieces(weir):
    s = weir()
    with s.connect() as c:
        for byte in GET:
            c.send(byte)
        assert c.answer().body == b'0123456789'
        c.send(GET[:20])
        time.sleep(0.1)
        c.send(GET[20:])
        assert c.answer().body == b'0123456789'


def test_a_head_cut_at_every_byte(weir):
    s = weir(ECHO)
    ask = ('POST /echo?a=%41 HTTP/1.1\r\nHost: a.test\r\nX-A:  b \r\n'
           'Content-Length: 5\r\n\r\nhello')
    with s.connect() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(ask)):
            c.send(ask[:at])
            time.sleep(0.0005)
            c.send(ask[at:] + (GET if at % 3 == 0 else ''))
            assert c.answer().body == b'read', at
            if at % 3 == 0:
                assert c.answer().body == b'0123456789', at


def test_answers_keep_their_order(weir):
    """Errors, redirects, ranges and bodies in one send: each answer to its own request."""
    s = weir(ECHO + 'location ~ ^/n/(?<n>.*)$ { return 200 $n; }', files={'html/sub/x': ''})
    asks, expect = '', []
    for n in range(20):
        asks += f'GET /n/{n} HTTP/1.1\r\nHost: a.test\r\n\r\n'
        asks += 'POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nGET'
        asks += f'GET /missing{n} HTTP/1.1\r\nHost: a.test\r\n\r\n'
        asks += ('GET /file.txt HTTP/1.1\r\nHost: a.test\r\n'
                 f'Range: bytes={n % 10}-{n % 10}\r\n\r\n')
        asks += 'GET /sub HTTP/1.1\r\nHost: a.test\r\n\r\n'
        expect += [(200, str(n)), (200, 'read'), (404, None), (206, str(n % 10)), (301, None)]
    with s.connect() as c:
        c.send(asks)
        for status, body in expect:
            a = c.answer()
            assert a.status == status and body in (None, a.text)


CHUNKED = ('POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n'
           '5\r\nhello\r\n6;name="v"\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n')


def test_chunked_body_cut_at_every_byte(weir):
    s = weir(ECHO)
    with s.connect() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(CHUNKED)):
            c.send(CHUNKED[:at])
            time.sleep(0.0005)
            c.send(CHUNKED[at:] + (GET if at % 3 == 0 else ''))
            assert c.answer().body == b'read', at
            if at % 3 == 0:
                assert c.answer().body == b'0123456789', at


def test_broken_chunked_body(weir):
    """reason: body_bad"""
    s = weir(ECHO)
    with s.connect() as c:
        c.send('POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n'
               '5\r\nhelloXX')
        assert c.answer().status == 400
        assert c.closed()
    s.wait_log('broken chunked body')


def test_bad_head(weir):
    """reason: head_bad"""
    s = weir('error_page 400 /bad.html;', files={'html/bad.html': 'own page'})
    with s.connect() as c:
        a = c.send('GET / HTTP/1.1\r\nHost: a.test\r\nBad Name: 1\r\n\r\n').answer()
        assert a.status == 400 and a['connection'] == 'close' and a.body == b'own page'
        assert c.closed()


def test_expect(weir):
    s = weir(ECHO + 'location = /big { client_max_body_size 10; return 200 x; }')
    ask = 'POST {} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\nExpect: {}\r\n\r\n'
    with s.connect() as c:
        c.send(ask.format('/echo', 5, '100-continue'))
        assert c.answer().status == 100
        assert c.send('hello').answer().body == b'read'
        c.send(ask.format('/echo', 5, '100-Continue') + 'hello')
        first = c.answer()
        assert first.status in (100, 200)
        assert first.status == 200 or c.answer().status == 200
        a = c.send(ask.format('/big', 50, '100-continue')).answer()
        assert a.status == 413
    assert s.raw(ask.format('/echo', 5, 'magic')).status == 417


def test_absolute_form(weir):
    s = weir('location /h { return 200 "$host $uri"; }')
    assert s.raw('GET http://b.test:81/h?x HTTP/1.1\r\nHost: a.test\r\n\r\n').text == 'b.test /h'
    assert s.raw('GET HTTP://B.test/h HTTP/1.1\r\nHost: a.test\r\n\r\n').text == 'b.test /h'
    assert s.raw('GET https://b.test/h HTTP/1.1\r\nHost: a.test\r\n\r\n').status in (200, 400)


def test_h11_agrees_with_our_framing(weir):
    """A strict parser of other people reads what we send."""
    s = weir(ECHO, files={'html/sub/index.html': 'x'})
    asks = [('GET', '/file.txt', b''), ('HEAD', '/file.txt', b''), ('GET', '/missing', b''),
            ('POST', '/echo', b'x' * 1000), ('GET', '/sub', b''), ('DELETE', '/file.txt', b'')]
    with s.connect() as c:
        us = h11.Connection(h11.CLIENT)
        for method, target, body in asks:
            out = us.send(h11.Request(method=method, target=target, headers=[
                ('Host', 'a.test'), ('Content-Length', str(len(body)))]))
            out += us.send(h11.Data(body)) + us.send(h11.EndOfMessage())
            c.send(out)
            events = []
            while not events or not isinstance(events[-1], h11.EndOfMessage):
                event = us.next_event()
                if event is h11.NEED_DATA:
                    us.receive_data(c.sock.recv(65536))
                else:
                    events.append(event)
            assert isinstance(events[0], h11.Response)
            us.start_next_cycle()


# ---- limits on what comes -----------------------------------------------------------------------

def test_large_heads(weir):
    s = weir()
    with s.connect() as c:
        for size in (500, 1000, 1500, 4000, 7900):
            assert c.ask('/file.txt', headers={'X-Big': 'b' * size}).body == b'0123456789'
            assert c.ask('/file.txt?' + 'q' * size).body == b'0123456789'
        many = [(f'X-{i}', 'v' * 100) for i in range(90)]
        assert c.ask('/file.txt', headers=many).status == 200
    assert s.get('/' + 'a' * 9000).status == 414
    assert s.get('/', headers={'X-Big': 'b' * 9000}).status in (400, 431)
    assert s.get('/', headers=[('X-A', 'b')] * 101).status in (400, 431)
    assert s.get('/', headers=[(f'X-{i}', 'b' * 7000) for i in range(6)]).status in (400, 431)


def test_header_buffers_setting(weir):
    s = weir('', http='client_header_buffer_size 256; large_client_header_buffers 2 1k; '
                      'max_headers 10;')
    assert s.get('/', headers={'X': 'x' * 700}).status == 200
    assert s.get('/', headers={'X': 'x' * 1100}).status in (400, 431)
    assert s.get('/' + 'x' * 1100).status == 414
    assert s.get('/', headers=[('X', 'x')] * 12).status in (400, 431)


def test_underscores_and_invalid_names(weir):
    body = 'location / { return 200 "[$http_a_b]"; }'
    ask = 'GET / HTTP/1.1\r\nHost: a.test\r\nA_B: under\r\n\r\n'
    assert weir(body).raw(ask).text == '[]'
    assert weir(body, http='underscores_in_headers on;').raw(ask).text == '[under]'


def test_client_max_body_size(weir):
    s = weir('''client_max_body_size 1k;
        location = /echo { return 200 read; }
        location = /free { client_max_body_size 0; return 200 read; }''')
    assert s.get('/echo', method='POST', body=b'x' * 1024).status == 200
    a = s.get('/echo', method='POST', body=b'x' * 1025)
    assert a.status == 413 and a['connection'] == 'close'
    assert s.get('/free', method='POST', body=b'x' * (3 << 20)).status == 200
    chunk = '400\r\n' + 'x' * 1024 + '\r\n'
    head = 'POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n'
    assert s.raw(head + chunk + '0\r\n\r\n').status == 200
    assert s.raw(head + chunk + '1\r\nx\r\n0\r\n\r\n').status == 413
    s.wait_log('client intended to send too large body')


def test_body_of_a_static_request_is_not_the_next_request(weir):
    s = weir()
    with s.connect() as c:
        evil = 'GET /evil HTTP/1.1\r\nHost: a.test\r\n\r\n'
        c.send('GET /file.txt HTTP/1.1\r\nHost: a.test\r\n'
               f'Content-Length: {len(evil)}\r\n\r\n{evil}' + GET)
        assert c.answer().body == b'0123456789'
        assert c.answer().body == b'0123456789'


def test_lingering_close_lets_the_answer_arrive(weir):
    """reason: lingered"""
    s = weir('location = /up { client_max_body_size 1k; return 200 x; } lingering_timeout 1s; '
             'lingering_time 2s;')
    with s.connect() as c:
        c.send(f'POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: {1 << 30}\r\n\r\n')
        piece = b'x' * 65536
        c.sock.settimeout(5)
        start = time.monotonic()
        try:
            for _ in range(40):
                c.sock.sendall(piece)
        except OSError:
            pass
        assert c.answer().status == 413
        c.sock.settimeout(6)
        try:
            assert c.sock.recv(100) == b''
        except ConnectionResetError:
            pass
        assert time.monotonic() - start < 6


# ---- deadlines ----------------------------------------------------------------------------------

def test_keepalive_timeout(weir):
    """reason: keepalive_end"""
    s = weir('keepalive_timeout 1s 7s;')
    with s.connect() as c:
        assert c.ask('/')['keep-alive'] == 'timeout=7'
        start = time.monotonic()
        assert c.closed(4) and 0.7 < time.monotonic() - start < 2.5


def test_keepalive_off(weir):
    s = weir('keepalive_timeout 0;')
    with s.connect() as c:
        assert c.ask('/')['connection'] == 'close' and c.closed()


def test_keepalive_requests(weir):
    s = weir('keepalive_requests 3;')
    with s.connect() as c:
        assert [c.ask('/')['connection'] for _ in range(3)] == [None, None, 'close']
        assert c.closed()


def test_keepalive_time(weir):
    s = weir('keepalive_time 500ms;')
    with s.connect() as c:
        assert c.ask('/')['connection'] is None
        time.sleep(0.7)
        assert c.ask('/')['connection'] == 'close'


def test_client_header_timeout(weir):
    """reason: head_late"""
    s = weir('', http='client_header_timeout 1s;')
    with s.connect() as c:
        start = time.monotonic()
        c.send('GET / HTTP/1.1\r\n')
        for _ in range(4):                  # bytes do not move the deadline
            time.sleep(0.3)
            try:
                c.send('X: y\r\n')
            except OSError:
                break
        got = c.rest()
        assert got == b'' or b' 408 ' in got
        assert time.monotonic() - start < 2.5


def test_first_byte_has_a_deadline(weir):
    s = weir('', http='client_header_timeout 1s;')
    with s.connect() as c:
        start = time.monotonic()
        got = c.rest()
        assert got == b'' or b' 408 ' in got
        assert 0.7 < time.monotonic() - start < 3


def test_client_body_timeout(weir):
    """reason: body_late"""
    s = weir(ECHO + 'client_body_timeout 1s;')
    with s.connect() as c:
        start = time.monotonic()
        c.send('POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc')
        got = c.rest()
        assert got == b'' or b' 408 ' in got
        assert 0.7 < time.monotonic() - start < 3


def test_send_timeout(weir):
    """reason: send_late"""
    s = weir('send_timeout 1s; access_log access.log;',
             files={'html/big': b''})
    with open(s.dir / 'html/big', 'wb') as f:
        f.truncate(64 << 20)
    with s.connect() as c:
        c.send('GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n')
        s.file('access.log', seconds=8, contains='/big')     # logged when it was given up


def test_a_body_after_its_answer_is_read_or_refused(weir):
    """Who is told 413 and keeps sending can still read the answer, by length and chunked."""
    s = weir('client_max_body_size 1k; lingering_timeout 1s;' + ECHO)
    for framing, piece in (('Content-Length: 5000000', b'x' * 50000),
                           ('Transfer-Encoding: chunked', b'c350\r\n' + b'x' * 50000 + b'\r\n')):
        with s.connect() as c:
            c.send(f'POST /echo HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n')
            for _ in range(100):
                c.send(piece)
            a = c.answer()
            assert a.status == 413 and a['connection'] == 'close', framing
            assert c.closed(), framing


def test_slow_reader_gets_everything(weir):
    body = os.urandom(16 << 20)
    s = weir(files={'html/big': body})
    with s.connect() as c:
        c.send('GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n')
        time.sleep(0.3)
        assert c.answer().body == body


def test_limit_rate(weir):
    s = weir('limit_rate 100k; location /after/ { alias html/; limit_rate_after 200k; }'
             'location /var/ { alias html/; limit_rate $arg_r; }',
             files={'html/f': bytes(200 * 1024)})
    start = time.monotonic()
    assert len(s.get('/f').body) == 200 * 1024
    assert 0.8 < time.monotonic() - start < 4
    start = time.monotonic()
    assert len(s.get('/after/f').body) == 200 * 1024
    assert time.monotonic() - start < 0.8
    start = time.monotonic()
    assert len(s.get('/var/f?r=1m').body) == 200 * 1024
    assert time.monotonic() - start < 1


def test_a_file_that_shrinks_while_it_is_sent(weir):
    """reason: body_failed"""
    s = weir()
    with open(s.dir / 'html/big', 'wb') as f:
        f.truncate(64 << 20)
    with s.connect() as c:
        c.send('GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        os.truncate(s.dir / 'html/big', 1000)
        got = c.rest()
        assert len(got) < (64 << 20)
    assert s.get('/file.txt').body == b'0123456789'
    s.wait_log('shorter while it was sent')


def test_shutting_down_closes_idle_connections(weir):
    """reason: shutting_down"""
    s = weir()
    with s.connect() as c:
        c.ask('/')
        s.signal(3)
        assert c.closed(3)


def test_quit_lets_requests_finish(weir):
    s = weir('limit_rate 100k;', files={'html/f': bytes(150 * 1024)})
    with s.connect() as c:
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        s.signal(3)
        a = c.answer()
        assert len(a.body) == 150 * 1024


def test_nothing_left_to_give(weir):
    """reason: reclaimed - idle connections make room when worker_connections is reached."""
    s = weir(connections=20)
    idle = []
    for _ in range(60):
        c = s.connect()
        assert c.ask('/').status == 200
        idle.append(c)
    assert idle[0].closed() and idle[-1].ask('/').status == 200
    for c in idle:
        c.close()
