"""An idle tunnel's request sleeps: its memory goes back, and everything is there when it wakes.

The first bytes from either side wake it, and so does the end of either side; what the access log
says of it at last was said by the client before it slept.
"""
import pathlib
import re
import signal
import time

from conftest import BINARY
from upstreams import Upstream

COUNT = 120
REST_S = 7      # TUNNEL_REST_MS is 5,000
# Sanitizers have memory of their own.
MEASURED = not re.search(rb'lib[at]san\.so', pathlib.Path(BINARY).read_bytes())
HTTP = '''log_format told '$status $uri $http_cookie $upstream_status $body_bytes_sent '
    '$upstream_bytes_sent $upstream_http_x_who';'''
TO = '''location /ws/ {{ proxy_pass http://{}; proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    proxy_read_timeout 60s; access_log told.log told; }}'''


def cookie(n):
    return f'c{n}=' + 'x' * (n * 7 % 500)


class Tunnels:
    def __init__(self, s):
        self.peers, self.clients = {}, []
        for n in range(COUNT):
            c = s.connect(timeout=20)
            c.send(f'GET /ws/{n} HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\n'
                   f'Upgrade: echo\r\nCookie: {cookie(n)}\r\n\r\n')
            head = b''
            while not head.endswith(b'\r\n\r\nhello'):
                head += c.sock.recv(65536)
            assert head.startswith(b'HTTP/1.1 101 '), head
            self.clients.append(c)

    def close(self):
        for c in self.clients:
            c.sock.close()


def take(sock, size):
    got = b''
    while len(got) < size and (piece := sock.recv(size - len(got))):
        got += piece
    return got


def memory(s):
    return int(re.search(r'RssAnon:\s+(\d+)',
                         pathlib.Path(f'/proc/{s.worker()}/status').read_text())[1])


def test_idle_tunnels_sleep_and_wake(weir):
    peers = {}

    def script(peer, asked):
        n = int(asked.line.split()[1].rsplit('/', 1)[1])
        peers[n] = peer.sock
        peer.send(f'HTTP/1.1 101 S\r\nUpgrade: echo\r\nX-Who: w{n}\r\n'
                  'Connection: upgrade\r\n\r\nhello')
        while data := peer.sock.recv(65536):
            peer.send(data)
        return False

    with Upstream() as up:
        up.script = script
        s = weir(TO.format(up.at), http=HTTP)
        t = Tunnels(s)
        awake = memory(s)
        time.sleep(REST_S)
        asleep = memory(s)
        assert not MEASURED or awake - asleep > COUNT * 6, (awake, asleep)     # of 8 KiB each
        for n in range(0, COUNT, 4):                # the client speaks
            data = b'%d ' % n * (1 + n % 9)
            t.clients[n].send(data)
            assert take(t.clients[n].sock, len(data)) == data
        for n in range(1, COUNT, 4):                # the server speaks
            peers[n].sendall(b'from %d' % n)
            assert take(t.clients[n].sock, len(b'from %d' % n)) == b'from %d' % n
        for n in range(2, COUNT, 4):                # the server leaves
            peers[n].shutdown(2)
            assert t.clients[n].sock.recv(10) == b''
        time.sleep(REST_S)                          # asleep again
        more = 10 if s.engine == 'threads' else 5   # stacks of threads that did something
        assert not MEASURED or memory(s) < asleep + COUNT * more
        assert s.command('-s', 'reload').returncode == 0
        t.close()                                   # the client leaves
        log = pathlib.Path(s.dir, 'told.log')
        for _ in range(100):
            if len(log.read_text().splitlines()) == COUNT:
                break
            time.sleep(0.1)
        told = {int(re.match(r'101 /ws/(\d+) ', line)[1]): line
                for line in log.read_text().splitlines()}
    assert len(told) == COUNT
    for n, line in told.items():
        up_bytes = len(b'%d ' % n * (1 + n % 9)) if n % 4 == 0 else 0
        down = 5 + (up_bytes if n % 4 == 0 else len(b'from %d' % n) if n % 4 == 1 else 0)
        assert line.split() == ['101', f'/ws/{n}', cookie(n), '101', str(down), str(up_bytes),
                                f'w{n}'], line


def test_weir_quits_while_tunnels_sleep(weir):
    with Upstream() as up:
        up.script = lambda peer, asked: (
            peer.send('HTTP/1.1 101 S\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello'),
            peer.sock.recv(10), False)[-1]
        s = weir(TO.format(up.at), http=HTTP)
        t = Tunnels(s)
        time.sleep(REST_S)
        s.signal(signal.SIGTERM)                    # at once
        assert all(c.sock.recv(10) == b'' for c in t.clients)
        t.close()
