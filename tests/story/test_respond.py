"""respond: a made-up body of any size, after any time."""
import time

import pytest

LINE = 'weir answers with as many bytes as it was told to, and no more.\n'


@pytest.mark.parametrize('size', [0, 1, 63, 64, 65, 16384, 100_000, 3_000_000])
def test_a_body(weir, size):
    s = weir(f'location / {{ respond size={size}; }}')
    a = s.get('/')
    assert a.status == 200 and a['content-length'] == str(size)
    assert a.text == (LINE * (size // 64 + 1))[:size]


def test_a_part_of_it_and_its_head(weir):
    s = weir('location / { respond size=1m; }')
    a = s.get('/', headers={'Range': 'bytes=100000-100099'})
    assert a.status == 206 and a.text == (LINE * 3)[100000 % 64:][:100]
    assert s.get('/', method='HEAD')['content-length'] == str(1024 * 1024)


def test_a_delay(weir):
    s = weir('location / { respond size=5 delay=300ms; } location /now { respond size=1; }')
    began = time.monotonic()
    assert s.get('/').text == LINE[:5]
    assert time.monotonic() - began >= 0.3
    with s.connect() as c:  # a client that does not wait
        c.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert s.get('/now').text == 'w'


@pytest.mark.parametrize('words, says', [
    ('size=much', '"size=much" means nothing here'), ('delay=x', 'expected: size=64k or delay'),
    ('5', 'means nothing here'), ('size=1; empty_gif', 'another directive answers')])
def test_mistakes(weir, words, says):
    run = weir(f'location / {{ respond {words}; }}', start=False).command('-t')
    assert run.returncode != 0 and says in run.stderr
