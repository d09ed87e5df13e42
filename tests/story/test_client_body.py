"""Request bodies that are read: memory and files, limits, slow and vanishing clients. A PUT shows
what arrived."""
import os
import socket
import struct
import tempfile
import time

import pytest

DAV = 'dav_methods PUT DELETE MKCOL COPY MOVE; create_full_put_path on; ' \
      'client_body_buffer_size 8k; '
PUT = 'PUT /%s HTTP/1.1\r\nHost: a.test\r\n%s\r\n'


def server(weir, more='', **kw):
    s = weir(DAV + more, **kw)
    os.chmod(s.dir, 0o777)
    os.chmod(s.dir / 'html', 0o777)
    return s


def chunks(data, size):
    parts = [data[i:i + size] for i in range(0, len(data), size)]
    return b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in parts) + b'0\r\n\r\n'


def leftovers(s):
    """Deleted files that the worker still has open, and named ones in the temporary directory."""
    found = []
    for fd in os.listdir(f'/proc/{s.worker()}/fd'):
        try:
            found.append(os.readlink(f'/proc/{s.worker()}/fd/{fd}'))
        except OSError:
            continue
    found = [f for f in found if 'client_body_temp' in f]
    return found + [f for _, _, names in os.walk(s.dir / 'client_body_temp') for f in names]


def nothing_left(s, seconds=3):
    end = time.time() + seconds
    while leftovers(s) and time.time() < end:
        time.sleep(0.02)
    return not leftovers(s)


@pytest.mark.parametrize('chunked', [False, True])
def test_sizes(weir, chunked):
    s = server(weir)
    with s.connect() as c:
        for size in (0, 1, 8191, 8192, 8193, 16384, 100000, 1 << 20):
            data = os.urandom(size)
            if chunked:
                c.send(PUT % (size, 'Transfer-Encoding: chunked\r\n'))
                c.send(chunks(data, 5000))
            else:
                c.send(PUT % (size, f'Content-Length: {size}\r\n'))
                c.send(data)
            a = c.answer()
            assert a.status == 201, (size, s.log())
            assert (s.dir / 'html' / str(size)).read_bytes() == data
    assert nothing_left(s)


