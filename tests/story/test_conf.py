"""Mistakes in a configuration, and what -t, -T, -q, -v and -V say and leave alone."""
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess

import pytest

from conftest import BINARY


def weir(where, *args, **kw):
    return subprocess.run([BINARY, '-p', f'{where}/', '-c', 'weir.conf', *args],
                          capture_output=True, text=True, timeout=20, cwd=where, **kw)


def check(tmp_path, text, *args):
    (tmp_path / 'weir.conf').write_text(text)
    return weir(tmp_path, '-t', *args)


def places(result):
    """(file, line, column, message) of every error."""
    found = re.findall(r'^weir: (\S+?):(\d+):(\d+): error: (.*)$', result.stderr, re.M)
    return [(pathlib.Path(f).name, int(line), int(column), message)
            for f, line, column, message in found]


def test_good_file(tmp_path):
    r = check(tmp_path, 'events {}\nhttp { server { listen 8080; return 204; } }\n')
    assert r.returncode == 0 and r.stdout == ''
    assert r.stderr == (f'weir: the configuration file {tmp_path}/weir.conf syntax is ok\n'
                        f'weir: configuration file {tmp_path}/weir.conf test is successful\n')


def test_bad_file(tmp_path):
    r = check(tmp_path, 'events {}\nhttp { bogus_directive on; }\n')
    assert r.returncode == 1 and r.stdout == ''
    assert r.stderr.endswith(f'weir: configuration file {tmp_path}/weir.conf test failed\n')
    assert 'syntax is ok' not in r.stderr and 'successful' not in r.stderr


def test_six_mistakes_in_two_files(tmp_path):
    (tmp_path / 'more.conf').write_text('server {\n    keepalive_timeout soon;\n'
                                        '    proxy_pas x;\n}\n')
    r = check(tmp_path, 'events {}\n'
                        'http {\n'
                        '    keepalive_requets 5;\n'
                        '    server {\n'
                        '        listen 80800;\n'
                        '        worker_processes 2;\n'
                        '        location ~ "a(b" { }\n'
                        '    }\n'
                        '    include more.conf;\n'
                        '}\n')
    assert r.returncode == 1
    assert [p[:3] for p in places(r)] == [
        ('weir.conf', 3, 5), ('weir.conf', 5, 16), ('weir.conf', 6, 9), ('weir.conf', 7, 24),
        ('more.conf', 2, 23), ('more.conf', 3, 5)], r.stderr
    assert f'included from {tmp_path}/weir.conf:9' in r.stderr


def test_a_mistake_is_shown_under_its_text(tmp_path):
    r = check(tmp_path, 'events {}\nhttp {\n\tserver { listen  80800; }\n}\n')
    lines = r.stderr.splitlines()
    at = next(i for i, x in enumerate(lines) if ':3:' in x)
    assert 'listen  80800;' in lines[at + 1]
    text, mark = lines[at + 1], lines[at + 2]
    column = text.index('80800')
    assert mark[column:] == '^~~~~'
    assert mark.index('\t') == text.index('\t')         # so it lines up, however wide a tab is


def test_unknown_directive_has_a_suggestion(tmp_path):
    r = check(tmp_path, 'events {}\nhttp { server { error_pgae 404 /x; } }\n')
    assert places(r) == [('weir.conf', 2, 17, 'unknown directive `error_pgae`')]
    assert 'did you mean `error_page`?' in r.stderr


def test_unknown_directive_like_nothing_has_none(tmp_path):
    r = check(tmp_path, 'events {}\nhttp { server { zzqqxxjj 404; } }\n')
    assert places(r) == [('weir.conf', 2, 17, 'unknown directive `zzqqxxjj`')]
    assert 'did you mean' not in r.stderr


@pytest.mark.parametrize('text,line,allowed,found', [
    ('events { }\nlocation / { }\n', 2, 'server', 'main'),
    ('events { }\nhttp { location / { } }\n', 2, 'server', 'http'),
    ('events { }\nhttp { worker_connections 5; }\n', 2, 'events', 'http'),
    ('events { }\nhttp { server { location / { listen 80; } } }\n', 2, 'server', 'location'),
    ('events { root /srv; }\n', 1, 'http', 'events'),
])
def test_wrong_context(tmp_path, text, line, allowed, found):
    r = check(tmp_path, text)
    assert r.returncode == 1
    (_, at, _, message), = places(r)
    assert at == line and 'is allowed in' in message and message.endswith(f'not in {found}')
    assert allowed in message.split('is allowed in')[1].split(';')[0]


