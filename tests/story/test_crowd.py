"""Crowds: exactly ten thousand answers, nine thousand idle connections, and all is given back."""
import contextlib
import os
import re
import resource
import subprocess
import time

import pytest

from conftest import THREADS_MAX

REQUEST = b'GET /file.txt HTTP/1.1\r\nHost: a.test\r\n\r\n'


@pytest.fixture
def descriptors():
    """Enough of them for the clients, and for the server that is started with them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000 if hard < 0 else min(20000, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(s):
    return len(os.listdir(f'/proc/{s.worker()}/fd'))


def until(true, seconds=10, what='it'):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f'{what} did not happen'
        time.sleep(0.05)


def test_exactly_ten_thousand(weir):
    """Pipelined on twenty connections: as many answers as requests, in the log too."""
    s = weir('keepalive_requests 600; access_log access.log combined buffer=64k;')
    clients = [s.connect(timeout=20) for _ in range(20)]
    for _ in range(10):
        for c in clients:
            c.send(REQUEST * 50)
        for c in clients:
            for _ in range(50):
                a = c.answer()
                assert (a.status, a.body) == (200, b'0123456789')
    for c in clients:
        assert c.buffer == b''
        c.close()
    s.stop()
    assert len(re.findall('"GET /file.txt HTTP/1.1" 200 10 ',
                          (s.dir / 'access.log').read_text())) == 10000


def test_wrk_finds_no_fault(weir):
    s = weir()
    for args in ((), ('-H', 'Connection: close')):
        out = subprocess.run(['wrk', '-t1', '-c32', '-d2s', *args,
                              f'http://127.0.0.1:{s.port}/file.txt'], capture_output=True,
                             text=True, timeout=30).stdout
        assert 'Socket errors' not in out and 'Non-2xx' not in out, out
        assert int(re.search(r'(\d+) requests in', out)[1]) > 0


def test_nine_hundred_at_once(weir, descriptors):
    s = weir(connections=1010, main='worker_rlimit_nofile 4096;')   # room: a tenth is spare
    assert s.get('/file.txt').status == 200
    before = open_files(s)
    with contextlib.ExitStack() as keep:
        clients = [keep.enter_context(s.connect(timeout=20)) for _ in range(900)]
        for _ in range(2):
            for c in clients:
                c.send(REQUEST)
            for c in clients:
                assert c.answer().body == b'0123456789'
        assert open_files(s) >= 900
    until(lambda: open_files(s) <= before, what='the close of all of them')
    assert s.get('/file.txt').status == 200


def test_nine_thousand_idle_ones(weir, engine, descriptors):
    """select() knows no descriptor above 1023: it serves the first ones, and keeps serving them."""
    s = weir('keepalive_timeout 600s; client_header_timeout 600s;', connections=10500,
             main='worker_rlimit_nofile 12000;')
    many = THREADS_MAX if engine == 'threads' else 9000
    assert s.get('/file.txt').status == 200
    time.sleep(0.2)
    before = open_files(s)
    with contextlib.ExitStack() as keep:
        first = [keep.enter_context(s.connect(timeout=20)) for _ in range(900)]
        for c in first:
            assert c.ask('/file.txt').body == b'0123456789'
        if engine == 'select':
            first = [busy(c) for c in first]
        others = []
        for _ in range(many - 900):
            try:
                others.append(keep.enter_context(s.connect(timeout=20)))
            except OSError:
                break
        if engine == 'select':
            time.sleep(0.5)
            assert open_files(s) < 1100, 'more than select can watch'
            for c in first:
                assert c.send('\r\n').answer().body == b'0123456789'
        else:
            assert len(others) == many - 900
            until(lambda: open_files(s) >= many, 30, 'all of them')
            for c in [*first, *others[::90]]:
                assert c.ask('/file.txt').body == b'0123456789'
    until(lambda: open_files(s) <= before, 30, 'the close of all of them')
    assert s.get('/file.txt').status == 200


def busy(c):
    """In the middle of its second request, so that nobody closes it to make room."""
    c.send(REQUEST + REQUEST[:-2])
    assert c.answer().body == b'0123456789'
    return c
