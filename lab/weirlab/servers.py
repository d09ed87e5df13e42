"""Starting one server on CPU 0, checking what it answers, and ending it for good."""
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import string
import subprocess
import time

from . import interrupt
from .plan import bytes_of

SERVER_CPU, BACKEND_CPU = '0', '1'   # the back end shares the latter with the clients
START_SECONDS = 10
AGE_SECONDS = 2.5
ANSWER = 'Hello, world!'
NGINX = '''{user}worker_processes 1; daemon off; error_log {dir}/error.log; pid {dir}/pid;
events {{ worker_connections 19000; use {engine}; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
    client_header_timeout 3600s; send_timeout 3600s; {settings}
    types {{ text/plain txt; }} default_type application/octet-stream; {temporary}
    {group}
    server {{ listen 127.0.0.1:{port}{spoken} backlog=8192; root {dir}/www; {secured}
              location = /say {{ return 200 "Hello, world!"; }} {passing} }}
}}
'''
GROUP = 'upstream back {{ server 127.0.0.1:{}; keepalive 512; keepalive_requests 1000000000; }}'
PASSING = ('location / { proxy_pass http://back; proxy_http_version 1.1; '
           'proxy_set_header Connection ""; }')
SECURED = 'ssl_certificate {crt}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; {over}'
# nginx 1.22 knows HTTP/2 as a word of listen only
HTTP2 = {'weir': ('', 'http2 on;'), 'nginx': (' http2', '')}
BACKEND = {'kind': 'weir', 'engine': 'epoll', 'settings': '', 'answer': ''}
TEMPORARY = ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')

RUNNING = []   # what started() started and end_group() has not ended


class Failed(Exception):
    """The server did not start, answered wrongly or died; the text says which."""


def find(name, programs):
    """The path of a program: of the lab's own, of weir, or of the system; None if absent."""
    own = pathlib.Path(programs) / name
    return str(own) if own.is_file() else shutil.which(name, path=os.environ.get('PATH', '')
                                                       + ':/usr/sbin:/sbin')


def site(folder, load):
    """The folder of a run that has the file of this load."""
    path = pathlib.Path(folder) / f'www-{bytes_of(load["size"])}'
    if not path.exists():
        path.mkdir()
        (path / 'file.txt').write_bytes(body_of(load))
    return path


def lay_out(folder, loads):
    """Writes what servers are to serve, and waits until it is old: of a file that was changed a
    moment ago, a server may keep no copy."""
    for load in loads:
        site(folder, load)
    time.sleep(AGE_SECONDS)


