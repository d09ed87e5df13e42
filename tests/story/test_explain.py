"""weir explain: says what the server does, and why."""
import re
import subprocess

import pytest

from conftest import BINARY

pytestmark = pytest.mark.one_engine

LISTEN = 'listen 8080;'


def explain(tmp_path, http, url, *words, status=0):
    (tmp_path / 'weir.conf').write_text(f'events {{ }} http {{\naccess_log off;\n{http}\n}}')
    run = subprocess.run([BINARY, 'explain', '-p', f'{tmp_path}/', '-c', tmp_path / 'weir.conf',
                          *words, url], capture_output=True, text=True, timeout=20)
    assert run.returncode == status, run.stdout + run.stderr
    return run.stdout if status == 0 else run.stderr


def lines(text, label):
    """The texts behind a label, its own and those that follow without one; places are left out."""
    found, here = [], False
    for line in text.splitlines():
        name, words = line[:12].strip(), re.sub(r'  \[\S+:\d+\]$', '', line[13:])
        here = name == label or (here and not name)
        if here:
            found.append(words)
    return found


def place(text, words):
    """The line of the file that stands behind a line with these words."""
    return int(re.search(re.escape(words) + r'.*\[\S+:(\d+)\]$', text, re.M)[1])


SERVERS = f'''server {{ {LISTEN} server_name a.test; return 200 a; }}
server {{ {LISTEN} server_name *.a.test; return 200 wild; }}
server {{ {LISTEN} server_name ~^w+\\.; return 200 regex; }}
server {{ listen 9090; server_name other.test; return 200 other; }}'''


@pytest.mark.parametrize('host, why, not_why', [
    ('a.test', 'by the exact name "a.test"', 'not *.a.test: no name of it fits'),
    ('b.a.test', 'by the wildcard "*.a.test"', 'not a.test: no name of it fits'),
    ('www.a.test', 'by the wildcard "*.a.test"',
     r'not ~^w+\.: its "~^w+\." fits, but comes behind'),
    ('www.test', r'by the regular expression "~^w+\."', 'not a.test: no name of it fits'),
    ('x.test',
     'a.test: the default one of this listener: no server has the name that was asked for',
     'not other.test: it does not listen there'),
])
def test_servers(tmp_path, host, why, not_why):
    text = explain(tmp_path, SERVERS, f'http://{host}:8080/')
    assert lines(text, 'server')[0] == why
    assert not_why in lines(text, 'server')


LOCATIONS = f'''server {{ {LISTEN} root /srv;
location / {{ return 200 root; }}
location = /one {{ return 200 one; }}
location /long/ {{ return 200 long; location ~ \\.txt$ {{ return 200 inner; }} }}
location ^~ /first/ {{ return 200 first; }}
location ~ \\.php$ {{ return 200 php; }}
location ~* \\.(php|PNG)$ {{ return 200 png; }}
}}'''


@pytest.mark.parametrize('path, chosen, others', [
    ('/x', '/: the longest prefix', [r'~ \.php$: it does not match', '= /one: the path is not that',
                                     '/long/: the path does not begin so']),
    ('/one', '= /one: the path is exactly that', [
        '/: the path begins so, but an exact location fits',
        r'~ \.php$: an exact or "^~" location lets no regular expression be asked']),
    ('/long/x', '/long/: the longest prefix', ['/: the path begins so, but a longer prefix fits']),
    ('/long/a.txt', r'~ \.txt$: the first regular expression that matches', []),
    ('/first/a.php', '^~ /first/: the longest prefix, and no regular expression is asked', [
        r'~ \.php$: an exact or "^~" location lets no regular expression be asked']),
    ('/a.php', r'~ \.php$: the first regular expression that matches', [
        r'~* \.(php|PNG)$: it would match, but one before it does',
        '/: the longest prefix, but a regular expression comes before it']),
])
def test_locations(tmp_path, path, chosen, others):
    text = explain(tmp_path, LOCATIONS, f'http://a.test:8080{path}')
    found = lines(text, 'location')
    assert chosen in found
    for other in others:
        assert f'not location {other}' in found


