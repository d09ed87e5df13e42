"""sub_filter: texts in answers replaced by others."""
import gzip
import random

import pytest

PAGE = '<html><head><title>x</title></head><body>one two ONE</body></html>\n'
LARGE = ''.join(random.Random(2).choice(['needle', 'NEEDLE', 'need', 'hay ', 'stack\n'])
                for _ in range(150_000))
FILES = {'html/a.html': PAGE, 'html/a.css': PAGE, 'html/large.html': LARGE,
         'html/a.html.gz': gzip.compress(PAGE.encode()), 'html/empty.html': ''}


@pytest.fixture
def site(weir):
    return lambda body: weir(body, files=FILES)


def test_a_text_is_replaced_once(site):
    s = site("sub_filter 'one' '[$host$uri]'; sub_filter '</BODY>' '<p></body>';")
    a = s.get('/a.html')
    assert a.text == PAGE.replace('one', '[a.test/a.html]', 1).replace('</body>', '<p></body>')
    assert a['content-length'] is None and a['last-modified'] is None and a['etag'] is None
    assert a['accept-ranges'] is None
    assert s.get('/a.css').text == PAGE and s.get('/a.css')['etag']
    assert s.get('/empty.html').body == b''
    head = s.get('/a.html', method='HEAD')
    assert head['content-length'] is None and head['etag'] is None


def test_everywhere_in_a_large_file(site):
    s = site("sub_filter needle 'pin'; sub_filter stack ''; sub_filter_once off;")
    assert s.get('/large.html').text == \
        LARGE.replace('needle', 'pin').replace('NEEDLE', 'pin').replace('stack', '')


def test_reading_in_pieces(site):
    s = site("sub_filter needle 'a longer text'; sub_filter_once off; sendfile off;")
    assert s.get('/large.html').text == \
        LARGE.replace('needle', 'a longer text').replace('NEEDLE', 'a longer text')


def test_types(site):
    s = site("sub_filter one 1; sub_filter_types text/css;")
    assert s.get('/a.css').text == s.get('/a.html').text == PAGE.replace('one', '1')


def test_last_modified_is_kept(site):
    s = site("sub_filter one 1; sub_filter_last_modified on;")
    a = s.get('/a.html')
    assert a['last-modified'] and a['etag'].startswith('W/"')
    assert s.get('/a.html', headers={'If-None-Match': a['etag']}).status == 304


def test_the_text_may_have_variables(site):
    s = site("sub_filter $arg_what '<$arg_with>';")
    assert s.get('/a.html?what=TWO&with=2').text == PAGE.replace('two', '<2>')
    assert s.get('/a.html').text == PAGE and s.get('/a.html')['etag']


def test_before_compression_and_after_it(site):
    s = site("sub_filter one 1; gzip on; location /x/ { gzip_static always; gunzip on; "
             "alias html/; } location /y/ { gzip off; gzip_static on; alias html/; }")
    ask = {'Accept-Encoding': 'gzip'}
    a = s.get('/a.html', headers=ask)
    assert gzip.decompress(a.body).decode() == PAGE.replace('one', '1')
    assert s.get('/x/a.html').text == PAGE.replace('one', '1')
    assert s.get('/y/a.html', headers=ask).body == FILES['html/a.html.gz']


def test_inherited_as_a_list(site):
    s = site("sub_filter one 1; location /x/ { alias html/; } "
             "location /y/ { sub_filter two 2; alias html/; }")
    assert s.get('/x/a.html').text == PAGE.replace('one', '1')
    assert s.get('/y/a.html').text == PAGE.replace('two', '2')


def test_error_pages_too(site):
    assert b'404 Nowhere' in site("sub_filter 'not found' Nowhere;").get('/none').body
