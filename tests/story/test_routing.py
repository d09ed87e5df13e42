"""Which server and which location a request meets: the tables that nginx's users rely on."""
import pytest

LOCATIONS = '''
    location = / { return 200 exact-root; }
    location / { return 200 root; }
    location /images/ { return 200 images; location /images/big/ { return 200 big; } }
    location ^~ /final/ { return 200 final; }
    location = /final/exact { return 200 final-exact; }
    location ~ \\.(gif|jpg)$ { return 200 regex-$1; }
    location ~* \\.PNG$ { return 200 regex-nocase; }
    location ~ ^/user/(?<name>[a-z]+)$ { return 200 user-$name; }
    location /nested/ {
        location ~ \\.txt$ { return 200 nested-regex; }
        location = /nested/exact { return 200 nested-exact; }
        location /nested/deep/ { return 200 nested-deep; }
        return 200 nested;
    }
    location /abc { return 200 abc; }
    location /abc/def { return 200 abcdef; }
    location "/with blank" { return 200 blank; }
    location /try/ { try_files /no @named; }
    location @named { return 200 named; }
'''


@pytest.mark.parametrize('path,expect', [
    ('/', 'exact-root'), ('/x', 'root'), ('/?x', 'exact-root'),
    ('/images/x', 'images'), ('/images/x.gif', 'regex-gif'), ('/images/big/x', 'big'),
    ('/images', 'root'), ('/final/x.gif', 'final'), ('/final/exact', 'final-exact'),
    ('/final/exact/', 'final'), ('/x.jpg', 'regex-jpg'), ('/x.JPG', 'root'),
    ('/x.png', 'regex-nocase'), ('/x.PnG', 'regex-nocase'), ('/user/ann', 'user-ann'),
    ('/user/Ann', 'root'), ('/nested/x', 'nested'), ('/nested/x.txt', 'nested-regex'),
    ('/nested/exact', 'nested-exact'), ('/nested/deep/x', 'nested-deep'),
    ('/nested/x.gif', 'regex-gif'), ('/abc', 'abc'), ('/abcx', 'abc'), ('/abc/def', 'abcdef'),
    ('/abc/de', 'abc'), ('/with%20blank', 'blank'), ('/try/x', 'named'), ('/@named', 'root'),
    ('/a/../images/x', 'images'), ('/%69mages/x', 'images'), ('//images//x', 'images'),
])
def test_locations(shared, path, expect):
    assert shared(LOCATIONS).get(path).text == expect


NAMES = '''
    server { listen 127.0.0.1:PORT; server_name first.test; return 200 first; }
    server { listen 127.0.0.1:PORT default_server; server_name _; return 200 default; }
    server { listen 127.0.0.1:PORT; server_name exact.test other.test; return 200 exact; }
    server { listen 127.0.0.1:PORT; server_name *.star.test; return 200 star; }
    server { listen 127.0.0.1:PORT; server_name *.deep.star.test; return 200 deepstar; }
    server { listen 127.0.0.1:PORT; server_name .dot.test; return 200 dot; }
    server { listen 127.0.0.1:PORT; server_name mail.*; return 200 mail; }
    server { listen 127.0.0.1:PORT; server_name ~^www(?<n>\\d+)\\.re\\.test$;
        return 200 re-$n-$server_name; }
    server { listen 127.0.0.1:PORT; server_name ~^(.+)\\.re\\.test$; return 200 any-$1; }
    server { listen 127.0.0.1:PORT; server_name www7.re.test; return 200 exact-before-regex; }
    server { listen 127.0.0.1:PORT; server_name ""; return 200 noname; }
'''


@pytest.mark.parametrize('host,expect', [
    ('first.test', 'first'), ('FIRST.test', 'first'), ('first.test.', 'first'),
    ('first.test:81', 'first'), ('unknown.test', 'default'), ('exact.test', 'exact'),
    ('other.test', 'exact'), ('a.star.test', 'star'), ('a.b.star.test', 'star'),
    ('star.test', 'default'), ('x.deep.star.test', 'deepstar'), ('dot.test', 'dot'),
    ('a.dot.test', 'dot'), ('xdot.test', 'default'), ('mail.example.org', 'mail'),
    ('mail.star.test', 'star'), ('www12.re.test', 're-12-~^www(?<n>\\d+)\\.re\\.test$'),
    ('foo.re.test', 'any-foo'), ('www7.re.test', 'exact-before-regex'),
    ('127.0.0.1', 'default'), ('[::1]', 'default'),
])
def test_server_names(shared, host, expect):
    assert shared(servers=NAMES).get('/', host=host).text == expect


