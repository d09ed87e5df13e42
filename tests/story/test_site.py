"""A whole configuration, as a site in the wild has it: included files, several servers, caching
rules, clean addresses, an old domain, error pages, hidden files."""
import pytest

CONF = '''
worker_processes 1;
daemon off;
pid weir.pid;
error_log error.log info;
events { worker_connections 512; use ENGINE; multi_accept on; }

http {
    include mime.types;
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" $status '
                    '$body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    access_log access.log main buffer=16k flush=200ms;

    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 65;
    types_hash_max_size 2048;
    server_tokens off;
    client_max_body_size 20m;
    open_file_cache max=1000 inactive=20s;
    open_file_cache_valid 30s;
    open_file_cache_min_uses 2;
    open_file_cache_errors on;
    add_header X-Content-Type-Options nosniff always;

    include sites/*.conf;
}
'''
SITES = {
    'mime.types': 'types { text/html html htm; text/css css; text/javascript js; image/png png;'
                  ' image/svg+xml svg; application/json json; font/woff2 woff2; text/plain txt;'
                  ' application/xml xml; }',
    'sites/00-default.conf': 'server { listen 127.0.0.1:PORT default_server; server_name _;'
                             ' return 444; }',
    'sites/10-old.conf': 'server { listen 127.0.0.1:PORT; server_name old.test *.old.test;'
                         ' return 301 http://www.site.test$request_uri; }',
    'sites/20-site.conf': '''server {
    listen 127.0.0.1:PORT;
    server_name www.site.test site.test;
    root site;
    index index.html index.htm;
    error_page 404 /404.html;
    error_page 500 502 503 504 /50x.html;

    location = /50x.html { internal; }
    location = /favicon.ico { access_log off; log_not_found off; expires max; }
    location = /robots.txt { access_log off; return 200 "User-agent: *\\nDisallow:\\n"; }
    location ~ /\\.(?!well-known) { deny all; }
    location ~* \\.(?:css|js|png|svg|woff2)$ {
        expires 1y;
        add_header Cache-Control "public, immutable";
        access_log off;
    }
    location ^~ /.well-known/acme-challenge/ { root acme; default_type text/plain; }
    location /docs { try_files $uri $uri.html $uri/ =404; }
    location / { try_files $uri $uri/ /index.html; }
    location /download/ { alias files/; autoindex on; limit_rate_after 1m; limit_rate 512k; }
    location /status { allow 127.0.0.1; deny all; return 200 "ok\\n"; }
    location /api/ { limit_except GET HEAD { deny all; } default_type application/json; }
}''',
    'site/index.html': '<title>home</title>', 'site/404.html': 'nothing here',
    'site/app.css': 'body{}', 'site/docs/start.html': 'start', 'site/docs/index.html': 'docs',
    'site/.git/config': 'secret', 'acme/.well-known/acme-challenge/token': 'answer',
    'files/release-1.0.tar': 'tar', 'site/favicon.ico': 'icon', 'site/api/v1': '{"version": 1}',
}


@pytest.fixture
def site(shared):
    s = shared(user_conf=CONF, files=SITES, start=False)
    if s.process is None:
        for conf in (s.dir / 'sites').glob('*.conf'):
            conf.write_text(conf.read_text().replace('PORT', str(s.port)))
        s.start()
    return s


@pytest.mark.parametrize('path,status,fields', [
    ('/', 200, {'content-type': 'text/html', 'x-content-type-options': 'nosniff'}),
    ('/some/route', 200, {'content-type': 'text/html'}),
    ('/app.css', 200, {'content-type': 'text/css', 'expires': None}),
    ('/docs/start', 200, {}), ('/docs/', 200, {}), ('/docs/none', 404, {}),
    ('/.git/config', 403, {}), ('/.well-known/acme-challenge/token', 200,
                                {'content-type': 'text/plain'}),
    ('/download/', 200, {'content-type': 'text/html'}), ('/download/release-1.0.tar', 200, {}),
    ('/status', 200, {}), ('/api/v1', 200, {'content-type': 'application/json'}),
    ('/robots.txt', 200, {}), ('/favicon.ico', 200, {}), ('/50x.html', 404, {}),
    ('/docs', 301, {}),
])
def test_site(site, path, status, fields):
    a = site.get(path, host='www.site.test')
    assert a.status == status
    assert a['server'] == 'weir'
    for name, value in fields.items():
        assert a[name] == value if value is not None else a[name] is not None


def test_error_page_of_the_site(site):
    a = site.get('/docs/none', host='site.test')
    assert a.body == b'nothing here' and a['x-content-type-options'] == 'nosniff'


def test_immutable(site):
    a = site.get('/app.css', host='site.test')
    assert a.all('cache-control') == ['max-age=31536000', 'public, immutable']


def test_old_domain(site):
    a = site.get('/a/b?c=d', host='blog.old.test')
    assert (a.status, a['location']) == (301, 'http://www.site.test/a/b?c=d')


def test_unknown_host_is_dropped(site):
    with site.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: stranger.test\r\n\r\n')
        assert c.rest() == b''


def test_methods_of_the_api(site):
    assert site.get('/api/v1', host='site.test', method='POST', body=b'{}').status == 403


def test_its_access_log(site):
    site.get('/some/logged', host='site.test', headers={'X-Forwarded-For': '192.0.2.1'})
    line = next(x for x in site.file('access.log', contains='/some/logged').splitlines()
                if '/some/logged' in x)
    assert line.endswith('"-" "-" "192.0.2.1"')
