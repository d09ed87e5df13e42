"""gzip: who gets compressed answers, and whether they are what they were before."""
import gzip
import random
import re
import zlib

import pytest

TEXT = ''.join(f'line {i}: the quick brown fox jumps over the lazy dog\n' for i in range(40))
WORDS = random.Random(7)
LARGE = ''.join(WORDS.choice('abcdefgh \n') for _ in range(3_000_000)).encode()
ZEROS = b'\0' * 8_000_000
SMALL = {'html/a.html': TEXT, 'html/a.txt': TEXT, 'html/a.png': TEXT, 'html/short.html': 'short'}
FILES = {**SMALL, 'html/large.html': LARGE, 'html/zeros.html': ZEROS, 'html/noise.html':
         random.Random(3).randbytes(700_000)}
ASK = {'Accept-Encoding': 'gzip'}


@pytest.fixture
def site(shared, weir):
    """The usual one is started once; others for one test."""
    return lambda body='', files=SMALL: weir('gzip on; ' + body, files=files) if body else \
        shared('gzip on;', files=SMALL)


def test_text_is_compressed(site):
    s = site()
    plain, a = s.get('/a.html'), s.get('/a.html', headers=ASK)
    assert (a.status, a['content-encoding']) == (200, 'gzip')
    assert gzip.decompress(a.body).decode() == TEXT and len(a.body) < len(TEXT) / 4
    assert a['content-length'] is None and a['transfer-encoding'] == 'chunked'
    assert a['accept-ranges'] is None and a['vary'] is None
    assert a['etag'] == 'W/' + plain['etag'] and a['last-modified'] == plain['last-modified']
    assert plain.text == TEXT and plain['content-encoding'] is None
    assert plain['accept-ranges'] == 'bytes' and not plain['etag'].startswith('W/')


@pytest.mark.parametrize('accept,coded', [
    ('gzip', True), ('GZIP', True), ('x-gzip', True), ('deflate, gzip;q=0.5', True), ('*', True),
    ('gzip;q=0', False), ('gzip;q=0.000', False), ('gzip; q=0.001', True), ('*;q=0', False),
    ('*, gzip;q=0', False), ('identity', False), ('identity, gzip', True), ('', False),
    ('identity, gzip;q=0.5', False), ('gzipped', False), ('gzip;q=2', False), ('deflate', False),
])
def test_what_the_client_accepts(site, accept, coded):
    a = site().get('/a.html', headers={'Accept-Encoding': accept})
    assert (a['content-encoding'] == 'gzip') == coded
    assert (gzip.decompress(a.body) if coded else a.body).decode() == TEXT


def test_fields_are_one_list(site):
    a = site().get('/a.html', headers=[('Accept-Encoding', 'br'), ('Accept-Encoding', 'gzip')])
    assert a['content-encoding'] == 'gzip'


@pytest.mark.parametrize('setting', ['', 'sendfile off;', 'gzip_comp_level 9;'])
@pytest.mark.parametrize('name', ['large', 'zeros', 'noise'])
def test_large_files(site, setting, name):
    a = site(setting or '# as usual\n', FILES).get(f'/{name}.html', headers=ASK)
    assert gzip.decompress(a.body) == FILES[f'html/{name}.html']


def test_one_connection_many_times(site):
    s = site()
    with s.connect() as c:
        for i in range(40):
            a = c.ask('/a.html', headers=ASK if i % 3 else {})
            assert (gzip.decompress(a.body) if i % 3 else a.body).decode() == TEXT


def test_types(site):
    assert site().get('/a.txt', headers=ASK)['content-encoding'] is None
    assert site().get('/a.png', headers=ASK)['content-encoding'] is None
    some = site('gzip_types text/plain;')
    assert [some.get(p, headers=ASK)['content-encoding'] for p in
            ('/a.html', '/a.txt', '/a.png')] == ['gzip', 'gzip', None]
    every = site('gzip_types *;')
    assert [every.get(p, headers=ASK)['content-encoding'] for p in
            ('/a.html', '/a.txt', '/a.png')] == ['gzip'] * 3


def test_short_answers(site):
    assert site().get('/short.html', headers=ASK).body == b'short'
    a = site('gzip_min_length 5;').get('/short.html', headers=ASK)
    assert gzip.decompress(a.body) == b'short'
    assert site('gzip_min_length 1m;').get('/a.html', headers=ASK)['content-encoding'] is None


def test_head_and_conditions(site):
    s = site('gzip_vary on;')
    with s.connect() as c:
        got = c.ask('/a.html', headers=ASK)
        head = c.ask('/a.html', method='HEAD', headers=ASK)
        for n in ('content-encoding', 'etag', 'vary', 'content-length', 'transfer-encoding'):
            assert head[n] == got[n], n
        again = c.ask('/a.html', headers={**ASK, 'If-None-Match': got['etag']})
        assert (again.status, again.body, again['content-encoding']) == (304, b'', None)
        # a weak tag never holds for If-Match or If-Range (RFC 9110 13.1.1, 13.1.5)
        assert c.ask('/a.html', headers={**ASK, 'If-Match': got['etag']}).status == 412
        part = c.ask('/a.html', headers={**ASK, 'Range': 'bytes=0-9'})
        assert part.status == 200 and gzip.decompress(part.body).decode() == TEXT


