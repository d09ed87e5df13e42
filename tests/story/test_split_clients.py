"""split_clients: shares of clients, by the same hash as everywhere."""
import pytest


def murmur2(data):
    """MurmurHash2, seed 0, as its author published it."""
    m, h, i = 0x5bd1e995, len(data), 0
    while len(data) - i >= 4:
        k = int.from_bytes(data[i:i + 4], 'little') * m & 0xffffffff
        k = (k ^ k >> 24) * m & 0xffffffff
        h = (h * m & 0xffffffff) ^ k
        i += 4
    rest = data[i:]
    if rest:
        h = (h ^ int.from_bytes(rest, 'little')) * m & 0xffffffff
    h = (h ^ h >> 13) * m & 0xffffffff
    return h ^ h >> 15


def test_shares(shared):
    s = shared('add_header X-V "[$v]";',
               http='split_clients "$arg_a$arg_b" $v { 0.5% .one; 20% .two; 30.25% ""; * .rest; }')
    parts = [(50, '.one'), (2050, '.two'), (5075, ''), (10000, '.rest')]
    seen = set()
    with s.connect() as c:
        for n in range(600):
            text = f'{n}' * (n % 7)
            hash = murmur2(text.encode())
            value = next(v for end, v in parts if end == 10000 or
                         hash < end * 0xffffffff // 10000)
            assert c.ask(f'/file.txt?a={text}')['x-v'] == f'[{value}]', text
            seen.add(value)
    assert len(seen) >= 3


def test_without_a_rest(shared):
    s = shared('add_header X-V "[$v]";', http='split_clients $arg_a $v { 0.01% x; }')
    assert s.get('/file.txt?a=1')['x-v'] == '[]'


@pytest.mark.one_engine
@pytest.mark.parametrize('block, says', [
    ('60% a; 50% b;', 'the shares are more than 100%'), ('0% a;', 'this is no share'),
    ('x% a;', 'this is no share'), ('1.234% a;', 'this is no share'), ('5 a;', 'this is no share'),
    ('5%;', 'takes 1 argument')])
def test_mistakes(weir, block, says):
    s = weir('', http='split_clients $uri $v { %s }' % block, start=False)
    assert says in s.command('-t').stderr
