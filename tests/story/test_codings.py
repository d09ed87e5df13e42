"""brotli and zstd beside gzip: which one is taken, and whether answers survive it."""
import gzip
import random
import re
import subprocess

import brotli
import pytest

TEXT = ''.join(f'line {i}: the quick brown fox jumps over the lazy dog\n' for i in range(40))
WORDS = random.Random(5)
FILES = {'html/a.html': TEXT, 'html/a.css': TEXT, 'html/short.html': 'short',
         'html/large.html': ''.join(WORDS.choice('abcdefgh \n') for _ in range(1_500_000)),
         'html/zeros.html': b'\0' * 6_000_000, 'html/noise.html': WORDS.randbytes(500_000)}
ALL = 'gzip on; brotli on; zstd on;'


def unzstd(packed):
    return subprocess.run(['zstd', '-dc'], input=packed, capture_output=True, check=True).stdout


UNPACK = {'gzip': gzip.decompress, 'br': brotli.decompress, 'zstd': unzstd, None: bytes}


@pytest.fixture
def site(shared):
    return lambda body=ALL: shared(body, files=FILES)


def ask(s, path, accept, **kw):
    return s.get(path, headers={'Accept-Encoding': accept}, **kw)


@pytest.mark.parametrize('coding', ['br', 'zstd', 'gzip'])
@pytest.mark.parametrize('name', ['a', 'large', 'zeros', 'noise'])
def test_answers_survive(site, coding, name):
    a = ask(site(), f'/{name}.html', coding)
    want = FILES[f'html/{name}.html']
    assert a['content-encoding'] == coding and a['transfer-encoding'] == 'chunked'
    assert UNPACK[coding](a.body) == (want if isinstance(want, bytes) else want.encode())
    assert name == 'noise' or len(a.body) < len(want) / 2
    assert a['etag'].startswith('W/"') and a['accept-ranges'] is None


@pytest.mark.parametrize('accept,coding', [
    ('gzip, deflate, br, zstd', 'br'), ('gzip, zstd', 'zstd'), ('gzip', 'gzip'), ('*', 'br'),
    ('gzip, br;q=0.9', 'gzip'), ('br;q=0, *;q=0.1', 'zstd'), ('identity', None),
    ('gzip;q=0.001, br;q=0', 'gzip'), ('brotli', None),
])
def test_the_best_is_taken(site, accept, coding):
    a = ask(site(), '/a.html', accept)
    assert a['content-encoding'] == coding and UNPACK[coding](a.body).decode() == TEXT


def test_each_has_its_own_settings(weir):
    s = weir('''gzip on; gzip_types text/css; brotli on; brotli_min_length 1m; zstd off;
                gzip_vary on;''', files=FILES)
    assert ask(s, '/a.css', 'br, gzip')['content-encoding'] == 'gzip'
    assert ask(s, '/a.html', 'br, gzip')['content-encoding'] == 'gzip'
    assert ask(s, '/large.html', 'br, gzip')['content-encoding'] == 'br'
    assert ask(s, '/a.html', 'br, zstd')['content-encoding'] is None
    assert ask(s, '/a.html', 'br, gzip').all('vary') == ['Accept-Encoding']


@pytest.mark.parametrize('settings', [
    'brotli_comp_level 0; brotli_window 1k; zstd_comp_level 22;',
    'brotli_comp_level 9; brotli_window 16m; zstd_comp_level 5;'])
def test_levels(weir, settings):
    s = weir(ALL + settings, files=FILES)
    for coding in ('br', 'zstd', 'br', 'zstd'):
        a = ask(s, '/large.html', coding)
        assert UNPACK[coding](a.body).decode() == FILES['html/large.html']


def test_ratios(weir):
    s = weir(ALL + ' access_log ratio.log r;', files=FILES, http='''
        log_format r "$gzip_ratio $brotli_ratio $zstd_ratio.";''')
    sizes = [len(ask(s, '/a.html', c).body) for c in ('gzip', 'br', 'zstd')]
    s.stop()
    # by the dashes in front, as lines of several connections come in any order
    lines = sorted(s.file('ratio.log').splitlines(), key=lambda line: line.count('- ', 0, 4))
    found = [[f for f in line.rstrip('.').split()] for line in lines]
    for i, size in enumerate(sizes):
        assert float(found[i][i]) == pytest.approx(len(TEXT) / size, abs=0.01)
        assert found[i].count('-') == 2
    assert re.fullmatch(r'[\d.]+ - -\.', lines[0])
