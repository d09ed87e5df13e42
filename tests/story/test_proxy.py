"""proxy_pass: what servers are asked, and what clients get of their answers."""
import os
import signal
import socket
import tempfile
import threading
import time

import pytest
from conftest import free_port
from upstreams import Upstream, reply

TO = 'location / {{ proxy_pass http://{0.at}{1}; {2} }}'


@pytest.fixture
def up():
    with Upstream() as u:
        yield u


def behind(weir, u, uri='', more='', **kw):
    return weir(TO.format(u, uri, more), **kw)


# ---- what the server is asked ------------------------------------------------------------------

def test_a_request_and_its_answer(weir, up):
    s = behind(weir, up)
    a = s.get('/a/b%20c?x=1&y=%2f', headers={'X-Own': 'yes', 'User-Agent': 'me'})
    assert (a.status, a.text) == (200, 'hello')
    assert a['Content-Length'] == '5' and a['Server'].startswith('weir') and a['Date']
    asked = up.last
    assert (asked.method, asked.target, asked.version) == ('GET', '/a/b%20c?x=1&y=%2f', 'HTTP/1.1')
    assert asked['Host'] == up.at and asked['X-Own'] == 'yes' and asked['User-Agent'] == 'me'
    assert asked['Connection'] is None


@pytest.mark.parametrize('location, url, path, sent', [
    ('/', '', '/a//b/../c?d', '/a//b/../c?d'),
    ('/name/', '/other/', '/name/x%20y?z=1', '/other/x%20y?z=1'),
    ('/name/', '/', '/name/', '/'),
    ('/name/', '', '/name/x', '/name/x'),
    ('/name', '/other', '/name/x', '/other/x'),
    ('= /exact', '/one?a=1', '/exact', '/one?a=1'),
    ('/name/', '/o/', '/name/%3Fa%23b', '/o/%3Fa%23b'),
    ('/name/', '/o/', '/name/../name/b', '/o/b'),
    ('~ ^/re/(.*)$', '', '/re/%41', '/re/%41'),
    ('~ ^/re/(.*)$', '/made/$1?q=$arg_q', '/re/x?q=7', '/made/x?q=7'),
    ('/v/', '$uri', '/v/a%20b', '/v/a%20b'),
])
def test_paths(weir, up, location, url, path, sent):
    s = weir(f'location {location} {{ proxy_pass http://{up.at}{url}; }}')
    assert s.get(path).status == 200, s.log()
    assert up.last.target == sent


def test_rewritten_paths(weir, up):
    s = weir(f'''location /a/ {{ rewrite ^/a/(.*)$ "/b c/$1" break; proxy_pass http://{up.at}; }}
                 location /n/ {{ try_files $uri @up; }}
                 location @up {{ proxy_pass http://{up.at}; }}''')
    assert s.get('/a/x?y').status == 200 and up.last.target == '/b%20c/x?y'
    assert s.get('/n/none%3f/../x?z').status == 200 and up.last.target == '/n/none%3f/../x?z'
    s = weir(f'location /c/ {{ rewrite ^/c/(.*)$ /d/$1 break; proxy_pass http://{up.at}/sub/; }}')
    assert s.get('/c/x').status == 200 and up.last.target == '/d/x'


def test_a_location_redirects_to_its_slash(weir, up):
    s = weir('location /app/ { proxy_pass http://%s; } location ~ app { return 404; }'
             'location /own/ { proxy_pass http://%s; } location /own { return 204; }'
             % (up.at, up.at))
    a = s.get('/app?x=1')
    assert (a.status, a['Location']) == (301, f'http://a.test:{s.port}/app/?x=1')
    assert s.get('/own').status == 204 and s.get('/ap').status == 404


def test_set_header(weir, up):
    s = behind(weir, up, more='''proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Gone "";
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Up $proxy_host:$proxy_port;''')
    s.get('/', headers={'X-Gone': '1', 'X-Real-IP': '9.9.9.9', 'X-Forwarded-For': '8.8.8.8'})
    asked = up.last
    assert asked.all('Host') == ['a.test'] and asked.all('X-Real-IP') == ['127.0.0.1']
    assert asked.all('X-Forwarded-For') == ['8.8.8.8, 127.0.0.1'] and asked.all('X-Gone') == []
    assert asked['X-Forwarded-Proto'] == 'http' and asked['X-Up'] == f'{up.at}:{up.port}'


