"""fastcgi_pass, uwsgi_pass, scgi_pass: scripted applications, and real ones from Debian."""
import contextlib
import glob
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest
from conftest import ROOT, free_port
from upstreams import Upstream

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)


def record(kind, content=b'', padding=0, number=1):
    return struct.pack('>BBHHBB', 1, kind, number, len(content), padding, 0) + content + \
        b'\0' * padding


def pairs(data):
    found = []
    while data:
        sizes = []
        for _ in range(2):
            if data[0] < 128:
                sizes.append(data[0])
                data = data[1:]
            else:
                sizes.append(struct.unpack('>I', data[:4])[0] & 0x7fffffff)
                data = data[4:]
        found.append((data[:sizes[0]].decode(), data[sizes[0]:sum(sizes)].decode('latin1')))
        data = data[sum(sizes):]
    return found


def out(text):
    """An answer as most applications send it."""
    text = text.encode() if isinstance(text, str) else text
    return b''.join(record(STDOUT, text[i:i + 60000], padding=-len(text[i:i + 60000]) % 8)
                    for i in range(0, len(text), 60000)) + record(STDOUT) + record(END, bytes(8))


class FastCGI(Upstream):
    """answer(params, body) -> bytes of records"""

    def __init__(self, answer):
        self.answer, self.params, self.bodies = answer, [], []
        super().__init__(raw=self.talk)

    def talk(self, peer):
        while True:
            params, body, keep, done = b'', b'', False, False
            while not done:
                head = peer.file.read(8)
                if len(head) < 8:
                    return
                _, kind, number, size, padding, _ = struct.unpack('>BBHHBB', head)
                content = peer.file.read(size + padding)[:size]
                assert number == 1
                if kind == BEGIN:
                    keep = bool(content[2] & 1)
                elif kind == PARAMS:
                    params += content
                elif kind == STDIN:
                    body += content
                    done = not content
            self.params.append(dict(pairs(params)))
            self.bodies.append(body)
            peer.send(self.answer(self.params[-1], body))
            if not keep:
                return


@contextlib.contextmanager
def fastcgi(answer):
    with FastCGI(answer if callable(answer) else lambda params, body: answer) as app:
        yield app


def behind(weir, app, more='', **kw):
    return weir(f'''location / {{ include {ROOT}/conf/fastcgi.conf; fastcgi_pass {app.at};
                                  {more} }}''', **kw)


HELLO = out('Content-Type: text/plain\r\n\r\nhello')


def test_parameters(weir):
    with fastcgi(HELLO) as app:
        s = behind(weir, app, 'fastcgi_index index.php; fastcgi_param EMPTY "" if_not_empty;')
        a = s.get('/dir/?a=b', headers=[('X-Own', '1'), ('X-Own', '2'), ('Proxy', 'evil'),
                                        ('Cookie', 'a=1'), ('Cookie', 'b=2')])
        assert (a.status, a.text, a['Content-Type']) == (200, 'hello', 'text/plain')
        p = app.params[0]
        assert p['SCRIPT_FILENAME'] == f'{s.dir}/html/dir/index.php'
        assert p['QUERY_STRING'] == 'a=b' and p['REQUEST_METHOD'] == 'GET'
        assert p['REQUEST_URI'] == '/dir/?a=b' and p['HTTP_X_OWN'] == '1, 2'
        assert p['HTTP_COOKIE'] == 'a=1; b=2' and p['HTTP_HOST'] == 'a.test'
        assert 'HTTP_PROXY' not in p and 'EMPTY' not in p and 'HTTPS' not in p
        assert p['REMOTE_ADDR'] == '127.0.0.1' and p['REDIRECT_STATUS'] == '200'


def test_path_info(weir):
    with fastcgi(HELLO) as app:
        s = weir(f'''location ~ [^/]\\.php(/|$) {{ fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
            fastcgi_param S $fastcgi_script_name; fastcgi_param P $fastcgi_path_info;
            fastcgi_pass {app.at}; }}''')
        s.get('/a.php/b/c?d')
        s.get('/a.php')
        assert [(p['S'], p['P']) for p in app.params] == [('/a.php', '/b/c'), ('/a.php', '')]


@pytest.mark.parametrize('size', [0, 1, 8000, 70_000, 1_000_000])
def test_bodies_both_ways(weir, size):
    def answer(params, body):
        return out(b'Status: 201 Created\r\nX-Length: ' + params['CONTENT_LENGTH'].encode() +
                   b'\r\n\r\n' + body)
    with fastcgi(answer) as app:
        s = behind(weir, app)
        body = os.urandom(size)
        with s.connect(timeout=20) as c:
            a = c.ask('/', method='POST', body=body)
            assert a.status == 201 and a.body == body
            if size:
                assert a['X-Length'] == str(size)
        assert app.bodies == [body]


