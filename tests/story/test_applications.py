"""Configurations as well-known applications are run with: they are understood, and lead requests
where nginx would.

What weir does not have yet is told by -t, and nothing else is. For the routing, a scripted server
stands where the application would be, and `weir explain` must say what then happens.
"""
import contextlib
import pathlib
import re
import subprocess

import pytest

from conftest import BINARY, ROOT
from test_gateways import FastCGI, out
from upstreams import Upstream, reply

HERE = pathlib.Path(__file__).resolve().parent / 'applications'
NAMES = sorted(p.stem for p in HERE.glob('*.conf'))
NOT_YET = re.compile(r'that weir does not have yet')
APP = 'the application'
PAGE = 'page\n'
PLAIN = 'Content-Type: text/plain'


class Application:
    """Stands behind weir, speaking what the configuration passes requests on in."""

    def __init__(self, text):
        if 'fastcgi_pass' in text:
            self.server = FastCGI(lambda params, body: out(f'{PLAIN}\r\n\r\n{APP}'))
            self.asked = self.server.params
        else:
            self.server = Upstream(reply(APP, fields=[PLAIN]))
            self.asked = self.server.asked

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


def placed(text, s, app):
    """The same with folders below `s`, its port, and the application instead of its back ends."""
    def servers(upstream):
        return re.sub(r'server [^;{}]*;', f'server {app.server.at};', upstream[0], count=1)
    root = f'{s.dir}/files'
    text = re.sub(r'upstream \S+ \{.*?\}\n', servers, text, flags=re.S)
    text = re.sub(r'fastcgi_pass unix:[^;]*', f'fastcgi_pass {app.server.at}', text)
    text = text.replace('http://127.0.0.1:8123', f'http://{app.server.at}')
    text = re.sub(r'(?<!\w)(?:proxy_cache|http2)_?\w* [^;]*;', '', text)
    text = text.replace('include fastcgi_params', f'include {ROOT}/conf/fastcgi_params')
    text = re.sub(r'listen \[::\][^;]*;', '', text)
    text = re.sub(r'listen (?:0\.0\.0\.0:)?80', f'listen 127.0.0.1:{s.port}', text)
    text = re.sub(r'(access|error)_log /[^\s;]+', rf'\1_log {root}/application.log', text)
    return re.sub(r'(root|alias|set \$public|auth_basic_user_file) /', rf'\1 {root}/', text)


@contextlib.contextmanager
def running(weir, name, files=()):
    text = (HERE / f'{name}.conf').read_text()
    with Application(text) as app:
        s = weir(start=False, files={f'files/{f}': PAGE for f in files}, servers='INSIDE')
        s.rewrite(s.conf.read_text().replace('INSIDE', placed(text, s, app)))
        (s.dir / 'files').mkdir(exist_ok=True)
        s.start()
        yield s, app


@pytest.mark.one_engine
@pytest.mark.parametrize('name', NAMES)
def test_all_of_it_is_understood(engine, tmp_path, name):
    (tmp_path / 'weir.conf').write_text(f'events {{ }} http {{ include {HERE / name}.conf; }}')
    (tmp_path / 'fastcgi_params').write_text('')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', f'{tmp_path}/weir.conf'],
                         capture_output=True, text=True)
    errors = [line for line in run.stderr.splitlines() if 'error:' in line]
    assert all(NOT_YET.search(e) for e in errors), run.stderr
    assert len(errors) < 100