def test_hop_by_hop_fields_stay_here(weir, up):
    s = behind(weir, up)
    s.raw('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, X-Hop, Authorization\r\n'
          'X-Hop: 1\r\nAuthorization: Basic eA==\r\nTE: trailers\r\nKeep-Alive: 5\r\n'
          'Proxy-Connection: x\r\nUpgrade: foo\r\nX-End: 1\r\n\r\n')
    asked = up.last
    for name in ('X-Hop', 'TE', 'Keep-Alive', 'Proxy-Connection', 'Upgrade', 'Connection'):
        assert asked[name] is None, name
    assert asked['Authorization'] == 'Basic eA==' and asked['X-End'] == '1'


def test_a_line_end_in_a_set_field_is_refused(weir, up):
    s = weir('''location ~ ^/(.*)$ { proxy_pass http://%s; proxy_set_header X-A $1; }''' % up.at)
    assert s.get('/a%0d%0aX-Evil:1').status == 500
    assert up.asked == []


@pytest.mark.parametrize('buffering', ['on', 'off'])
@pytest.mark.parametrize('size', [0, 1, 5000, 300_000])
@pytest.mark.parametrize('chunked', [False, True])
def test_bodies_go_up(weir, up, buffering, size, chunked):
    up.script = lambda peer, asked: peer.send(reply(f'{len(asked.body)}'))
    s = behind(weir, up, more=f'proxy_request_buffering {buffering}; client_body_buffer_size 8k;')
    body = os.urandom(size)
    with s.connect() as c:
        for _ in range(2):
            if chunked:
                c.send('POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n')
                for i in range(0, size, 70_000):
                    piece = body[i:i + 70_000]
                    c.send(b'%x\r\n%s\r\n' % (len(piece), piece))
                c.send(b'0\r\n\r\n')
                a = c.answer()
            else:
                a = c.ask('/', method='POST', body=body)
            assert (a.status, a.text) == (200, str(size)), s.log()
            assert up.last.body == body


def test_method_and_body_are_replaced(weir, up):
    s = behind(weir, up, more='proxy_method PUT; proxy_set_body "<$arg_a>";')
    s.get('/?a=b')
    assert (up.last.method, up.last.body) == ('PUT', b'<b>')


def test_nothing_of_the_request_is_passed(weir, up):
    s = behind(weir, up, more='proxy_pass_request_headers off; proxy_pass_request_body off;')
    with s.connect() as c:
        assert c.ask('/', method='POST', body=b'12345', headers={'X-A': '1'}).status == 200
    assert up.last.body == b'' and up.last['X-A'] is None and up.last['Host'] == up.at


def test_http_10(weir, up):
    up.script = lambda peer, asked: peer.send(
        b'HTTP/1.0 200 OK\r\nContent-Type: text/x\r\n\r\nall of it') or False
    s = behind(weir, up, more='proxy_http_version 1.0;')
    with s.connect() as c:
        c.send('POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n'
               '3\r\nabc\r\n0\r\n\r\n')
        a = c.answer()
    assert (a.text, a['Content-Type']) == ('all of it', 'text/x')
    assert (up.last.version, up.last['Connection'], up.last.body) == ('HTTP/1.0', 'close', b'abc')


def test_a_unix_socket(weir):
    with tempfile.TemporaryDirectory(prefix='weir-story-') as directory, \
            Upstream(unix=directory + '/sock') as u:
        s = weir(f'location /a/ {{ proxy_pass http://{u.at}:/b/; }} '
                 f'location / {{ proxy_pass http://{u.at}; }}')
        os.chmod(directory, 0o755)
        os.chmod(directory + '/sock', 0o777)
        assert s.get('/x').text == 'hello' and u.last.target == '/x'
        assert u.last['Host'] == 'localhost'
        assert s.get('/a/x').text == 'hello' and u.last.target == '/b/x'


