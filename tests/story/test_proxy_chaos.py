"""Servers that misbehave and clients that leave, at random (a seed decides): nobody else suffers,
every request ends, and nothing is left behind."""
import os
import random
import socket
import threading
import time

import pytest
from upstreams import Upstream, reply

CLIENTS, ROUNDS = 6, 25


def misbehave(peer, asked):
    r = random.Random(asked.target)
    how = r.randrange(12)
    body = os.urandom(r.choice((0, 1, 100, 5000, 200_000)))
    answer = reply(body, fields=['X-Way: %d' % how])
    if how < 4:
        peer.send(answer)
        return True
    if how == 4:
        peer.send(answer[:r.randrange(len(answer))])
        return False
    if how == 5:
        peer.send(answer[:r.randrange(len(answer))])
        peer.reset()
        return False
    if how == 6:
        peer.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for i in range(0, len(body), 7000):
            piece = body[i:i + 7000]
            peer.send(b'%x\r\n%s\r\n' % (len(piece), piece))
        peer.send(b'0\r\n\r\n' if r.randrange(3) else b'zz\r\n')
        return True
    if how == 7:
        peer.send(b'HTTP/1.1 200 OK\r\n\r\n' + body)
        return False
    if how == 8:
        for i in range(0, min(len(answer), 400), 37):
            peer.send(answer[i:i + 37])
        return False
    if how == 9:
        return False
    if how == 10:
        peer.send(answer + b'what nobody asked for')
        return True
    peer.send(os.urandom(50))
    return False


def one(s, r, bad):
    method, path = r.choice(('GET', 'GET', 'POST', 'PUT', 'HEAD')), f'/{r.random()}'
    size = r.choice((0, 10, 20_000, 300_000)) if method in ('POST', 'PUT') else 0
    chunked = size and r.randrange(2)
    head = f'{method} {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n'
    head += 'Transfer-Encoding: chunked\r\n\r\n' if chunked else f'Content-Length: {size}\r\n\r\n'
    body = b'%x\r\n%s\r\n0\r\n\r\n' % (size, b'x' * size) if chunked else b'x' * size
    data = head.encode() + body
    if r.randrange(5) == 0:
        data = data[:r.randrange(1, len(data))]      # and leaves
    whole = len(data) == len(head) + len(body)
    with socket.create_connection(s.address, timeout=20) as c:
        got = b''
        try:
            c.sendall(data)
            if not whole or r.randrange(6) == 0:
                if whole and r.randrange(2):
                    c.recv(r.choice((1, 10_000)))
                return
            while piece := c.recv(65536):
                got += piece
        except (ConnectionError, TimeoutError) as e:
            if isinstance(e, TimeoutError):
                bad.append(f'{method} {path} hangs')
            return
        if not got.startswith(b'HTTP/1.1 '):
            bad.append(f'{method} {path}: {got[:100]!r}')


@pytest.mark.parametrize('more', ['', 'proxy_request_buffering off; proxy_buffering off;',
                                  'gzip on; gzip_types *; proxy_next_upstream error timeout '
                                  'invalid_header non_idempotent;'])
def test_chaos(weir, more):
    with Upstream(misbehave) as one_of, Upstream(misbehave) as other:
        s = weir(f'''location / {{ proxy_pass http://g; proxy_read_timeout 3s;
                                   client_body_buffer_size 16k; {more} }}
                     location = /well {{ return 200 well; }}''',
                 http=f'upstream g {{ server {one_of.at} max_fails=0; '
                      f'server {other.at} max_fails=0; }}')
        bad = []

        def client(number):
            r = random.Random(number)
            for _ in range(ROUNDS):
                one(s, r, bad)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not bad, '\n'.join(bad)
        assert s.get('/well').text == 'well'
        end = time.monotonic() + 10
        while len(os.listdir(f'/proc/{s.worker()}/fd')) > 120:
            assert time.monotonic() < end, os.listdir(f'/proc/{s.worker()}/fd')
            time.sleep(0.1)
    assert s.get('/well').text == 'well'
