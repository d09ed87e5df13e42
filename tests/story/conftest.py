"""conftest.py - stories: the real binary, a configuration, a real client, on every engine.

    def test_hello(weir):
        s = weir('location / { return 200 "hi"; }')
        assert s.get('/').body == b'hi'

`weir` runs once an engine. What it starts is stopped at the end of the test and must then have
ended well: exit status 0, no panic, no sanitizer report.
"""
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

SHARED_MAX = 12     # servers at a time: rings lock memory, and there is a limit
ENGINES = ['io_uring', 'epoll', 'poll', 'select', 'threads']
ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get('WEIR', str(ROOT / 'build' / 'weir'))
# Freed memory can be had again at once, so that stories can ask whether memory grows.
os.environ.setdefault('ASAN_OPTIONS',
                      'quarantine_size_mb=0:thread_local_quarantine_size_kb=0')
# A sanitizer has memory of its own for each that is in use.
MEMORY = 2 if b'libasan' in pathlib.Path(BINARY).read_bytes() else 1
# ThreadSanitizer sets a megabyte aside for every thread, and knows no more than 8,128 of them.
THREADS_MAX = 1500 if b'libtsan' in pathlib.Path(BINARY).read_bytes() else 9000
BAD_LOG = re.compile(r'PANIC|AddressSanitizer|runtime error:|ThreadSanitizer|LeakSanitizer')


# Stories that run side by side take ports of their own, none of which the system gives to clients:
# one that was free a moment ago stays free, and nobody else answers where a server has gone.
PORTS_FIRST, PORTS_EACH = 10_000, 1_800
ports = itertools.count(os.getpid() * 97)


def free_port():
    mine = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw11').removeprefix('gw')) % 12
    for n in ports:
        port = PORTS_FIRST + mine * PORTS_EACH + n % PORTS_EACH
        with socket.socket() as s, contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('127.0.0.1', port))
            return port


class Answer:
    """One HTTP answer: status, headers (lower-case names, values as a list), body."""

    def __init__(self, status, reason, headers, body, raw):
        self.status, self.reason, self.headers, self.body, self.raw = \
            status, reason, headers, body, raw

    def __getitem__(self, name):
        values = self.headers.get(name.lower())
        return values[0] if values else None

    def all(self, name):
        return self.headers.get(name.lower(), [])

    @property
    def text(self):
        return self.body.decode()


class Client:
    """A raw connection: sends bytes as they are, reads answers one by one."""

    def __init__(self, address, timeout=5, source=None):
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode('latin1'))
        return self

    def fill(self):
        piece = self.sock.recv(65536)
        self.buffer += piece
        return bool(piece)

    def line_end(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(f'closed before {mark!r}; got {self.buffer[:200]!r}')
        return self.buffer.index(mark)

    def take(self, size):
        pieces, have = [self.buffer], len(self.buffer)
        while have < size:
            pieces.append(self.sock.recv(1 << 20))
            have += len(pieces[-1])
            if not pieces[-1]:
                self.buffer = b''.join(pieces)
                raise EOFError(f'closed after {have} of {size} bytes')
        whole = b''.join(pieces)
        self.buffer = whole[size:]
        return whole[:size]

    def answer(self, head=False):
        end = self.line_end(b'\r\n\r\n')
        raw = self.take(end + 4)
        lines = raw[:-4].decode('latin1').split('\r\n')
        _, status, reason = (lines[0] + ' ').split(' ', 2)
        headers = {}
        for line in lines[1:]:
            name, value = line.split(':', 1)
            headers.setdefault(name.lower(), []).append(value.strip())
        status = int(status)
        body = b''
        if head or status < 200 or status in (204, 304):
            pass
        elif 'chunked' in headers.get('transfer-encoding', []):
            while True:
                size = int(self.take(self.line_end(b'\r\n') + 2), 16)
                body += self.take(size)
                assert self.take(2) == b'\r\n'
                if size == 0:
                    break
        elif 'content-length' in headers:
            body = self.take(int(headers['content-length'][0]))
        else:
            body = self.rest()
        return Answer(status, reason.strip(), headers, body, raw)

    def rest(self):
        """Everything until the server closes."""
        pieces, self.buffer = [self.buffer], b''
        try:
            while piece := self.sock.recv(1 << 20):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b''.join(pieces)

    def closed(self, within=5):
        """True once the server has closed and sent nothing more."""
        self.sock.settimeout(within)
        try:
            return not self.buffer and not self.fill()
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def ask(self, path='/', method='GET', headers=(), body=b'', host='a.test', version='1.1'):
        lines = [f'{method} {path} HTTP/{version}', f'Host: {host}']
        pairs = headers.items() if hasattr(headers, 'items') else headers
        lines += [f'{n}: {v}' for n, v in pairs]
        if body:
            lines.append(f'Content-Length: {len(body)}')
        self.send('\r\n'.join(lines).encode('latin1') + b'\r\n\r\n' + body)
        return self.answer(head=method == 'HEAD')

    def close(self):
        self.sock.close()


class Server:
    """A running weir. `dir` is its prefix; `port` its first port."""

    def __init__(self, directory, port, engine, env=None):
        self.dir, self.port, self.engine = directory, port, engine
        self.conf = directory / 'weir.conf'
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.expect_status = 0

    @property
    def address(self):
        return ('127.0.0.1', self.port)

    def command(self, *args, **kw):
        try:
            return subprocess.run([BINARY, '-p', f'{self.dir}/', '-c', str(self.conf), *args],
                                  capture_output=True, text=True, env=self.env, timeout=15, **kw)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'weir {args} hangs:\n{self.log()}\n{self.stacks()}')

    def stacks(self):
        """What every thread is doing, for a server that hangs."""
        if not shutil.which('gdb'):
            return 'install gdb to see the stacks here'
        text = ''
        for pid in (self.process.pid, self.worker()):
            text += subprocess.run(['gdb', '-p', str(pid), '-batch', '-ex',
                                    'thread apply all bt 12'], capture_output=True,
                                   text=True).stdout
        return text

    def start(self, wait=True):
        self.out = open(self.dir / 'out', 'ab')
        self.process = subprocess.Popen(
            [BINARY, '-p', f'{self.dir}/', '-c', str(self.conf)], stdout=self.out,
            stderr=self.out, env=self.env, cwd=self.dir)
        if wait:
            self.wait_up()
        return self

    def wait_up(self, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f'weir ended with {self.process.returncode}:\n{self.log()}')
            try:
                socket.create_connection(self.address, timeout=1).close()
                if (self.dir / 'weir.pid').exists():    # it takes signals from now on
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError(f'weir does not answer:\n{self.log()}')

    def log(self):
        text = ''
        for name in ('out', 'error.log'):
            path = self.dir / name
            if path.exists():
                text += path.read_text(errors='replace')
        return text

    def connect(self, **kw):
        return Client(self.address, **kw)

    def get(self, path='/', **kw):
        with self.connect() as c:
            return c.ask(path, **kw)

    def raw(self, text, head=False):
        with self.connect() as c:
            return c.send(text).answer(head=head)

    def wait_log(self, text, seconds=5):
        end = time.monotonic() + seconds
        while text not in self.log():
            assert time.monotonic() < end, f'{text!r} is not in the log:\n{self.log()}'
            time.sleep(0.02)

    def file(self, name, seconds=3, contains=''):
        """The text of a file below the prefix, once it has `contains`."""
        end = time.monotonic() + seconds
        path = self.dir / name
        while not path.exists() or contains not in path.read_text(errors='replace') or \
                (not contains and not path.stat().st_size):
            assert time.monotonic() < end, f'{name} has no {contains!r}: ' + \
                (path.read_text(errors='replace') if path.exists() else 'it does not exist')
            time.sleep(0.02)
        return path.read_text(errors='replace')

    def worker(self, seconds=5):
        """Its process id, as soon as there is one."""
        children = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        end = time.monotonic() + seconds
        while not (pids := open(children).read().split()):
            assert time.monotonic() < end, 'there is no worker'
            time.sleep(0.02)
        return int(pids[0])

    def signal(self, number):
        self.process.send_signal(number)

    def rewrite(self, text):
        self.conf.write_text(text)

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                stacks = self.stacks()
                self.process.kill()
                self.process.wait()
                raise AssertionError(f'weir did not quit:\n{self.log()}\n{stacks}')
        status = self.process.returncode
        self.process = None
        self.out.close()
        log = self.log()
        assert not BAD_LOG.search(log), log
        assert status == self.expect_status, f'exit status {status}\n{log}'


