"""valid_referers and $invalid_referer."""
import pytest

CONF = 'location / { valid_referers %s; add_header X-I "[$invalid_referer]"; }'


def invalid(shared, valid, referer, servers=None):
    s = shared(CONF % valid)
    headers = {} if referer is None else {'Referer': referer}
    return {'[1]': True, '[]': False}[s.get('/file.txt', headers=headers)['x-i']]


@pytest.mark.parametrize('valid, fine, bad', [
    ('none', [None], ['', 'http://a.test/', 'nonsense']),
    ('blocked', ['', 'nonsense', 'http://', 'ftp://x/'], [None, 'http://a.test/']),
    ('server_names', ['http://a.test/x', 'https://A.test:8080', 'http://a.test'],
     [None, 'http://b.test/', 'http://xa.test/', 'nonsense']),
    ('*.example.com', ['http://www.example.com/', 'http://a.b.EXAMPLE.com'],
     ['http://example.com/', 'http://example.com.evil/', 'http://evilexample.com/']),
    ('.example.com', ['http://www.example.com/', 'http://example.com'], ['http://xexample.com/']),
    ('www.example.*', ['http://www.example.org/', 'http://www.example.co.uk/x'],
     ['http://www.example/', 'http://example.org/']),
    ('example.org/galleries/', ['http://example.org/galleries/1'],
     ['http://example.org/', 'http://example.org', 'http://example.org/gallery']),
    (r'"~\\.google\\."', ['http://www.google.com/', 'https://x.GOOGLE.de/?q'],
     ['http://google.com/', None]),
    ('none blocked a.test b.test', [None, 'x', 'http://a.test/', 'http://b.test/y'],
     ['http://c.test/'])])
def test_valid(shared, valid, fine, bad):
    for referer in fine:
        assert not invalid(shared, valid, referer), referer
    for referer in bad:
        assert invalid(shared, valid, referer), referer


def test_in_an_if(shared):
    s = shared('valid_referers none server_names; location /in/ { } '
               'location / { if ($invalid_referer) { return 403; } }', files={'html/in/a': 'x'})
    assert s.get('/file.txt').status == 200
    assert s.get('/file.txt', headers={'Referer': 'http://a.test/'}).status == 200
    assert s.get('/file.txt', headers={'Referer': 'http://b.test/'}).status == 403


def test_not_said(shared):
    s = shared('add_header X-I "[$invalid_referer]";')
    assert s.get('/file.txt', headers={'Referer': 'http://b.test/'})['x-i'] == '[]'


@pytest.mark.one_engine
@pytest.mark.parametrize('valid, says', [
    ('http://a.test', '"http://a.test" is no host'), ('/x', '"/x" is no host'),
    ('"~("', 'the regular expression is wrong'), ('', 'takes at least 1 argument')])
def test_mistakes(weir, valid, says):
    s = weir(CONF % valid, start=False)
    assert says in s.command('-t').stderr