def test_many_parameters(weir):
    with fastcgi(HELLO) as app:
        more = ''.join(f'fastcgi_param P{i} {"x" * 500};' for i in range(200))
        s = behind(weir, app, more)
        assert s.get().status == 200
        assert sum(len(v) for n, v in app.params[0].items() if n[1:].isdigit()) == 100_000


@pytest.mark.parametrize('head, status, body', [
    ('Status: 404 Not Found\r\n\r\ngone', 404, 'gone'),
    ('Status: 500\n\nbad', 500, 'bad'),
    ('Location: http://x.test/\r\n\r\n', 302, ''),
    ('Status: 301 Moved\r\nLocation: /y\r\n\r\n', 301, ''),
    ('HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\nno', 403, 'no'),
    ('X: y\nContent-Type: text/plain\n\nline ends', 200, 'line ends'),
])
def test_heads(weir, head, status, body):
    with fastcgi(out(head)) as app:
        a = behind(weir, app).get()
        assert (a.status, a.text) == (status, body)


def test_cut_everywhere(weir):
    def answer(params, body):
        whole = b''.join(record(STDOUT, bytes([b])) for b in b'A: b\r\n\r\nhello')
        return record(STDERR, b'a warning\n') + whole + record(STDOUT) + record(END, bytes(8), 3)
    with fastcgi(answer) as app:
        s = behind(weir, app)
        assert s.get().text == 'hello'
        s.wait_log('FastCGI sent in stderr: "a warning"')


def test_keep_conn(weir):
    with fastcgi(HELLO) as app:
        s = behind(weir, app, 'fastcgi_keep_conn on;')
        with s.connect() as c:
            for _ in range(5):
                assert c.ask('/').text == 'hello'
        assert app.connections == 1 and len(app.params) == 5


@pytest.mark.parametrize('answer', [
    b'', b'garbage, no record', record(STDOUT, b'X: y\r\n\r\n', number=7),
    record(9, b'x'), record(END, bytes(8)),
    record(STDOUT, b'no field\r\n\r\n') + record(END, bytes(8)),
    record(END, bytes([0, 0, 0, 0, 2, 0, 0, 0])), out('Status: 99 x\r\n\r\n'),
    out('X: ' + 'y' * 20000 + '\r\n\r\n'),
])
def test_no_answer_is_502(weir, answer):
    with fastcgi(answer) as app:
        assert behind(weir, app).get().status == 502


def test_a_body_that_breaks_off(weir):
    with fastcgi(record(STDOUT, b'X: y\r\n\r\nhalf')) as app:
        s = behind(weir, app)
        with s.connect() as c:
            c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            assert not c.rest().endswith(b'0\r\n\r\n')


def test_catch_stderr(weir):
    answer = record(STDERR, b'PHP Fatal error: x\n') + HELLO
    with fastcgi(answer) as app:
        assert behind(weir, app, 'fastcgi_catch_stderr "PHP Fatal error";').get().status == 502


def test_x_accel_redirect_and_errors(weir):
    def answer(params, body):
        to = params['QUERY_STRING']
        return out(f'X-Accel-Redirect: {to}\r\n\r\n') if to else out('Status: 503 x\r\n\r\nbusy')
    with fastcgi(answer) as app:
        s = weir(f'''location / {{ fastcgi_pass {app.at}; fastcgi_param QUERY_STRING $args;
                                   fastcgi_intercept_errors on; error_page 503 /file.txt; }}
                     location = /file.txt {{ }}''')
        assert (s.get('/?/file.txt').status, s.get('/?/file.txt').text) == (200, '0123456789')
        assert (s.get('/').status, s.get('/').text) == (503, '0123456789')


# ---- scgi and uwsgi, scripted ------------------------------------------------------------------

def netstring(peer):
    size = b''
    while not size.endswith(b':'):
        size += peer.file.read(1)
    data = peer.file.read(int(size[:-1]) + 1)[:-2].split(b'\0')
    return dict(zip(data[::2], data[1::2]))


