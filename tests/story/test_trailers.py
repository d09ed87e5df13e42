"""add_trailer: fields behind the body, in chunks, made when the body has been sent."""
import re
import time

import pytest

from upstreams import Upstream

BIG = 300_000


def ask(s, path='/', method='GET', version='1.1', extra=''):
    """(head, body, trailers): the answer taken apart byte by byte."""
    with s.connect() as c:
        c.send(f'{method} {path} HTTP/{version}\r\nHost: a.test\r\n'
               f'Connection: close\r\n{extra}\r\n')
        raw = c.rest()
    head, rest = raw.split(b'\r\n\r\n', 1)
    head = head.decode('latin1').lower()
    if 'transfer-encoding: chunked' not in head:
        return head, rest, None
    if method == 'HEAD':
        return head, rest, []
    body = b''
    while True:
        size, rest = rest.split(b'\r\n', 1)
        size = int(size, 16)
        if size == 0:
            break
        body, end, rest = body + rest[:size], rest[size:size + 2], rest[size + 2:]
        assert end == b'\r\n'
    assert rest.endswith(b'\r\n')
    lines = rest[:-2].decode('latin1')
    assert not lines or lines.endswith('\r\n')
    return head, body, lines.split('\r\n')[:-1]


@pytest.fixture
def site(shared):
    return shared('''
        location / { add_trailer X-End "$body_bytes_sent-$status";
                     add_trailer X-Empty "$arg_none"; }
        location /text { add_trailer X-A 1; add_trailer X-B 2; return 200 hello; }
        location /nothing { add_trailer X-A 1; return 200; }
        location /bare { add_trailer X-A 1; return 204; }
        location /always { add_trailer X-A 1; add_trailer X-B "$uri" always; return 404 no; }
        location /long { add_trailer X-A "$http_x$http_x$http_x"; add_trailer X-B "$http_x$http_x";
                         return 200 ok; }
        location /whole { chunked_transfer_encoding off; add_trailer X-A 1; return 200 hello; }
        location /own { add_header Trailer "X-Mine"; add_trailer X-A 1; return 200 hello; }
        location /gz/ { gzip on; gzip_min_length 1; alias html/; add_trailer X-A $gzip_ratio; }
        location /outer { add_trailer X-O o;
            location /outer/in { return 200 in; }
            location /outer/own { add_trailer X-I i; return 200 in; }
            location /outer/merge { add_trailer_inherit merge; add_trailer X-I i; return 200 in; }
            location /outer/off { add_trailer_inherit off; return 200 in; } }
        ''', files={'html/big.html': 'x' * BIG, 'html/empty.txt': ''},
        http='large_client_header_buffers 4 16k;')


def test_a_file_and_its_trailer(site):
    head, body, trailers = ask(site, '/big.html')
    assert len(body) == BIG and trailers == [f'X-End: {BIG}-200']
    assert 'content-length' not in head and 'trailer: x-end, x-empty' in head
    head, body, trailers = ask(site, '/empty.txt')
    assert (body, trailers) == (b'', ['X-End: 0-200'])
    head, body, trailers = ask(site, '/file.txt', extra='Range: bytes=2-4\r\n')
    assert ' 206 ' in head and 'content-range: bytes 2-4/10' in head
    assert (body, trailers) == (b'234', ['X-End: 3-206'])


def test_texts(site):
    assert ask(site, '/text')[1:] == (b'hello', ['X-A: 1', 'X-B: 2'])
    assert ask(site, '/nothing')[1:] == (b'', ['X-A: 1'])
    head, body, trailers = ask(site, '/bare')
    assert ' 204 ' in head and 'trailer' not in head and (body, trailers) == (b'', None)


def test_status_and_always(site):
    head, body, trailers = ask(site, '/always/x')
    assert ' 404 ' in head and trailers == ['X-B: /always/x'] and 'trailer: x-b' in head
    head, _, trailers = ask(site, '/missing')
    assert ' 404 ' in head and 'trailer' not in head and trailers is None
    assert 'content-length' in head


def test_who_gets_none(site):
    head, body, trailers = ask(site, '/text', version='1.0')
    assert 'content-length: 5' in head and 'trailer' not in head and trailers is None
    assert body == b'hello'
    head, body, trailers = ask(site, '/text', method='HEAD')
    assert 'content-length: 5' in head and 'trailer' not in head and body == b''
    head, body, trailers = ask(site, '/whole')
    assert 'content-length: 5' in head and trailers is None
    with site.connect() as c:
        first = c.ask('/file.txt', headers={'If-None-Match': '*'})
        assert first.status == 304 and c.ask('/file.txt', method='HEAD')['content-length'] == '10'