def test_no_host_at_all(shared):
    s = shared(servers=NAMES)
    assert s.raw('GET / HTTP/1.0\r\n\r\n').text == 'noname'
    assert s.raw('GET / HTTP/1.1\r\n\r\n').status == 400
    assert s.raw('GET http://exact.test/ HTTP/1.1\r\nHost: first.test\r\n\r\n').text == 'exact'


def test_first_server_is_the_default(weir):
    s = weir(servers='server { listen 127.0.0.1:PORT; server_name one.test; return 200 one; }'
                     'server { listen 127.0.0.1:PORT; server_name two.test; return 200 two; }')
    assert s.get('/', host='nobody.test').text == 'one'
    assert s.get('/', host='two.test').text == 'two'


def test_many_names(weir):
    names = [f'host{i}.many.test' for i in range(500)]
    servers = ''.join(f'server {{ listen 127.0.0.1:PORT; server_name {n}; return 200 {n}; }}\n'
                      for n in names)
    s = weir(servers=servers)
    with s.connect() as c:
        for n in names[::17]:
            assert c.ask('/', host=n).text == n


def test_alias(weir):
    s = weir('''location /i/ { alias html/images/; }
        location /one { alias html/file.txt; }
        location ~ ^/u/([a-z]+)/(.*)$ { alias html/home/$1/$2; }
        location /noslash { alias html/images/; }
        location = /exact { alias html/file.txt; }''',
             files={'html/images/a.txt': 'a', 'html/home/ann/x': 'ann', 'html/secret': 's'})
    assert s.get('/i/a.txt').body == b'a'
    assert s.get('/one').body == b'0123456789'
    assert s.get('/u/ann/x').body == b'ann'
    assert s.get('/exact').body == b'0123456789'
    assert s.get('/noslash../secret').status in (400, 404)
    assert s.get('/i/../secret').status == 200


def test_root(weir):
    s = weir('''location /sub/ { root other; }
        location /var/ { root sites/$host; }''',
             files={'other/sub/x': 'other', 'sites/a.test/var/x': 'a', 'sites/b.test/var/x': 'b'})
    assert s.get('/sub/x').body == b'other'
    assert s.get('/var/x').body == b'a'
    assert s.get('/var/x', host='b.test').body == b'b'
    assert s.get('/var/x', host='c.test').status == 404


def test_captures_of_a_server_name(weir):
    s = weir(servers=r'''server { listen 127.0.0.1:PORT;
            server_name ~^(?<site>[a-z]+)\.(?<domain>.+)$; root sites/$site;
            location = /who { return 200 "$site at $domain"; }
            location ~ ^/u/(?<site>.+)$ { return 200 "location: $site"; } }
        server { listen 127.0.0.1:PORT default_server; return 404; }''',
             files={'sites/ann/x': 'of ann', 'sites/bob/x': 'of bob', 'sites/secret': ''})
    with s.connect() as c:
        assert c.ask('/x', host='ann.a.test').body == b'of ann'
        assert c.ask('/x', host='BOB.a.test').body == b'of bob'
        assert c.ask('/x', host='eve.a.test').status == 404
        assert c.ask('/who', host='ann.a.test:80').text == 'ann at a.test'
        assert c.ask('/u/other', host='ann.a.test').text == 'location: other'
        assert c.ask('/x', host='7.a.test').status == 404
        for host in ('...a.test', '../ann.a.test', '.a.test'):
            assert c.send(f'GET /secret HTTP/1.1\r\nHost: {host}\r\n\r\n').answer().status \
                in (400, 404)
            if c.closed(0.05):
                c = s.connect()


