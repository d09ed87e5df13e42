"""responders.py - OCSP responders for stories: openssl's own, and one that a story scripts."""
import contextlib
import pathlib
import socket
import subprocess
import threading
import time

from conftest import free_port


class Responder:
    """Answers with what `answer(request)` gives: bytes of a whole HTTP answer, or of OCSP."""

    def __init__(self, answer):
        self.answer, self.asked, self.times = answer, [], []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}/ocsp'
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=[self.listener.accept()[0]],
                                 daemon=True).start()

    def serve(self, c):
        with c, contextlib.suppress(OSError, ValueError):
            text = b''
            while b'\r\n\r\n' not in text:
                piece = c.recv(65536)
                if not piece:
                    return
                text += piece
            head, _, body = text.partition(b'\r\n\r\n')
            length = int(head.lower().split(b'content-length:')[1].split(b'\r\n')[0])
            while len(body) < length:
                body += c.recv(65536)
            self.asked.append((head, body))
            self.times.append(time.monotonic())
            answer = self.answer(body)
            if not answer.startswith(b'HTTP/'):
                answer = (b'HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n'
                          b'Content-Length: %d\r\n\r\n' % len(answer)) + answer
            c.sendall(answer)

    def wait_asked(self, count=1, seconds=10):
        end = time.monotonic() + seconds
        while len(self.asked) < count:
            assert time.monotonic() < end, f'asked {len(self.asked)} times, not {count}'
            time.sleep(0.02)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@contextlib.contextmanager
def responder(answer):
    r = Responder(answer if callable(answer) else lambda _: answer)
    try:
        yield r
    finally:
        r.close()


@contextlib.contextmanager
def openssl_responder(directory, ca, good=(), revoked=(), port=None):
    """openssl ocsp, with an index of what the authority signed."""
    directory = pathlib.Path(directory)
    port = port or free_port()
    lines = ''
    for state, pairs in ('V', good), ('R', revoked):
        for p in pairs:
            end = p.cert.not_valid_after.strftime('%y%m%d%H%M%SZ')
            serial = f'{p.cert.serial_number:X}'
            serial = serial if len(serial) % 2 == 0 else '0' + serial
            gone = '250101000000Z' if state == 'R' else ''
            lines += f'{state}\t{end}\t{gone}\t{serial}\tunknown\t/CN=x\n'
    (directory / 'index.txt').write_text(lines)
    (directory / 'ocsp-ca.crt').write_text(ca.crt)
    (directory / 'ocsp-ca.key').write_text(ca.key)
    run = subprocess.Popen(
        ['openssl', 'ocsp', '-index', 'index.txt', '-port', str(port), '-CA', 'ocsp-ca.crt',
         '-rsigner', 'ocsp-ca.crt', '-rkey', 'ocsp-ca.key', '-ndays', '1'],
        cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = run.stdout.readline()    # a connection, to see whether it is up, would be all it serves
    assert 'ACCEPT' in said, said
    try:
        yield f'http://127.0.0.1:{port}/'
    finally:
        run.kill()
        run.wait()
