"""slice: large answers asked for in pieces."""
import re

import pytest

from upstreams import Upstream, reply

CONTENT = bytes(i * 7 % 251 for i in range(2500))


def ranged(tag='"v1"', content=CONTENT, change=None):
    """Answers ranges of the content; change(first, text of fields, body) may spoil it."""
    def script(peer, asked):
        if asked['Range'] is None or asked.method not in ('GET', 'HEAD'):
            peer.send(reply(content, fields=['X-Whole: yes']))
            return
        first, last = map(int, re.match(r'bytes=(\d+)-(\d+)$', asked['Range']).groups())
        if first >= len(content):
            peer.send(reply('', '416 Range Not Satisfiable',
                            [f'Content-Range: bytes */{len(content)}']))
            return
        body = content[first:last + 1]
        fields = [f'Content-Range: bytes {first}-{first + len(body) - 1}/{len(content)}',
                  f'ETag: {tag}', 'Accept-Ranges: bytes', 'Content-Type: a/b']
        answer = reply(body, '206 Partial Content', fields)
        if change:
            answer = change(first, answer)
        if asked.method == 'HEAD':
            answer = answer.split(b'\r\n\r\n')[0] + b'\r\n\r\n'
        peer.send(answer)
    return script


@pytest.fixture
def behind(weir):
    def make(app, size='1000', more=''):
        return weir(f'''location / {{ slice {size}; proxy_set_header Range $slice_range;
            proxy_pass http://{app.at}; {more} }}
            location ~ ^/re/(?<part>.*) {{ slice 1000; proxy_set_header Range $slice_range;
            proxy_set_header X-Part $part; proxy_pass http://{app.at}/x/$1$is_args$args; }}
            location /old {{ slice 1000; proxy_set_header Range $slice_range;
            rewrite ^/old(.*) /new$1 break; proxy_pass http://{app.at}; }}''')
    return make


def ranges(app):
    return [a['Range'] for a in app.asked]


def test_the_whole_of_it(behind):
    with Upstream(ranged()) as app:
        a = behind(app).get('/f')
        assert a.status == 200 and a.body == CONTENT
        assert a['content-length'] == '2500' and a['content-range'] is None
        assert a['accept-ranges'] == 'bytes' and a['etag'] == '"v1"'
        assert ranges(app) == ['bytes=0-999', 'bytes=1000-1999', 'bytes=2000-2999']
        assert {a.target for a in app.asked} == {'/f'}


@pytest.mark.parametrize('wanted, status, first, last, pieces', [
    ('bytes=0-9', 206, 0, 9, [0]), ('bytes=999-1000', 206, 999, 1000, [0, 1]),
    ('bytes=1500-1600', 206, 1500, 1600, [1]), ('bytes=2400-', 206, 2400, 2499, [2]),
    ('bytes=-5', 206, 2495, 2499, [0, 2]), ('bytes=0-', 206, 0, 2499, [0, 1, 2]),
    ('bytes=1000-1999', 206, 1000, 1999, [1]), ('nonsense', 200, 0, 2499, [0, 1, 2]),
])
def test_ranges_of_clients(behind, wanted, status, first, last, pieces):
    with Upstream(ranged()) as app:
        a = behind(app).get('/f', headers={'Range': wanted})
        assert a.status == status and a.body == CONTENT[first:last + 1]
        if status == 206:
            assert a['content-range'] == f'bytes {first}-{last}/2500'
        assert ranges(app) == [f'bytes={1000 * n}-{1000 * n + 999}' for n in pieces]


def test_several_ranges(behind):
    with Upstream(ranged()) as app:
        a = behind(app).get('/f', headers={'Range': 'bytes=0-4,1200-1204,2490-2499'})
        assert a.status == 206 and a['content-type'].startswith('multipart/byteranges')
        for first, last in ((0, 4), (1200, 1204), (2490, 2499)):
            head = f'Content-Range: bytes {first}-{last}/2500\r\n\r\n'.encode()
            assert head + CONTENT[first:last + 1] in a.body


def test_beyond_the_end(behind):
    with Upstream(ranged()) as app:
        a = behind(app).get('/f', headers={'Range': 'bytes=9000-'})
        assert a.status == 416 and a['content-range'] == 'bytes */2500'


def test_head(behind):
    with Upstream(ranged()) as app:
        a = behind(app).get('/f', method='HEAD')
        assert a.status == 200 and a['content-length'] == '2500' and len(app.asked) == 1


@pytest.mark.parametrize('size, count', [('1', 2500), ('2500', 1), ('2499', 2), ('1m', 1)])
def test_sizes(behind, size, count):
    with Upstream(ranged()) as app:
        assert behind(app, size).get('/f').body == CONTENT
        assert len(app.asked) == count