def test_regex_captures_in_order(weir):
    s = weir(r'''location ~ ^/(\w+)/(\w+)(/(\w+))?$ { return 200 "$1,$2,$3,$4,$5"; }
        location ~* ^/CASE/(?<rest>.*)$ { return 200 "rest=$rest"; }
        location ^~ /a/final/ { return 200 final; }''')
    with s.connect() as c:
        assert c.ask('/a/b').text == 'a,b,,,'
        assert c.ask('/a/b/c').text == 'a,b,/c,c,'
        assert c.ask('/a/final/').text == 'final'
        assert c.ask('/case/%c3%bc/x').text.encode() == 'rest=ü/x'.encode()


def test_try_files(weir):
    s = weir('''location / { try_files $uri $uri.html $uri/ /fallback.html; }
        location /code/ { try_files $uri =404; }
        location /teapot/ { try_files $uri =418; }
        location /args/ { try_files /none /landed?from=$uri; }
        location /landed { return 200 "$args"; }
        location /app/ { try_files $uri @app; }
        location @app { return 200 "app $uri"; }
        location = /chain { try_files /none /app/none; }''',
             files={'html/page.html': 'page', 'html/dir/index.html': 'dir',
                    'html/fallback.html': 'fall', 'html/code/x': 'x'})
    assert s.get('/file.txt').body == b'0123456789'
    assert s.get('/page').body == b'page'
    assert s.get('/dir').status == 301 and s.get('/dir')['location'].endswith('/dir/')
    assert s.get('/dir/').body == b'dir'
    assert s.get('/nothing/here').body == b'fall'
    assert s.get('/code/x').body == b'x' and s.get('/code/y').status == 404
    assert s.get('/teapot/y').status == 418
    assert s.get('/args/x').body == b'from=/args/x'
    assert s.get('/app/x').body == b'app /app/x'
    assert s.get('/chain').body == b'app /app/none'


def test_merge_slashes(weir):
    s = weir('location /a//b { return 200 two; } location /a/b { return 200 one; }')
    assert s.get('/a//b').text == 'one'
    s = weir('location /a//b { return 200 two; } location /a/b { return 200 one; }',
             http='merge_slashes off;')
    assert s.get('/a//b').text == 'two'
    assert s.get('/a/b').text == 'one'


def test_servers_of_several_ports_and_addresses(weir):
    from conftest import free_port
    other = free_port()
    s = weir(servers=f'''
        server {{ listen 127.0.0.1:PORT; return 200 "one $server_addr"; }}
        server {{ listen 127.0.0.2:PORT; return 200 "two $server_addr"; }}
        server {{ listen 127.0.0.1:{other}; return 200 "port $server_port"; }}''')
    from conftest import Client
    assert s.get('/').text == 'one 127.0.0.1'
    with Client(('127.0.0.2', s.port)) as c:
        assert c.ask('/').text == 'two 127.0.0.2'
    with Client(('127.0.0.1', other)) as c:
        assert c.ask('/').text == f'port {other}'


def test_wildcard_address_beside_exact_one(weir):
    from conftest import Client
    s = weir(servers='''
        server { listen PORT; return 200 "any"; }
        server { listen 127.0.0.2:PORT; return 200 "exact"; }''')
    assert s.get('/').text == 'any'
    with Client(('127.0.0.2', s.port)) as c:
        assert c.ask('/').text == 'exact'


def test_ipv6(weir):
    import socket
    from conftest import Client
    try:
        socket.socket(socket.AF_INET6).bind(('::1', 0))
    except OSError:
        return              # a machine without IPv6 has nothing to show here
    s = weir(servers='''server { listen 127.0.0.1:PORT; listen [::1]:PORT; server_name a.test;
        return 200 "$remote_addr $server_addr"; }''')
    with Client(('::1', s.port)) as c:
        assert c.ask('/').text == '::1 ::1'
    assert s.get('/').text == '127.0.0.1 127.0.0.1'


def test_unix_socket(weir):
    from conftest import Client
    s = weir(servers='''server { listen 127.0.0.1:PORT; listen unix:sock; server_name a.test;
        root html; location /who { return 200 "$remote_addr"; } }''')
    path = next(p for p in s.dir.rglob('sock') if p.is_socket())
    with Client(str(path)) as c:
        assert c.ask('/file.txt').body == b'0123456789'
        assert c.ask('/who').text == 'unix:'
    s.stop()
    assert not path.exists()