def test_scgi(weir):
    asked = []

    def talk(peer):
        params = netstring(peer)
        asked.append((params, peer.file.read(int(params[b'CONTENT_LENGTH']))))
        peer.send('Status: 202 Accepted\r\nContent-Type: text/plain\r\n\r\n' + 'x' * 100_000)

    with Upstream(raw=talk) as app:
        s = weir(f'location / {{ include {ROOT}/conf/scgi_params; scgi_pass {app.at}; }}')
        with s.connect() as c:
            a = c.ask('/a?b', method='POST', body=b'12345')
        assert (a.status, len(a.body)) == (202, 100_000)
    params, body = asked[0]
    assert list(params)[:2] == [b'CONTENT_LENGTH', b'SCGI'] and body == b'12345'
    assert params[b'REQUEST_URI'] == b'/a?b' and params[b'HTTP_HOST'] == b'a.test'


def test_uwsgi(weir):
    asked = []

    def talk(peer):
        one, size, two = struct.unpack('<BHB', peer.file.read(4))
        data, params = peer.file.read(size), {}
        while data:
            n = struct.unpack('<H', data[:2])[0]
            v = struct.unpack('<H', data[2 + n:4 + n])[0]
            params[data[2:2 + n].decode()] = data[4 + n:4 + n + v].decode()
            data = data[4 + n + v:]
        asked.append((one, two, params, peer.file.read(int(params['CONTENT_LENGTH'] or 0))))
        peer.send('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello')

    with Upstream(raw=talk) as app:
        s = weir(f'''location / {{ include {ROOT}/conf/uwsgi_params; uwsgi_modifier1 5;
                                   uwsgi_modifier2 6; uwsgi_pass uwsgi://{app.at}; }}''')
        with s.connect() as c:
            assert c.ask('/a?b', method='PUT', body=b'12345').text == 'hello'
    one, two, params, body = asked[0]
    assert (one, two, body) == (5, 6, b'12345')
    assert params['REQUEST_METHOD'] == 'PUT' and params['PATH_INFO'] == '/a'


# ---- answers that are kept ---------------------------------------------------------------------

KEPT = '''{0}_cache one; {0}_cache_key $request_uri; {0}_cache_valid 1s; {0}_cache_revalidate on;
          add_header X-Cache $upstream_cache_status;'''


def test_fastcgi_answers_are_kept(weir):
    def answer(params, body):
        if params.get('HTTP_IF_NONE_MATCH') == '"e"':
            return out('Status: 304 Not Modified\r\n\r\n')
        return out('ETag: "e"\r\n\r\n' + 'x' * 100_000)

    with fastcgi(answer) as app:
        s = behind(weir, app, KEPT.format('fastcgi'),
                   http='fastcgi_cache_path cache keys_zone=one:1m;')
        for status in ('MISS', 'HIT'):
            a = s.get('/a', headers={'If-None-Match': '"x"'})
            assert (a['X-Cache'], len(a.body)) == (status, 100_000)
        assert s.get('/a', headers={'Range': 'bytes=0-9'}).status == 206
        assert s.get('/a', method='HEAD')['X-Cache'] == 'HIT'
        assert len(app.params) == 1 and 'HTTP_IF_NONE_MATCH' not in app.params[0]
        time.sleep(2)
        a = s.get('/a')
        assert (a.status, a['X-Cache'], len(a.body)) == (200, 'REVALIDATED', 100_000)
        assert app.params[1]['HTTP_IF_NONE_MATCH'] == '"e"'


@pytest.mark.parametrize('end, kept', [('x' * 1000, True), ('x' * 10, False)])
def test_scgi_answers_are_kept(weir, end, kept):
    def talk(peer):
        netstring(peer)
        peer.send('Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\n' + end)

    with Upstream(raw=talk) as app:
        s = weir(f'''location / {{ include {ROOT}/conf/scgi_params; scgi_pass {app.at};
                                   {KEPT.format('scgi')} }}''',
                 http='scgi_cache_path cache keys_zone=one:1m;')
        for status in ('MISS', 'HIT' if kept else 'MISS'):
            with s.connect() as c:
                c.send('GET /a HTTP/1.0\r\nHost: a.test\r\n\r\n')
                data = b''.join(iter(lambda: c.sock.recv(65536), b''))
            assert f'X-Cache: {status}'.encode() in data and data.endswith(end.encode())


# ---- real applications -----------------------------------------------------------------------

