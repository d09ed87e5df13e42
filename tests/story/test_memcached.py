"""memcached_pass: scripted servers, and a real one."""
import gzip
import socket

import pytest

from conftest import free_port
from test_gateways import running
from upstreams import Upstream


class Memcached(Upstream):
    """answer(key) -> bytes"""

    def __init__(self, answer):
        self.keys = []

        def talk(peer):
            while line := peer.line():
                word, key = line.rstrip('\r\n').split(' ')
                assert word == 'get' and line.endswith('\r\n')
                self.keys.append(key)
                said = answer(key)
                peer.send(said)
                if said.endswith(b'!'):
                    return
        super().__init__(raw=talk)


def value(content, flags=0):
    return lambda key: b'VALUE %s %d %d\r\n%s\r\nEND\r\n' % (key.encode(), flags, len(content),
                                                           content)


def behind(weir, *apps, more='', key='$uri'):
    servers = ''.join(f'server {app.at};' for app in apps)
    return weir(f'''location / {{ set $memcached_key "{key}"; memcached_pass back; {more} }}
                    location @app {{ return 200 "made"; }}
                    location /unset {{ memcached_pass back; }}''',
                http=f'upstream back {{ {servers} keepalive 4; }}')


def test_found_and_not(weir):
    with Memcached(lambda key: value(b'hello')(key) if key == '/a.html' else b'END\r\n') as app:
        s = behind(weir, app)
        for _ in range(3):
            a = s.get('/a.html')
            assert a.status == 200 and a.text == 'hello' and a['content-type'] == 'text/html'
            assert a['content-length'] == '5'
            assert s.get('/none').status == 404
        assert app.connections == 1
        a = s.get('/a.html', method='HEAD')
        assert a.status == 200 and a['content-length'] == '5'
        assert s.get('/a.html', method='POST', body=b'x').status == 405
        assert s.get('/unset').status == 500


def test_error_page_makes_it(weir):
    with Memcached(lambda key: b'END\r\n') as app:
        s = behind(weir, app, more='error_page 404 502 504 = @app;')
        assert s.get('/a').text == 'made'


@pytest.mark.parametrize('size', [0, 1, 70_000, 3_000_000])
def test_sizes(weir, size):
    content = bytes(i % 251 for i in range(size))
    with Memcached(value(content)) as app:
        s = behind(weir, app)
        for _ in range(2):
            assert s.get('/x').body == content


def test_bytes_that_look_like_an_end(weir):
    content = b'\r\nEND\r\n' * 50
    with Memcached(value(content)) as app:
        assert behind(weir, app).get('/x').body == content


def test_keys_are_escaped(weir):
    with Memcached(lambda key: value(b'v')(key)) as app:
        s = behind(weir, app, key='$uri?$args')
        assert s.get('/a%20b%0D%0Aset%25?x=1').text == 'v'
        assert app.keys == ['/a%20b%0D%0Aset%25?x=1']


def test_gzip_flag(weir):
    with Memcached(value(gzip.compress(b'hello'), flags=2)) as app:
        a = behind(weir, app, more='memcached_gzip_flag 2;').get('/a')
        assert a['content-encoding'] == 'gzip' and gzip.decompress(a.body) == b'hello'
        s = behind(weir, app, more='memcached_gzip_flag 4;')
        assert s.get('/a')['content-encoding'] is None


@pytest.mark.parametrize('answer', [
    b'ERROR\r\n', b'SERVER_ERROR out of memory\r\n', b'VALUE other 0 1\r\nx\r\nEND\r\n',
    b'VALUE /a 0\r\n', b'VALUE /a x 1\r\nx\r\nEND\r\n', b'VALUE /a 0 -1\r\n', b'\r\n', b'x' * 5000,
    b'VALUE /a 0 99999999999999999999\r\n', b'!', b'VALUE /a 0 5!', b'END\n!'])
def test_no_answer_is_502(weir, answer):
    with Memcached(lambda key: answer) as app:
        assert behind(weir, app, more='memcached_read_timeout 2s;').get('/a').status == 502


@pytest.mark.parametrize('answer', [
    b'VALUE /a 0 5\r\nhel!', b'VALUE /a 0 500\r\nhello\r\nEND\r\n!'])
def test_what_breaks_off_does_not_look_whole(weir, answer):
    with Memcached(lambda key: answer) as app:
        s = behind(weir, app)
        with s.connect() as c:
            c.send('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
            head, _, body = c.rest().partition(b'\r\n\r\n')
            assert b'Content-Length: 5' in head and len(body) < int(head.split(b'Length: ')[1][:3])


def test_a_wrong_end_is_not_kept(weir):
    with Memcached(lambda key: b'VALUE /a 0 5\r\nhelloXXEND\r\n') as app:
        s = behind(weir, app)
        for _ in range(3):
            with s.connect() as c:
                c.send('GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
                assert c.rest().startswith(b'HTTP/1.1 200')
        assert app.connections == 3


def test_next_upstream(weir):
    with Memcached(lambda key: b'END\r\n') as one, Memcached(value(b'two')) as two, \
            Memcached(lambda key: b'ERROR\r\n') as three:
        s = behind(weir, one, two, three,
                   more='memcached_next_upstream not_found invalid_response error timeout;')
        assert {s.get('/a').text for _ in range(6)} == {'two'}
        assert one.keys


def test_a_real_one(weir):
    port = free_port()
    with running(['memcached', '-u', 'nobody', '-l', '127.0.0.1', '-p', str(port)],
                 ('127.0.0.1', port)):
        with socket.create_connection(('127.0.0.1', port)) as k:
            page = b'<p>page</p>' * 10_000
            k.sendall(b'set /page.html 0 0 %d\r\n%s\r\n' % (len(page), page))
            assert k.recv(100) == b'STORED\r\n'
        s = weir(f'''location / {{ set $memcached_key $uri; memcached_pass 127.0.0.1:{port};
                                  error_page 404 = @app; }}
                     location @app {{ return 200 "made"; }}''')
        with s.connect() as c:
            for _ in range(5):
                assert c.ask('/page.html').body == page
                assert c.ask('/other').text == 'made'
            assert c.ask('/' + 'x' * 300).status == 502
