"""Servers that fail, and what must not pass through a proxy, one row of each list after another.

What a server does wrong:

 1 refuses, unreachable, name fails    test_1_refused, test_1_unreachable, test_1_a_name_fails
 2 no connection or answer in time     test_2_connect_timeout, test_2_first_byte_timeout
 3 reset or end before the status      test_3_nothing_before_the_end, test_3_stale_connections
 4 no HTTP, bad status or version      test_4_no_http
 5 too long a head, too many fields    test_5_long_heads, test_5_many_fields
 6 interim answers without end         test_6_interim_answers, test_6_continue_is_said_once
 7 contradictory framing               test_7_framing
 8 a body that breaks off              test_8_half_a_body, test_8_half_a_body_for_http_10,
                                       test_8_a_body_without_a_length_is_reset
 9 bytes behind the end                test_9_bytes_behind_the_end, test_9_bytes_when_idle
10 a body where none belongs           test_10_a_body_where_none_belongs
11 an answer before the request's end  test_11_an_early_answer, test_11_early_then_deaf,
                                       test_11_a_body_is_not_sent_from_freed_memory,
                                       test_11_a_slow_server_is_not_late
12 101 without having been asked       test_12_switching_unasked
13 stalls in the body                  test_13_stalls_in_the_body
14 a client that is slow               test_14_a_slow_client_stops_the_server
15 accepts, and never answers          test_15_never_answers
16 Connection: close, HTTP/1.0         test_16_not_used_again
17 HTTP/2: weir speaks none with servers

What must not pass:

 1 line ends into fields of the answer test_c1_no_line_ends_in_answers
 2 … and into requests to servers      test_c2_no_line_ends_in_requests
 3 answers that would be two           test_c3_answers_are_not_split
 6 made-up client addresses            test_c6_made_up_addresses
 7 Connection takes out fields         test_c7_connection_takes_out_no_field
 8 names that look like others         test_c8_names_that_look_like_others
"""
import pathlib
import re
import socket
import struct
import threading
import time

import pytest
from conftest import Client, free_port
from names import A, NXDOMAIN, Names
from upstreams import Upstream, reply


@pytest.fixture
def up():
    with Upstream() as u:
        yield u


def behind(weir, u, more=''):
    """Time limits of some seconds, outside of what `more` may say."""
    return weir('proxy_connect_timeout 4s; proxy_read_timeout 4s; proxy_send_timeout 4s; '
                f'location / {{ proxy_pass http://{u.at}; {more} }}')


def answers(data, then=False):
    """A script: each request is answered with these bytes; then=False: and the end."""
    def script(peer, asked):
        peer.send(data)
        return then
    return script


def raw_answer(s, ask='GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'):
    """All bytes until the end, and whether that was a reset."""
    with s.connect(timeout=10) as c:
        c.send(ask)
        got = b''
        try:
            while piece := c.sock.recv(65536):
                got += piece
        except ConnectionResetError:
            return got, True
        return got, False


def still_well(s, up):
    up.script = answers(reply('well'), True)
    up.raw = None
    assert s.get('/').text == 'well'


# ---- 1: nobody is there ------------------------------------------------------------------------

def test_1_refused(weir, up):
    s = weir(f'''location /alone {{ proxy_pass http://127.0.0.1:{free_port()}; }}
                 location /two {{ proxy_pass http://g; }}
                 location /off {{ proxy_pass http://g; proxy_next_upstream off; }}''',
             http=f'upstream g {{ server 127.0.0.1:{free_port()} max_fails=0; '
                  f'server {up.at} backup; }}')
    assert s.get('/alone').status == 502
    assert [s.get('/two').status for _ in range(3)] == [200] * 3
    assert s.get('/off').status == 502


def test_1_unreachable(weir, up):
    s = weir(f'''location /net {{ proxy_pass http://255.255.255.255:80; }}
                 location /unix {{ proxy_pass http://unix:/nowhere/at/all.sock; }}
                 location /two {{ proxy_pass http://g; }}''',
             http=f'upstream g {{ server 255.255.255.255:80; server {up.at} backup; }}')
    assert s.get('/net').status == 502 and s.get('/unix').status == 502
    assert s.get('/two').status == 200