@pytest.mark.parametrize('directive,module', [
    ('mp4_buffer_size 1m;', 'mp4'), ('image_filter size;', 'image_filter'),
    ('auth_jwt "x";', 'auth_jwt'), ('xslt_stylesheet "x";', 'xslt'),
])
def test_nginx_directive_that_weir_lacks(tmp_path, directive, module):
    r = check(tmp_path, f'events {{}}\nhttp {{ server {{ location / {{ {directive} }} }} }}\n')
    assert r.returncode == 1
    (_, line, column, message), = places(r)
    assert (line, column) == (2, 30)
    name = directive.split()[0]
    assert f'`{name}`' in message and 'nginx' in message and f'ngx_http_{module}_module' in message


@pytest.mark.parametrize('text,line,column,after', [
    ('events {}\nhttp {\n  server {\n    listen 80\n    server_name a;\n  }\n}\n', 4, 14, '80'),
    ('events {}\nhttp {\n  server {\n    listen 80\n  }\n}\n', 4, 14, '80'),
    ('events {}\nworker_processes 1', 2, 19, '1'),
])
def test_missing_semicolon(tmp_path, text, line, column, after):
    r = check(tmp_path, text)
    assert r.returncode == 1
    assert [p[1:3] for p in places(r)] == [(line, column)], r.stderr
    assert f'`;` is missing after `{after}`' in r.stderr


def test_missing_brace_names_the_open_block(tmp_path):
    r = check(tmp_path, 'events {}\nhttp {\n  server {\n    listen 80;\n')
    assert r.returncode == 1
    assert [p[1:3] for p in places(r)] == [(2, 1), (3, 3)]
    assert 'the block of `server` is not closed' in r.stderr


def test_one_brace_too_many(tmp_path):
    r = check(tmp_path, 'events {}\nhttp { }\n}\n')
    assert r.returncode == 1 and places(r)[0][1:3] == (3, 1)


def test_missing_include_and_empty_pattern(tmp_path):
    r = check(tmp_path, 'events {}\nhttp {\n  include none/*.conf;\n}\n')
    assert r.returncode == 0, r.stderr
    r = check(tmp_path, 'events {}\nhttp {\n  include none.conf;\n}\n')
    (_, line, column, message), = places(r)
    assert (line, column) == (3, 11)
    assert str(tmp_path / 'none.conf') in message and 'No such file' in message


def test_file_that_includes_itself(tmp_path):
    r = check(tmp_path, 'events {}\nhttp {\n  include weir.conf;\n}\n')
    assert r.returncode == 1 and places(r), r.stderr


def test_no_file_at_all(tmp_path):
    r = weir(tmp_path, '-t')
    assert r.returncode == 1
    assert f'{tmp_path}/weir.conf' in r.stderr and 'No such file' in r.stderr


def test_mistake_in_the_given_globals(tmp_path):
    r = check(tmp_path, 'events {}\n', '-g', 'worker_proceses 2;')
    assert r.returncode == 1 and 'unknown directive `worker_proceses`' in r.stderr
    assert 'did you mean `worker_processes`?' in r.stderr


WRITES = '''user nobody;
pid run/weir.pid;
error_log logs/error.log debug;
worker_rlimit_nofile 4000;
events {{ use select; }}
http {{
    access_log logs/access.log;
    client_body_temp_path bodies 1 2;
    server {{ listen 127.0.0.1:{port}; listen unix:{dir}/socket; root html;
        access_log logs/$host.log; }}
}}
'''


def picture(where):
    """Everything a command could have changed below a directory."""
    return sorted((str(p), p.lstat().st_mode, p.lstat().st_size, p.lstat().st_mtime_ns)
                  for p in [where, *where.rglob('*')])