def test_variables_name_the_server(weir, up):
    s = weir(f'''location /addr {{ set $b {up.at}; proxy_pass http://$b; }}
                 location /name {{ set $b localhost:{up.port}; proxy_pass http://$b/fixed; }}
                 location /group {{ set $b some; proxy_pass http://$b; }}
                 location /none {{ set $b none.invalid; proxy_pass http://$b; }}
                 location /bad {{ set $b "a b:c"; proxy_pass http://$b; }}''',
             http=f'upstream some {{ server {up.at}; }}')
    assert s.get('/addr?x').text == 'hello' and up.last.target == '/addr?x'
    assert s.get('/name').text == 'hello' and up.last.target == '/fixed'
    assert s.get('/group').text == 'hello' and up.last['Host'] == 'some'
    assert s.get('/none').status == 502
    s.wait_log('could not be resolved')
    assert s.get('/bad').status == 500


# ---- what the client gets ----------------------------------------------------------------------

def test_fields_of_the_answer(weir, up):
    up.script = reply('x', fields=[
        'Server: secret', 'Date: yesterday', 'X-Pad: 1', 'X-Accel-Charset: x', 'Keep-Alive: 3',
        'Connection: X-Foo', 'X-A: 1', 'X-B: 2', 'Content-Type: text/plain; charset=utf-8',
        'ETag: "e"', 'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT', 'Set-Cookie: a=1',
        'Set-Cookie: b=2', 'Cache-Control: max-age=5'])
    s = behind(weir, up, more='proxy_hide_header X-B; add_header X-Added 1;')
    a = s.get()
    assert a.all('Server') == [x for x in a.all('Server') if x.startswith('weir')]
    assert len(a.all('Date')) == 1 and a['Date'] != 'yesterday'
    for name in ('X-Pad', 'X-Accel-Charset', 'X-B'):
        assert a.all(name) == []
    assert (a['X-A'], a['X-Added'], a['ETag']) == ('1', '1', '"e"')
    assert a['Content-Type'] == 'text/plain; charset=utf-8'
    assert a['Last-Modified'] == 'Sun, 06 Nov 1994 08:49:37 GMT'
    assert a.all('Set-Cookie') == ['a=1', 'b=2'] and a['Cache-Control'] == 'max-age=5'


def test_pass_header(weir, up):
    up.script = reply('x', fields=['Server: mine', 'Date: Sun, 06 Nov 1994 08:49:37 GMT',
                                      'X-Pad: 1'])
    a = behind(weir, up, more='proxy_pass_header Server; proxy_pass_header Date;').get()
    assert a.all('Server') == ['mine'] and a.all('X-Pad') == []
    assert a.all('Date') == ['Sun, 06 Nov 1994 08:49:37 GMT']


@pytest.mark.parametrize('validators', [(), ('ETag: "a"', 'Last-Modified: Mon, 01 Jan 2001 '
                                                            '00:00:00 GMT')])
def test_conditions_are_the_server_s(weir, validators):
    """It has seen them, and it answered; what it says goes on."""
    whole = reply('whole', fields=validators)
    with Upstream(lambda peer, asked: peer.send(whole)) as up:
        s = behind(weir, up)
        for name, value in (('If-None-Match', '*'), ('If-None-Match', '"a"'), ('If-Match', '"b"'),
                            ('If-Modified-Since', 'Fri, 01 Jan 2038 00:00:00 GMT'),
                            ('If-Unmodified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT')):
            a = s.get('/', headers={name: value})
            assert (a.status, a.text) == (200, 'whole') and up.last[name] == value


@pytest.mark.parametrize('status', ['201 Created', '204 No Content', '304 Not Modified', '404 None',
                                    '500 Bad', '503 Busy', '418 Teapot'])
def test_statuses_pass(weir, up, status):
    bodiless = status[:3] in ('204', '304')
    up.script = reply('' if bodiless else 'theirs', status=status, length=not bodiless)
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(3):
            a = c.ask('/')
            assert a.status == int(status[:3]) and a.text == ('' if bodiless else 'theirs')
    assert up.connections == 1