def test_1_a_name_fails(weir):
    ns = Names({('other.test', A): ['127.0.0.1']})
    try:
        s = weir('location / { set $there back.test; proxy_pass http://$there; }',
                 http=f'resolver {ns.at} ipv6=off; resolver_timeout 1s;')
        assert s.get('/').status == 502
        assert ns.count('back.test') > 0
    finally:
        ns.close()


# ---- 2: no connection, or no answer, in time -----------------------------------------------------

@pytest.fixture
def full():
    """A port that takes no more connections, and refuses none."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(listener.getsockname())
            waiting.append(c)
        time.sleep(0.1)
        yield f'127.0.0.1:{listener.getsockname()[1]}'
        for c in waiting:
            c.close()


def test_2_connect_timeout(weir, up, full):
    s = weir('''proxy_connect_timeout 400ms;
                location /alone { proxy_pass http://alone; } location / { proxy_pass http://g; }''',
             http=f'upstream alone {{ server {full}; }} '
                  f'upstream g {{ server {full}; server {up.at} backup; }}')
    start = time.monotonic()
    assert s.get('/alone').status == 504
    assert 0.35 < time.monotonic() - start < 4
    assert s.get('/').status == 200
    s.wait_log('while connecting to upstream')


def test_2_first_byte_timeout(weir, up):
    up.script = lambda peer, asked: time.sleep(3)
    with Upstream() as other:
        s = weir('''proxy_read_timeout 400ms; location /alone { proxy_pass http://alone; }
                    location / { proxy_pass http://g; }''',
                 http=f'upstream alone {{ server {up.at}; }} '
                      f'upstream g {{ server {up.at}; server {other.at} backup; }}')
        start = time.monotonic()
        assert s.get('/alone').status == 504
        assert 0.35 < time.monotonic() - start < 2.8
        assert s.get('/').status == 200


# ---- 3: the end, or a reset, before the status ---------------------------------------------------

@pytest.mark.parametrize('how', ['end', 'reset'])
def test_3_nothing_before_the_end(weir, up, how):
    def script(peer, asked):
        if how == 'reset':
            peer.file.close()
            peer.reset()
        return False
    up.script = script
    with Upstream() as other:
        s = weir('location /alone { proxy_pass http://alone; } location / { proxy_pass http://g; }',
                 http=f'upstream alone {{ server {up.at} max_fails=0; }} '
                      f'upstream g {{ server {up.at} max_fails=0; server {other.at} backup; }}')
        assert s.get('/alone').status == 502 and len(up.asked) == 1
        assert s.get('/').status == 200
        before = len(up.asked)
        assert s.get('/', method='POST', body=b'x').status == 502   # it may have been heard
        assert len(up.asked) == before + 1


def test_3_stale_connections(weir, up):
    """A kept connection that ends when the next request is on its way: asked again, not POST."""
    def serve(peer):
        served = 0
        while (asked := peer.read()) is not None:
            with up.lock:
                up.asked.append(asked)
            if served:
                return                  # one answer a connection, without saying so
            peer.send(reply('hello'))
            served += 1
    up.raw = serve
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(5):
            assert c.ask('/').text == 'hello'
    assert up.connections == 5 and len(up.asked) == 9
    with s.connect() as c:
        statuses = [c.ask('/', method='POST', body=b'x').status for _ in range(2)]
    assert 502 in statuses and len(up.asked) == 11


# ---- 4: no HTTP ----------------------------------------------------------------------------------

@pytest.mark.parametrize('answer', [
    b'\x15\x03\x01\x00\x02\x02\x46', b'SSH-2.0-OpenSSH_9.2\r\n', b'<html>hello</html>',
    b'HTTP/1.1 000 x\r\n\r\n', b'HTTP/1.1 99 x\r\n\r\n', b'HTTP/1.1 600 x\r\n\r\n',
    b'HTTP/1.1 1000 x\r\n\r\n', b'HTTP/1.1 -20 x\r\n\r\n', b'HTTP/1.1  200 x\r\n\r\n',
    b'HTTP/3.0 200 x\r\n\r\n', b'HTTP/0.9 200 x\r\n\r\n', b'http/1.1 200 x\r\n\r\n',
    b'HTTP/1.1\r\n\r\n', b'\r\nHTTP/1.1 200 OK\r\n\r\n', b'ICY 200 OK\r\n\r\n'])
def test_4_no_http(weir, up, answer):
    up.script = answers(answer)
    s = behind(weir, up)
    a = s.get('/')
    assert a.status == 502 and b'hello' not in a.body
    still_well(s, up)


# ---- 5: long heads -------------------------------------------------------------------------------

@pytest.mark.parametrize('field, status', [(3000, 200), (5000, 502), (20_000, 502),
                                           (1_000_000, 502)])
def test_5_long_heads(weir, up, field, status):
    up.script = answers(reply('hello', fields=['X-Long: ' + 'x' * field]))
    s = behind(weir, up, more='proxy_buffer_size 4k;')
    assert s.get('/').status == status
    still_well(s, up)


@pytest.mark.parametrize('fields, status', [(199, 200), (200, 502), (5000, 502)])
def test_5_many_fields(weir, up, fields, status):
    up.script = answers(reply('hello', fields=['A: b'] * fields))   # and Content-Length
    s = behind(weir, up, more='proxy_buffer_size 64k;')
    assert s.get('/').status == status
    still_well(s, up)


# ---- 6: interim answers --------------------------------------------------------------------------

@pytest.mark.parametrize('count, status', [(1, 200), (16, 200), (17, 502), (100_000, 502)])
def test_6_interim_answers(weir, up, count, status):
    up.script = answers(b'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n' * count + reply('hello'))
    s = behind(weir, up)
    got, _ = raw_answer(s, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    assert re.findall(rb'HTTP/1.1 (\d+)', got) == [b'%d' % status]  # hints go on when asked for
    still_well(s, up)


def test_6_continue_is_said_once(weir, up):
    up.script = answers(b'HTTP/1.1 100 Continue\r\n\r\n' * 5 + reply('hello'))
    for buffering in ('on', 'off'):
        s = behind(weir, up, more=f'proxy_request_buffering {buffering};')
        with s.connect() as c:
            c.send('POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n'
                   'Content-Length: 5\r\nConnection: close\r\n\r\n')
            assert c.answer().status == 100
            c.send('hello')
            assert re.findall(rb'HTTP/1.1 (\d+)', c.rest()) == [b'200']


# ---- 7: framing ----------------------------------------------------------------------------------

@pytest.mark.parametrize('version, fields', [
    ('1.1', 'Content-Length: 5\r\nContent-Length: 6'),
    ('1.1', 'Content-Length: 5\r\nContent-Length: 5'),
    ('1.1', 'Content-Length: 5, 5'), ('1.1', 'Content-Length: +5'), ('1.1', 'Content-Length: 0x5'),
    ('1.1', 'Content-Length: -1'), ('1.1', 'Content-Length: 5 5'), ('1.1', 'Content-Length:'),
    ('1.1', 'Content-Length: 99999999999999999999'),
    ('1.1', 'Content-Length: 5\r\nTransfer-Encoding: chunked'),
    ('1.1', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'),
    ('1.0', 'Transfer-Encoding: chunked'), ('1.1', 'Transfer-Encoding: gzip'),
    ('1.1', 'Transfer-Encoding: gzip, chunked'), ('1.1', 'Transfer-Encoding: identity'),
    ('1.1', 'Transfer-Encoding: xchunked'), ('1.1', 'Transfer-Encoding: chunked, chunked')])
def test_7_framing(weir, up, version, fields):
    up.script = answers(f'HTTP/{version} 200 OK\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n', True)
    s = behind(weir, up)
    with s.connect() as c:
        assert [c.ask('/').status for _ in range(2)] == [502, 502]
    assert up.connections == 2
    still_well(s, up)


# ---- 8: half a body ------------------------------------------------------------------------------

HALVES = {'short': b'Content-Length: 100\r\n\r\nhalf', 'none': b'Content-Length: 100\r\n\r\n',
          'in a chunk': b'Transfer-Encoding: chunked\r\n\r\n64\r\nhalf',
          'between chunks': b'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
          'in the size': b'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0',
          'before the end': b'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n',
          'no size': b'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n',
          'too long': b'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf0\r\n\r\n',
          'a huge size': b'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nfffffffffffffffff\r\n'}


def breaks_off(how, half):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\n' + HALVES[half])
        if how == 'reset':
            time.sleep(0.05)            # the kernel forgets what was not read
            peer.file.close()
            peer.reset()
        return False
    return script


@pytest.mark.parametrize('more', ['', 'proxy_buffering off;', 'gzip on; gzip_types *;'])
@pytest.mark.parametrize('how', ['end', 'reset'])
@pytest.mark.parametrize('half', HALVES)
def test_8_half_a_body(shared, half, how, more):
    with Upstream(breaks_off(how, half)) as up:
        s = shared('resolver 127.0.0.1; location / { set $to $http_x_to; proxy_pass http://$to; '
                   'proxy_read_timeout 2s; access_log access.log done; %s }' % more,
                   http='log_format done "$status $upstream_status [$request_completion]";')
        got, _ = raw_answer(s, f'GET / HTTP/1.1\r\nHost: a.test\r\nX-To: {up.at}\r\n'
                               'Accept-Encoding: gzip\r\n\r\n')
    head, _, body = got.partition(b'\r\n\r\n')
    assert b' 200 ' in head or b' 502 ' in head, got
    if b' 502 ' in head:
        return
    assert b'chunked' in head or b'Content-Length: 100' in head, head
    assert not body.endswith(b'0\r\n\r\n') and len(body) < 100, got
    s.file('access.log', contains='200 200 []')     # no "OK": it was not sent to its end


@pytest.mark.parametrize('half', HALVES)
def test_8_half_a_body_for_http_10(shared, half):
    """The end of the connection is the end of the body there: it must be a reset, unless a length
    says more."""
    with Upstream(breaks_off('end', half)) as up:
        s = shared('resolver 127.0.0.1; location / { set $to $http_x_to; proxy_pass http://$to; }')
        got, reset = raw_answer(s, f'GET / HTTP/1.0\r\nHost: a.test\r\nX-To: {up.at}\r\n\r\n')
    assert reset or b'Content-Length: 100' in got or b' 502 ' in got, got


def test_8_a_body_without_a_length_is_reset(weir, up):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\n\r\n' + b'x' * 1000)
        time.sleep(0.1)
        peer.file.close()
        peer.reset()
        return False
    up.script = script
    s = behind(weir, up)
    got, _ = raw_answer(s)
    assert b'chunked' in got and not got.endswith(b'0\r\n\r\n')
    got, reset = raw_answer(s, 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n')
    assert reset and b'chunked' not in got


# ---- 9: bytes behind the end ---------------------------------------------------------------------

@pytest.mark.parametrize('behind_it', [b'x', b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
                                       b'\r\n', b'x' * 100_000])
@pytest.mark.parametrize('how', ['length', 'chunked', 'none'])
def test_9_bytes_behind_the_end(weir, up, how, behind_it):
    up.script = answers({'length': reply('hello'), 'none': reply(status='204 No', length=False),
                         'chunked': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
                                    b'5\r\nhello\r\n0\r\n\r\n'}[how] + behind_it, True)
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(3):
            assert c.ask('/').text == ('' if how == 'none' else 'hello')
    assert up.connections == 3


def test_9_bytes_when_idle(weir, up):
    """What a server says before it is asked is nobody's answer."""
    said = threading.Event()

    def script(peer, asked):
        peer.send(reply('hello'))
        time.sleep(0.1)
        peer.send(reply('evil'))
        said.set()
        return True
    up.script = script
    s = behind(weir, up)
    for _ in range(3):
        assert s.get('/').text == 'hello'
        assert said.wait(5)
        said.clear()
        time.sleep(0.1)
    assert up.connections == 3