def test_it_writes_nothing_and_binds_nothing(tmp_path):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        (tmp_path / 'weir.conf').write_text(WRITES.format(port=taken.getsockname()[1],
                                                          dir=tmp_path))
        before = picture(tmp_path)
        for flag in ('-t', '-T', '-tq'):
            r = weir(tmp_path, flag)
            assert r.returncode == 0, r.stderr
        assert picture(tmp_path) == before
        taken.settimeout(0.1)
        with pytest.raises(TimeoutError):
            taken.accept()


def test_it_leaves_a_running_server_alone(tmp_path):
    """Its pid file, its logs and its unix socket stay as they are."""
    (tmp_path / 'logs').mkdir()
    (tmp_path / 'logs' / 'error.log').write_text('old\n')
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'weir.pid').write_text('1\n')
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / 'socket'))
        (tmp_path / 'weir.conf').write_text(WRITES.format(port=1, dir=tmp_path))
        before = picture(tmp_path)
        assert weir(tmp_path, '-t').returncode == 0
        assert picture(tmp_path) == before
        assert stat.S_ISSOCK((tmp_path / 'socket').stat().st_mode)


def test_it_needs_no_privilege(tmp_path):
    """Somebody without rights tests a file for port 80 and logs that only root may write."""
    where = pathlib.Path('/tmp') / f'weir-conf-{os.getpid()}'
    where.mkdir(mode=0o755)
    try:
        binary = shutil.copy(BINARY, where / 'weir')
        (where / 'weir.conf').write_text(
            'user www-data; pid /run/weir-test.pid; error_log /var/log/weir-test/e.log;\n'
            'events { }\nhttp { access_log /root/a.log; server { listen 80; listen 443; } }\n')
        drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] \
            if os.getuid() == 0 else []
        r = subprocess.run([*drop, binary, '-t', '-p', where, '-c', 'weir.conf'],
                           capture_output=True, text=True, timeout=20)
        assert r.returncode == 0, r.stderr
        assert 'test is successful' in r.stderr
        assert sorted(p.name for p in where.iterdir()) == ['weir', 'weir.conf']
        assert not os.path.exists('/var/log/weir-test') and not os.path.exists('/root/a.log')
    finally:
        shutil.rmtree(where)


def test_dump_prints_every_file_once(tmp_path):
    (tmp_path / 'conf.d').mkdir()
    for name in 'ab':
        (tmp_path / 'conf.d' / f'{name}.conf').write_text(f'# this is {name}\n'
                                                          'include shared.conf;\n')
    (tmp_path / 'shared.conf').write_text('server { return 204; }\n')
    text = 'events {}\nhttp { include conf.d/*.conf; }\n'
    (tmp_path / 'weir.conf').write_text(text)
    r = weir(tmp_path, '-T')
    assert r.returncode == 0 and 'test is successful' in r.stderr
    files = re.findall(r'^# configuration file (\S+):$', r.stdout, re.M)
    assert files == [f'{tmp_path}/{n}' for n in
                     ('weir.conf', 'conf.d/a.conf', 'shared.conf', 'conf.d/b.conf')]
    assert f'# configuration file {tmp_path}/weir.conf:\n{text}' in r.stdout


def test_dump_of_a_bad_file_fails(tmp_path):
    (tmp_path / 'weir.conf').write_text('events {}\nhtp {}\n')
    r = weir(tmp_path, '-T')
    assert r.returncode == 1 and places(r)


def test_quiet(tmp_path):
    r = check(tmp_path, 'events { accept_mutex on; }\nhttp { }\n', '-q')
    assert (r.returncode, r.stdout, r.stderr) == (0, '', '')
    r = check(tmp_path, 'events {}\nhtp { }\n', '-q')
    assert r.returncode == 1 and len(places(r)) == 1


def test_versions():
    short = subprocess.run([BINARY, '-v'], capture_output=True, text=True)
    long = subprocess.run([BINARY, '-V'], capture_output=True, text=True)
    assert short.returncode == long.returncode == 0
    assert short.stdout == long.stdout == ''
    assert re.fullmatch(r'weir version: weir/\d+\.\d+\.\d+\n', short.stderr)
    assert long.stderr.startswith(short.stderr)
    assert re.search(r'^engines: io_uring epoll poll select threads$', long.stderr, re.M)
    for word in ('zlib', 'prefix=', 'conf=', 'pid=', 'error-log=', 'http-log='):
        assert word in long.stderr


