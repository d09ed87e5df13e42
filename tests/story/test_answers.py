"""What the configuration adds to an answer, or answers by itself."""
import re
import time

import pytest


# ---- add_header, expires ------------------------------------------------------------------------

def test_add_header(weir):
    s = weir('''add_header X-Server outer;
        location / { }
        location /own/ { alias html/; add_header X-Own inner; }
        location /always/ { alias html/; add_header X-Always "yes" always; }
        location /var/ { alias html/; add_header X-Var "$request_method-$arg_a-$uri"; }
        location /empty/ { alias html/; add_header X-Empty ""; }
        location /twice/ { alias html/; add_header X-A 1; add_header X-A 2; }''')
    assert s.get('/file.txt')['x-server'] == 'outer'
    assert s.get('/missing')['x-server'] is None
    a = s.get('/own/file.txt')
    assert a['x-own'] == 'inner' and a['x-server'] is None
    assert s.get('/always/missing')['x-always'] == 'yes'
    assert s.get('/var/file.txt?a=7')['x-var'] == 'GET-7-/var/file.txt'
    assert s.get('/empty/file.txt')['x-empty'] is None
    assert s.get('/twice/file.txt').all('x-a') == ['1', '2']


def test_add_header_merge(weir):
    s = weir('''add_header X-Server outer; add_header X-Both a;
        location / { add_header_inherit merge; add_header X-Own inner; }
        location /off/ { alias html/; add_header_inherit off; }''')
    a = s.get('/file.txt')
    assert a['x-server'] == 'outer' and a['x-own'] == 'inner'
    assert s.get('/off/file.txt')['x-server'] is None


