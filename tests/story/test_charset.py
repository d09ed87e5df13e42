"""charset: named in Content-Type, and converted."""
import gzip

import pytest

RUSSIAN = 'Привет, мир! ' * 5000
FILES = {'html/k.html': RUSSIAN.encode('koi8-r'), 'html/u.html': RUSSIAN.encode(),
         'html/a.txt': 'text', 'html/a.json': '{}', 'html/a.css': 'css'}


def table(one, other):
    """A charset_map of what both have."""
    lines = ''
    for byte in range(0x80, 0x100):
        try:
            lines += f'{byte:02X} {bytes([byte]).decode(one).encode(other).hex().upper()}; '
        except UnicodeError:
            pass
    return f'charset_map {one} {other} {{ {lines} }}\n'


MAPS = table('koi8-r', 'utf-8') + table('koi8-r', 'windows-1251')


@pytest.fixture
def site(weir):
    return lambda body: weir(body, http=MAPS, files=FILES)


def test_the_parameter(site):
    s = site('''charset utf-8; location /off/ { charset off; alias html/; }
                location /all/ { charset_types *; alias html/; }
                location = /said { default_type "text/html; charset=koi8-r"; return 200 x; }
                location = /var { charset $arg_c; default_type text/html; return 200 x; }''')
    types = {p: s.get(p)['content-type'] for p in
             ('/u.html', '/a.txt', '/a.json', '/off/u.html', '/all/a.json', '/said', '/missing',
              '/var?c=koi8-r', '/var')}
    assert types == {
        '/u.html': 'text/html; charset=utf-8', '/a.txt': 'text/plain; charset=utf-8',
        '/a.json': 'application/json', '/off/u.html': 'text/html',
        '/all/a.json': 'application/json; charset=utf-8', '/said': 'text/html; charset=koi8-r',
        '/missing': 'text/html; charset=utf-8', '/var?c=koi8-r': 'text/html; charset=koi8-r',
        '/var': 'text/html'}
    a = s.get('/u.html')
    assert a.body == FILES['html/u.html'] and a['content-length'] and a['accept-ranges'] == 'bytes'


def test_redirects_have_none(site):
    s = site('''charset utf-8;
                location = /301 { return 301 /to; } location = /302 { return 302 /to; }
                location = /303 { return 303 /to; } location = /307 { return 307 /to; }
                location = /308 { return 308 /to; } location = /410 { return 410; }
                location = /dir { rewrite ^ /to permanent; }''')
    types = {p: s.get(p)['content-type'] for p in ('/301', '/302', '/303', '/307', '/308', '/410',
                                                   '/dir')}
    assert types == {
        '/301': 'text/html', '/302': 'text/html', '/303': 'text/html; charset=utf-8',
        '/307': 'text/html; charset=utf-8', '/308': 'text/html; charset=utf-8',
        '/410': 'text/html; charset=utf-8', '/dir': 'text/html'}


@pytest.mark.parametrize('path,source,to', [
    ('/k.html', 'koi8-r', 'utf-8'), ('/u.html', 'utf-8', 'koi8-r'),
    ('/k.html', 'koi8-r', 'windows-1251'), ('/k.html', 'KOI8-R', 'koi8-r'),
])
def test_converted(site, path, source, to):
    s = site(f'charset {to}; source_charset {source};')
    a = s.get(path)
    assert a['content-type'] == f'text/html; charset={to}'
    assert a.body.decode(to) == RUSSIAN
    assert (a['content-length'] is None) == ('utf-8' in (to, source))
    assert s.get(path, method='HEAD')['content-length'] == a['content-length']


def test_override(site):
    s = site('''charset utf-8; location = /k.html { override_charset on; types { }
                default_type "text/html; charset=koi8-r"; }''')
    a = s.get('/k.html')
    assert (a['content-type'], a.text) == ('text/html; charset=utf-8', RUSSIAN)


def test_then_compressed(site):
    a = site('charset utf-8; source_charset koi8-r; gzip on;').get(
        '/k.html', headers={'Accept-Encoding': 'gzip'})
    assert gzip.decompress(a.body).decode() == RUSSIAN


def test_a_set_that_nobody_knows(site):
    s = site('charset $arg_c; source_charset koi8-r;')
    assert s.get('/k.html?c=utf-8').text == RUSSIAN
    a = s.get('/k.html?c=ebcdic')
    assert (a['content-type'], a.body) == ('text/html', FILES['html/k.html'])
    s.wait_log('no charset_map between "koi8-r" and "ebcdic"')