def test_vary(site):
    s = site('gzip_vary on;')
    assert s.get('/a.html', headers=ASK)['vary'] == 'Accept-Encoding'
    assert s.get('/a.html')['vary'] == 'Accept-Encoding'
    assert s.get('/a.txt', headers=ASK)['vary'] is None
    assert s.get('/short.html')['vary'] is None


def test_statuses(site):
    s = site('''gzip_types text/plain; gzip_min_length 0;
        location /s/ { default_type text/html;
        location = /s/404 { return 404 "0123456789012345678901234567890"; }
        location = /s/403 { return 403 "0123456789012345678901234567890"; }
        location = /s/500 { return 500 "0123456789012345678901234567890"; }
        location = /s/201 { return 201 "0123456789012345678901234567890"; }
        location = /s/301 { return 301 /x; } }''')
    coded = {n: s.get(f'/s/{n}', headers=ASK)['content-encoding'] for n in
             (404, 403, 500, 201, 301)}
    assert coded == {404: 'gzip', 403: 'gzip', 500: None, 201: None, 301: None}
    a = s.get('/missing', headers=ASK)
    assert a.status == 404 and b'404 Not Found' in gzip.decompress(a.body)


def test_never_twice(site):
    s = site('location = /x.html { add_header Content-Encoding br; return 200 "%s"; '
             'default_type text/html; }' % ('x' * 100))
    a = s.get('/x.html', headers=ASK)
    assert a.all('content-encoding') == ['br'] and a.body == b'x' * 100


def test_versions(site):
    a = site().get('/a.html', headers=ASK, version='1.0')
    assert a['content-encoding'] is None and a.text == TEXT
    a = site('gzip_http_version 1.0;').get('/a.html', headers=ASK, version='1.0')
    assert a['transfer-encoding'] is None and a['connection'] == 'close'
    assert gzip.decompress(a.body).decode() == TEXT


@pytest.mark.parametrize('words,location,fields,coded', [
    ('', '/a.html', {}, False),
    ('off', '/a.html', {}, False),
    ('any', '/a.html', {}, True),
    ('auth', '/a.html', {}, False),
    ('auth', '/a.html', {'Authorization': 'Basic eDp5'}, True),
    ('no_last_modified', '/a.html', {}, False),
    ('no_etag', '/a.html', {}, False),
    ('no_etag', '/made', {}, True),
    ('no_last_modified', '/made', {}, True),
    ('expired', '/made', {}, False),
    ('expired', '/old', {}, True),
    ('no-cache', '/old', {}, True),
    ('no-store', '/old', {}, False),
    ('private expired', '/mine', {}, True),
    ('no-store', '/mine', {}, True),
])
def test_behind_a_proxy(site, words, location, fields, coded):
    s = site((f'gzip_proxied {words};' if words else '') + '''
        default_type text/html;
        location = /made { return 200 "0123456789012345678901234567890"; }
        location = /old { expires epoch; return 200 "0123456789012345678901234567890"; }
        location = /mine { add_header Cache-Control "no-store, private";
                           return 200 "0123456789012345678901234567890"; }''')
    a = s.get(location, headers={**ASK, **fields, 'Via': '1.1 proxy'})
    assert (a['content-encoding'] == 'gzip') == coded


@pytest.mark.parametrize('agent,coded', [
    ('Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)', False),
    ('Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)', True),
    ('Mozilla/4.0 (compatible; MSIE 7.0)', True), ('OldBot/1', False), ('Firefox', True),
])
def test_browsers_that_cannot(site, agent, coded):
    s = site('gzip_disable msie6 ^oldbot;')
    assert (s.get('/a.html', headers={**ASK, 'User-Agent': agent})['content-encoding'] ==
            'gzip') == coded


def test_ratio(weir):
    s = weir('gzip on; access_log ratio.log r;', http='log_format r "$uri $gzip_ratio";',
             files=SMALL)
    a = s.get('/a.html', headers=ASK)
    s.get('/a.html')
    text = s.file('ratio.log', contains='-')
    ratio = re.search(r'/a.html ([\d.]+)\n', text)[1]
    assert float(ratio) == pytest.approx(len(TEXT) / len(a.body), abs=0.01)
    assert '/a.html -\n' in text


def test_where_it_is_off(site):
    s = site('location = /off.html { gzip off; alias html/a.html; }')
    assert s.get('/off.html', headers=ASK).text == TEXT
    assert s.get('/a.html', headers=ASK)['content-encoding'] == 'gzip'


def test_a_client_that_leaves(weir):
    s = weir('gzip on;', files=FILES)
    for _ in range(20):
        with s.connect() as c:
            c.send('GET /large.html HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n')
            c.fill()
    assert gzip.decompress(s.get('/large.html', headers=ASK).body) == LARGE


def test_slow_reader_with_limit(weir):
    s = weir('gzip on; limit_rate 40k; limit_rate_after 1;', files=FILES)
    a = s.get('/zeros.html', headers=ASK)
    assert zlib.decompress(a.body, 31) == ZEROS


def test_idle_connections_hold_no_compressor(weir):
    s = weir('gzip on;', files=FILES)

    def memory():
        return int(re.search(r'VmRSS:\s+(\d+)',
                             open(f'/proc/{s.worker()}/status').read())[1])

    keep = []
    for _ in range(20):
        c = s.connect()
        c.ask('/a.html', headers=ASK)
        keep.append(c)
    before = memory()
    for _ in range(150):
        c = s.connect()
        c.ask('/a.html', headers=ASK)
        keep.append(c)
    assert memory() - before < 150 * 200    # each would be 256 KiB
    for c in keep:
        c.close()