def test_head(weir, up):
    up.script = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Type: a/b\r\n\r\n'
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(3):
            c.send('HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            a = c.answer(head=True)
            assert a.status == 200 and a['Content-Length'] == '1000' and a['Content-Type'] == 'a/b'
    assert up.connections == 1


@pytest.mark.parametrize('size', [0, 1, 4096, 5000, 100_000, 3_000_000])
@pytest.mark.parametrize('how', ['length', 'chunked', 'close'])
@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_bodies_come_down(weir, up, size, how, buffering):
    body = os.urandom(size)

    def script(peer, asked):
        if how == 'length':
            peer.send(reply(body))
        elif how == 'close':
            peer.send(b'HTTP/1.1 200 OK\r\n\r\n' + body)
            return False
        else:
            peer.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
            for i in range(0, size, 30_011):
                piece = body[i:i + 30_011]
                peer.send(b'%x\r\n%s\r\n' % (len(piece), piece))
            peer.send(b'0\r\nX-Trailer: 1\r\n\r\n')

    up.script = script
    s = behind(weir, up, more=f'proxy_buffering {buffering};')
    with s.connect(timeout=20) as c:
        for _ in range(3):
            assert c.ask('/').body == body
    assert up.connections == (3 if how == 'close' else 1)


def test_in_small_pieces(weir, up):
    def script(peer, asked):
        for i, byte in enumerate(reply('in small pieces', fields=['X-A: b'])):
            peer.send(bytes([byte]))
            if i % 10 == 0:
                time.sleep(0.002)
    up.script = script
    a = behind(weir, up).get()
    assert (a.text, a['X-A']) == ('in small pieces', 'b')


def test_a_slow_client_makes_a_slow_server(weir, up):
    sent = []

    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\n\r\n')
        peer.sock.settimeout(1)
        try:
            while sum(sent) < 200_000_000:
                sent.append(peer.sock.send(b'x' * 65536))
        except TimeoutError:
            pass
        return False

    up.script = script
    s = behind(weir, up, more='proxy_max_temp_file_size 0;')
    c = s.connect()
    c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    time.sleep(1.5)
    assert 0 < sum(sent) < 100_000_000      # what the kernel's buffers hold on both sides
    c.close()


def test_filters_work_on_answers(weir, up):
    up.script = reply('a' * 5000, fields=['Content-Type: text/plain'])
    s = behind(weir, up, more='gzip on; gzip_types text/plain; gzip_proxied any; '
                              'sub_filter_types *; sub_filter_once off;')
    a = s.get('/', headers={'Accept-Encoding': 'gzip'})
    assert a['Content-Encoding'] == 'gzip'
    import gzip
    assert gzip.decompress(a.body) == b'a' * 5000


def test_redirects(weir, up):
    up.script = lambda peer, asked: peer.send(
        reply(status='302 Found', fields=[f'Location: {asked["X-To"]}']))
    s = weir(f'''absolute_redirect off;
        location /one/ {{ proxy_pass http://{up.at}/two/; }}
        location /off/ {{ proxy_pass http://{up.at}/two/; proxy_redirect off; }}
        location /own/ {{ proxy_pass http://{up.at}/two/; proxy_redirect http://x.test/ /y/;
                          proxy_redirect ~^(http://[^:]+):\\d+(/.+)$ $1$2;
                          proxy_redirect default; }}
        location / {{ proxy_pass http://{up.at}; }}''')

    def to(path, location):
        return s.get(path, headers={'X-To': location})['Location']
    at = f'http://{up.at}'
    assert to('/one/', f'{at}/two/a?b') == '/one/a?b'
    assert to('/one/', f'{at}/three/') == f'{at}/three/'
    assert to('/one/', '/relative') == '/relative'
    assert to('/off/', f'{at}/two/a') == f'{at}/two/a'
    assert to('/own/', 'http://x.test/z') == '/y/z'
    assert to('/own/', 'http://h.test:81/z') == 'http://h.test/z'
    assert to('/own/', f'{at}/two/a') == '/own/a'
    assert to('/', f'{at}/x') == '/x'


def test_cookies(weir, up):
    up.script = lambda peer, asked: peer.send(
        reply(fields=[f'Set-Cookie: {asked["X-Cookie"]}']))
    s = behind(weir, up, more='''proxy_cookie_domain back.test front.test;
        proxy_cookie_path /two/ /one/; proxy_cookie_flags sid secure samesite=lax nohttponly;''')

    def cookie(text):
        return s.get('/', headers={'X-Cookie': text})['Set-Cookie']
    assert cookie('a=b; Domain=back.test; Path=/two/x') == 'a=b; Domain=front.test; Path=/one/x'
    assert cookie('a=b; domain=.BACK.test') == 'a=b; domain=front.test'
    assert cookie('a=b; Path=/three/; Secure') == 'a=b; Path=/three/; Secure'
    assert cookie('sid=1; HttpOnly; Path=/') == 'sid=1; Path=/; Secure; SameSite=Lax'
    assert cookie('sid=1; Secure; SameSite=None; A') == 'sid=1; Secure; A; SameSite=Lax'


def test_forced_ranges(weir, up):
    body = os.urandom(100_000)
    up.script = reply(body, fields=['Accept-Ranges: none'])
    s = behind(weir, up, more='proxy_force_ranges on;')
    with s.connect() as c:
        for first, last in ((0, 0), (10, 5000), (50_000, 99_999)):
            a = c.ask('/', headers={'Range': f'bytes={first}-{last}'})
            assert (a.status, a['Content-Range']) == (206, f'bytes {first}-{last}/100000')
            assert a.body == body[first:last + 1]
        a = c.ask('/', headers={'Range': 'bytes=0-1,5-6'})
        assert (a.status, a['Accept-Ranges'], a.body) == (200, 'bytes', body)
        assert c.ask('/', headers={'Range': 'bytes=100000-'}).status == 416


def test_intercepted_errors(weir, up):
    up.script = lambda peer, asked: peer.send(reply(
        'theirs', status=asked.target[1:] + ' X', fields=['WWW-Authenticate: Basic']))
    s = weir(f'''location / {{ proxy_pass http://{up.at}; proxy_intercept_errors on;
                               error_page 404 =200 /file.txt; error_page 401 /index.html; }}
                 location = /file.txt {{ }} location = /index.html {{ }}''')
    assert (s.get('/404').status, s.get('/404').text) == (200, '0123456789')
    assert s.get('/500').text == 'theirs'
    a = s.get('/401')
    assert (a.status, a.text) == (401, '<h1>index</h1>\n')


def test_x_accel(weir, up):
    up.script = lambda peer, asked: peer.send(reply(
        'theirs', fields=[f'X-Accel-Redirect: {asked["X-To"]}', 'Set-Cookie: a=1',
                          'Content-Type: x/y', 'X-Lost: 1']))
    s = weir(f'''location / {{ proxy_pass http://{up.at}; }}
                 location /inside/ {{ internal; rewrite ^/inside(.*) $1 break; }}
                 location @named {{ return 200 named; }}''')
    a = s.get('/', headers={'X-To': '/inside/file.txt'})
    assert (a.status, a.text, a['Set-Cookie'], a['X-Lost']) == (200, '0123456789', 'a=1', None)
    assert a['Content-Type'] == 'x/y'
    assert s.get('/', headers={'X-To': '@named'}).text == 'named'
    assert s.get('/', headers={'X-To': '/inside/none'}).status == 404
    assert s.get('/inside/file.txt').status == 404


# ---- connections are kept ----------------------------------------------------------------------

def test_one_connection_serves_many(weir, up):
    s = behind(weir, up)
    for _ in range(5):
        with s.connect() as c:
            for _ in range(10):
                assert c.ask('/').text == 'hello'
    assert up.connections <= 2      # one for each loop


def test_keepalive_limits(weir, up):
    s = weir('location / { proxy_pass http://g; }',
             http='upstream g { server %s; keepalive_requests 3; }' % up.at)
    with s.connect() as c:
        for _ in range(9):
            assert c.ask('/').text == 'hello'
    assert up.connections == 3


def test_keepalive_off(weir, up):
    s = weir('location / { proxy_pass http://g; }',
             http='upstream g { server %s; keepalive 0; }' % up.at)
    with s.connect() as c:
        for _ in range(3):
            assert c.ask('/').text == 'hello'
    assert up.connections == 3 and up.last['Connection'] == 'close'


def test_a_connection_that_the_server_closed_is_not_used(weir, up):
    closing = threading.Event()

    def script(peer, asked):
        last = closing.is_set()         # as of now: the client goes on once it has the answer
        peer.send(reply('hello'))
        return not last

    up.script = script
    s = behind(weir, up)
    with s.connect() as c:
        assert c.ask('/').text == 'hello'
        closing.set()
        for _ in range(10):
            assert c.ask('/', method='POST', body=b'x').text == 'hello'
            while up.open:              # a request that is sent before is lost, and not repeated
                time.sleep(0.001)


def test_bytes_behind_an_answer_end_the_connection(weir, up):
    up.script = lambda peer, asked: peer.send(reply('hello') + b'HTTP/1.1 200 evil\r\n\r\n')
    s = behind(weir, up)
    with s.connect() as c:
        for _ in range(3):
            assert c.ask('/').text == 'hello'
    assert up.connections == 3


# ---- upgrades --------------------------------------------------------------------------------

UPGRADE = ('proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";')


def echo(peer, asked):
    peer.send('HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nfirst')
    while data := peer.sock.recv(65536):
        peer.send(data)
    return False


def test_a_tunnel(weir, up):
    up.script = echo
    s = behind(weir, up, more=UPGRADE)
    with s.connect(timeout=20) as c:
        c.send('GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\n'
               'Upgrade: echo\r\n\r\nearly')
        head = b''
        while not head.endswith(b'firstearly'):
            head += c.sock.recv(65536)
        assert b' 101 ' in head and b'Upgrade: echo' in head and b'Connection: upgrade' in head
        for size in (1, 100, 100_000, 1_000_000):
            data = os.urandom(size)
            threading.Thread(target=c.sock.sendall, args=(data,)).start()
            got = b''
            while len(got) < size:
                got += c.sock.recv(65536)
            assert got == data
        c.sock.shutdown(socket.SHUT_WR)
        assert c.sock.recv(10) == b''


def test_a_tunnel_ends_with_the_server(weir, up):
    def script(peer, asked):
        peer.send('HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbye')
        return False
    up.script = script
    s = behind(weir, up, more=UPGRADE)
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
        got = b''
        while data := c.sock.recv(1000):
            got += data
        assert got.endswith(b'\r\n\r\nbye')


def test_no_tunnel_without_having_been_asked(weir, up):
    up.script = echo
    assert behind(weir, up).get().status == 502


# ---- servers that misbehave ------------------------------------------------------------------

@pytest.mark.parametrize('answer', [
    b'', b'garbage\r\n\r\n', b'HTTP/0.9 200\r\n\r\n', b'HTTP/1.1 99 x\r\n\r\n',
    b'HTTP/1.1 600 x\r\n\r\n', b'HTTP/2.0 200 x\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    b'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n', b'HTTP/1.1 200 OK\r\nX : a\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n', b'HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n',
    b'HTTP/1.1 200 OK\r\n' + b'X: ' + b'a' * 20000 + b'\r\n\r\n',
    b'HTTP/1.1 200 OK\r\n' + b'X: a\r\n' * 300 + b'\r\n',
    b'HTTP/1.1 100 Continue\r\n\r\n' * 20,
])
def test_no_answer_is_502(weir, up, answer):
    def script(peer, asked):
        peer.send(answer)
        return False
    up.script = script
    s = behind(weir, up)
    a = s.get()
    assert a.status == 502, a.raw
    up.script = lambda peer, asked: peer.send(reply('well'))
    assert s.get().text == 'well'


def test_interim_answers_are_passed_over(weir, up):
    up.script = lambda peer, asked: peer.send(
        b'HTTP/1.1 100 Continue\r\n\r\n'
        b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' + reply('final'))
    assert behind(weir, up).get().text == 'final'


@pytest.mark.parametrize('answer', [
    b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfxx',
])
def test_a_body_that_breaks_off_never_looks_whole(weir, up, answer):
    def script(peer, asked):
        peer.send(answer)
        return False
    up.script = script
    s = behind(weir, up)
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        got = b''
        try:
            while data := c.sock.recv(10000):
                got += data
        except ConnectionResetError:
            pass
    assert b' 200 ' in got and not got.endswith(b'0\r\n\r\n')


def test_nobody_listens(weir):
    s = weir(f'location / {{ proxy_pass http://127.0.0.1:{free_port()}; }}')
    assert s.get().status == 502
    s.wait_log('while connecting to upstream')


def test_a_server_that_says_nothing(weir, up):
    up.script = lambda peer, asked: time.sleep(3)
    s = behind(weir, up, more='proxy_read_timeout 300ms;')
    start = time.monotonic()
    assert s.get().status == 504 and time.monotonic() - start < 2.5
    s.wait_log('upstream timed out')


def test_a_server_that_stalls_in_its_body(weir, up):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
        time.sleep(3)
    up.script = script
    s = behind(weir, up, more='proxy_read_timeout 300ms;')
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert c.take(1) == b'H' and b'half' in c.rest()


def test_a_server_that_answers_before_it_has_read(weir, up):
    def raw(peer):
        peer.line()
        peer.send(reply('no', status='413 Too Large', fields=['Connection: close']))
        time.sleep(0.2)
    up.raw = raw
    s = behind(weir, up, more='client_max_body_size 0;')
    with s.connect(timeout=10) as c:
        a = c.ask('/', method='POST', body=b'x' * 3_000_000)
    assert a.status in (413, 502)


def test_a_client_that_leaves(weir, up):
    gone = threading.Event()

    def script(peer, asked):
        if peer.sock.recv(1) == b'':
            gone.set()
        return False

    up.script = script
    s = weir(TO.format(up, '', 'access_log a.log l;'),
             http='log_format l "$status $upstream_addr";')
    c = s.connect()
    c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    while not up.asked:
        time.sleep(0.01)
    c.close()                                # peer_left
    assert gone.wait(5)
    assert s.file('a.log', contains='499').strip() == f'499 {up.at}'


def test_a_client_that_leaves_in_the_middle_of_an_answer(weir, up):
    gone = threading.Event()

    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
        if peer.sock.recv(1) == b'':
            gone.set()
        return False

    up.script = script
    s = behind(weir, up)
    c = s.connect()
    c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    while b'data: 1' not in c.buffer:
        c.fill()
    c.close()
    assert gone.wait(5)


def test_a_client_that_leaves_may_be_ignored(weir, up):
    got = threading.Event()

    def script(peer, asked):
        time.sleep(0.3)
        peer.send(reply('x' * 100))
        got.set()

    up.script = script
    s = behind(weir, up, more='proxy_ignore_client_abort on;')
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.sock.shutdown(socket.SHUT_WR)
        assert c.answer().text == 'x' * 100
    assert got.wait(5)


# ---- variables, logs -------------------------------------------------------------------------

def test_variables(weir, up):
    up.script = reply('hello', fields=['X-Their-Field: v', 'Set-Cookie: k=1; Path=/'])
    s = weir(TO.format(up, '', 'add_header X-Up "$upstream_http_x_their_field $upstream_cookie_k '
                               '$upstream_status"; access_log a.log l;'),
             http='log_format l "$upstream_addr $upstream_status $upstream_response_length '
                  '$upstream_response_time $upstream_connect_time $upstream_header_time '
                  '$upstream_bytes_received";')
    assert s.get()['X-Up'] == 'v 1 200'
    line = s.file('a.log', contains='200').split()
    assert line[:3] == [up.at, '200', '5'] and all(len(x.split('.')[1]) == 3 for x in line[3:6])
    assert int(line[6]) > 50


def test_reload_keeps_requests(weir, up):
    go = threading.Event()

    def script(peer, asked):
        if asked.target == '/':
            go.wait(5)
        peer.send(reply('late'))

    up.script = script
    s = behind(weir, up)
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        while not up.asked:
            time.sleep(0.01)
        s.rewrite(s.conf.read_text().replace(f'proxy_pass http://{up.at};', 'return 204;'))
        s.signal(signal.SIGHUP)
        with s.connect() as other:
            end = time.monotonic() + 5
            while other.ask('/none').status != 204 and time.monotonic() < end:
                time.sleep(0.02)
        go.set()
        assert c.answer().text == 'late'


# ---- configuration ---------------------------------------------------------------------------

@pytest.mark.parametrize('text, says', [
    ('location / { proxy_pass ftp://x; }', 'does not begin with "http://"'),
    ('location / { proxy_pass http://; }', 'names no server'),
    ('location ~ x { proxy_pass http://127.0.0.1:1/a; }', 'has a path'),
    ('location @n { proxy_pass http://127.0.0.1:1/a; }', 'has a path'),
    ('location / { proxy_pass http://127.0.0.1:99999; }', 'no name or port that can be'),
    ('location / { proxy_pass http://127.0.0.1; empty_gif; }', 'answers the requests of this'),
    ('proxy_set_header "a b" c;', "cannot be a field's name"),
    ('proxy_next_upstream sometimes;', 'is no reason'),
    ('proxy_buffers 0 4k;', 'is no number of buffers'),
    ('proxy_ignore_headers X-Foo;', 'is no field that could be ignored'),
    ('proxy_bind nowhere;', 'is no address of this machine'),
    ('proxy_redirect sideways;', 'stands alone'),
    ('proxy_cookie_flags a sour;', 'is no flag of a cookie'),
])
def test_mistakes(weir, text, says):
    s = weir(text, start=False)
    run = s.command('-t')
    assert run.returncode != 0 and says in run.stderr, run.stderr


def test_a_name_that_is_not_known_is_a_warning(weir):
    s = weir('location / { proxy_pass http://none.invalid; }')
    assert s.get().status == 502
    run = s.command('-t')
    assert run.returncode == 0 and 'host not found in upstream' in run.stderr


# ---- sub-requests ------------------------------------------------------------------------------

def test_auth_request_asks_a_server(weir, up):
    up.script = lambda peer, asked: peer.send(
        reply('body of the answer', status='200 OK' if asked['X-Key'] == 'good' else '401 No',
              fields=['X-User: joe', 'WWW-Authenticate: Basic realm="x"']))
    s = weir(f'''location / {{ auth_request /auth; auth_request_set $user $upstream_http_x_user;
                               add_header X-Joe $user; }}
                 location = /auth {{ internal; proxy_pass http://{up.at}/check;
                                     proxy_pass_request_body off;
                                     proxy_set_header Content-Length "";
                                     proxy_set_header X-Uri $request_uri; }}''')
    with s.connect() as c:
        for _ in range(3):
            a = c.ask('/file.txt?x', headers={'X-Key': 'good'})
            assert (a.status, a.text, a['X-Joe']) == (200, '0123456789', 'joe')
            a = c.ask('/file.txt')
            assert (a.status, a['WWW-Authenticate']) == (401, 'Basic realm="x"')
    assert up.last.target == '/check' and up.last['X-Uri'] == '/file.txt'
    with s.connect() as c:
        a = c.ask('/file.txt', method='POST', headers={'X-Key': 'good'}, body=b'x' * 1000)
        assert a.status == 405 and up.last.body == b''


def test_a_page_includes_servers_answers(weir, up):
    up.script = lambda peer, asked: peer.send(reply(f'[{asked.target}]' * 1000))
    s = weir(f'''location / {{ ssi on; }} location /part/ {{ proxy_pass http://{up.at}; }}
                 location /paged/ {{ ssi on; ssi_types *; proxy_pass http://{up.at}/; }}''',
             files={'html/page.html': '<!--#include virtual="/part/1" -->|'
                                      '<!--#include virtual="/part/2?q" -->'})
    for _ in range(3):
        assert s.get('/page.html').text == '[/part/1]' * 1000 + '|' + '[/part/2?q]' * 1000


def test_mirror_sends_bodies_to_a_server(weir, up):
    with Upstream() as other:
        s = weir(f'''location / {{ mirror /copy; proxy_pass http://{up.at}; }}
                     location = /copy {{ internal; proxy_pass http://{other.at}$request_uri; }}''')
        body = os.urandom(50_000)
        with s.connect() as c:
            assert c.ask('/x?y', method='POST', body=body).text == 'hello'
        end = time.monotonic() + 5
        while not other.asked and time.monotonic() < end:
            time.sleep(0.01)
        assert other.last.target == '/x?y' and other.last.body == body == up.last.body
        assert other.last.method == 'POST'


def test_error_page_tries_another_server(weir, up):
    s = weir(f'''location / {{ proxy_pass http://127.0.0.1:{free_port()}; error_page 502 = @other;
                               add_header X-Up "$upstream_addr|$upstream_status"; }}
                 location @other {{ proxy_pass http://{up.at};
                                    add_header X-Up "$upstream_addr|$upstream_status"; }}''')
    with s.connect() as c:
        a = c.ask('/a/b?c', method='POST', body=b'12345')
    assert a.text == 'hello' and up.last.target == '/a/b?c' and up.last.body == b'12345'
    assert up.last.method == 'POST' and a['X-Up'].endswith(f' : {up.at}|502 : 200')
