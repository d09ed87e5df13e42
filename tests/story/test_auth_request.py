"""auth_request: a sub-request decides who may go on."""
import pytest

AUTH = '''
    location /private/ { auth_request /auth; %s }
    location = /auth { internal; %s }
'''
FILES = {'html/private/a.txt': 'secret', 'html/private/index.html': 'index', 'html/page401.html':
         'who are you?'}


@pytest.fixture
def site(shared):
    return lambda auth, more='', **kw: shared(AUTH % (more, auth), files=FILES, **kw)


@pytest.mark.parametrize('status, seen', [
    (200, 200), (204, 200), (299, 200), (401, 401), (403, 403), (404, 500), (302, 500), (500, 500)])
def test_the_status_decides(site, status, seen):
    s = site(f'return {status} x;')
    a = s.get('/private/a.txt')
    assert a.status == seen
    assert (a.body == b'secret') == (seen == 200)
    assert s.get('/file.txt').status == 200
    assert s.get('/auth').status == 404         # internal
    if seen == 500:
        s.wait_log(f'auth_request got the unexpected status {status}')


def test_what_the_sub_request_sees(site):
    s = site('if ($request_method = POST) { return 200; } '
             'if ($http_x_key = right) { return 200; } '
             'if ($arg_key = right) { return 403; } '        # its own arguments: none
             'if ($request_uri ~ key=uri) { return 200; } return 403;')
    assert s.get('/private/a.txt').status == 403
    assert s.get('/private/a.txt', headers={'X-Key': 'right'}).status == 200
    assert s.get('/private/a.txt?key=right').status == 403
    assert s.get('/private/a.txt?key=uri').status == 200
    assert s.get('/private/a.txt', method='POST', body=b'x').status == 405    # let in: a file


def test_an_answer_from_a_file(weir):
    s = weir('location /private/ { auth_request /ok.txt; } ',
             files={**FILES, 'html/ok.txt': 'x' * 100_000})
    with s.connect() as c:
        for _ in range(20):
            assert c.ask('/private/a.txt').body == b'secret'
        (s.dir / 'html/ok.txt').unlink()
    s.get('/private/a.txt')
    with s.connect() as c:
        assert c.ask('/index.html').status == 200


def test_several_in_a_row_on_one_connection(site):
    s = site('if ($http_x_key = right) { return 204; } return 401;')
    with s.connect() as c:
        for n in range(30):
            right = n % 3 == 0
            a = c.ask('/private/a.txt', headers={'X-Key': 'right' if right else 'wrong'})
            assert a.status == (200 if right else 401)
    with s.connect() as c:                      # pipelined
        c.send('GET /private/a.txt HTTP/1.1\r\nHost: a.test\r\nX-Key: right\r\n\r\n' * 20)
        for _ in range(20):
            assert c.answer().body == b'secret'


def test_internal_redirects_ask_again(weir):
    s = weir('location / { auth_request /auth; error_page 404 /page401.html; } '
             'location = /auth { access_log asked.log; log_subrequest on; return 204; } '
             , files=FILES)
    assert s.get('/private/').text == 'index'
    assert s.get('/none').status == 404
    assert len(s.file('asked.log').splitlines()) == 4


def test_set(site):
    s = site('set $who $http_x_name; return 204;',
             'auth_request_set $name $who; auth_request_set $how $status; '
             'auth_request_set $where $uri; add_header X-Got "$name $how $where";')
    a = s.get('/private/a.txt', headers={'X-Name': 'ann'})
    assert a['x-got'] == 'ann 204 /auth'
    assert s.get('/private/a.txt')['x-got'] == '204 /auth'


def test_what_set_did_inside_is_seen_outside(site):
    s = site('set $who "inner $http_x_name"; return 204;', 'add_header X-Who $who;')
    assert s.get('/private/a.txt', headers={'X-Name': 'bob'})['x-who'] == 'inner bob'


def test_the_error_page(site):
    s = site('return 401;', 'error_page 401 /page401.html;')
    a = s.get('/private/a.txt')
    assert (a.status, a.text) == (401, 'who are you?')


def test_satisfy_any(site):
    s = site('return 403;', 'satisfy any; allow 127.0.0.1; deny all;')
    assert s.get('/private/a.txt').body == b'secret'
    s = site('return 204;', 'satisfy any; deny all;')
    assert s.get('/private/a.txt').body == b'secret'
    s = site('return 403;', 'satisfy any; deny all;')
    assert s.get('/private/a.txt').status == 403
    s = site('return 204;', 'deny all;')
    assert s.get('/private/a.txt').status == 403


def test_off_and_inherited(shared):
    s = shared('auth_request /auth; location / { } location /open/ { auth_request off; } '
               'location = /auth { return 403; }', files={'html/open/a': 'x'})
    assert s.get('/file.txt').status == 403
    assert s.get('/open/a').status == 200


def test_a_cycle_ends(weir):
    s = weir('location /a { auth_request /a/x; }')
    assert s.get('/a/y').status == 500          # there is no /a/x; it is not asked for itself
    assert s.get('/file.txt').status == 200


@pytest.mark.one_engine
def test_mistakes(weir):
    s = weir('auth_request auth;', start=False)
    out = s.command('-t').stderr
    assert '"auth" is not a path of this server' in out and 'begins with "/"' in out
    s.rewrite(s.conf.read_text().replace('auth_request auth;', 'auth_request_set name x;'))
    assert '"name" is not a variable that can be set' in s.command('-t').stderr