# name: {files}, [(host, path, expected, more)]; expected: APP, a status, a text, or '-> address'
ROUTES = {
    'wordpress': (['index.php', 'style.css', 'robots.txt', 'wp-login.php', 'wp-admin/index.php',
                   'wp-content/uploads/x.php', '.git/config'], '/var/www/wordpress', [
        ('www.example.com', '/a?b=c', '-> http://example.com/a?b=c'),
        ('example.com', '/', APP), ('example.com', '/a-post/', APP),
        ('example.com', '/2026/11/title?x=1', APP), ('example.com', '/style.css', PAGE),
        ('example.com', '/none.php', 404),
        ('example.com', '/wp-content/uploads/x.php', 403), ('example.com', '/.git/config', 403),
        ('example.com', '/wp-admin', '-> http://example.com/wp-admin/'),
        ('example.com', '/wp-admin/', APP), ('example.com', '/robots.txt', PAGE),
        ('example.com', '/wp-login.php', APP), ('example.com', '/none.css', 404)]),
    'nextcloud': (['index.php', 'core/css/a.css', 'remote.php', 'ocs/v2.php',
                   'a.wasm'], '/var/www/nextcloud', [
        ('x', '/.well-known/carddav', '-> /remote.php/dav/'),
        ('x', '/.well-known/other', '-> /index.php/.well-known/other'),
        ('x', '/config/config.php', 404), ('x', '/data', 404), ('x', '/.htaccess', 404),
        ('x', '/index.php/apps/files', APP), ('x', '/apps/files', APP), ('x', '/', APP),
        ('x', '/core/css/a.css', PAGE), ('x', '/none.css', APP), ('x', '/a.wasm', PAGE),
        ('x', '/remote/x', '-> /remote.php/remote/x'), ('x', '/ocs/v2.php/x', APP)]),
    'gitlab': (['404.html'], '/opt/gitlab/embedded/service/gitlab-rails/public', [
        ('x', '/', APP), ('x', '/group/project?private_token=secret', APP),
        ('x', '/404.html', 404)]),
    'drupal': (['index.php', 'robots.txt', 'README.txt', 'style.css', 'vendor/a.php',
                'sites/x/files/a.php', 'update.php'], '/var/www/drupal/web', [
        ('x', '/', APP), ('x', '/node/1', APP), ('x', '/robots.txt', PAGE),
        ('x', '/README.txt', 403), ('x', '/style.css', PAGE), ('x', '/core/none.css', APP),
        ('x', '/sites/default/files/styles/x.png', APP), ('x', '/index.php/node', '-> /node'),
        ('x', '/sites/x/private/f', 403), ('x', '/.git', 403), ('x', '/vendor/a.php', 404),
        ('x', '/sites/x/files/a.php', 403), ('x', '/system/files/a', APP),
        ('x', '/update.php/selection', APP)]),
    'laravel': (['index.php', 'app.css'], '/srv/example.com/public', [
        ('x', '/', APP), ('x', '/users/1?page=2', APP), ('x', '/app.css', PAGE),
        ('x', '/.env', 403), ('x', '/x.php', APP), ('x', '/robots.txt', 404),
        ('x', '/index.php/users', APP)]),
    'django': (['500.html', 'about.html'], '/path/to/app/current/public', [
        ('example.com', '/', APP), ('www.example.com', '/admin/', APP),
        ('example.com', '/500.html', PAGE), ('example.com', '/about.html', PAGE),
        ('example.com', '/static/none.css', 404)]),
    'grafana': (['index.html'], '/usr/share/nginx/html', [
        ('x', '/', PAGE), ('x', '/grafana/d/1', APP), ('x', '/grafana/api/live/ws', APP),
        ('x', '/grafana', '-> /grafana/')]),
    'discourse': (['uploads/a.png', 'assets/a.js', 'uploads/f.woff2'],
                  '/var/www/discourse/public', [
        ('x', '/', APP), ('x', '/t/topic/1', APP), ('x', '/favicon.ico', 204),
        ('x', '/backups/x', 404), ('x', '/assets/a.js', PAGE), ('x', '/uploads/a.png', PAGE),
        ('x', '/uploads/a.png', 403, {'Referer': 'http://elsewhere.test/'}),
        ('x', '/uploads/none.png', 404), ('x', '/uploads/f.woff2', PAGE),
        ('x', '/uploads/short-url/x', APP)]),
    'mattermost': ([], '/srv', [('x', '/', APP), ('x', '/api/v4/websocket', APP)]),
    'homeassistant': ([], '/srv', [
        ('elsewhere', '/', 404), ('home.example.com', '/', APP),
        ('home.example.com', '/api/websocket', APP), ('home.example.com', '/local/a', 401)]),
}


def seen(answer):
    if answer['location']:
        return '-> ' + answer['location']
    return answer.text if answer.status == 200 else answer.status


def explained(s, host, path, headers):
    """The same, as `weir explain` says it."""
    words = [w for n, v in headers.items() for w in ('-H', f'{n}: {v}')]
    run = subprocess.run([BINARY, 'explain', '-p', f'{s.dir}/', '-c', s.conf, '-H', f'Host: {host}',
                          '-l', f'127.0.0.1:{s.port}', *words, path],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 0, run.stderr
    if location := re.search(r'^field +Location: (\S+)', run.stdout, re.M):
        return '-> ' + location[1]
    status = int(re.search(r'^answer +(\d+)', run.stdout, re.M)[1])
    if status != 200:
        return status
    if 'passed on' in run.stdout:
        return APP
    if file := re.search(r'^file +(\S+)', run.stdout, re.M):
        return pathlib.Path(file[1]).read_text()
    return status


def without_port(found, expected):
    if isinstance(expected, str) and expected.startswith('-> /'):
        return re.sub(r'^-> http://[^/]*', '-> ', found)
    return found


@pytest.mark.parametrize('name', NAMES)
def test_requests_are_led_where_they_should(weir, name):
    files, folder, routes = ROUTES[name]
    with running(weir, name, [f'{folder[1:]}/{f}' for f in files]) as (s, app):
        for host, path, expected, *more in routes:
            headers, before = more[0] if more else {}, len(app.asked)
            found = seen(s.get(path, host=host, headers=headers))
            assert without_port(found, expected) == expected, (host, path)
            assert expected != APP or len(app.asked) == before + 1
            found = explained(s, host, path, headers)
            assert without_port(found, expected) == expected, (host, path)


def test_details(weir):
    with running(weir, 'nextcloud', ['var/www/nextcloud/a.css']) as (s, _):
        assert s.get('/a.css')['cache-control'] == 'public, max-age=15778463'
        assert s.get('/a.css?v=1')['cache-control'] == 'public, max-age=15778463, immutable'
        assert s.get('/data')['x-robots-tag'] == 'noindex, nofollow'
        a = s.get('/', headers={'User-Agent': 'DavClnt'})
        assert a.status == 302 and a['location'].endswith('/remote.php/webdav/')


def test_what_a_front_controller_is_told(weir):
    with running(weir, 'wordpress', ['var/www/wordpress/index.php']) as (s, app):
        s.get('/2026/11/title?x=1', host='example.com')
        assert app.asked[-1]['SCRIPT_FILENAME'].endswith('/var/www/wordpress/index.php')
        assert app.asked[-1]['QUERY_STRING'] == 'x=1'
        assert app.asked[-1]['REQUEST_URI'] == '/2026/11/title?x=1'


def test_a_host_that_is_not_ours(weir):
    with running(weir, 'django') as (s, _), s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n')
        assert c.rest() == b''


def test_secrets_stay_out_of_the_log(weir):
    with running(weir, 'gitlab') as (s, _):
        s.get('/p?a=1&private_token=secret&b=2', headers={'Referer': 'http://x/y?token=secret'})
        log = s.file('files/application.log', contains='GET /p')
        assert 'private_token=[FILTERED]&b=2' in log and 'secret' not in log
