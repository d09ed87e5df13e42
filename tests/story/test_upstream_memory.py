"""What a worker holds for two sides of which one never reads and the other never ends."""
import contextlib
import re
import socket
import threading
import time

import pytest
from conftest import MEMORY, Client
from upstreams import Upstream

PAIRS = 16
MOST_KB = PAIRS * 512      # for each: buffers of both sides, the request, a thread's stack
POOL_KB = 256 * 65         # io_uring takes its receive buffers in turn: all of a loop's are touched
PIECE = b'x' * 65536


def anonymous_kb(s):
    return int(re.search(r'RssAnon:\s+(\d+)', open(f'/proc/{s.worker()}/status').read())[1])


def endless(sock, moved, stopping):
    """Sends until nobody takes any more."""
    sock.settimeout(0.3)
    with contextlib.suppress(OSError):
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                moved[0] += sock.send(PIECE)


def head_of(peer):
    while peer.line() not in ('\r\n', ''):
        pass


HEADS = {'length': b'HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n',
         'chunks': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n174876E800\r\n',
         'end': b'HTTP/1.1 200 OK\r\n\r\n',
         'tunnel': b'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'}
GET = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
POST = 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000000\r\n\r\n'


def story(weir, conf, raw, ask, client):
    """Pairs of a client and a server: bytes that were moved soon do not become more, and the memory
    that is held for them has a bound."""
    moved, stopping = [0], threading.Event()
    with contextlib.ExitStack() as keep:
        up = keep.enter_context(Upstream(raw=lambda peer: raw(peer, moved, stopping)))
        s = weir(f'location / {{ proxy_pass http://{up.at}; proxy_http_version 1.1; '
                 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; '
                 f'client_max_body_size 0; proxy_max_temp_file_size 0; {conf} }} '
                 'location = /well { return 200 well; }')
        assert s.get('/well').text == 'well'
        before = anonymous_kb(s)
        for _ in range(PAIRS):
            c = keep.enter_context(Client(s.address, timeout=20))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            c.send(ask)
            client(c, moved, stopping, keep)
        end, last = time.monotonic() + 20, -1
        while moved[0] != last or moved[0] == 0:
            assert time.monotonic() < end, 'it goes on and on'
            last = moved[0]
            time.sleep(1)
        held = anonymous_kb(s) - before
        assert s.get('/well').text == 'well'
        stopping.set()
    most = MOST_KB + (POOL_KB if s.engine == 'io_uring' else 0)
    assert held < most * MEMORY, f'{held} kB'


@pytest.mark.parametrize('conf', ['proxy_buffering on;', 'proxy_buffering off;',
                                  'proxy_buffers 4 64k; proxy_buffer_size 64k;',
                                  'sub_filter_types *; sub_filter never y;'])
@pytest.mark.parametrize('head', HEADS)
def test_a_client_that_never_reads(weir, head, conf):
    def raw(peer, moved, stopping):
        head_of(peer)
        peer.send(HEADS[head])
        endless(peer.sock, moved, stopping)

    story(weir, conf, raw, GET, lambda *_: None)


@pytest.mark.parametrize('kind', ['streamed', 'tunnel'])
def test_a_server_that_never_reads(weir, kind):
    def raw(peer, moved, stopping):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        if kind == 'tunnel':
            head_of(peer)
            peer.send(HEADS['tunnel'])
        stopping.wait(30)

    def client(c, moved, stopping, keep):
        if kind == 'tunnel':
            c.line_end(b'\r\n\r\n')
        t = threading.Thread(target=endless, args=(c.sock, moved, stopping))
        t.start()
        keep.callback(t.join)
        keep.callback(stopping.set)

    story(weir, 'proxy_request_buffering off;', raw, GET if kind == 'tunnel' else POST, client)