def test_pipelined_answers_stay_apart(site):
    with site.connect() as c:
        c.send('GET /text HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n'
               'GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        raw = c.rest()
    assert raw.count(b'HTTP/1.1 200 OK') == 3
    assert re.search(rb'5\r\nhello\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\nHTTP/1\.1 200', raw)
    assert re.search(rb'\r\n\r\n0\r\nX-A: 1\r\n\r\nHTTP/1\.1 200', raw)
    assert raw.endswith(b'a\r\n0123456789\r\n0\r\nX-End: 10-200\r\n\r\n')


def test_inheritance(site):
    assert ask(site, '/outer/in')[2] == ['X-O: o']
    assert ask(site, '/outer/own')[2] == ['X-I: i']
    assert ask(site, '/outer/merge')[2] == ['X-O: o', 'X-I: i']
    assert ask(site, '/outer/off')[2] is None


def test_a_compressed_answer(site):
    head, _, trailers = ask(site, '/gz/big.html', extra='Accept-Encoding: gzip\r\n')
    assert 'content-encoding: gzip' in head
    assert len(trailers) == 1 and re.fullmatch(r'X-A: \d+\.\d\d', trailers[0])


def test_ones_own_announcement_stays(site):
    head, _, trailers = ask(site, '/own')
    assert re.findall('^trailer: (.*)$', head, re.M) == ['x-mine'] and trailers == ['X-A: 1']


def test_a_long_trailer(site):
    v = 'v' * 2500
    assert ask(site, '/long', extra=f'X: {v}\r\n')[2] == [f'X-A: {3 * v}', f'X-B: {2 * v}']


def test_trailers_that_do_not_fit_are_left_out(weir):
    s = weir('location / { add_trailer X-A "$http_x$http_x"; add_trailer X-B "$http_x$http_x"; '
             'add_trailer X-C "$http_x$http_x"; return 200 ok; }')
    value = 'v' * 3500
    assert ask(s, '/', extra=f'X: {value}\r\n')[1:] == (b'ok', [])
    s.wait_log('the trailers are left out')
    assert ask(s, '/', extra='X: y\r\n')[2] == ['X-A: yy', 'X-B: yy', 'X-C: yy']


def test_a_trailer_cannot_be_split(weir):
    s = weir('location ~ ^/x/(?<rest>.*)$ { add_trailer X-A "$rest"; add_trailer X-B b; '
             'return 200 ok; }')
    assert ask(s, '/x/a%0d%0aX-Evil:%201')[1:] == (b'ok', ['X-B: b'])
    s.wait_log('the trailer "X-A" has a control byte')


def test_logged(weir):
    s = weir('access_log t.log t; location / { add_trailer X-A "$request_time $bytes_sent"; }',
             http='log_format t "$sent_trailer_x_a|$sent_trailer_x_b|$sent_http_content_length";')
    head, body, trailers = ask(s, '/file.txt')
    time, sent = trailers[0].split()[1:]
    assert re.fullmatch(r'\d\.\d{3}', time) and int(sent) == len(head) + 4 + 10
    assert s.file('t.log', contains='\n') == f'{time} {sent}|-|-\n'


@pytest.mark.one_engine
@pytest.mark.parametrize('conf, says', [
    ('add_trailer "a b" c;', 'cannot be a field\'s name'),
    ('add_trailer X-A b never;', 'is not a parameter of add_trailer'),
    ('add_trailer X-A $nothing_such;', 'nothing_such'),
])
def test_mistakes(engine, weir, conf, says):
    answer = weir(conf, start=False).command('-t')
    assert answer.returncode == 1 and says in answer.stderr


@pytest.mark.one_engine
@pytest.mark.parametrize('name', ['Content-Length', 'transfer-encoding', 'Host', 'Content-Type'])
def test_what_is_no_trailer(engine, weir, name):
    s = weir(f'add_trailer {name} 7;', start=False)
    answer = s.command('-t')
    assert answer.returncode == 0 and f'"{name}" is not added' in answer.stderr


# ---- of servers

CHUNKS = ('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n'
          'X-One: 1\r\nX-Two:  b c \r\nContent-Length: 7\r\nHost: evil\r\n\r\n')


@pytest.mark.parametrize('cut', [0, 1])
def test_trailers_of_a_server_are_passed_on(weir, cut):
    """… the ones that may stand there, however they come, and only where it is said."""
    def script(peer, asked):
        for piece in (CHUNKS,) if not cut else CHUNKS:
            peer.send(piece)
            if cut:
                time.sleep(0.002)
    with Upstream(script) as up:
        s = weir(f'proxy_http_version 1.1; proxy_set_header Connection ""; '
                 f'location / {{ proxy_pass http://{up.at}; }} '
                 f'location /on {{ proxy_pass http://{up.at}; proxy_pass_trailers on; '
                 'add_trailer X-Own mine; }')
        _, body, lines = ask(s, '/on')
        assert body == b'hello'
        assert [line.lower() for line in lines] == ['x-one: 1', 'x-two: b c', 'x-own: mine']
        assert ask(s, '/')[1:] == (b'hello', [])
        head, rest, lines = ask(s, '/on', version='1.0')
        assert rest == b'hello' and lines is None
