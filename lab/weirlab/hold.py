"""hold.py PORT PATH IDLE SLOW RATE: holds connections until its input ends.

An idle connection asks once, takes the answer and says nothing more. A slow reader asks for the
file over and over and takes RATE bytes a second of it. Says "ready", then answers each line of its
input with how many connections are still open.
"""
import resource
import select
import socket
import sys
import time

STEP = 0.05
SMALL = 16 * 1024
BATCH = 100


def connected(port, small=False):
    s = socket.socket()
    if small:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    s.settimeout(10)
    s.connect(('127.0.0.1', port))
    return s


def whole_answer(s):
    found = s.recv(65536)
    if not found.startswith(b'HTTP/1.1 200'):
        raise OSError(f'an answer begins {found[:20]!r}')
    head, _, body = found.partition(b'\r\n\r\n')
    wanted = next(int(line.split(b':')[1]) for line in head.lower().split(b'\r\n')
                  if line.startswith(b'content-length:'))
    left = wanted - len(body)
    while left > 0:
        left -= len(s.recv(min(left, 1 << 20)) or b'!' * left)


def open_now(held):
    """A held connection that can be read has been closed, unless it is a slow reader."""
    poll = select.poll()
    for s in held:
        poll.register(s, select.POLLRDHUP)
    return len(held) - len(poll.poll(0))


def main():
    port, path, idle, slow, rate = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    ask = f'GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n'.encode()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        held = []
        while len(held) < idle:
            batch = [connected(port) for _ in range(min(BATCH, idle - len(held)))]
            for s in batch:
                s.sendall(ask)
            for s in batch:
                whole_answer(s)
            held += batch
        readers = [connected(port, small=True) for _ in range(slow)]
        for s in readers:
            s.sendall(ask * 8)
            s.setblocking(False)
    except OSError as error:
        print(f'after {len(held)}: {error}', flush=True)
        return
    print('ready', flush=True)
    due = time.monotonic()
    while True:
        wait = max(0, due - time.monotonic()) if readers else None
        if select.select([sys.stdin], [], [], wait)[0]:
            if not sys.stdin.readline():
                return
            print(open_now(held + readers), flush=True)
        if readers and time.monotonic() >= due:
            due += STEP
            for s in readers:
                try:
                    s.recv(max(1, int(rate * STEP)))
                except BlockingIOError:
                    pass
                except OSError:
                    continue


main()