def test_places_are_right(tmp_path):
    text = explain(tmp_path, LOCATIONS, 'http://a.test:8080/long/a.txt')
    assert place(text, r'~ \.txt$: the first') == 6
    assert place(text, 'return 200 inner: answers') == 6


def test_rewriting(tmp_path):
    text = explain(tmp_path, f'''server {{ {LISTEN}
        set $kind "k-$arg_a";
        rewrite ^/none /x;
        if ($kind = k-1) {{ rewrite ^/old/(.*) /new/$1?b=2 last; }}
        location /new/ {{ rewrite ^ /end break; return 200 $uri; }} }}''',
                   'http://a.test:8080/old/x?a=1')
    assert lines(text, 'rewrite') == [
        'set $kind "k-$arg_a": "k-1"', 'rewrite ^/none /x: does not match',
        'if ($kind = k-1): is true', 'rewrite ^/old/(.*) /new/$1?b=2 last: matches',
        'goes on as /new/x?b=2&a=1', 'rewrite ^ /end break: matches', 'goes on as /end?b=2&a=1']
    assert lines(text, 'location')[0] == '/new/: the longest prefix'


def test_access(tmp_path):
    (tmp_path / 'users').write_text('')
    http = f'''server {{ {LISTEN} location / {{
        allow 10.0.0.0/8;
        deny all; empty_gif; }}
        location /auth {{ auth_basic "secrets"; auth_basic_user_file users; empty_gif; }}
        location /get {{ limit_except GET {{ deny all; }} empty_gif; }} }}'''
    text = explain(tmp_path, http, 'http://a:8080/', '-f', '10.1.2.3')
    assert 'allow 10.0.0.0/8 decides about 10.1.2.3' in lines(text, 'access')
    assert lines(text, 'answer') == ['200 OK'] and place(text, 'allow 10.0.0.0/8 decides') == 4
    text = explain(tmp_path, http, 'http://a:8080/')
    assert lines(text, 'access') == ['deny all decides about 127.0.0.1', 'refused with 403']
    assert lines(text, 'error log')[0].startswith('access forbidden by rule in ')
    assert lines(text, 'answer') == ['403 Forbidden']
    text = explain(tmp_path, http, 'http://a:8080/auth')
    assert 'auth_basic "secrets": not let in without a name and its password' in text
    assert 'WWW-Authenticate: Basic realm="secrets"' in lines(text, 'field')
    text = explain(tmp_path, http, 'http://a:8080/get', '-X', 'POST')
    assert lines(text, 'access')[0] == 'limit_except GET holds for this method'
    assert lines(text, 'answer') == ['403 Forbidden']


def test_files_and_fields(tmp_path):
    (tmp_path / 'html').mkdir()
    (tmp_path / 'html/index.html').write_text('hello')
    text = explain(tmp_path, f'''server {{ {LISTEN} root html;
        add_header X-Outer 1;
        location / {{ expires 1h; add_header X-Inner $uri; }} }}''', 'http://a:8080/')
    assert lines(text, 'index') == ['goes on as /index.html']
    assert lines(text, 'file') == [f'{tmp_path}/html/index.html']
    assert place(text, '/index.html') == 3
    fields = lines(text, 'field')
    assert 'X-Inner: /index.html' in fields and 'Content-Length: 5' in fields
    assert not any(f.startswith('X-Outer') for f in fields)
    assert place(text, 'X-Inner') == 5 and place(text, 'Cache-Control: max-age=3600') == 5


def test_error_pages(tmp_path):
    text = explain(tmp_path, f'''server {{ {LISTEN} root html; error_page 404 = @app;
        error_page 403 /no.html;
        location / {{ try_files $uri =404; }} location /no {{ internal; return 200 no; }}
        location /secret {{ deny all; }} location @app {{ return 200 app; }} }}''',
                   'http://a:8080/absent')
    assert lines(text, 'try_files') == ['try_files $uri =404', 'nothing found']
    assert lines(text, 'error_page') == ['goes on in @app']
    assert lines(text, 'answer') == ['200 OK']
    text = explain(tmp_path, f'''server {{ {LISTEN} error_page 403 /no.html;
        location /no {{ internal; return 200 no; }} location /secret {{ deny all; }} }}''',
                   'http://a:8080/secret')
    assert lines(text, 'error_page') == ['goes on as /no.html']
    assert lines(text, 'answer') == ['403 Forbidden']


