"""Servers that die, freeze, are slow, lie and come and go, while clients ask: each client gets the
status that it should, nobody hangs, and no descriptor is left behind."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from asking import Asking
from conftest import BINARY, free_port
from upstreams import Upstream, reply

TIMES = ('proxy_connect_timeout 1s; proxy_read_timeout 1s; proxy_send_timeout 1s;'
         'proxy_next_upstream_timeout 4s;')
MOST = 1 + 4 + 3     # seconds: one limit more than the four may begin; the rest is a busy machine


class Backend:
    """`weir respond` as a process group of its own, which can be killed and frozen."""

    def __init__(self, *words):
        self.port, self.words, self.process = free_port(), words, None
        self.at = f'127.0.0.1:{self.port}'
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, 'respond', str(self.port), '--engine', 'epoll', *self.words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError), \
                    socket.create_connection(('127.0.0.1', self.port), timeout=1):
                return
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.01)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def kill(self):
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
        self.process = None


@pytest.fixture
def backends():
    made = []

    def make(*all_words):
        made.extend(Backend(*words) for words in all_words)
        return made
    yield make
    for b in made:
        b.kill()


def descriptors(s):
    return len(os.listdir(f'/proc/{s.worker()}/fd'))


def group(weir, servers, location='', more='', options='max_fails=1 fail_timeout=1s'):
    lines = ' '.join(f'server {u.at} {options};' for u in servers)
    return weir(f'{TIMES} location / {{ proxy_pass http://g; {location} }} '
                'location = /well { return 200 well; }',
                http=f'upstream g {{ zone g 64k; keepalive_timeout 300ms; {more} {lines} }}')


@contextlib.contextmanager
def books(s):
    """What is open before is open after, and no more; idle connections end soon."""
    assert s.get('/well').text == 'well'
    time.sleep(0.1)
    before = descriptors(s)
    yield
    end = time.monotonic() + 15
    while descriptors(s) > before:
        assert time.monotonic() < end, \
            (before, [os.readlink(f.path) for f in os.scandir(f'/proc/{s.worker()}/fd')])
        time.sleep(0.1)
    assert s.get('/well').text == 'well'


def only(clients, *statuses):
    assert set(clients.counts) <= set(statuses), clients.counts
    assert clients.total > 20 and clients.slowest < MOST, (clients.counts, clients.slowest)


def test_killed(weir, backends):
    """One of three is killed: every request is answered by another one."""
    a, b, c = backends(*[['--size', '10k']] * 3)
    s = group(weir, [a, b, c])
    with books(s):
        with Asking(s, threads=6, rest=0.001) as clients:
            time.sleep(0.4)
            b.kill()
            time.sleep(0.8)
        # an answer that had begun breaks off
        assert clients.counts['broken'] <= 6
        only(clients, 200, 'broken')


def test_all_killed(weir, backends):
    a, b = backends(['--body', 'x'], ['--body', 'x'])
    s = group(weir, [a, b])
    with books(s):
        with Asking(s, threads=6, rest=0.005) as clients:
            time.sleep(0.3)
            a.kill()
            b.kill()
            time.sleep(0.7)
        only(clients, 200, 502)
        assert clients.counts[502] > 0 and clients.counts[200] > 0
        a.start()
        b.start()
        end = time.monotonic() + 10
        while s.get('/').status != 200:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_frozen(weir, backends):
    """One of two does nothing any more (SIGSTOP): who met it waits for its time limit, and is
    answered by the other one."""
    a, b = backends(['--body', 'x'], ['--body', 'x'])
    s = group(weir, [a, b], options='max_fails=1 fail_timeout=10s')
    with books(s):
        with Asking(s, threads=6, timeout=MOST, rest=0.005) as clients:
            time.sleep(0.3)
            b.signal(signal.SIGSTOP)
            time.sleep(2.5)
            b.signal(signal.SIGCONT)
        only(clients, 200)
        assert 0.9 < clients.slowest


def test_all_frozen(weir, backends):
    a, = backends(['--body', 'x'])
    s = group(weir, [a], options='max_fails=0')
    with books(s):
        with Asking(s, threads=6, timeout=MOST, rest=0.02) as clients:
            time.sleep(0.5)
            a.signal(signal.SIGSTOP)
            time.sleep(2.2)
            a.signal(signal.SIGCONT)
            time.sleep(0.3)
        only(clients, 200, 504)
        assert clients.counts[504] >= 6 and clients.counts[200] > 20


def test_slow(weir, backends):
    """Slower than they may be: 504; as slow as they may be: 200, and others are not held up."""
    a, b = backends(['--delay', '1500ms'], ['--delay', '300ms'])
    s = weir(f'{TIMES} location /late {{ proxy_pass http://late; }} '
             'location / { proxy_pass http://fine; } location = /well { return 200 well; }',
             http=f'upstream late {{ server {a.at} max_fails=0; }} '
                  f'upstream fine {{ server {b.at}; keepalive_timeout 300ms; }}')
    with books(s):
        with Asking(s, threads=8, ask=lambda c, n: c.ask('/late')) as late, \
                Asking(s, threads=8) as fine, \
                Asking(s, threads=2, ask=lambda c, n: c.ask('/well'), rest=0.01) as well:
            time.sleep(3)
        assert set(late.counts) == {504} and late.slowest < MOST, late.counts
        only(fine, 200)
        only(well, 200)
        assert well.slowest < 1


def lies(peer, asked):
    """Each answer is wrong in one of a few ways, and every fourth is right."""
    how = int(asked.target[1:]) % 8
    if how % 2 == 0:
        peer.send(reply('hello'))
        return True
    peer.send({1: b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
               3: b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
               5: b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n!\r\n',
               7: reply('hello') + b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'}[how])
    return False


def test_lying(weir):
    wrong = []

    def ask(c, number):
        answer = c.ask(f'/{number}')
        expected = {3: 502}.get(number % 8, 200)
        if answer.status != expected or (expected == 200 and answer.text != 'hello') or \
                number % 8 in (1, 5):
            wrong.append((number, answer.raw, answer.body))
        return answer

    with Upstream(lies) as a, Upstream(lies) as b:
        s = group(weir, [a, b], options='max_fails=0')
        with books(s):
            with Asking(s, threads=6, ask=ask, rest=0.001) as clients:
                time.sleep(2)
            assert not wrong, wrong[:3]
            only(clients, 200, 502, 'broken')


def test_flapping(weir, backends):
    """One of two comes and goes: nobody notices."""
    a, b = backends(['--body', 'x'], ['--body', 'x'])
    s = group(weir, [a, b], options='max_fails=1 fail_timeout=100ms')
    with books(s):
        with Asking(s, threads=6, rest=0.002) as clients:
            for _ in range(6):
                time.sleep(0.2)
                b.kill()
                time.sleep(0.2)
                b.start()
        only(clients, 200)


def test_failing_at_random(weir, backends):
    """Back ends that fail and drop connections: GET is answered by the next one."""
    a, b, c = backends(*[['--body', 'x', '--fail', '10%', '--reset', '5%']] * 3)
    s = group(weir, [a, b, c], location='proxy_next_upstream error timeout http_500;',
              options='max_fails=0')
    with books(s):
        with Asking(s, threads=6, rest=0.001) as clients:
            time.sleep(2)
        only(clients, 200, 500, 502)
        assert clients.counts[200] > 0.9 * clients.total, clients.counts


def test_uploads_meet_a_frozen_server(weir, backends):
    """Bodies on their way to a server that takes no more: a time limit, and a status."""
    a, = backends(['--body', 'x'])
    s = weir(f'{TIMES} client_max_body_size 0; location / {{ proxy_pass http://{a.at}; }} '
             f'location /now {{ proxy_pass http://{a.at}; proxy_request_buffering off; }} '
             'location = /well { return 200 well; }')
    body = b'x' * 3_000_000
    with books(s):
        a.signal(signal.SIGSTOP)
        for path in ('/', '/now'):
            with Asking(s, threads=3, timeout=MOST,
                        ask=lambda c, n: c.ask(path, method='POST', body=body)) as clients:
                time.sleep(1.5)
            assert set(clients.counts) <= {504, 502, 'broken'}, clients.counts
            assert clients.slowest < MOST
        a.signal(signal.SIGCONT)
    assert re.search('timed out', s.log())
