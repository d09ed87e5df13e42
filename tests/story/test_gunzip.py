"""gunzip: compressed answers for clients that cannot read them."""
import gzip
import random

import brotli
import pytest

from conftest import MEMORY

WORDS = random.Random(5)
TEXT = ''.join(WORDS.choice('abcdefgh \n') for _ in range(900_000)).encode()
PACKED = gzip.compress(TEXT)
FILES = {'html/a.css.gz': PACKED, 'html/two.css.gz':
         gzip.compress(b'one, ') + gzip.compress(b'two'),
         'html/bomb.css.gz': gzip.compress(b'\0' * 30_000_000), 'html/cut.css.gz': PACKED[:200_000],
         'html/bad.css.gz': PACKED[:100_000] + b'x' * 1000 + PACKED[101_000:],
         'html/no.css.gz': b'this is not gzip at all', 'html/plain.css': 'plain text'}
SITE = 'gzip_static always; gunzip on; gzip_vary on;'


@pytest.fixture
def site(shared):
    return lambda body=SITE: shared(body, files=FILES)


def test_unpacked_for_those_who_cannot(site):
    s = site()
    a, packed = s.get('/a.css'), s.get('/a.css', headers={'Accept-Encoding': 'gzip'})
    assert a.body == TEXT and a['content-encoding'] is None
    assert a['content-length'] is None and a['accept-ranges'] is None
    assert a.all('vary') == packed.all('vary') == ['Accept-Encoding']
    assert packed.body == PACKED and packed['content-encoding'] == 'gzip'
    assert a['etag'] == 'W/' + packed['etag']
    head = s.get('/a.css', method='HEAD')
    assert head['content-encoding'] is None and head['content-length'] is None


@pytest.mark.parametrize('accept', ['', 'gzip;q=0', 'br', 'identity'])
def test_what_the_client_says(site, accept):
    assert site().get('/a.css', headers={'Accept-Encoding': accept}).body == TEXT


def test_members_behind_one_another(site):
    assert site().get('/two.css').body == b'one, two'


def test_what_is_not_compressed_stays(site):
    a = site().get('/plain.css')
    assert (a.text, a['content-length'], a['vary']) == ('plain text', '10', None)


@pytest.mark.parametrize('name,says', [('cut', 'ends too early'), ('bad', 'is broken'),
                                       ('no', 'is broken')])
def test_broken_files_break_the_answer_off(weir, name, says):
    s = weir(SITE, files=FILES)
    with s.connect() as c:
        c.send(f'GET /{name}.css HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert not c.rest().endswith(b'0\r\n\r\n')
    s.wait_log(f'gunzip: the compressed answer {says}')


def test_much_comes_out_and_little_is_held(weir):
    s = weir(SITE, files=FILES)
    before = memory(s)
    assert s.get('/bomb.css').body == b'\0' * 30_000_000
    assert memory(s) - before < 8000 * MEMORY


def memory(s):
    text = open(f'/proc/{s.worker()}/status').read()
    return int(text.split('VmRSS:')[1].split()[0])


def test_packed_again_in_another_coding(site):
    a = site(SITE + 'brotli on; brotli_types text/css;').get(
        '/a.css', headers={'Accept-Encoding': 'br'})
    assert a.all('content-encoding') == ['br'] and brotli.decompress(a.body) == TEXT