def test_a_header_cannot_be_split(weir):
    s = weir('location ~ ^/x/(?<rest>.*)$ { add_header X-A "$rest"; return 200 ok; } '
             'location /r { return 302 /to$arg_a; } location /d { return 302 http://b.test$uri; }')
    for path in ('/x/a%0d%0aX-Evil:%201', '/r?a=%0d%0aX-Evil:1', '/d/%0d%0aX-Evil:1'):
        with s.connect() as c:
            c.send(f'GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
            assert not re.search(rb'^x-evil', c.rest(), re.I | re.M)


@pytest.mark.parametrize('setting,cache,delta', [
    ('1h', 'max-age=3600', 3600), ('-1', 'no-cache', -1), ('0', 'max-age=0', 0),
    ('epoch', 'no-cache', None), ('max', 'max-age=315360000', None), ('off', None, None),
    ('@0s', None, None),
])
def test_expires(weir, setting, cache, delta):
    import email.utils
    a = weir(f'expires {setting};').get('/file.txt')
    if not setting.startswith('@'):
        assert a['cache-control'] == cache
    if delta is not None:
        when = email.utils.parsedate_to_datetime(a['expires']).timestamp()
        assert when == pytest.approx(time.time() + delta, abs=5)
    if setting == 'epoch':
        assert a['expires'] == 'Thu, 01 Jan 1970 00:00:01 GMT'
    if setting == 'off':
        assert a['expires'] is None


def test_expires_modified_and_variable(weir):
    s = weir('''location /m/ { alias html/; expires modified 1h; }
        location /v/ { alias html/; expires $arg_e; }''')
    a = s.get('/m/file.txt')
    import email.utils
    modified = email.utils.parsedate_to_datetime(a['last-modified']).timestamp()
    assert email.utils.parsedate_to_datetime(a['expires']).timestamp() == modified + 3600
    assert s.get('/v/file.txt?e=10m')['cache-control'] == 'max-age=600'
    assert s.get('/v/file.txt?e=off')['cache-control'] is None


def test_expires_at_a_time_of_day(weir):
    import email.utils
    a = weir('expires @15h30m;').get('/file.txt')
    when = email.utils.parsedate_to_datetime(a['expires'])
    now = email.utils.parsedate_to_datetime(a['date'])
    local = time.localtime(when.timestamp())
    assert (local.tm_hour, local.tm_min, local.tm_sec) == (15, 30, 0)
    left = (when - now).total_seconds()
    assert 0 < left <= 86400 and a['cache-control'] == f'max-age={left:.0f}'


def test_expires_not_on_errors(weir):
    assert weir('expires 1h;').get('/missing')['cache-control'] is None


# ---- return -------------------------------------------------------------------------------------

def test_return(weir):
    s = weir('''location = /text { default_type text/plain; return 200 "hello $arg_name\\n"; }
        location = /none { return 204; }
        location = /moved { return 301 /there; }
        location = /found { return 302 https://b.test$request_uri; }
        location = /short { return http://b.test/; }
        location = /308 { return 308 /x; }
        location = /gone { return 410; }
        location = /teapot { return 418 "tea"; }
        location = /empty { return 200; }
        location = /own { return 503 "{\\"error\\": true}"; default_type application/json; }''')
    a = s.get('/text?name=you')
    assert (a.status, a.text, a['content-type']) == (200, 'hello you\n', 'text/plain')
    a = s.get('/none')
    assert a.status == 204 and a['content-length'] is None
    assert s.get('/moved')['location'] == f'http://a.test:{s.port}/there'
    assert s.get('/found?q=1')['location'] == 'https://b.test/found?q=1'
    a = s.get('/short')
    assert a.status == 302 and a['location'] == 'http://b.test/'
    assert s.get('/308').status == 308
    a = s.get('/gone')
    assert a.status == 410 and b'410 Gone' in a.body
    assert s.get('/teapot').status == 418
    assert s.get('/empty').body == b''
    a = s.get('/own')
    assert a.status == 503 and a['content-type'] == 'application/json' and a.text[0] == '{'


def test_return_444_closes_without_an_answer(weir):
    """reason: no_answer"""
    s = weir('location = /drop { return 444; }')
    with s.connect() as c:
        c.send('GET /drop HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert c.rest() == b''


def test_return_answers_every_method(weir):
    s = weir('return 200 any;')
    for method in ('GET', 'POST', 'PUT', 'DELETE', 'PROPFIND'):
        assert s.get('/', method=method).body == b'any'
    assert s.get('/', method='POST', body=b'x' * 100).body == b'any'


# ---- error_page ---------------------------------------------------------------------------------

def test_error_page(weir):
    s = weir('''error_page 404 /oops.html;
        error_page 500 502 503 504 /50x.html;
        location = /oops.html { internal; }
        location = /503 { return 503; }
        location /empty/ { alias html/none/; error_page 404 =200 /index.html; }
        location /code/ { alias html/none/; error_page 404 =410 /oops.html; }
        location /keep/ { alias html/none/; error_page 404 = /two; }
        location = /two { return 202 two; }
        location /named/ { alias html/none/; error_page 404 @name; }
        location /named-ok/ { alias html/none/; error_page 404 = @name; }
        location @name { return 203 "named $uri"; }
        location /away/ { alias html/none/; error_page 404 http://b.test/; }
        location /away301/ { alias html/none/; error_page 404 =301 http://b.test/; }
        location /var/ { alias html/none/; error_page 404 /$arg_page; }''',
             files={'html/oops.html': 'oops', 'html/50x.html': 'sorry', 'html/v.html': 'v'})
    a = s.get('/missing')
    assert (a.status, a.body) == (404, b'oops')
    assert s.get('/oops.html').status == 404
    a = s.get('/503')
    assert (a.status, a.body) == (503, b'sorry')
    a = s.get('/empty/x')
    assert (a.status, a.text) == (200, '<h1>index</h1>\n')
    a = s.get('/code/x')
    assert (a.status, a.body) == (410, b'oops')
    assert s.get('/keep/x').status == 202
    assert s.get('/named-ok/x').status == 203
    assert s.get('/named/x').body == b'named /named/x'
    a = s.get('/away/x')
    assert a.status == 302 and a['location'] == 'http://b.test/'
    assert s.get('/away301/x').status == 301
    a = s.get('/var/x?page=v.html')
    assert (a.status, a.body) == (404, b'v')


def test_error_page_for_what_a_filter_refuses(weir):
    s = weir('''error_page 412 /oops.html;
        location /away/ { alias html/; error_page 416 =303 http://b.test/; }
        location /plain/ { alias html/; }''', files={'html/oops.html': 'oops'})
    a = s.get('/file.txt', headers={'If-Match': '"no"'})
    assert (a.status, a.body) == (412, b'oops')
    a = s.get('/away/file.txt', headers={'Range': 'bytes=999999-'})
    assert a.status == 303 and a['location'] == 'http://b.test/'
    a = s.get('/plain/file.txt', headers={'Range': 'bytes=999999-'})
    assert a.status == 416 and a['content-range'].startswith('bytes */')


def test_conditions_on_answers_without_validators(weir):
    """RFC 9110 13.1: there is a representation, but it has no tag and no date."""
    s = weir('location = /text { return 200 text; } location = /status { stub_status; }')
    old, new = 'Mon, 01 Jan 2001 00:00:00 GMT', 'Fri, 01 Jan 2038 00:00:00 GMT'
    for path in ('/text', '/status'):
        for headers, status in [
                ({'If-None-Match': '*'}, 304), ({'If-None-Match': '"x"'}, 200),
                ({'If-Match': '*'}, 200), ({'If-Match': '"x"'}, 412),
                ({'If-Modified-Since': new}, 200), ({'If-Unmodified-Since': old}, 200),
                ({'If-None-Match': '*', 'If-Match': '"x"'}, 412)]:
            a = s.get(path, headers=headers)
            assert a.status == status, (path, headers)
            assert a.body == b'' or status != 304
    assert s.get('/missing', headers={'If-None-Match': '*'}).status == 404
    assert s.get('/text', method='HEAD', headers={'If-None-Match': '*'}).status == 304


def test_error_page_of_a_post_is_a_get(weir):
    s = weir('error_page 405 /oops.html;', files={'html/oops.html': 'oops'})
    a = s.get('/file.txt', method='POST', body=b'x')
    assert (a.status, a.body) == (405, b'oops')


def test_error_page_that_is_missing(weir):
    a = weir('error_page 404 /nowhere.html;').get('/missing')
    assert a.status == 404 and b'404 Not Found' in a.body


def test_recursive_error_pages(weir):
    body = '''location /a { return 501; error_page 501 /b; %s }
              location /b { return 502; error_page 502 /c; %s }
              location /c { return 200 c; }'''
    assert weir(body % (('recursive_error_pages on;',) * 2)).get('/a').body == b'c'
    assert weir(body % ('', '')).get('/a').status != 200


def test_redirection_cycle_ends(weir):
    s = weir('recursive_error_pages on; error_page 404 /missing2;')
    assert s.get('/missing').status in (404, 500)
    s2 = weir('location / { try_files /no $uri/again; }')
    assert s2.get('/x').status == 500
    s2.wait_log('redirection cycle')


def test_head_of_an_error(weir):
    s = weir()
    with s.connect() as c:
        a = c.ask('/missing', method='HEAD')
        assert a.status == 404 and int(a['content-length']) > 0
        assert c.ask('/file.txt').status == 200


def test_internal(weir):
    s = weir('''location /secret/ { internal; }
        location /try/ { try_files /none /secret/file.txt; }''',
             files={'html/secret/file.txt': '0123456789'})
    assert s.get('/secret/file.txt').status == 404
    assert s.get('/try/x').body == b'0123456789'


# ---- who we say we are --------------------------------------------------------------------------

def test_server_tokens(weir):
    s = weir('''location /off/ { server_tokens off; } location /on/ { server_tokens on; }
                location /build/ { server_tokens build; }''')
    a = s.get('/off/')
    assert a['server'] == 'weir' and b'weir/' not in a.body and b'weir' in a.body
    assert re.fullmatch(r'weir/[\d.]+', s.get('/on/')['server'])
    assert s.get('/build/')['server'].startswith('weir/')


def test_methods_over_the_table(weir):
    s = weir('location / { limit_except GET { deny all; } return 200 ok; } '
             'location /only/ { limit_except GET POST { allow 127.0.0.2; deny all; } }')
    assert s.get('/').status == 200 and s.get('/', method='HEAD').status == 200
    assert s.get('/only/', method='DELETE').status == 403
    assert s.get('/only/', method='GET').status == 404
    with s.connect(source='127.0.0.2') as c:
        assert c.ask('/only/', method='DELETE').status == 405


def test_allow_and_deny(weir):
    s = weir('''location /a/ { alias html/; allow 127.0.0.1; deny all; }
        location /b/ { alias html/; deny 127.0.0.0/8; allow all; }
        location /c/ { alias html/; allow 10.0.0.0/8; allow ::1; deny all; }
        location /d/ { alias html/; deny 127.0.0.1; }
        location /e/ { alias html/; satisfy any; allow 127.0.0.1; deny all; }
        location /u/ { alias html/; deny unix:; }''')
    for place, ours, other in (('a', 200, 403), ('b', 403, 403), ('c', 403, 403), ('d', 403, 200),
                               ('e', 200, 403), ('u', 200, 200)):
        assert s.get(f'/{place}/file.txt').status == ours, place
        with s.connect(source='127.0.0.9') as c:
            assert c.ask(f'/{place}/file.txt').status == other, place
    s.wait_log('access forbidden by rule')


def test_variables(weir):
    names = """scheme host http_host server_name server_port server_protocol request_uri uri args
        arg_b is_args query_string request_method remote_addr http_x_own document_root request
        connection_requests https cookie_c""".split()
    s = weir('location /v { return 200 "%s"; } location /w { return 200 "${arg_a}b$arg_a"; }'
             % '|'.join('$' + n for n in names))
    a = s.get('/v%41?a=1&b=2&x=3', headers={'X-Own': 'own', 'Cookie': 'a=1; c=crumb'},
              host='A.Test:99')
    assert dict(zip(names, a.text.split('|'))) == {
        'scheme': 'http', 'host': 'a.test', 'http_host': 'A.Test:99', 'server_name': 'a.test',
        'server_port': str(s.port), 'server_protocol': 'HTTP/1.1',
        'request_uri': '/v%41?a=1&b=2&x=3', 'uri': '/vA', 'args': 'a=1&b=2&x=3', 'arg_b': '2',
        'is_args': '?', 'query_string': 'a=1&b=2&x=3', 'request_method': 'GET',
        'remote_addr': '127.0.0.1', 'http_x_own': 'own', 'document_root': str(s.dir / 'html'),
        'request': 'GET /v%41?a=1&b=2&x=3 HTTP/1.1', 'connection_requests': '1', 'https': '',
        'cookie_c': 'crumb'}
    assert s.get('/w?a=x').text == 'xbx'
