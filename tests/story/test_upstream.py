"""upstream: who is asked, who is left alone, and what is tried again."""
import collections
import contextlib
import threading
import time

import pytest
from asking import Asking
from conftest import free_port
from upstreams import Upstream, reply


@pytest.fixture
def ups():
    with contextlib.ExitStack() as keep:
        def make(count, script=None):
            made = [keep.enter_context(Upstream(script)) for _ in range(count)]
            for i, u in enumerate(made):
                if script is None:
                    u.script = reply(str(i))
            return made
        yield make



def group(weir, servers, more='', location='', **kw):
    lines = ' '.join(f'server {x};' for x in servers)
    return weir(f'location / {{ proxy_pass http://g; {location} }}',
                http=f'upstream g {{ {more} {lines} }}', **kw)


def texts(s, count, path='/', **kw):
    with s.connect() as c:
        return [c.ask(path, **kw).text for _ in range(count)]


def test_round_robin_is_smooth(weir, ups):
    a, b, c = ups(3)
    s = group(weir, [f'{a.at} weight=5', b.at, c.at])
    assert ''.join(texts(s, 14)) == '0010200' * 2


def test_equal_weights(weir, ups):
    s = group(weir, [u.at for u in ups(3)])
    assert collections.Counter(texts(s, 30)) == {'0': 10, '1': 10, '2': 10}


def test_down_and_backup(weir, ups):
    a, b, c = ups(3)
    s = group(weir, [f'{a.at} down', f'{b.at} backup', c.at])
    assert set(texts(s, 6)) == {'2'}
    c.close()
    assert set(texts(s, 6)) == {'1'}


def test_ip_hash_and_hash(weir, ups):
    at = [u.at for u in ups(3)]
    assert len(set(texts(group(weir, at, 'ip_hash;'), 10))) == 1
    for consistent in ('', ' consistent'):
        s = group(weir, at, f'hash $arg_k{consistent};')
        seen = {k: set(texts(s, 3, f'/?k={k}')) for k in range(30)}
        assert all(len(x) == 1 for x in seen.values())
        assert set.union(*seen.values()) == {'0', '1', '2'}


def test_consistent_moves_few_keys(weir, ups):
    at = [u.at for u in ups(4)]
    before, after = group(weir, at, 'hash $arg_k consistent;'), \
        group(weir, at[:3], 'hash $arg_k consistent;')
    keys = range(200)
    one = [texts(before, 1, f'/?k={k}')[0] for k in keys]
    two = [texts(after, 1, f'/?k={k}')[0] for k in keys]
    assert all(x == y for x, y in zip(one, two) if x != '3')


def test_random(weir, ups):
    at = [u.at for u in ups(3)]
    for how in ('random;', 'random two;', 'random two least_conn;'):
        assert set(texts(group(weir, at, how), 60)) == {'0', '1', '2'}


def test_least_conn(weir, ups):
    a, b = ups(2)
    hold = threading.Event()

    def slow(peer, asked):
        if asked.target == '/hold':
            hold.wait(5)
        peer.send(reply('0'))

    a.script = slow
    s = group(weir, [a.at, b.at], 'least_conn;')
    with s.connect() as c:
        c.send('GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n')
        while not a.asked and not b.asked:
            time.sleep(0.01)
        busy = '0' if a.asked else '1'
        if busy == '0':
            assert set(texts(s, 6)) == {'1'}
        hold.set()
        assert c.answer().status == 200


@pytest.mark.parametrize('how, head, body, all_fast', [
    ('least_time header;', 0.2, 0, True), ('least_time last_byte;', 0, 0.2, True),
    ('least_time last_byte inflight;', 0.1, 0.1, True),
    ('random two least_time=header;', 0.2, 0, True), ('least_time header;', 0, 0.05, False)])
def test_least_time(weir, ups, how, head, body, all_fast):
    a, b = ups(2)

    def slow(peer, asked):
        time.sleep(head)
        whole = reply('0')
        peer.send(whole[:-1])
        time.sleep(body)
        peer.send(whole[-1:])

    a.script = slow
    s = group(weir, [a.at, b.at], how)
    got = texts(s, 16)
    if all_fast:  # it was tried once, and that was enough
        assert got.count('0') <= 1 and got[-8:] == ['1'] * 8
    else:
        assert '0' in got


def test_a_slow_server_counts_before_it_has_answered(weir, ups):
    a, b = ups(2)
    hold = threading.Event()

    def slow(peer, asked):
        if asked.target == '/hold':
            hold.wait(5)
        peer.send(reply('0'))

    a.script = slow
    s = group(weir, [a.at, b.at], 'least_time last_byte inflight;')
    assert set(texts(s, 2)) == {'0', '1'}
    with s.connect() as c, s.connect() as d:
        for client in (c, d):
            client.send('GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n')
        while not any(x.target == '/hold' for x in a.asked + b.asked):
            time.sleep(0.01)
        time.sleep(0.1)
        if any(x.target == '/hold' for x in a.asked):
            assert set(texts(s, 6)) == {'1'}
        hold.set()
        assert c.answer().status == d.answer().status == 200


def test_max_conns(weir, ups):
    a, b = ups(2)
    hold = threading.Event()
    a.script = b.script = lambda peer, asked: (hold.wait(5), peer.send(reply('x')))
    s = group(weir, [f'{a.at} max_conns=1', f'{b.at} max_conns=1'])
    with s.connect() as one, s.connect() as two, s.connect() as three:
        for c in (one, two):
            c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        while not (a.asked and b.asked):
            time.sleep(0.01)
        assert three.ask('/').status == 502
        hold.set()
        assert one.answer().status == two.answer().status == 200
        assert three.ask('/').status == 200


