"""Processes: crashes, upgrades, missing privileges and missing kernel features."""
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import pytest

from conftest import BINARY, Client


def until(true, seconds=5):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.02)


def test_a_killed_worker_is_replaced(weir):
    s = weir()
    s.get('/file.txt')
    old = s.worker()
    os.kill(old, signal.SIGKILL)
    start = time.monotonic()
    until(lambda: not os.path.exists(f'/proc/{old}/exe'))
    with s.connect(timeout=3) as c:         # the listening socket never goes away
        assert c.ask('/file.txt').body == b'0123456789'
    assert time.monotonic() - start < 1
    assert s.worker() != old
    s.wait_log('exited on signal 9')


def answers(s):
    try:
        with s.connect(timeout=10) as c:
            return c.ask('/file.txt').status == 200
    except (OSError, EOFError):
        return False


def test_a_worker_killed_again_and_again(weir):
    s = weir()
    for _ in range(3):
        old = s.worker()
        os.kill(old, signal.SIGKILL)
        until(lambda: not os.path.exists(f'/proc/{old}/exe'))
        until(lambda: answers(s))   # what the old one had accepted is lost with it


def test_a_killed_master_takes_the_worker_along(weir):
    s = weir()
    worker = s.worker()
    s.expect_status = -signal.SIGKILL
    s.signal(signal.SIGKILL)
    s.process.wait(5)
    until(lambda: not os.path.exists(f'/proc/{worker}/exe'))


def test_upgrade(weir):
    s = weir()
    with s.connect() as c:
        assert c.ask('/file.txt').status == 200
        s.signal(signal.SIGUSR2)
        until((s.dir / 'weir.pid.oldbin').exists)
        until(lambda: (s.dir / 'weir.pid').exists() and (s.dir / 'weir.pid').read_text().strip())
        new = int((s.dir / 'weir.pid').read_text())
        assert new != s.process.pid
        assert c.ask('/file.txt').status == 200
        time.sleep(0.3)
        s.signal(signal.SIGWINCH)
        assert c.closed(5)
    try:
        for _ in range(20):
            assert s.get('/file.txt').status == 200
        s.signal(signal.SIGQUIT)
        assert s.process.wait(10) == 0
        assert s.get('/file.txt').status == 200
        assert int((s.dir / 'weir.pid').read_text()) == new
    finally:
        os.kill(new, signal.SIGQUIT)
        until(lambda: not os.path.exists(f'/proc/{new}/exe'))


def test_upgrade_and_back(weir):
    s = weir()
    s.signal(signal.SIGUSR2)
    until((s.dir / 'weir.pid.oldbin').exists)
    until(lambda: (s.dir / 'weir.pid').exists() and (s.dir / 'weir.pid').read_text().strip())
    new = int((s.dir / 'weir.pid').read_text())
    os.kill(new, signal.SIGQUIT)
    until(lambda: not (s.dir / 'weir.pid.oldbin').exists())
    assert int((s.dir / 'weir.pid').read_text()) == s.process.pid
    assert s.get('/file.txt').status == 200


def test_no_upgrade_under_load_is_refused(weir):
    s = weir()
    wrk = subprocess.Popen(['wrk', '-t1', '-c16', '-d3s', f'http://127.0.0.1:{s.port}/file.txt'],
                           stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    s.signal(signal.SIGUSR2)
    until((s.dir / 'weir.pid.oldbin').exists)
    until(lambda: (s.dir / 'weir.pid').exists() and (s.dir / 'weir.pid').read_text().strip())
    new = int((s.dir / 'weir.pid').read_text())
    time.sleep(0.2)
    out = wrk.communicate(timeout=20)[0]
    s.signal(signal.SIGQUIT)
    assert s.process.wait(10) == 0
    os.kill(new, signal.SIGQUIT)
    until(lambda: not os.path.exists(f'/proc/{new}/exe'))
    assert 'Socket errors' not in out and 'Non-2xx' not in out, out


def test_without_descriptors(weir):
    """With every descriptor in use the server waits, and goes on when one is free again."""
    s = weir(main='worker_rlimit_nofile 60;', connections=500)
    held = []
    try:
        for _ in range(70):
            c = Client(s.address, timeout=0.5)
            held.append(c)
            c.send('GET /file.txt HTTP/1.1\r\n')
        time.sleep(0.2)
        cpu = pathlib.Path(f'/proc/{s.worker()}/stat').read_text().split()[13:15]
        time.sleep(0.5)
        now = pathlib.Path(f'/proc/{s.worker()}/stat').read_text().split()[13:15]
        assert sum(map(int, now)) - sum(map(int, cpu)) < 20      # no busy loop
    finally:
        for c in held:
            c.close()
    with s.connect(timeout=5) as c:
        assert c.ask('/file.txt').body == b'0123456789'


@pytest.mark.one_engine
def test_auto_without_io_uring(weir):
    s = weir(env={'WEIR_NO_IO_URING': '1'}, start=False)
    s.rewrite(s.conf.read_text().replace(f'use {s.engine};', 'use auto;'))
    s.start()
    assert s.get('/file.txt').status == 200
    lines = [x for x in s.log().splitlines() if '"epoll" event method' in x]
    assert len(lines) == 1 and 'WEIR_NO_IO_URING' in lines[0]


FORBID = '''
import ctypes, os, struct, sys
# seccomp: io_uring_setup (425) fails with EPERM, everything else is allowed
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
text = b"".join(struct.pack("HBBI", *c) for c in code)
buffer = ctypes.create_string_buffer(text)
program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
'''


@pytest.mark.one_engine
@pytest.mark.parametrize('use', ['auto', 'io_uring'])
def test_where_io_uring_is_forbidden(weir, use):
    """It says so in one line and serves with epoll."""
    s = weir(start=False)
    s.rewrite(s.conf.read_text().replace(f'use {s.engine};', f'use {use};'))
    p = subprocess.Popen([sys.executable, '-c', FORBID, BINARY, '-p', f'{s.dir}/', '-c',
                          str(s.conf)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(250):
            try:
                assert s.get('/file.txt').status == 200
                break
            except OSError:
                time.sleep(0.02)
        else:
            pytest.fail(s.log())
        lines = [x for x in s.log().splitlines() if 'epoll' in x]
        assert len(lines) == 1, s.log()
    finally:
        if p.poll() is None:
            p.send_signal(signal.SIGQUIT)
        assert p.wait(10) == 0


def test_worker_has_no_privileges(weir):
    s = weir()
    s.wait_log('event method')              # the worker has settled
    status = pathlib.Path(f'/proc/{s.worker()}/status').read_text()
    fields = dict(x.split(':\t', 1) for x in status.splitlines() if ':\t' in x)
    assert fields['NoNewPrivs'] == '1'
    if os.getuid() == 0:
        assert fields['Uid'].split()[0] != '0' and int(fields['CapEff'], 16) == 0


def test_several_loops(weir):
    s = weir(main='', start=False)
    s.rewrite(s.conf.read_text().replace('worker_processes 1;', 'worker_processes 2;'))
    s.start()
    clients = [s.connect() for _ in range(20)]
    for c in clients:
        assert c.ask('/file.txt').body == b'0123456789'
    assert s.command('-s', 'reload').returncode == 0
    for c in clients:
        assert c.ask('/file.txt').body == b'0123456789'
        c.close()


def test_worker_shutdown_timeout(weir):
    s = weir('limit_rate 10k;', main='worker_shutdown_timeout 1s;',
             files={'html/f': bytes(1 << 20)})
    with s.connect() as c:
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        s.signal(signal.SIGQUIT)
        assert s.process.wait(6) == 0