FRONT = '''<?php
if ($_SERVER['REQUEST_URI'] === '/sleep') { usleep(200000); }
if ($_GET['status'] ?? 0) { http_response_code((int)$_GET['status']); }
header('X-Front: ' . $_SERVER['SCRIPT_NAME']);
setcookie('k', 'v');
echo json_encode(['method' => $_SERVER['REQUEST_METHOD'], 'uri' => $_SERVER['REQUEST_URI'],
                  'get' => $_GET, 'body' => strlen(file_get_contents('php://input')),
                  'host' => $_SERVER['HTTP_HOST'], 'https' => isset($_SERVER['HTTPS'])]);
'''


@contextlib.contextmanager
def running(argv, address):
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 15
        while True:
            with socket.socket() as k:
                if k.connect_ex(address) == 0:
                    break
            assert process.poll() is None and time.monotonic() < end, argv
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix='weir-story-') as path:
        os.chmod(path, 0o755)
        yield path


@contextlib.contextmanager
def php(port):
    with directory() as path:
        os.mkdir(f'{path}/bodies')      # of requests, while they are read
        os.chmod(f'{path}/bodies', 0o777)
        with open(f'{path}/fpm.conf', 'w') as f:
            f.write(f'[global]\nerror_log = {path}/fpm.log\ndaemonize = no\n[www]\n'
                    f'listen = 127.0.0.1:{port}\npm = static\npm.max_children = 2\n'
                    'user = nobody\ngroup = nogroup\n'
                    f'php_admin_value[sys_temp_dir] = {path}/bodies\n')
        found = sorted(glob.glob('/usr/sbin/php-fpm*'))
        assert found, 'php-fpm is not installed'
        with running([found[-1], '-R', '-y', f'{path}/fpm.conf'], ('127.0.0.1', port)):
            yield


def test_php(weir):
    port = free_port()
    with php(port):
        s = weir(f'''index index.php; location / {{ try_files $uri $uri/ /index.php?$args; }}
            location ~ \\.php$ {{ include {ROOT}/conf/fastcgi.conf; fastcgi_pass 127.0.0.1:{port};
                                  try_files $uri =404; }}''',
                 files={'html/index.php': FRONT})
        with s.connect(timeout=20) as c:
            a = c.ask('/a/pretty/url?x=1&y[]=2')
            assert a.status == 200 and a['X-Front'] == '/index.php' and a['Set-Cookie'] == 'k=v'
            assert '"get":{"x":"1","y":["2"]}' in a.text and '"host":"a.test"' in a.text
            a = c.ask('/post', method='POST', body=b'x' * 300_000)
            assert '"body":300000' in a.text and '"method":"POST"' in a.text
            assert c.ask('/?status=404').status == 404
            assert c.ask('/none.php').status == 404
            assert c.ask('/file.txt').text == '0123456789'
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(s.get('/sleep').status))
                   for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert answers == [200] * 6


APP = '''
def application(env, start):
    body = env['wsgi.input'].read(int(env.get('CONTENT_LENGTH') or 0))
    start('200 OK', [('Content-Type', 'text/plain'), ('X-Path', env['PATH_INFO'])])
    return [env['REQUEST_METHOD'].encode(), b' ', str(len(body)).encode()]
'''


def test_python(weir):
    port = free_port()
    binary = shutil.which('uwsgi_python3') or shutil.which('uwsgi')
    assert binary, 'uwsgi is not installed'
    with directory() as path:
        with open(f'{path}/app.py', 'w') as f:
            f.write(APP)
        os.chmod(f'{path}/app.py', 0o644)
        argv = [binary, '--plugin', 'python3', '--socket', f'127.0.0.1:{port}', '--wsgi-file',
                f'{path}/app.py', '--master', '--die-on-term', '--disable-logging']
        with running(argv, ('127.0.0.1', port)):
            s = weir(f'location / {{ include {ROOT}/conf/uwsgi_params; '
                     f'uwsgi_pass 127.0.0.1:{port}; }}')
            a = s.get('/x%20y?z')
            assert (a.text, a['X-Path']) == ('GET 0', '/x y')
            with s.connect() as c:
                assert c.ask('/', method='POST', body=b'x' * 100_000).text == 'POST 100000'


@pytest.mark.parametrize('text, says', [
    ('location / { fastcgi_pass 127.0.0.1; }', 'names no port'),
    ('location / { fastcgi_pass unix:; }', 'no name or port that can be'),
    ('fastcgi_param A;', 'argument'),
    ('fastcgi_param A b sometimes;', 'means nothing here'),
    ('location / { fastcgi_split_path_info "("; }', 'regular expression'),
])
def test_mistakes(weir, text, says):
    s = weir(text, start=False)
    run = s.command('-t')
    assert run.returncode != 0 and says in run.stderr, run.stderr