# ---- failures ------------------------------------------------------------------------------------

def test_the_next_one_is_asked(weir, ups):
    a, b = ups(2)
    a.close()
    s = group(weir, [a.at, b.at], location='add_header X-Up "$upstream_addr|$upstream_status";')
    seen = [s.get()['X-Up'] for _ in range(4)]
    assert f'{a.at}, {b.at}|502, 200' in seen and f'{b.at}|200' in seen


def test_a_failed_one_is_left_alone(weir, ups):
    a, b = ups(2)
    a.close()
    s = group(weir, [f'{a.at} fail_timeout=100s', b.at],
              location='add_header X-Up "$upstream_addr";')
    seen = [s.get()['X-Up'] for _ in range(20)]
    assert sum(', ' in x for x in seen) == 1


def test_it_comes_back(weir, ups):
    a, b = ups(2)
    ok = threading.Event()
    a.script = lambda peer, asked: ok.is_set() and peer.send(reply('0'))
    s = group(weir, [f'{a.at} fail_timeout=300ms', b.at])
    assert set(texts(s, 4)) == {'1'}
    ok.set()
    end = time.monotonic() + 5
    while '0' not in texts(s, 2):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize('status, word', [('500', 'http_500'), ('502', 'http_502'),
                                          ('503', 'http_503'), ('504', 'http_504'),
                                          ('403', 'http_403'), ('404', 'http_404'),
                                          ('429', 'http_429')])
def test_statuses(weir, ups, status, word):
    a, b = ups(2)
    a.script = reply('theirs', status=status + ' X')
    s = group(weir, [a.at, b.at], location=f'proxy_next_upstream {word};')
    assert set(texts(s, 4)) == {'1'}
    s = group(weir, [a.at, f'{b.at} backup'])
    assert set(texts(s, 3)) == {'theirs'}


def test_all_fail(weir, ups):
    a, b = ups(2)
    a.script = reply('a', status='503 X')
    b.script = reply('b', status='503 X')
    s = group(weir, [a.at, b.at], location='proxy_next_upstream http_503;')
    x = s.get()
    assert x.status == 503 and x.text in ('a', 'b')
    assert len(a.asked) + len(b.asked) == 2


def test_posts_are_not_repeated(weir, ups):
    a, b = ups(2)
    a.script = b.script = lambda peer, asked: False
    s = group(weir, [a.at, b.at])
    with s.connect() as c:
        assert c.ask('/', method='POST', body=b'x').status == 502
    assert len(a.asked) + len(b.asked) == 1
    s = group(weir, [a.at, b.at], location='proxy_next_upstream error non_idempotent;')
    with s.connect() as c:
        assert c.ask('/', method='POST', body=b'x' * 100_000).status == 502
    assert len(a.asked) + len(b.asked) == 3
    assert a.last.body == b.last.body == b'x' * 100_000 or len(a.asked) == 1 or len(b.asked) == 1


def test_tries_and_off(weir, ups):
    all_of = ups(4)
    for u in all_of:
        u.script = lambda peer, asked: False
    at = [u.at for u in all_of]
    assert group(weir, at, location='proxy_next_upstream_tries 2;').get().status == 502
    assert sum(len(u.asked) for u in all_of) == 2
    assert group(weir, at, location='proxy_next_upstream off;').get().status == 502
    assert sum(len(u.asked) for u in all_of) == 3


def test_nobody_is_left(weir):
    s = group(weir, [f'127.0.0.1:{free_port()}', f'127.0.0.1:{free_port()}'])
    for _ in range(3):
        assert s.get().status == 502
    s.wait_log('no live upstreams')


def test_one_server_of_three_dies_under_load(weir, ups):
    a, b, c = ups(3)
    s = group(weir, [a.at, b.at, c.at])
    with Asking(s) as clients:
        time.sleep(0.3)
        b.close()
        time.sleep(0.5)
    assert set(clients.counts) == {200} and clients.total > 50, clients.counts


@pytest.mark.parametrize('text, says', [
    ('upstream a { }', 'no server in this upstream'),
    ('upstream a { server 127.0.0.1 backup; }', 'every server here is a backup'),
    ('upstream a { server 127.0.0.1; } upstream a { server 127.0.0.1; }', 'already'),
    ('upstream a { server 127.0.0.1 weight=0; }', 'no value that can be'),
    ('upstream a { server 127.0.0.1 quick; }', 'no parameter "quick"'),
    ('upstream a { server 127.0.0.1:x; }', 'is not an address'),
    ('upstream a { ip_hash; least_conn; server 127.0.0.1; }', 'another method'),
    ('upstream a { least_time soon; server 127.0.0.1; }', 'header | last_byte'),
    ('upstream a { least_time header always; server 127.0.0.1; }', 'means nothing here'),
    ('upstream a { random two least_time=soon; server 127.0.0.1; }', 'means nothing here'),
    ('upstream a { hash $uri loosely; server 127.0.0.1; }', 'means nothing here'),
    ('upstream a { ip_hash; server 127.0.0.1; server 127.0.0.2 backup; }', 'no backups with'),
    ('upstream a { server 127.0.0.1 slow_start=5s; random; }', 'is no slow_start with'),
    ('upstream a { server 127.0.0.1 slow_start=x; }', 'has no value that can be'),
    ('upstream a { keepalive many; server 127.0.0.1; }', 'means nothing here'),
])
def test_mistakes(weir, text, says):
    s = weir('', http=text, start=False)
    run = s.command('-t')
    assert run.returncode != 0 and says in run.stderr, run.stderr
