"""When something is missing: descriptors, disk space, a willing client, io_uring."""
import contextlib
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import BINARY, Client

one_engine = pytest.mark.one_engine
TICK = os.sysconf('SC_CLK_TCK')


def until(true, seconds=5, what='it'):
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, f'{what} did not happen'
        time.sleep(0.02)
    return value


def cpu(pid):
    """Seconds of processor time."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_during(s, seconds):
    """Of master and worker together, while nothing is asked."""
    pids = [s.process.pid, s.worker()]
    before = sum(map(cpu, pids))
    time.sleep(seconds)
    return sum(map(cpu, pids)) - before


def lines_with(s, text):
    return [x for x in s.log().splitlines() if text in x]


REQUEST = b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'


def busy(s, keep):
    """A client in the middle of its second request: one that the server may not send away."""
    c = keep.enter_context(s.connect(timeout=5))
    c.send(REQUEST + REQUEST[:-2])
    assert c.answer().body == b'0123456789'
    return c


def waiting(s, keep):
    """A client that the kernel has accepted; the server need not have."""
    return keep.enter_context(s.connect(timeout=5)).send(REQUEST[:-2])


# ---- descriptors ------------------------------------------------------------------------------

def test_two_hundred_clients_and_64_descriptors(weir):
    """Who does not fit waits; the server sleeps meanwhile, and those it has are served."""
    s = weir('location / { return 200 0123456789; }', main='worker_rlimit_nofile 64;',
             connections=500)
    with contextlib.ExitStack() as keep:
        held = [busy(s, keep) for _ in range(25)]
        for _ in range(175):
            waiting(s, keep)
        s.wait_log('accept')
        assert cpu_during(s, 1) < 0.3
        assert len(lines_with(s, 'Too many open files')) <= 4       # about one a second
        for c in held:
            assert c.send('\r\n').answer().body == b'0123456789'
    start = time.monotonic()
    for _ in range(3):
        assert s.get('/').body == b'0123456789'
    assert time.monotonic() - start < 3


def test_idle_clients_make_room_for_new_ones(weir):
    s = weir('keepalive_timeout 600s;', main='worker_rlimit_nofile 64;', connections=500)
    with contextlib.ExitStack() as keep:
        for _ in range(200):
            c = keep.enter_context(s.connect(timeout=10))
            assert c.ask('/file.txt').body == b'0123456789'
    assert s.get('/file.txt').status == 200


def test_more_clients_than_worker_connections(weir):
    s = weir('location / { return 200 0123456789; }', connections=32)
    with contextlib.ExitStack() as keep:
        held = []
        with contextlib.suppress(OSError, EOFError):
            while len(held) < 40:
                held.append(busy(s, keep))
        assert 30 <= len(held) <= 32
        s.wait_log('worker_connections are not enough')
        for _ in range(30):
            with contextlib.suppress(OSError):
                waiting(s, keep)
        assert cpu_during(s, 0.5) < 0.15
        assert len(lines_with(s, 'worker_connections are not enough')) <= 3
        for c in held:
            assert c.send('\r\n').answer().body == b'0123456789'
    until(lambda: served(s), what='an answer')


def served(s):
    try:
        return s.get('/file.txt').status == 200
    except (OSError, EOFError):
        return False


def test_more_files_than_descriptors(weir):
    s = weir(main='worker_rlimit_nofile 64;', connections=500,
             files={f'html/f{i}': str(i) for i in range(200)})
    with s.connect() as c:
        for _ in range(2):
            for i in range(200):
                a = c.ask(f'/f{i}')
                assert (a.status, a.text) == (200, str(i))


def test_files_after_a_time_without_descriptors(weir):
    s = weir(main='worker_rlimit_nofile 64;', connections=500,
             files={f'html/f{i}': str(i) for i in range(100)})
    with contextlib.ExitStack() as keep:
        for _ in range(100):
            waiting(s, keep)
        s.wait_log('accept')
    for i in range(100):
        a = until(lambda: attempt(s, f'/f{i}'), what='an answer')
        assert (a.status, a.text) == (200, str(i))


def attempt(s, path):
    try:
        return s.get(path)
    except (OSError, EOFError):
        return None


# ---- the disk ---------------------------------------------------------------------------------

@pytest.mark.parametrize('how', ['', ' combined buffer=4k flush=100ms'])
def test_access_log_on_a_full_disk(weir, how):
    s = weir(f'access_log /dev/full{how};')
    start = time.monotonic()
    with s.connect() as c:
        for _ in range(500):
            assert c.ask('/file.txt').body == b'0123456789'
    s.wait_log('/dev/full')
    said = lines_with(s, '/dev/full')
    assert 'No space left on device' in said[0]
    assert len(said) <= 2 + (time.monotonic() - start)


@one_engine
def test_error_log_on_a_full_disk(weir):
    s = weir('error_log /dev/full info;')
    with s.connect() as c:
        for _ in range(200):
            assert c.ask('/none').status == 404


@one_engine
def test_a_file_that_cannot_be_read(weir):
    s = weir(files={'html/secret': 'x'})
    os.chmod(s.dir / 'html' / 'secret', 0)
    if os.getuid() != 0:
        return
    assert s.get('/secret').status == 403
    s.wait_log('Permission denied')


def test_the_root_goes_away(weir):
    s = weir()
    with s.connect() as c:
        assert c.ask('/file.txt').status == 200
        (s.dir / 'html').rename(s.dir / 'gone')
        until(lambda: c.ask('/file.txt').status == 404)
        (s.dir / 'gone').rename(s.dir / 'html')
        until(lambda: c.ask('/file.txt').status == 200)


# ---- clients ----------------------------------------------------------------------------------

def drip(c, text, pause, seconds):
    """Sends a byte at a time until the server closes; how long that took."""
    start = time.monotonic()
    for byte in text:
        try:
            c.sock.send(bytes([byte]))
        except (BrokenPipeError, ConnectionResetError):
            break
        if select.select([c.sock], [], [], pause)[0]:
            break
        assert time.monotonic() - start < seconds, 'nobody cuts it off'
    return time.monotonic() - start


def test_a_head_that_drips(weir):
    s = weir('client_header_timeout 2s;')
    with s.connect() as c:
        took = drip(c, b'GET /file.txt HTTP/1.1\r\nHost: a.test\r\nX: ' + b'x' * 100, 0.4, 6)
        assert 1.5 < took < 4
        assert b'200' not in c.rest()
    assert s.get('/file.txt').status == 200


def test_a_body_that_stops(weir):
    s = weir('client_body_timeout 1s; location / { return 200 ok; }')
    with s.connect() as c:
        start = time.monotonic()
        c.send('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nabc')
        said = c.rest()
        assert 0.8 < time.monotonic() - start < 4
        assert b' 200 ' not in said
    assert s.get('/').status == 200


def test_a_body_that_drips(weir):
    """Each byte comes in time, but together they would take half an hour."""
    s = weir('client_body_timeout 5s; location / { return 200 ok; }')
    with s.connect() as c:
        c.send('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2000\r\n\r\n')
        took = drip(c, b'x' * 2000, 1, 20)
        assert 8 < took < 16
        assert b' 200 ' not in c.rest()
    assert s.get('/').status == 200


def test_a_client_that_does_not_read(weir):
    s = weir('send_timeout 1s; access_log access.log;',
             files={'html/f': bytes(32 << 20)})
    with s.connect() as c, s.connect() as other:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert other.ask('/file.txt').body == b'0123456789'
        peer = c.sock.getsockname()[1]
        until(lambda: not connected(s, peer), 8, 'the end of the connection')
        assert int(re.search(r'GET /f HTTP/1.1" 200 (\d+)', s.file('access.log'))[1]) < 32 << 20
    assert s.get('/file.txt').status == 200


def connected(s, port):
    """Has the server an open connection from that port?"""
    for line in open('/proc/net/tcp').read().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if int(local.split(':')[1], 16) == s.port and int(remote.split(':')[1], 16) == port:
            return state == '01'
    return False


def test_clients_that_talk_and_do_not_read(weir):
    """What they say meanwhile is kept apart: receiving goes on for everybody else."""
    s = weir(files={'html/f': bytes(10 << 20)}, connections=900)
    talkers = [s.connect() for _ in range(300)]
    for c in talkers:
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
    time.sleep(0.2)
    for _ in range(5):
        for c in talkers:
            c.send('GET /file.txt HTTP/1.1\r\n')
        time.sleep(0.02)
    assert s.get('/file.txt').body == b'0123456789'
    for c in talkers:
        c.close()
    assert s.get('/file.txt').body == b'0123456789'


def test_clients_that_reset(weir):
    s = weir(files={'html/f': bytes(4 << 20)})
    linger = b'\1\0\0\0\0\0\0\0'
    assert s.get('/f', method='HEAD').status == 200         # the file is in the cache
    before = len(os.listdir(f'/proc/{s.worker()}/fd'))
    for _ in range(50):
        for request in (b'', b'GET /f HT', b'GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n',
                        b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc'):
            c = s.connect()
            c.send(request)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            c.close()
    until(lambda: len(os.listdir(f'/proc/{s.worker()}/fd')) <= before + 2, what='the close')
    assert s.get('/file.txt').body == b'0123456789'
    assert not lines_with(s, '[crit]') and not lines_with(s, '[alert]')


# ---- nothing to do ----------------------------------------------------------------------------

def test_an_idle_server_sleeps(weir):
    s = weir('access_log access.log combined buffer=4k flush=1s;')
    with s.connect() as c:
        assert c.ask('/file.txt').status == 200
        time.sleep(1.5)
        assert cpu_during(s, 1) <= 0.02
        assert c.ask('/file.txt').status == 200


# ---- io_uring that cannot be had --------------------------------------------------------------

FORBID = '''
import ctypes, os, struct, sys
# a seccomp program: io_uring_setup, number 425, fails with EPERM; the rest is allowed
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(text))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
'''


@contextlib.contextmanager
def without_io_uring(s, use):
    """The server, started where the kernel refuses io_uring."""
    s.rewrite(re.sub(r'use \w+;', f'use {use};', s.conf.read_text()))
    out = open(s.dir / 'out', 'ab')
    p = subprocess.Popen([sys.executable, '-c', FORBID, BINARY, '-p', f'{s.dir}/', '-c',
                          str(s.conf)], stdout=out, stderr=out)
    try:
        until(lambda: p.poll() is not None or served(s), 15, 'an answer')
        assert p.poll() is None, s.log()
        yield p
    finally:
        if p.poll() is None:
            p.send_signal(signal.SIGQUIT)
        status = p.wait(10)
        out.close()
    assert status == 0, s.log()


def about_the_method(s):
    return [x for x in s.log().splitlines() if 'event method' in x or 'io_uring' in x]


@one_engine
@pytest.mark.parametrize('use,level', [('auto', 'notice'), ('io_uring', 'warn')])
def test_io_uring_is_forbidden(weir, use, level):
    """epoll takes its place, and one line says why."""
    s = weir(start=False)
    with without_io_uring(s, use):
        line, = about_the_method(s)
        assert f'[{level}]' in line and '"epoll"' in line and 'io_uring' in line
        assert 'cannot be had' in line and 'seccomp' in line
        with s.connect() as c:
            for _ in range(10):
                assert c.ask('/file.txt').body == b'0123456789'
        assert s.command('-s', 'reload').returncode == 0
        assert s.get('/file.txt').status == 200
        assert len(about_the_method(s)) == 1


@one_engine
def test_auto_is_told_to_do_without_io_uring(weir):
    s = weir(start=False, env={'WEIR_NO_IO_URING': '1'})
    s.rewrite(re.sub(r'use \w+;', 'use auto;', s.conf.read_text()))
    s.start()
    assert s.get('/file.txt').status == 200
    line, = about_the_method(s)
    assert '"epoll"' in line and 'WEIR_NO_IO_URING' in line


@pytest.mark.parametrize('value', ['', '0'])
@one_engine
def test_auto_takes_io_uring_otherwise(weir, value):
    s = weir(start=False, env={'WEIR_NO_IO_URING': value})
    s.rewrite(re.sub(r'use \w+;', 'use auto;', s.conf.read_text()))
    s.start()
    s.wait_log('event method')
    assert any(x.endswith('using the "io_uring" event method') for x in about_the_method(s))


@one_engine
def test_io_uring_without_locked_memory(weir):
    """A small RLIMIT_MEMLOCK keeps nobody from being served."""
    s = weir(start=False)
    s.rewrite(re.sub(r'use \w+;', 'use auto;', s.conf.read_text()))
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, hard))
    try:
        s.start()
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
    assert s.get('/file.txt').body == b'0123456789'
    assert len(about_the_method(s)) == 1
