"""proxy_store: answers that become files."""
import os
import time

import pytest
from upstreams import Upstream, reply

MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT'


@pytest.fixture
def up():
    with Upstream(lambda peer, asked: peer.send(
            reply(f'of {asked.target}', fields=[f'Last-Modified: {MODIFIED}']))) as u:
        yield u


def server(weir, up, store, more=''):
    s = weir(f'location / {{ root store; proxy_pass http://{up.at}; {store} {more} }}', start=False)
    (s.dir / 'store').mkdir()
    (s.dir / 'store').chmod(0o777)
    return s.start()


def there(path):
    for _ in range(100):
        if path.exists():
            return path.read_text()
        time.sleep(0.03)
    return None


@pytest.mark.parametrize('store', ['proxy_store on;', 'proxy_store {dir}/store$uri;'])
def test_an_answer_becomes_a_file(weir, up, store):
    s = weir(f'location / {{ root store; proxy_pass http://{up.at}; STORE }}', start=False)
    s.conf.write_text(s.conf.read_text().replace('STORE', store.format(dir=s.dir)))
    (s.dir / 'store').mkdir()
    (s.dir / 'store').chmod(0o777)
    s.start()
    assert s.get('/a/b/c.txt').text == 'of /a/b/c.txt'
    path = s.dir / 'store/a/b/c.txt'
    assert there(path) == 'of /a/b/c.txt'
    found = path.stat()
    assert found.st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert int(found.st_mtime) == 784111777
    assert [p.name for p in path.parent.iterdir()] == ['c.txt']
    assert s.get('/a/b/c.txt').status == 200 and len(up.asked) == 2     # and saved again


def test_it_is_served_where_it_is(weir, up):
    s = weir(f'''location / {{ root store; error_page 404 = @fetch; log_not_found off; }}
                 location @fetch {{ root store; proxy_pass http://{up.at}; proxy_store on;
                                    proxy_store_access user:rw group:r all:r; }}''', start=False)
    (s.dir / 'store').mkdir()
    (s.dir / 'store').chmod(0o777)
    s.start()
    assert s.get('/x.txt').text == 'of /x.txt'
    assert there(s.dir / 'store/x.txt') == 'of /x.txt'
    assert (s.dir / 'store/x.txt').stat().st_mode & 0o777 == 0o644
    for _ in range(3):
        a = s.get('/x.txt')
        assert (a.text, a['Last-Modified']) == ('of /x.txt', MODIFIED)
    assert len(up.asked) == 1


def test_what_is_not_saved(weir, up):
    def script(peer, asked):
        if asked.target == '/404':
            peer.send(reply('gone', '404 Not Found'))
            return True
        if asked.target == '/short':
            peer.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello')
            return False
        peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
                  + ('' if asked.method == 'HEAD' else 'hello'))

    up.script = script
    s = server(weir, up, 'proxy_store on;')
    assert s.get('/404').status == 404
    with s.connect() as c:
        c.send('GET /short HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert b'hello' in b''.join(iter(lambda: c.sock.recv(4096), b''))
    assert s.get('/head', method='HEAD').status == 200
    assert s.get('/dir/').status == 200
    time.sleep(0.2)
    assert list((s.dir / 'store').rglob('*')) == []
    assert s.get('/whole').text == 'hello'
    assert there(s.dir / 'store/whole') == 'hello'


def test_names_that_lead_upwards(weir, up):
    s = server(weir, up, 'proxy_store $document_root$arg_p;')
    assert s.get('/x?p=/../up.txt').status == 200
    assert s.get('/x?p=/..').status == 200
    time.sleep(0.2)
    assert not (s.dir / 'up.txt').exists()
    assert s.get('/x?p=/in.txt').status == 200
    assert there(s.dir / 'store/in.txt') is not None


def test_a_directory_that_cannot_be_written(weir, up):
    s = server(weir, up, 'proxy_store /proc/none/file;')
    assert s.get('/x').text == 'of /x'
    s.wait_log('an answer cannot be saved as "/proc/none/file"')


def test_a_client_that_leaves(weir, up):
    body = os.urandom(1_000_000)

    def script(peer, asked):
        peer.send(f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n')
        peer.send(body[:100_000])
        time.sleep(0.3)
        peer.send(body[100_000:])

    up.script = script
    s = server(weir, up, 'proxy_store on;')
    with s.connect() as c:
        c.send('GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.fill()
    for _ in range(100):
        if (s.dir / 'store/x').exists():
            break
        time.sleep(0.03)
    assert (s.dir / 'store/x').read_bytes() == body