def test_passed_on(tmp_path):
    http = f'''upstream back {{ server 127.0.0.1:9; server 127.0.0.1:10 backup; }}
        server {{ {LISTEN} root /srv;
        location /api/ {{ proxy_pass http://back/v1/; proxy_set_header X-From $remote_addr; }}
        location ~ ^/to/(\\d+) {{ proxy_pass http://127.0.0.1:$1; }}
        location /s/ {{ proxy_pass https://back/; proxy_ssl_server_name on;
                        proxy_ssl_name b.test; proxy_ssl_verify off; }}
        location /sv {{ proxy_pass https://127.0.0.1:9; proxy_ssl_verify off; }}
        location /php {{ fastcgi_pass 127.0.0.1:9;
                         fastcgi_param SCRIPT_FILENAME $document_root$uri.php; }}
        location /asked {{ auth_request /ask; empty_gif; }}
        location = /ask {{ internal; proxy_pass http://127.0.0.1:9/verify; }} }}'''
    text = explain(tmp_path, http, 'http://a:8080/api/x%20y?q=1', '-X', 'DELETE')
    assert lines(text, 'passed on') == [
        'proxy_pass http://back/v1/', 'to back: DELETE /v1/x%20y?q=1 HTTP/1.1', 'upstream back',
        'one of them: 127.0.0.1:9 (127.0.0.1:9)',
        'one of them: 127.0.0.1:10 (127.0.0.1:10), a backup', 'X-From: 127.0.0.1']
    text = explain(tmp_path, http, 'http://a:8080/to/81')
    assert 'to 127.0.0.1:81: GET /to/81 HTTP/1.1' in lines(text, 'passed on')
    text = explain(tmp_path, http, 'http://a:8080/s/x')
    assert lines(text, 'passed on')[1:3] == [
        'to back: GET /x HTTP/1.1', 'over TLS, told that it is b.test, not verified']
    text = explain(tmp_path, http, 'http://a:8080/sv')
    assert 'over TLS, not verified' in lines(text, 'passed on')
    text = explain(tmp_path, http, 'http://a:8080/php')
    assert 'SCRIPT_FILENAME = /srv/php.php' in lines(text, 'passed on')
    text = explain(tmp_path, http, 'http://a:8080/asked')
    assert 'to 127.0.0.1:9: GET /verify HTTP/1.1' in text


def test_nothing_is_changed_and_nobody_asked(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/f').write_text('stays')
    http = f'server {{ {LISTEN} location / {{ root data; dav_methods PUT DELETE; }} }}'
    text = explain(tmp_path, http, 'http://a:8080/f', '-X', 'DELETE')
    assert 'would change files' in text and (tmp_path / 'data/f').read_text() == 'stays'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['data', 'weir.conf']


def test_refused_heads(tmp_path):
    text = explain(tmp_path, f'server {{ {LISTEN} }}', 'http://a:8080/', '-H', 'Bad Name: x')
    assert lines(text, 'refused') and lines(text, 'answer') == ['400 Bad Request']


def test_a_closed_connection(tmp_path):
    text = explain(tmp_path, f'server {{ {LISTEN} return 444; }}', 'http://a:8080/')
    assert lines(text, 'answer') == ['none: the connection is closed']


@pytest.mark.parametrize('http, url, words, status, says', [
    ('server { listen 81; }', 'http://a/', (), 1, 'nothing listens on port 80; there is:'),
    ('server { listen 81; }', 'http://a/', ('-l', '*:82'), 1, 'nothing listens at *:82'),
    ('server { lisen 81; }', 'http://a/', (), 1, 'lisen'),
    ('server { }', 'http://:x/', (), 2, 'is no URL'),
    ('server { }', 'http://a/', ('-f', 'nowhere'), 2, 'is not understood'),
    ('server { }', 'http://a/', ('-Z',), 2, 'is not understood'),
])
def test_mistakes(tmp_path, http, url, words, status, says):
    assert says in explain(tmp_path, http, url, *words, status=status)