def test_slow_senders_and_a_pipelined_request_behind(weir):
    s = server(weir)
    with s.connect() as c:
        text = (PUT % ('slow', 'Content-Length: 12\r\n')).encode() + b'hello, world'
        for i in range(0, len(text) - 1, 7):
            c.send(text[i:i + 7][:len(text) - 1 - i])
            time.sleep(0.01)
        c.send(text[-1:] + b'GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert c.answer().status == 201
        assert c.answer().body == b'hello, world'


def test_expect(weir):
    s = server(weir)
    with s.connect() as c:
        c.send(PUT % ('e', 'Content-Length: 3\r\nExpect: 100-continue\r\n'))
        assert c.answer().status == 100
        assert c.send('abc').answer().status == 201
        c.send(PUT % ('e/', 'Content-Length: 3\r\nExpect: 100-continue\r\n'))
        assert c.answer().status == 409     # nobody asked for that body
    assert (s.dir / 'html' / 'e').read_bytes() == b'abc'


@pytest.mark.parametrize('head,body', [
    ('Content-Length: 2000000\r\n', b''),
    ('Transfer-Encoding: chunked\r\n', chunks(bytes(2000000), 30000)),
    ('Transfer-Encoding: chunked\r\n', b'1e8480\r\n'),
], ids=['length', 'chunks', 'announced'])
def test_too_large(weir, head, body):
    s = server(weir, 'client_max_body_size 1000k;')
    with s.connect() as c:
        try:
            c.send(PUT % ('big', head))
            c.send(body)
        except OSError:
            pass
        assert c.answer().status == 413
    assert not (s.dir / 'html' / 'big').exists() and nothing_left(s)


def test_broken_chunk(weir):
    s = server(weir)
    with s.connect() as c:
        c.send(PUT % ('bad', 'Transfer-Encoding: chunked\r\n'))
        assert c.send('3\r\nabcX').answer().status == 400
        assert c.closed()
    assert not (s.dir / 'html' / 'bad').exists()


def test_late(weir):
    s = server(weir, 'client_body_timeout 300ms;')
    with s.connect() as c:
        c.send(PUT % ('late', 'Content-Length: 5\r\n') + 'ab')
        assert c.answer().status == 408 and c.closed()


@pytest.mark.parametrize('reset', [False, True])
def test_a_client_that_goes_away(weir, reset):
    s = server(weir)
    for _ in range(5):
        with s.connect() as c:
            c.send(PUT % ('gone', 'Content-Length: 1000000\r\n'))
            c.send(bytes(300000))
            time.sleep(0.05)
            if reset:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    assert nothing_left(s) and not (s.dir / 'html' / 'gone').exists()
    assert s.get('/file.txt').status == 200


def test_a_directory_that_cannot_be_written(weir):
    s = server(weir)
    if os.geteuid() == 0:
        os.chown(s.dir / 'client_body_temp', 0, 0)
    os.chmod(s.dir / 'client_body_temp', 0o500)
    with s.connect() as c:
        c.send(PUT % ('none', 'Content-Length: 100000\r\n'))
        c.send(bytes(100000))
        assert c.answer().status == 500
    assert 'a request body cannot be written' in s.log()
    assert s.get('/file.txt').status == 200


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists('/dev/full'), reason='needs root')
def test_a_full_disk(weir):
    small = tempfile.mkdtemp(prefix='weir-small-')
    os.chmod(small, 0o755)
    if os.system(f'mount -t tmpfs -o size=64k tmpfs {small} 2>/dev/null') != 0:
        pytest.skip('nothing can be mounted here')
    try:
        s = server(weir, f'client_body_temp_path {small}/body;')
        for _ in range(3):
            with s.connect() as c:
                c.send(PUT % ('full', 'Content-Length: 500000\r\n'))
                try:
                    c.send(bytes(500000))
                except OSError:
                    pass
                assert c.answer().status == 500
        assert 'No space left' in s.log()
        assert s.get('/file.txt').status == 200
        s.stop()
    finally:
        os.system(f'umount -l {small}')
        os.rmdir(small)


@pytest.mark.parametrize('mode,stays', [('on', True), ('clean', False)])
def test_in_file_only(weir, mode, stays):
    s = server(weir, f'client_body_in_file_only {mode}; client_body_temp_path bodies 1 2; '
                     'access_log a.log f;',
               http='log_format f "$request_body_file|$request_body|";')
    with s.connect() as c:
        assert c.send(PUT % ('n', 'Content-Length: 3\r\n') + 'abc').answer().status == 201
    path, body = s.file('a.log', contains='|').split('|')[:2]
    number = path.split('/')[-1]
    assert path == f'{s.dir}/bodies/{number[-1]}/{number[-3:-1]}/{number}' and body in ('', '-')
    end = time.time() + 3
    while os.path.exists(path) != stays and time.time() < end:
        time.sleep(0.02)
    assert os.path.exists(path) == stays


def test_variables(weir):
    s = server(weir, 'access_log a.log f;',
               http='log_format f "$content_length|$request_body|$request_length|";')
    with s.connect() as c:
        head = PUT % ('v', 'Transfer-Encoding: chunked\r\n')
        assert c.send(head + '3\r\nabc\r\n0\r\n\r\n').answer().status == 201
    assert s.file('a.log', contains='|') == f'3|abc|{len(head) + 13}|\n'


def test_two_readers(weir):
    s = server(weir)
    one, two = os.urandom(200000), os.urandom(200000)
    with s.connect() as a, s.connect() as b:
        a.send(PUT % ('one', 'Content-Length: 200000\r\n'))
        b.send(PUT % ('two', 'Content-Length: 200000\r\n'))
        for i in range(0, 200000, 20000):
            a.send(one[i:i + 20000])
            b.send(two[i:i + 20000])
        assert a.answer().status == 201 and b.answer().status == 201
    assert (s.dir / 'html' / 'one').read_bytes() == one
    assert (s.dir / 'html' / 'two').read_bytes() == two