MAIN = '''daemon off;
worker_processes 1;
pid weir.pid;
error_log error.log info;
events {{ use {engine}; worker_connections {connections}; }}
{main}
http {{
    types {{ text/html html htm; text/plain txt; text/css css; application/json json;
             image/png png; }}
    default_type application/octet-stream;
    access_log off;
    {http}
    {servers}
}}
'''


def pytest_configure(config):
    config.addinivalue_line('markers', 'one_engine: what is shown does not depend on the engine')


def pytest_generate_tests(metafunc):
    if 'engine' in metafunc.fixturenames:
        one = metafunc.definition.get_closest_marker('one_engine')
        metafunc.parametrize('engine', ENGINES[1:2] if one else ENGINES)


def launch(keep, engine, body='', http='', main='', servers=None, connections=512, start=True,
           files=(), env=None, port=None, user_conf=None):
    """A Server that `keep`, an ExitStack, stops. `user_conf` replaces the whole configuration."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='weir-story-'))
    keep.callback(shutil.rmtree, directory, ignore_errors=True)
    os.chmod(directory, 0o755)
    port = port or free_port()
    www = directory / 'html'
    www.mkdir()
    (www / 'index.html').write_text('<h1>index</h1>\n')
    (www / 'file.txt').write_text('0123456789')
    for name, content in dict(files).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if servers is None:
        servers = f'server {{ listen 127.0.0.1:PORT; server_name a.test; root html;\n{body}\n}}'
    text = user_conf or MAIN.format(engine=engine, connections=connections, main=main, http=http,
                                    servers=servers)
    s = Server(directory, port, engine, env)
    s.conf.write_text(text.replace('PORT', str(port)).replace('ENGINE', engine))
    keep.callback(s.stop)
    return s.start() if start else s


@pytest.fixture
def weir(engine):
    """weir(server_body, http='', main='', servers=None, …) -> Server"""
    with contextlib.ExitStack() as keep:
        yield lambda *args, **kw: launch(keep, engine, *args, **kw)


@pytest.fixture(scope='module')
def shared_servers():
    """One server a configuration and engine, for modules that only ask questions."""
    running = {}
    yield running
    for s, keep in running.values():
        keep.close()


@pytest.fixture
def shared(engine, shared_servers):
    """Like weir(), but the server lives as long as the module's tests."""
    def make(body='', **kw):
        key = (engine, body, repr(kw))
        if key not in shared_servers:
            if len(shared_servers) >= SHARED_MAX:
                shared_servers.pop(next(iter(shared_servers)))[1].close()
            keep = contextlib.ExitStack()
            shared_servers[key] = (launch(keep, engine, body, **kw), keep)
        return shared_servers[key][0]

    return make