# ---- 10: a body where none belongs ---------------------------------------------------------------

@pytest.mark.parametrize('method, status', [('HEAD', '200 OK'), ('GET', '204 No Content'),
                                            ('GET', '304 Not Modified')])
def test_10_a_body_where_none_belongs(weir, up, method, status):
    length = status.startswith('2') and method == 'HEAD'
    up.script = answers(reply(b'', status=status, length=False)[:-2] +
                        (b'Content-Length: 4\r\n' if length else b'') + b'\r\nevil', True)
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(3):
            c.send(f'{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            a = c.answer(head=method == 'HEAD')
            assert a.status == int(status[:3]) and b'evil' not in a.raw + a.body
        time.sleep(0.1)
        assert c.buffer == b''
    assert up.connections == 3


# ---- 11: answers before the end of the request ---------------------------------------------------

def early(peer, then):
    while peer.line() not in ('\r\n', ''):
        pass
    peer.send(reply('no', status='403 No', fields=['Connection: close']))
    if then == 'reads':
        while peer.sock.recv(65536):
            pass
    elif then == 'deaf':
        time.sleep(1)


@pytest.mark.parametrize('then', ['reads', 'close', 'deaf'])
@pytest.mark.parametrize('size, pause', [(10, 0.3), (100_000, 0), (100_000, 0.3)])
@pytest.mark.parametrize('chunked', [False, True])
def test_11_an_early_answer(weir, up, then, size, pause, chunked):
    """The answer reaches the client, what the client still sends is thrown away, and the worker
    lives."""
    up.raw = lambda peer: early(peer, then)
    s = behind(weir, up, more='proxy_request_buffering off;')
    with s.connect(timeout=10) as c:
        framing = 'Transfer-Encoding: chunked' if chunked else f'Content-Length: {size}'
        c.send(f'POST / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n')
        half = b'x' * (size // 2)
        framed = b'%x\r\n%s\r\n' % (len(half), half) if chunked else half
        try:
            c.send(framed)
            time.sleep(pause)
            c.send(framed + (b'0\r\n\r\n' if chunked else b''))
        except ConnectionError:
            pass
        assert c.answer().status == 403
    still_well(s, up)


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_11_early_then_deaf(weir, up, buffering):
    """A server that answers and takes no more: its answer counts, not the failed sending."""
    def raw(peer):
        peer.line()
        peer.send(reply('no', status='413 Too Large', fields=['Connection: close']))
        peer.sock.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
    up.raw = raw
    s = behind(weir, up, more=f'client_max_body_size 0; proxy_request_buffering {buffering}; '
                              'proxy_send_timeout 5s;')
    with s.connect(timeout=10) as c:
        a = c.ask('/', method='POST', body=b'x' * 3_000_000)
    assert a.status == 413


@pytest.mark.parametrize('size', [3000, 200_000])
def test_11_a_body_is_not_sent_from_freed_memory(weir, up, size):
    """A server is slow to take a body whose client leaves: it gets bytes of that body, or none."""
    got = []

    def raw(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        time.sleep(0.3)
        data = b''
        while piece := peer.sock.recv(65536):
            data += piece
        got.append(data)
    up.raw = raw
    s = behind(weir, up, more='proxy_request_buffering off; proxy_send_timeout 5s; '
                              'client_body_buffer_size 64k; proxy_socket_sndbuf 4k;')
    for _ in range(8):
        c = Client(s.address)
        c.send(f'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size * 2}\r\n\r\n'
               + 'y' * size)
        time.sleep(0.05)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.close()
    end = time.monotonic() + 10
    while len(got) < 8 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(got) > 0
    for data in got:
        assert re.fullmatch(rb'(POST / HTTP/1.1\r\n.*?\r\n\r\ny*)?', data, re.S), data[:400]


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_11_a_slow_server_is_not_late(weir, up, buffering):
    """proxy_send_timeout is for progress, not for a whole send."""
    def raw(peer):
        while peer.line() not in ('\r\n', ''):
            pass
        for _ in range(30):
            assert len(peer.file.read(20_000)) == 20_000
            time.sleep(0.05)
        peer.send(reply('hello'))
    up.raw = raw
    up.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s = behind(weir, up, more=f'proxy_send_timeout 500ms; proxy_request_buffering {buffering}; '
                              'proxy_socket_sndbuf 8k; client_body_buffer_size 256k;')
    with s.connect(timeout=20) as c:
        start = time.monotonic()
        a = c.ask('/', method='POST', body=b'x' * 600_000)
        assert a.text == 'hello' and time.monotonic() - start > 1.4


# ---- 12: 101 -------------------------------------------------------------------------------------

@pytest.mark.parametrize('ask', ['', 'Connection: upgrade\r\nUpgrade: x\r\n'])
@pytest.mark.parametrize('behind_it', [b'', b'\0garbage', reply('evil')])
def test_12_switching_unasked(weir, up, ask, behind_it):
    up.script = answers(b'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n' +
                        behind_it)
    s = behind(weir, up)                # which passes no Upgrade on
    got, _ = raw_answer(s, f'GET / HTTP/1.1\r\nHost: a.test\r\n{ask}\r\n' +
                           'GET /again HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    assert re.findall(rb'HTTP/1.1 (\d+)', got) == [b'502', b'502'] and b'evil' not in got
    still_well(s, up)


# ---- 13, 14: stalls ------------------------------------------------------------------------------

@pytest.mark.parametrize('buffering', ['on', 'off'])
@pytest.mark.parametrize('half', ['short', 'none', 'in a chunk', 'between chunks'])
def test_13_stalls_in_the_body(weir, up, half, buffering):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\n' + HALVES[half])
        time.sleep(3)
    up.script = script
    s = behind(weir, up, more=f'proxy_read_timeout 400ms; proxy_buffering {buffering};')
    start = time.monotonic()
    got, _ = raw_answer(s)
    assert 0.35 < time.monotonic() - start < 2.8
    assert b' 200 ' in got and not got.partition(b'\r\n\r\n')[2].endswith(b'0\r\n\r\n')
    s.wait_log('upstream timed out')


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_14_a_slow_client_stops_the_server(weir, up, buffering):
    sent = [0]

    def script(peer, asked):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n')
        for _ in range(2000):
            peer.send(b'x' * 100_000)
            sent[0] += 100_000
    up.script = script
    s = behind(weir, up, more=f'proxy_buffering {buffering}; proxy_read_timeout 30s; '
                              'proxy_max_temp_file_size 0;')
    with Client(s.address) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        end, last = time.monotonic() + 15, 0
        while last == 0 or sent[0] != last:         # until nothing more is taken
            assert time.monotonic() < end and sent[0] < 20_000_000, sent[0]
            last = sent[0]
            time.sleep(1)


# ---- 15: never answers ---------------------------------------------------------------------------

def test_15_never_answers(weir, up):
    """It counts as failed, is left alone, limited to its max_conns, and comes back."""
    up.script = lambda peer, asked: time.sleep(2)
    with Upstream(reply('other')) as other:
        s = weir('location / { proxy_pass http://g; proxy_read_timeout 300ms; }'
                 'location /one { proxy_pass http://one; proxy_read_timeout 1s; }',
                 http=f'upstream g {{ server {up.at} max_fails=1 fail_timeout=1s; '
                      f'server {other.at}; }} '
                      f'upstream one {{ zone one 64k; server {up.at} max_conns=2 max_fails=0; }}')
        assert [s.get('/').text for _ in range(4)] == ['other'] * 4
        assert len(up.asked) == 1                       # once, and then it was left alone
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(s.get('/one').status))
                   for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(statuses) == [502] * 4 + [504] * 2
        still = len(up.asked)
        assert still == 3
        up.script = answers(reply('back'), True)
        end = time.monotonic() + 10
        while s.get('/').text != 'back':
            assert time.monotonic() < end
            time.sleep(0.1)


# ---- 16: not used again --------------------------------------------------------------------------

@pytest.mark.parametrize('answer, connections', [
    (reply('hello'), 1),
    (reply('hello', fields=['Connection: close']), 3),
    (reply('hello', fields=['Connection: X-Other, Close']), 3),
    (reply('hello').replace(b'1.1', b'1.0'), 3)])
def test_16_not_used_again(weir, up, answer, connections):
    up.script = answers(answer, True)
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(3):
            assert c.ask('/').text == 'hello'
    assert up.connections == connections


# ---- what must not pass --------------------------------------------------------------------------

@pytest.mark.parametrize('path', ['/a%0d%0aX-Evil:%201', '/a%0aX-Evil:%201', '/a%0dX-Evil:%201',
                                  '/a%0d%0a%0d%0a<html>'])
@pytest.mark.parametrize('where', ['add_header X-Path $1; return 204;', 'return 302 $1;',
                                   'return 301 http://b.test/$1;',
                                   'rewrite ^ http://b.test/$1? redirect;',
                                   'add_header Set-Cookie "a=$1" always; return 200 x;'])
def test_c1_no_line_ends_in_answers(shared, path, where):
    s = shared(f'location ~ ^/(.*)$ {{ {where} }}')
    got, _ = raw_answer(s, f'GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    head, _, body = got.partition(b'\r\n\r\n')
    assert re.match(rb'HTTP/1.1 (204|200|30[12]|400|500) ', head)
    assert b'x-evil' not in [line.split(b':')[0].lower() for line in re.split(b'[\r\n]+', head)]
    assert not re.search(rb'\r(?!\n)|(?<!\r)\n', head) and not body.startswith(b'<html>')
    if 'always' in where:
        assert b' 500 ' in head.split(b'\r\n')[0]
        s.wait_log('the response field "Set-Cookie" has a control byte')


C2 = [('proxy_pass http://UP/$1;', 200), ('proxy_pass http://UP/x?q=$1;', 200),
      ('rewrite ^/(.*)$ /$1 break; proxy_pass http://UP;', 200),
      ('rewrite ^/(.*)$ /x?q=$1 break; proxy_pass http://UP;', 200),
      ('set $args q=$1; proxy_pass http://UP;', 200),
      ('set $args $1; proxy_pass http://UP/y;', 200),
      ('proxy_set_header X-Path $1; proxy_pass http://UP;', 500),
      ('proxy_set_header Host $1; proxy_pass http://UP;', 500),
      ('proxy_method $1; proxy_pass http://UP;', 500)]


@pytest.mark.parametrize('path', ['/a%0d%0aX-Evil:%201', '/a%0aX-Evil:%201',
                                  '/a%20HTTP/1.1%0d%0aHost:%20b%0d%0a%0d%0aGET%20/evil'])
@pytest.mark.parametrize('where, status', C2)
def test_c2_no_line_ends_in_requests(weir, up, path, where, status):
    lines = []

    def raw(peer):
        data = b''
        while not data.endswith(b'\r\n\r\n'):
            data += peer.sock.recv(65536)
        lines.append(data)
        peer.send(reply('ok', fields=['Connection: close']))
    up.raw = raw
    dot = where.replace('UP/$1', 'UP/$1').replace('UP', up.at)
    s = weir(f'location ~ ^/(.*)$ {{ {dot} }}' if 'http://UP/y' not in where else
             f'location / {{ if ($uri ~ "^/((?:.|\\n)*)$") {{ set $args $1; }} '
             f'proxy_pass http://{up.at}/y/; }}')
    a = s.get(path)
    assert a.status in (status, 400, 500), a.raw
    for data in lines:
        head = data[:-4].decode('latin1').split('\r\n')
        assert re.fullmatch(r'[A-Z]+ /[!-~]* HTTP/1\.[01]', head[0]), data
        for line in head[1:]:
            assert re.fullmatch(r'[!#-\'*+.^_`|~0-9A-Za-z-]+: [ -~]*', line), data
            assert not line.lower().startswith('x-evil'), data
        assert data.count(b'\r\n\r\n') == 1


@pytest.mark.parametrize('answer', [
    b'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\n folded: first\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n'])
def test_c3_answers_are_not_split(weir, up, answer):
    up.script = answers(answer)
    s = behind(weir, up)
    a = s.get('/')
    assert a.status == 502 and a['Set-Cookie'] is None
    still_well(s, up)


def test_c6_made_up_addresses(weir, up):
    """X-Forwarded-For and Forwarded of anybody are only text; who may speak for others is said."""
    text = f'''location / {{ proxy_pass http://{up.at}; proxy_set_header X-Real-IP $remote_addr;
               proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; %s }}'''
    ask = {'X-Forwarded-For': '6.6.6.6', 'X-Real-IP': '7.7.7.7', 'Forwarded': 'for=8.8.8.8'}
    s = weir(text % '')
    s.get('/', headers=ask)
    assert up.last.all('X-Real-IP') == ['127.0.0.1']
    assert up.last.all('X-Forwarded-For') == ['6.6.6.6, 127.0.0.1']
    s = weir(text % 'set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;')
    s.get('/', headers=ask)
    assert up.last.all('X-Real-IP') == ['127.0.0.1']
    s = weir(text % 'set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;')
    s.get('/', headers=ask)
    assert up.last.all('X-Real-IP') == ['6.6.6.6']
    asked = len(up.asked)
    got, _ = raw_answer(s, 'PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert b' 400 ' in got.split(b'\r\n')[0] and len(up.asked) == asked


def test_c7_connection_takes_out_no_field(weir, up):
    protected = {'Authorization': 'Basic eA==', 'Cookie': 'a=b', 'Forwarded': 'for=1.2.3.4',
                 'Via': '1.1 x', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'h',
                 'X-Real-IP': '1.2.3.4'}
    s = behind(weir, up, more='proxy_set_header X-Set $remote_addr; proxy_set_header Host $host;')
    names = ', '.join([*protected, 'X-Set', 'Host', 'Content-Length', 'Transfer-Encoding', 'X-Hop'])
    s.raw('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX-Hop: 1\r\nX-Set: forged\r\n'
          f'Connection: {names}\r\n' + ''.join(f'{n}: {v}\r\n' for n, v in protected.items()) +
          '\r\nhello')
    for name, value in protected.items():
        assert up.last.all(name) == [value], name
    assert up.last.all('X-Set') == ['127.0.0.1'] and up.last.all('Host') == ['a.test']
    assert up.last.body == b'hello' and up.last.all('X-Hop') == []


def test_c8_names_that_look_like_others(weir, up):
    s = behind(weir, up, more='proxy_set_header X-Real-IP $remote_addr;')
    s.raw('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX_Real_IP: 6.6.6.6\r\n'
          'Content_Length: 1\r\nTransfer_Encoding: chunked\r\nX-Well: 1\r\n\r\nhello')
    names = [n.lower() for n, _ in up.last.fields]
    assert not [n for n in names if '_' in n] and up.last.body == b'hello'
    assert up.last.all('X-Real-IP') == ['127.0.0.1'] and up.last['X-Well'] == '1'


# ---- rows of the catalogue of bad requests that say what a server gets ---------------------------

@pytest.mark.parametrize('name, ask, check', [
    ('CL35', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello<<FIN>>', None),
    ('CH48', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n<<FIN>>',
     None),
    ('FI27', 'GET / HTTP/1.1\r\nHost: a.test\r\nContent_Length: 5\r\n\r\n',
     lambda a: a.body == b'' and not [n for n, _ in a.fields if '_' in n]),
    ('FI32', 'GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c\r\nConnection: Upgrade, '
     'HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
     lambda a: not a.all('Upgrade') and not a.all('HTTP2-Settings')),
    ('OK06', 'GET / HTTP/1.1\r\nHost: a.test\r\nX-A:   v  \t \r\n\r\n', lambda a: a['X-A'] == 'v'),
    ('OK10', 'GET http://b.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n',
     lambda a: a['X-Host'] == 'b.test' and a.target == '/x?y'),
    ('SM12', 'POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n'
     'X-Http-Method-Override: GET\r\n\r\nhello',
     lambda a: a.method == 'POST' and a.body == b'hello'),
    ('CH44', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n'
     '5\r\nhello\r\n0\r\nHost: evil\r\nContent-Length: 9\r\n\r\n',
     lambda a: a.body == b'hello' and 'evil' not in str(a.fields)),
    ('TE35', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer_Encoding: chunked\r\n'
     'Content-Length: 5\r\n\r\nhello',
     lambda a: a.body == b'hello' and not [n for n, _ in a.fields if '_' in n])])
@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_what_the_catalogue_says_of_servers(weir, up, name, ask, check, buffering):
    s = behind(weir, up, more=f'proxy_request_buffering {buffering}; '
                              'proxy_set_header X-Host $host;')
    ask, _, finish = ask.partition('<<FIN>>')
    with s.connect() as c:
        c.send(ask)
        if check is None:
            c.sock.shutdown(socket.SHUT_WR)
            c.rest()
            time.sleep(0.2)
            assert all(len(a.body) < 10 for a in up.asked)  # what came was no whole request
            assert buffering == 'off' or up.asked == []
        else:
            assert c.answer().status == 200, name
            assert check(up.last), (name, up.last.line, up.last.fields)


# ---- the tables above ----------------------------------------------------------------------------

def test_every_row_has_its_test():
    rows = {}
    for number, name in re.findall(r'test_(c?\d+)_(\w+)', __doc__):
        rows.setdefault(number, []).append(name)
    assert set(rows) == {str(n) for n in range(1, 17)} | {f'c{n}' for n in (1, 2, 3, 6, 7, 8)}
    written = set(re.findall(r'^def test_(c?\d+_\w+)', pathlib.Path(__file__).read_text(), re.M))
    assert written == {f'{n}_{name}' for n, names in rows.items() for name in names}
