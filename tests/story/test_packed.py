"""gzip_static, brotli_static, zstd_static: files that were compressed beforehand."""
import gzip

import pytest

TEXT = 'body { color: red }\n' * 30
PACKED = gzip.compress(TEXT.encode())
# what is in the others does not matter to the server
FILES = {'html/a.css': TEXT, 'html/a.css.gz': PACKED, 'html/a.css.br': 'as brotli',
         'html/a.css.zst': 'as zstd', 'html/b.css': TEXT, 'html/b.css.gz': PACKED,
         'html/c.css': TEXT, 'html/only.css.gz': PACKED, 'html/d.css': TEXT,
         'html/d.css.gz/x': 'a directory'}
ALL = 'gzip_static on; brotli_static on; zstd_static on;'


@pytest.fixture
def site(shared):
    return lambda body=ALL: shared(body, files=FILES)


def ask(s, path, accept='gzip', **kw):
    return s.get(path, headers={'Accept-Encoding': accept, **kw.pop('headers', {})}, **kw)


def test_the_file_beside(site):
    s = site()
    a = ask(s, '/b.css')
    assert (a['content-encoding'], a['content-type'], a.body) == ('gzip', 'text/css', PACKED)
    assert a['content-length'] == str(len(PACKED)) and a['vary'] is None
    plain = s.get('/b.css')
    assert plain.text == TEXT and plain['content-encoding'] is None
    assert a['etag'] != plain['etag'] and not a['etag'].startswith('W/')
    assert ask(s, '/b.css', headers={'If-None-Match': a['etag']}).status == 304
    head = ask(s, '/b.css', method='HEAD')
    assert head['content-length'] == a['content-length'] and head['content-encoding'] == 'gzip'


@pytest.mark.parametrize('path,accept,coding', [
    ('/a.css', 'gzip', 'gzip'), ('/a.css', 'gzip, deflate, br, zstd', 'br'),
    ('/a.css', 'zstd, gzip', 'zstd'), ('/a.css', 'br;q=0.5, gzip;q=0.8', 'gzip'),
    ('/a.css', '*', 'br'), ('/a.css', 'br;q=0, zstd;q=0, *', 'gzip'), ('/a.css', '', None),
    ('/a.css', 'gzip;q=0', None), ('/b.css', 'br, gzip;q=0.1', 'gzip'), ('/b.css', 'br', None),
    ('/c.css', 'br, gzip, zstd', None), ('/d.css', 'gzip', None),
])
def test_which_file(site, path, accept, coding):
    a = ask(site(), path, accept)
    body = {'gzip': PACKED, 'br': b'as brotli', 'zstd': b'as zstd', None: TEXT.encode()}[coding]
    assert (a.status, a['content-encoding'], a.body) == (200, coding, body)


def test_without_a_plain_file(site):
    assert ask(site(), '/only.css').body == PACKED
    assert site().get('/only.css').status == 404


def test_vary_only_where_there_is_another(site):
    s = site(ALL + ' gzip_vary on;')
    assert ask(s, '/b.css')['vary'] == 'Accept-Encoding'
    assert s.get('/b.css').all('vary') == ['Accept-Encoding'] and s.get('/b.css').text == TEXT
    assert ask(s, '/c.css')['vary'] is None


def test_always(site):
    s = site('gzip_static always; gzip_vary on;')
    for a in (s.get('/b.css'), ask(s, '/b.css', 'br')):
        assert (a['content-encoding'], a.body, a['vary']) == ('gzip', PACKED, None)
    assert s.get('/c.css').text == TEXT


def test_not_compressed_again(site):
    s = site('gzip_static on; gzip on; gzip_types text/css; gzip_vary on;')
    a = ask(s, '/b.css')
    assert a.all('content-encoding') == ['gzip'] and gzip.decompress(a.body).decode() == TEXT
    assert a['content-length'] == str(len(PACKED))
    assert s.get('/b.css').all('vary') == ['Accept-Encoding']
    c = ask(s, '/c.css')
    assert c['content-length'] is None and gzip.decompress(c.body).decode() == TEXT


def test_ranges_are_of_the_compressed_file(site):
    a = ask(site(), '/b.css', headers={'Range': 'bytes=2-5'})
    assert (a.status, a.body) == (206, PACKED[2:6])


def test_below_an_alias_and_with_a_cache(weir):
    s = weir('''open_file_cache max=100; open_file_cache_errors on;
                location /x/ { gzip_static on; alias html/; }
                location = /one { gzip_static on; alias html/b.css; }
                location ~ ^/re/(.*) { gzip_static on; alias html/$1; }''', files=FILES)
    for path in ('/x/b.css', '/one', '/re/b.css', '/x/b.css'):
        assert ask(s, path).body == PACKED, path
    assert ask(s, '/x/c.css').text == TEXT and ask(s, '/x/c.css').text == TEXT


def test_post_is_refused(site):
    assert ask(site(), '/b.css', method='POST').status == 405
