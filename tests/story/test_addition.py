"""add_before_body and add_after_body: answers of other paths around a body."""
import pytest

from upstreams import Upstream, reply

PAGE = '<p>page</p>\n'
FILES = {'html/page.html': PAGE, 'html/page.css': 'p { }', 'html/head.html': '<h1>head</h1>\n',
         'html/foot.html': '<hr>\n', 'html/large.html': 'line\n' * 200_000, 'html/empty.html': ''}
AROUND = 'add_before_body /head.html; add_after_body /foot.html;'


@pytest.fixture
def site(shared):
    return lambda body, **kw: shared(body, files=FILES, **kw)


def test_around(site):
    s = site(AROUND)
    a = s.get('/page.html')
    assert a.text == FILES['html/head.html'] + PAGE + FILES['html/foot.html']
    assert a['content-length'] is None and a['transfer-encoding'] == 'chunked'
    assert a['accept-ranges'] is None and a['etag'].startswith('W/')
    assert s.get('/page.html', headers={'Range': 'bytes=0-1'}).status == 200
    assert s.get('/page.html', method='HEAD').status == 200
    assert s.get('/page.css').text == 'p { }'
    assert s.get('/none.html').status == 404 and '<h1>head' not in s.get('/none.html').text


@pytest.mark.parametrize('sendfile', ['on', 'off'])
def test_large_files(site, sendfile):
    s = site(f'sendfile {sendfile}; add_before_body /large.html; add_after_body /large.html;')
    with s.connect() as c:
        for _ in range(3):
            assert c.ask('/large.html').text == FILES['html/large.html'] * 3
            assert c.ask('/page.html').text == FILES['html/large.html'] + PAGE + \
                FILES['html/large.html']
    a = s.get('/page.html', version='1.0')
    assert a.text == FILES['html/large.html'] + PAGE + FILES['html/large.html']


def test_one_side_and_types(site):
    s = site('add_after_body /foot.html; addition_types text/css;')
    assert s.get('/page.html').text == PAGE + '<hr>\n'
    assert s.get('/page.css').text == 'p { }<hr>\n'
    assert s.get('/file.txt').text == '0123456789'


def test_an_empty_page_and_an_empty_addition(site):
    s = site('add_before_body /head.html; add_after_body /empty.html;')
    assert s.get('/empty.html').text == FILES['html/head.html']


def test_what_is_added_has_its_own_location(site):
    s = site("location = /page.html { add_before_body /made; sub_filter page PAGE; } "
             "location = /made { internal; default_type text/html; return 200 'page of $uri;'; }")
    assert s.get('/page.html').text == 'page of /made;<p>PAGE</p>\n'


def test_what_is_added_is_missing(site):
    s = site('add_before_body /none; add_after_body /foot.html;')
    a = s.get('/page.html')
    assert a.status == 200 and '404' in a.text and a.text.endswith(PAGE + '<hr>\n')


def test_additions_do_not_grow_by_themselves(site):
    s = site('location / { add_before_body /page.html; }')
    assert s.get('/page.html').text == PAGE * 2


def test_it_is_compressed_with_the_rest(site):
    import gzip
    s = site(AROUND + 'gzip on; gzip_min_length 0;')
    a = s.get('/page.html', headers={'Accept-Encoding': 'gzip'})
    assert a['content-encoding'] == 'gzip'
    assert gzip.decompress(a.body).decode() == FILES['html/head.html'] + PAGE + '<hr>\n'


def test_a_client_that_goes_away(weir):
    s = weir('add_before_body /large.html; add_after_body /large.html;', files=FILES)
    for _ in range(30):
        c = s.connect()
        c.send('GET /large.html HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.sock.recv(1000)
        c.close()
    assert s.get('/file.txt').status == 200


def test_the_log(weir):
    s = weir('access_log all.log; add_after_body /foot.html; '
             'location = /foot.html { log_subrequest on; access_log foot.log f; }',
             http='log_format f "$uri $request_method $request_uri $status $body_bytes_sent";',
             files=FILES)
    assert s.get('/page.html').status == 200
    assert s.file('foot.log', contains='\n') == '/foot.html GET /page.html 200 5\n'
    assert len(s.file('all.log').splitlines()) == 1


@pytest.mark.one_engine
def test_mistakes(weir):
    s = weir('add_after_body foot.html;', start=False)
    assert '"foot.html" is not a path of this server' in s.command('-t').stderr


def test_around_what_another_server_says(weir):
    body = bytes(i % 250 for i in range(300000))
    with Upstream(reply(body, fields=['Content-Type: text/html'])) as app:
        s = weir(f'''location / {{ add_before_body /before; add_after_body /after;
                                  proxy_pass http://{app.at}; }}
                     location /before {{ return 200 begin; }}
                     location /after {{ return 200 end; }}''')
        for _ in range(3):
            assert s.get('/').body == b'begin' + body + b'end'
        assert app.connections == 1