def new_certificate(folder):
    """A certificate (P-256) for 127.0.0.1, signed by itself, crt and key in `folder`; Failed
    without openssl."""
    try:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '9', '-subj', '/CN=weir lab',
                        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', f'{folder}/key',
                        '-out', f'{folder}/crt'], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f'openssl makes no certificate: {error}') from None


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def body_of(load):
    """The file a load asks for: the same bytes in every run."""
    size = bytes_of(load['size'])
    return (ANSWER * (size // len(ANSWER) + 1))[:size].encode()


class Server:
    """with Server(...) as s: s.port, s.pid; __enter__ raises Failed, __exit__ leaves no process."""

    def __init__(self, subject, load, directory, weir, programs, folder, cpu=SERVER_CPU):
        self.subject, self.load, self.port = subject, load, free_port()
        self.folder = pathlib.Path(folder)   # of the run: files to serve, and the certificate
        self.directory, self.weir, self.programs = pathlib.Path(directory), weir, programs
        self.process, self.cpu, self.backend = None, cpu, None
        self.path = 'say' if subject['answer'] else 'file.txt'
        self.wanted = subject['answer'].encode() if subject['answer'] else body_of(load)
        if self.load['slow']:
            self.path = 'file.txt'

    @property
    def url(self):
        return f'{"https" if self.load["tls"] else "http"}://127.0.0.1:{self.port}/{self.path}'

    def secured(self):
        """What the configuration says of TLS."""
        if not self.load['tls']:
            return {'spoken': '', 'secured': ''}
        paths = {'crt': str(self.folder / 'crt'), 'key': str(self.folder / 'key')}
        listening, over = HTTP2.get(self.subject['kind'], ('', '')) if self.load['streams'] \
            else ('', '')
        return {**paths, 'spoken': ' ssl' + listening,
                'secured': SECURED.format(**paths, over=over)}

    def configured(self):
        """The arguments; writes the configuration."""
        s = self.subject
        words = {'dir': str(self.directory), 'port': str(self.port),
                 'user': 'user root; ' if os.getuid() == 0 else '', 'engine': s['engine'],
                 'settings': s['settings'], 'temporary': '', 'group': '', 'passing': '',
                 **self.secured()}
        if self.backend:
            words.update(backend=str(self.backend.port), passing=PASSING,
                         group=GROUP.format(self.backend.port))
        conf = self.directory / 'server.conf'
        if s['kind'] in ('weir', 'nginx'):
            binary = self.weir if s['kind'] == 'weir' else find('nginx', self.programs)
            if s['kind'] == 'nginx':
                words['temporary'] = ' '.join(f'{t}_temp_path {self.directory}/{t};'
                                              for t in TEMPORARY)
            conf.write_text(NGINX.format(**words))
            argv = [binary, '-p', f'{self.directory}/', '-c', str(conf),
                    '-e', str(self.directory / 'error.log')]
        else:
            conf.write_text(string.Template(s['config']).safe_substitute(words))
            words['conf'] = str(conf)
            argv = [string.Template(w).safe_substitute(words) for w in s['command']]
            argv[0] = find(argv[0], self.programs)
        if argv[0] is None:
            raise Failed(f'not installed: {s["command"][0] if s["command"] else s["kind"]}')
        return argv

    def start_backend(self):
        """Serves the same files on the other CPU; it is not measured."""
        directory = self.directory / 'back'
        directory.mkdir(exist_ok=True)
        backend = Server(BACKEND, dict(self.load, proxied=False, tls=False, streams=0), directory,
                         self.weir, self.programs, self.folder, BACKEND_CPU)
        self.backend = backend.__enter__()

    def __enter__(self):
        if self.load['proxied']:
            self.start_backend()
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        argv = self.configured()
        (self.directory / 'www').symlink_to(site(self.folder, self.load))
        self.output = open(self.directory / 'output', 'w+b')
        self.process = started(['taskset', '-c', self.cpu, *argv], stdout=self.output,
                               stderr=self.output, cwd=self.directory)
        self.wait_up()
        got = self.body()
        if got != self.wanted:
            raise Failed(f'answers wrongly: {len(got)} bytes beginning {got[:40]!r}; expected '
                         f'{len(self.wanted)} beginning {self.wanted[:40]!r}')
        return self

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        """The last line it printed or logged."""
        lines = []
        for name in ('output', 'error.log'):
            path = self.directory / name
            lines += path.read_text(errors='replace').splitlines() if path.exists() else []
        return lines[-1].strip()[:200] if lines else 'it said nothing'

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failed(f'died with status {self.process.returncode}: {self.said()}')

    def wait_up(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self.check_alive_at_start()
            try:
                socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f'does not listen after {START_SECONDS} s: {self.said()}')

    def check_alive_at_start(self):
        if self.process.poll() is not None:
            raise Failed(f'does not start (status {self.process.returncode}): {self.said()}')

    def connected(self):
        """A socket; with TLS, the certificate is the one that was made."""
        plain = socket.create_connection(('127.0.0.1', self.port), timeout=5)
        if not self.load['tls']:
            return plain
        trust = ssl.create_default_context(cafile=self.folder / 'crt')
        return trust.wrap_socket(plain, server_hostname='127.0.0.1')

    def body(self):
        """The body of one answer (of HTTP/1.1), or Failed."""
        try:
            with self.connected() as s:
                s.sendall(f'GET /{self.path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
                          .encode())
                whole = b''
                while b'\r\n\r\n' not in whole:
                    piece = s.recv(65536)
                    if not piece:
                        raise Failed('closes the connection without an answer')
                    whole += piece
                head, _, body = whole.partition(b'\r\n\r\n')
                length = re.search(rb'content-length: *(\d+)', head.lower())
                if not head.startswith(b'HTTP/1.1 200') or not length:
                    raise Failed(f'answers wrongly: {head.splitlines()[0].decode("latin-1")!r}; '
                                 'expected 200 with a Content-Length')
                while len(body) < int(length[1]):
                    piece = s.recv(1 << 20)
                    if not piece:
                        break
                    body += piece
                return body
        except OSError as error:
            raise Failed(f'does not answer: {error}') from None

    def __exit__(self, *_):
        if self.process is not None:
            end_group(self.process)
            self.output.close()
        if self.backend is not None:
            self.backend.__exit__()


def started(argv, **more):
    """A Popen in a session of its own, so that a Ctrl-C in the terminal does not reach it."""
    with interrupt.waits():
        RUNNING.append(subprocess.Popen(argv, **{'stdin': subprocess.DEVNULL, **more},
                                        start_new_session=True))
    return RUNNING[-1]


def end_all():
    """Ends what is still there; for the end of a run."""
    while RUNNING:
        end_group(RUNNING[0])


def end_group(process):
    """Ends a process of started(), and all that it started."""
    with interrupt.waits():
        end_now(process)
        if process in RUNNING:
            RUNNING.remove(process)


def end_now(process):
    for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