def test_a_server_without_ranges(behind):
    with Upstream(reply(CONTENT)) as app:
        a = behind(app).get('/f')
        assert a.status == 200 and a.body == CONTENT and len(app.asked) == 1
    with Upstream(reply('gone', '404 Not Found')) as app:
        a = behind(app).get('/f')
        assert a.status == 404 and a.text == 'gone'


def test_off(behind):
    with Upstream(ranged()) as app:
        a = behind(app, '0').get('/f')
        assert a['x-whole'] == 'yes' and a.body == CONTENT and ranges(app) == [None]


def test_pieces_go_to_the_same_place(behind):
    with Upstream(ranged()) as app:
        s = behind(app)
        assert s.get('/re/one%2Ftwo?q=1').body == CONTENT
        assert len(app.asked) == 3 and len({a.target for a in app.asked}) == 1
        assert {a['X-Part'] for a in app.asked} == {'one/two'}
        assert app.last.target.startswith('/x/one') and app.last.target.endswith('?q=1')
        app.asked.clear()
        assert s.get('/raw%2Fpath/%41').body == CONTENT
        assert {a.target for a in app.asked} == {'/raw%2Fpath/%41'}
        app.asked.clear()
        assert s.get('/old/f').body == CONTENT
        assert {a.target for a in app.asked} == {'/new/f'}


def at(place, old, new):
    return lambda first, answer: answer.replace(old, new) if first == place else answer


@pytest.mark.parametrize('spoil, why', [
    (at(0, b'/2500', b'/*'), 'does not say how large all of it is'),
    (at(0, b'Content-Range', b'X-Range'), 'its Content-Range is missing'),
    (at(0, b'bytes 0-999/2500', b'bytes 1-999/2500'), 'it is another range'),
    (at(0, b'bytes 0-999/2500', b'bytes 0-x/2500'), 'its Content-Range is not understood'),
    (at(0, b'bytes 0-999/2500', b'bytes 0-998/2500'), 'it is another range'),
    (at(0, b'bytes 0-999/2500', b'bytes 0-999/99999999999999999999'), 'is not understood'),
])
def test_a_first_piece_that_does_not_fit(behind, spoil, why):
    with Upstream(ranged(change=spoil)) as app:
        s = behind(app)
        assert s.get('/f').status == 502
        assert why in s.file('error.log', contains='does not fit')


@pytest.mark.parametrize('spoil, why', [
    (at(1000, b'/2500', b'/2501'), 'all of it has another size now'),
    (at(1000, b'"v1"', b'"v2"'), 'it has another ETag now'),
    (at(1000, b'206 Partial Content', b'200 OK'), 'its status is not 206'),
    (at(2000, b'bytes 2000-2499', b'bytes 2001-2499'), 'it is another range'),
    (at(1000, b'206 Partial Content', b'500 Broken'), 'its status is not 206'),
])
def test_a_later_piece_that_does_not_fit(behind, spoil, why):
    with Upstream(ranged(change=spoil)) as app:
        s = behind(app)
        with s.connect() as c:
            c.send('GET /f HTTP/1.1\r\nHost: a\r\n\r\n')
            head, _, body = c.rest().partition(b'\r\n\r\n')
        assert b'200 OK' in head and len(body) < 2500 and CONTENT.startswith(body)
        assert why in s.file('error.log', contains='does not fit')


def test_a_piece_that_breaks_off(behind):
    def script(first, answer):
        return answer[:-100] if first == 1000 else answer

    def talk(peer, asked, honest=ranged(change=script)):
        honest(peer, asked)
        return asked['Range'] != 'bytes=1000-1999'
    with Upstream(talk) as app:
        s = behind(app)
        with s.connect() as c:
            c.send('GET /f HTTP/1.1\r\nHost: a\r\n\r\n')
            body = c.rest().partition(b'\r\n\r\n')[2]
        assert len(body) <= 1900 and CONTENT.startswith(body)


def test_connections_are_kept_between_pieces(behind):
    with Upstream(ranged()) as app:
        s = behind(app, '100')
        assert s.get('/f').body == CONTENT
        assert len(app.asked) == 25 and app.connections == 1


def test_a_client_that_leaves(behind):
    with Upstream(ranged(content=CONTENT * 4000)) as app:
        s = behind(app, '10k')
        with s.connect() as c:
            c.send('GET /f HTTP/1.1\r\nHost: a\r\n\r\n')
            assert c.sock.recv(1000)
        assert s.get('/f', headers={'Range': 'bytes=0-9'}).body == CONTENT[:10]
