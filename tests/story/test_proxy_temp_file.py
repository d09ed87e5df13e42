"""proxy_max_temp_file_size and its kin: answers whose clients are slow wait in files."""
import hashlib
import os
import random
import tempfile
import threading
import time

import pytest
from upstreams import Upstream, reply

SIZE = 24_000_000   # more than the kernel's buffers hold between a server and a client
BODY = random.Random(1).randbytes(SIZE)
DIGEST = hashlib.sha256(BODY).hexdigest()
TO = 'location / {{ proxy_pass http://{0.at}; proxy_buffers 4 8k; {1} }}'


class Large:
    """Sends the body in the framing asked for; `done` when the last of it was taken."""

    def __init__(self):
        self.done, self.sent = threading.Event(), 0
        self.up = Upstream(self.script)

    def script(self, peer, asked):
        if 'chunked' in asked.target:
            peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
            for i in range(0, SIZE, 50_000):
                piece = BODY[i:i + 50_000]
                peer.send(b'%x\r\n%s\r\n' % (len(piece), piece))
            peer.send('0\r\n\r\n')
        elif 'close' in asked.target:
            peer.send('HTTP/1.1 200 OK\r\n\r\n')
            peer.send(BODY)
        elif 'broken' in asked.target:
            peer.send(f'HTTP/1.1 200 OK\r\nContent-Length: {SIZE + 1}\r\n\r\n')
            peer.send(BODY)
        else:
            peer.send(reply(BODY))
        self.done.set()
        return not ('close' in asked.target or 'broken' in asked.target)


@pytest.fixture
def large():
    made = Large()
    with made.up:
        yield made


def ask(s, large, path='/'):
    large.done.clear()
    c = s.connect(timeout=30)
    c.send(f'GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n')
    return c


def held(s):
    """Names of deleted files that the worker has open."""
    found = []
    for fd in os.listdir(f'/proc/{s.worker()}/fd'):
        try:
            name = os.readlink(f'/proc/{s.worker()}/fd/{fd}')
        except OSError:
            continue
        if 'proxy_temp' in name or '/temp/' in name or '(deleted)' in name and '/#' in name:
            found.append(name)
    return found


@pytest.mark.parametrize('how', ['length', 'chunked', 'close'])
def test_a_slow_client_does_not_hold_the_server(weir, large, how):
    s = weir(TO.format(large.up, ''))
    c = ask(s, large, f'/{how}')
    assert large.done.wait(20), s.log()     # it has given all of it away, and the client took none
    assert len(held(s)) == 1
    a = c.answer()
    assert hashlib.sha256(a.body).hexdigest() == DIGEST
    if how != 'close':
        assert c.ask('/again').status == 200
        assert large.up.connections == 1    # which was free long before its answer had gone
    c.close()
    for _ in range(100):
        if not held(s):
            break
        time.sleep(0.05)
    assert held(s) == [] and list((s.dir / 'proxy_temp').iterdir()) == []


def test_a_client_that_is_slow_now_and_then(weir, large):
    s = weir(TO.format(large.up, ''))
    c = ask(s, large)
    got = hashlib.sha256()
    c.sock.settimeout(30)
    head = b''
    while b'\r\n\r\n' not in head:
        head += c.sock.recv(100)
    rest = head.split(b'\r\n\r\n', 1)[1]
    got.update(rest)
    size, n = len(rest), 0
    while size < SIZE:
        piece = c.sock.recv(1 << 20)
        assert piece
        got.update(piece)
        size, n = size + len(piece), n + 1
        if n % 20 == 0:
            time.sleep(0.05)
    assert got.hexdigest() == DIGEST and size == SIZE
    c.close()


def test_what_was_cut_off_is_cut_off(weir, large):
    s = weir(TO.format(large.up, ''))
    c = ask(s, large, '/broken')
    assert large.done.wait(20)
    data = b''.join(iter(lambda: c.sock.recv(1 << 20), b''))
    assert data.split(b'\r\n\r\n', 1)[1] == BODY
    assert 'upstream prematurely closed connection' in s.log()


def test_the_file_has_a_maximum(weir, large):
    s = weir(TO.format(large.up, 'proxy_max_temp_file_size 1m; proxy_temp_file_write_size 64k;'))
    c = ask(s, large)
    assert not large.done.wait(1.5)
    a = c.answer()
    assert hashlib.sha256(a.body).hexdigest() == DIGEST
    c.close()


def test_a_client_that_leaves_leaves_no_file(weir, large):
    s = weir(TO.format(large.up, 'proxy_temp_path temp 1 2;'))
    for _ in range(3):
        c = ask(s, large)
        assert large.done.wait(20)
        assert held(s)
        c.close()
        for _ in range(100):
            if not held(s):
                break
            time.sleep(0.05)
        assert held(s) == []
    assert s.get('/file.txt').status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_a_full_disk_makes_the_server_wait(weir, large):
    small = tempfile.mkdtemp(prefix='weir-small-')
    os.chmod(small, 0o755)
    if os.system(f'mount -t tmpfs -o size=256k tmpfs {small} 2>/dev/null') != 0:
        pytest.skip('nothing can be mounted here')
    try:
        s = weir(TO.format(large.up, f'proxy_temp_path {small}/temp;'))
        c = ask(s, large)
        assert not large.done.wait(1.5)
        a = c.answer()
        assert hashlib.sha256(a.body).hexdigest() == DIGEST
        assert s.log().count('an answer cannot be written') == 1
        assert 'No space left' in s.log()
        c.close()
        s.stop()
    finally:
        os.system(f'umount -l {small}')
        os.rmdir(small)


def test_mistakes(weir):
    for text, says in [('proxy_temp_path "";', 'the path is empty'),
                       ('proxy_temp_path t 4;', 'is not a level of directories')]:
        s = weir('location / { %s }' % text, start=False)
        ran = s.command('-t')
        assert ran.returncode != 0 and says in ran.stderr, ran.stderr