@pytest.mark.parametrize('args,words', [
    (['-s', 'dance'], 'invalid option: "-s dance"'), (['-Z'], 'invalid option: "Z"'),
    (['-c'], 'option "-c" requires'), (['stray'], 'invalid option: "stray"'),
    (['-s'], 'option "-s" requires'), (['-p', ''], 'option "-p" requires'),
])
def test_command_line_mistakes(args, words):
    r = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=20)
    assert r.returncode == 1 and r.stdout == '' and words in r.stderr


# A site as Debian's package lays it out, moved over without a change but paths and port.

NGINX_CONF = '''
user www-data;
worker_processes auto;
pid weir.pid;
error_log logs/error.log notice;
include modules-enabled/*.conf;
daemon off;

events {
    use ENGINE;
    worker_connections 768;
    # multi_accept on;
}

http {
    ##
    # Basic Settings
    ##
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 65;
    types_hash_max_size 2048;
    server_tokens off;
    server_names_hash_bucket_size 64;
    # server_name_in_redirect off;

    include mime.types;
    default_type application/octet-stream;

    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer" '
                    '"$http_user_agent" "$http_x_forwarded_for"';
    log_format timing escape=json '{"uri":"$request_uri","s":$status,"agent":"$http_user_agent"}';
    access_log logs/access.log main;

    client_max_body_size 1m;
    client_body_buffer_size 16k;
    large_client_header_buffers 4 8k;
    reset_timedout_connection on;

    include conf.d/*.conf;
    include sites-enabled/*;
}
'''
NGINX_FILES = {
    'mime.types': '''types {
    text/html                             html htm shtml;
    text/css                              css;
    text/plain                            txt;
    image/png                             png;
    image/svg+xml                         svg svgz;
    application/javascript                js;
    application/json                      json;
    font/woff2                            woff2;
    application/zip                       zip;
}
''',
    'conf.d/expires.conf': 'expires off;\n',
    'conf.d/default.conf': '''server {
    listen 127.0.0.1:PORT default_server;
    server_name _;
    return 404;
}
''',
    'sites-enabled/example': '''# redirect to the name without www
server {
    listen 127.0.0.1:PORT;
    server_name www.example.com;
    return 301 $scheme://example.com$request_uri;
}

server {
    listen 127.0.0.1:PORT;
    server_name example.com;
    root www/example;
    index index.html;

    access_log logs/example.log timing;
    error_page 404 /errors/404.html;
    error_page 403 =404 /errors/404.html;
    error_page 500 502 503 504 /errors/50x.html;

    add_header X-Frame-Options SAMEORIGIN;
    add_header X-Content-Type-Options nosniff always;

    location / {
        try_files $uri $uri/ /index.html;
    }
    location ^~ /errors/ {
        internal;
    }
    location = /favicon.ico { log_not_found off; access_log off; return 204; }
    location ~* \\.(?:css|js|png|svg|woff2)$ {
        expires 30d;
        add_header Cache-Control "public";
    }
    location ~ /\\.ht { deny all; }
    location ~ ^/user/(?<name>[a-z]+)/avatar$ { return 302 /img/$name.png; }
    location ~ ^/old/(.*)$ { return 301 /new/$1$is_args$args; }
    location /docs/ { alias www/manual/; }
    location /files/ { autoindex on; default_type text/plain; }
    location /broken { return 503; }
    location /exact-only/ { try_files $uri =404; }
}
''',
    'sites-enabled/static': '''server {
    listen 127.0.0.1:PORT;
    server_name ~^(?<sub>\\w+)\\.static\\.test$ static.test;
    root www/static;
    expires max;
    location / { limit_except GET { deny all; } }
    location /which { return 200 "sub=$sub\\n"; default_type text/plain; }
}
''',
    'www/example/index.html': '<p>home</p>', 'www/example/style.css': 'p{}',
    'www/example/errors/404.html': '<p>gone</p>', 'www/example/errors/50x.html': '<p>sorry</p>',
    'www/example/.htaccess': 'secret', 'www/example/files/a.txt': 'AAAA',
    'www/example/files/noext': 'plain', 'www/manual/start.html': '<p>start</p>',
    'www/static/logo.svg': '<svg/>', 'logs/.keep': '',
}
NONE = object()
QUESTIONS = [
    ('example.com', '/', 200, '<p>home</p>', {'content-type': 'text/html',
                                              'x-frame-options': 'SAMEORIGIN'}),
    ('example.com', '/any/route?x=1', 200, '<p>home</p>', {'x-content-type-options': 'nosniff'}),
    ('example.com', '/style.css', 200, 'p{}', {'content-type': 'text/css',
                                               'x-frame-options': NONE}),
    ('example.com', '/.htaccess', 404, '<p>gone</p>', {'x-content-type-options': 'nosniff',
                                                       'x-frame-options': NONE}),
    ('example.com', '/exact-only/none', 404, '<p>gone</p>', {}),
    ('example.com', '/broken', 503, '<p>sorry</p>', {}),
    ('example.com', '/errors/404.html', 404, '<p>gone</p>', {}),
    ('example.com', '/favicon.ico', 204, '', {}),
    ('example.com', '/user/ada/avatar', 302, None,
     {'location': 'http://example.com:PORT/img/ada.png'}),
    ('example.com', '/old/page?q=1', 301, None,
     {'location': 'http://example.com:PORT/new/page?q=1'}),
    ('example.com', '/docs/start.html', 200, '<p>start</p>', {}),
    ('example.com', '/files/noext', 200, 'plain', {'content-type': 'text/plain'}),
    ('example.com', '/files', 301, None, {}),
    ('example.com', '/docs', 200, '<p>home</p>', {}),
    ('www.example.com', '/a?b=c', 301, None, {'location': 'http://example.com/a?b=c'}),
    ('static.test', '/logo.svg', 200, '<svg/>', {
        'content-type': 'image/svg+xml', 'cache-control': 'max-age=315360000',
        'expires': 'Thu, 31 Dec 2037 23:55:55 GMT'}),
    ('cdn.static.test', '/which', 200, 'sub=cdn\n', {'content-type': 'text/plain'}),
    ('nobody.test', '/', 404, None, {'server': 'weir'}),
]


