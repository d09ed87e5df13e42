#!/usr/bin/python3
"""User memory of an idle WebSocket through weir: the client's side and the peer's together.

    tests/bench/websockets.py --weir build/weir [--tunnels 5000] [--engine epoll] [--most 1536]

Every tunnel is opened, has passed a message both ways and is then idle; after --rest seconds its
request sleeps. What is measured is the growth of the worker's own memory (RssAnon): while they are
idle, when each has passed another message, when they are idle again (as often as --naps says), and
what is left when all are closed. With --most the exit status is 1 if an idle tunnel takes more
bytes than that. Each tunnel needs two descriptors of weir and two here: `ulimit -n` must be above
twice their number.
"""
import argparse
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONF = '''daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
worker_rlimit_nofile {files};
events {{ use {engine}; worker_connections {files}; }}
http {{ access_log {dir}/access.log; server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{back}; proxy_http_version 1.1;
        proxy_read_timeout 1h; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade; }} }} }}'''
ASK = b'''GET /chat HTTP/1.1\r
Host: chat.example.com\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0.0.0\r
Upgrade: websocket\r
Connection: Upgrade\r
Origin: https://chat.example.com\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
Cookie: session=0123456789abcdef0123456789abcdef\r
\r
'''
ANSWER = b'''HTTP/1.1 101 Switching Protocols\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
\r
'''
MESSAGE = b'\x81\x85\0\0\0\0hello'


def listener():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', 0))
    s.listen(4096)
    return s


def peer(listening):
    """Agrees to every upgrade, and sends back what comes."""
    poll, open_ones = select.epoll(), {listening.fileno(): listening}
    poll.register(listening, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listening.fileno():
                s, _ = listening.accept()
                open_ones[s.fileno()] = s
                poll.register(s, select.EPOLLIN)
            elif piece := open_ones[fd].recv(65536):
                open_ones[fd].sendall(ANSWER if piece.endswith(b'\r\n\r\n') else piece)
            else:
                open_ones.pop(fd).close()


def own_memory(pid):
    return int(re.search(r'RssAnon:\s+(\d+)', open(f'/proc/{pid}/status').read())[1]) * 1024


def take(s, size):
    text = b''
    while len(text) < size:
        piece = s.recv(size - len(text))
        assert piece, f'closed after {text!r}'
        text += piece
    return text


def tunnel(port):
    s = socket.create_connection(('127.0.0.1', port), timeout=10)
    s.sendall(ASK)
    text = b''
    while not text.endswith(b'\r\n\r\n'):
        text += take(s, 1)
    assert text.startswith(b'HTTP/1.1 101 '), text
    s.sendall(MESSAGE)
    assert take(s, len(MESSAGE)) == MESSAGE
    return s


def worker_of(process, port):
    children = f'/proc/{process.pid}/task/{process.pid}/children'
    for _ in range(500):
        try:
            socket.create_connection(('127.0.0.1', port)).close()
            return int(open(children).read().split()[0])
        except (OSError, IndexError):
            time.sleep(0.01)
    sys.exit('weir does not answer')


def measure(pid, port, count, rest, naps):
    for s in [tunnel(port) for _ in range(20)]:     # what the first ones bring along for all
        s.close()
    time.sleep(0.3)
    before = own_memory(pid)
    tunnels = [tunnel(port) for _ in range(count)]
    each = []
    for nap in range(naps + 1):
        each.append((own_memory(pid) - before) / count)
        time.sleep(rest)
        each.append((own_memory(pid) - before) / count)
        for s in tunnels if nap < naps else ():
            s.sendall(MESSAGE)
            assert take(s, len(MESSAGE)) == MESSAGE
    for s in tunnels:
        s.close()
    time.sleep(1)
    return each, own_memory(pid) - before


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--weir', required=True)
    p.add_argument('--tunnels', type=int, default=5000)
    p.add_argument('--engine', default='epoll')
    p.add_argument('--rest', type=float, default=7, help='seconds without a message')
    p.add_argument('--naps', type=int, default=2, help='how often they wake again')
    p.add_argument('--most', type=int, help='bytes a tunnel may take')
    o = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = o.tunnels * 2 + o.tunnels // 4 + 200        # a tenth of weir's is spare
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    listening, free = listener(), listener()
    port = free.getsockname()[1]
    free.close()
    behind = os.fork()
    if behind == 0:
        peer(listening)
    with tempfile.TemporaryDirectory() as directory:
        conf = pathlib.Path(directory, 'weir.conf')
        conf.write_text(CONF.format(dir=directory, files=files, engine=o.engine, port=port,
                                    back=listening.getsockname()[1]))
        process = subprocess.Popen([o.weir, '-c', str(conf), '-p', directory])
        try:
            each, left = measure(worker_of(process, port), port, o.tunnels, o.rest, o.naps)
        finally:
            process.terminate()
            process.wait()
            os.kill(behind, signal.SIGKILL)
            os.waitpid(behind, 0)
        logged = sum(1 for _ in open(f'{directory}/access.log'))
    print(f'{o.engine}: {o.tunnels} tunnels, bytes each: awake '
          f'{", ".join(f"{b:.0f}" for b in each[::2])}; idle '
          f'{", ".join(f"{b:.0f}" for b in each[1::2])}; {left // 1024} KiB are '
          f'left when all are closed; {logged} lines in the access log')
    sys.exit(o.most is not None and max(each[1::2]) > o.most)


if __name__ == '__main__':
    main()
