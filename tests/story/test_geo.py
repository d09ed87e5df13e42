"""geo: values by address, nets and ranges, proxies, mistakes."""
import ipaddress
import random

import pytest


def site(shared, block, name='$v', source=''):
    return shared('add_header X-V "$v"; add_header X-W "[$v]";',
                  http=f'geo {source} {name} {{ {block} }}')


def asked(s, address, **fields):
    return s.get(f'/file.txt?a={address}', headers=fields)['x-w'][1:-1]


def test_the_client(shared):
    s = site(shared, 'volatile; default no; 127.0.0.0/8 yes; 10.0.0.0/8 ten;')
    assert s.get('/file.txt')['x-v'] == 'yes'
    s = site(shared, '10.0.0.0/8 ten;')
    assert s.get('/file.txt')['x-w'] == '[]'


NETS = ('default d; 10.0.0.0/8 a; 10.1.0.0/16 b; 10.1.2.0/24 c; 10.1.2.3 one; 10.1.2.3 two; '
        '192.168.0.0/16 e; 2001:db8::/32 six; 2001:db8:1::/48 seven; 255.255.255.255 none; ')


def test_the_smallest_net_counts(shared):
    s = site(shared, NETS, source='$arg_a')
    for address, value in {
            '10.0.0.0': 'a', '10.255.255.255': 'a', '11.0.0.0': 'd', '9.255.255.255': 'd',
            '10.1.0.1': 'b', '10.1.2.2': 'c', '10.1.2.3': 'two', '10.1.2.4': 'c', '10.1.3.0': 'b',
            '10.2.0.0': 'a', '192.168.7.7': 'e', '::ffff:10.1.2.2': 'c',
            '2001:db8::1': 'six', '2001:db8:1::1': 'seven', '2001:db9::': 'd', '::1': 'd',
            'nonsense': 'none', '': 'none', '10.0.0.1/8': 'none'}.items():
        assert asked(s, address) == value, address


def test_delete(shared):
    s = site(shared, NETS + 'delete 10.1.0.0/16; delete 2001:db8::/32;', source='$arg_a')
    assert asked(s, '10.1.0.1') == 'a' and asked(s, '10.1.2.2') == 'c'
    assert asked(s, '2001:db8::1') == 'd' and asked(s, '2001:db8:1::1') == 'seven'


def test_ranges(shared):
    s = site(shared, 'ranges; default d; 10.0.0.1-10.0.0.100 a; 10.0.0.50-10.0.0.60 b; '
                     '10.0.0.55-10.0.0.55 c; 10.0.0.90-10.0.1.10 e; delete 10.0.0.50-10.0.0.60; '
                     '::1-::9 six;', source='$arg_a')
    for address, value in {'10.0.0.0': 'd', '10.0.0.1': 'a', '10.0.0.50': 'a', '10.0.0.55': 'c',
                           '10.0.0.56': 'a', '10.0.0.89': 'a', '10.0.0.90': 'e', '10.0.0.100': 'e',
                           '10.0.1.10': 'e', '10.0.1.11': 'd', '::5': 'six', '::a': 'd'}.items():
        assert asked(s, address) == value, address


@pytest.mark.one_engine
@pytest.mark.parametrize('ranges', [False, True])
def test_many_as_a_plain_search_says(weir, ranges):
    draw = random.Random(5)
    said, lines = [], []
    for n in range(3000):
        if ranges:
            first = draw.randrange(1 << 32)
            last = min(first + draw.choice([0, 10, 1000, 1 << 24]), (1 << 32) - 1)
            lines.append(f'{ipaddress.ip_address(first)}-{ipaddress.ip_address(last)} v{n};')
            said.append((first, last, n, n))
        else:
            bits = draw.choice([0, 1, 4, 8, 12, 16, 24, 30, 32])
            net = ipaddress.ip_network((draw.randrange(1 << 32), bits), strict=False)
            lines.append(f'{net} v{n};')
            said.append((int(net[0]), int(net[-1]), bits * 10000 + n, n))
    s = weir('add_header X-W "[$v]";', http='geo $arg_a $v { %s default d; include more.geo; }' % (
        'ranges;' if ranges else ''), files={'more.geo': '\n'.join(lines)})
    with s.connect() as c:
        for n in range(900):
            a = draw.choice(said)[draw.randrange(2)] + draw.choice([-1, 0, 0, 1])
            a = min(max(a, 0), (1 << 32) - 1)
            best = max(((rank, v) for first, last, rank, v in said if first <= a <= last),
                       default=None)
            got = c.ask(f'/file.txt?a={ipaddress.ip_address(a)}')['x-w'][1:-1]
            assert got == (f'v{best[1]}' if best else 'd'), ipaddress.ip_address(a)


def test_proxies(shared):
    block = 'default d; 10.0.0.0/8 ten; 11.0.0.0/8 eleven; 127.0.0.1 self; proxy 127.0.0.1; ' \
        'proxy 10.0.0.0/8; '
    s = site(shared, block)
    assert asked(s, '', X_F='1') == 'self'
    field = {'X-Forwarded-For': '11.0.0.1, 10.0.0.1'}
    assert s.get('/file.txt', headers=field)['x-v'] == 'ten'
    s = site(shared, block + 'proxy_recursive;')
    assert s.get('/file.txt', headers=field)['x-v'] == 'eleven'
    s = site(shared, 'default d; 11.0.0.0/8 eleven; proxy 10.0.0.0/8;')
    assert s.get('/file.txt', headers=field)['x-v'] == 'd'


@pytest.mark.one_engine
@pytest.mark.parametrize('block, says', [
    ('10.0.0.0/33 x;', '"10.0.0.0/33" is not a net or an address'),
    ('example.com x;', '"example.com" is not a net or an address'),
    ('10.0.0.0/8;', 'this address has no value'),
    ('ranges; 10.0.0.0/8 x;', '"10.0.0.0/8" is not a range of addresses'),
    ('ranges; 10.0.0.9-10.0.0.1 x;', 'is not a range of addresses'),
    ('ranges; 10.0.0.1-::1 x;', 'is not a range of addresses'),
    ('10.0.0.1 x; ranges;', 'ranges must stand before the first address'),
    ('proxy nonsense;', '"nonsense" is not an address'),
    ('default;', 'this wants a value'),
    ('proxy_recursive x;', 'this takes no value')])
def test_mistakes(weir, block, says):
    s = weir('', http='geo $v { %s }' % block, start=False)
    run = s.command('-t')
    assert run.returncode == 1 and says in run.stderr
    assert 'weir.conf:' in run.stderr


@pytest.mark.one_engine
def test_names(weir):
    s = weir('', http='geo v { }', start=False)
    assert '"v" is not a variable' in s.command('-t').stderr
    s = weir('', http='geo $uri { }', start=False)
    assert '"$uri" has a meaning of its own' in s.command('-t').stderr
    s = weir('', http='geo $v { 10.0.0.1/8 x; delete 10.0.0.9; }', start=False)
    out = s.command('-t').stderr
    assert "beyond the net's mask" in out and 'nothing was said about this before' in out