@pytest.fixture
def debian(shared):
    s = shared(user_conf=NGINX_CONF, files=NGINX_FILES, start=False)
    if s.process is None:
        for path in [*s.dir.glob('conf.d/*'), *s.dir.glob('sites-enabled/*')]:
            path.write_text(path.read_text().replace('PORT', str(s.port)))
        s.start()
    return s


@pytest.mark.parametrize('host,path,status,body,fields', QUESTIONS,
                         ids=[f'{q[0]}{q[1]}' for q in QUESTIONS])
def test_a_debian_nginx_conf(debian, host, path, status, body, fields):
    a = debian.get(path, host=host)
    assert a.status == status
    if body is not None:
        assert a.text == body
    for name, value in fields.items():
        assert a[name] == (None if value is NONE else value.replace('PORT', str(debian.port)))


def test_its_caching_headers_and_methods(debian):
    a = debian.get('/style.css', host='example.com')
    assert a.all('cache-control') == ['max-age=2592000', 'public']
    assert debian.get('/logo.svg', host='static.test', method='DELETE').status == 403
    assert debian.get('/logo.svg', host='static.test', method='HEAD').status == 200


def test_its_logs(debian):
    debian.get('/logged', host='example.com', headers={'User-Agent': 'quo"te'})
    text = debian.file('logs/example.log', contains='/logged')
    assert '{"uri":"/logged","s":200,"agent":"quo\\"te"}' in text.splitlines()
    debian.get('/elsewhere', host='nobody.test', headers={'Referer': 'http://r.test/'})
    text = debian.file('logs/access.log', contains='/elsewhere')
    line = next(x for x in text.splitlines() if '/elsewhere' in x)
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                        r'"GET /elsewhere HTTP/1\.1" 404 \d+ "http://r\.test/" "-" "-"', line)
    assert '/favicon.ico' not in debian.file('logs/example.log', contains='')
