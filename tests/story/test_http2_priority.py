"""Which answer goes first on HTTP/2 (RFC 9218); the old priorities mean nothing."""
import struct

import pytest

from h2 import H2, HEADERS, END_HEADERS, END_STREAM, PRIORITY_UPDATE, WITH_PRIORITY, settings

SIZE = 60_000


@pytest.fixture
def site(shared):
    return shared('http2 on;', files={'html/a.bin': b'a' * SIZE, 'html/b.bin': b'b' * SIZE,
                                      'html/c.bin': b'c' * SIZE})


def order(s, priorities, updates=(), flags=b''):
    """The streams of the DATA frames of three answers that all wait for the same window."""
    with H2(s, windows=False, payload=settings(INITIAL_WINDOW_SIZE=1 << 24)) as c:
        c.started()
        c.ask(1, '/a.bin').until(lambda: 1 in c.streams and c.streams[1].ended)
        c.get(3, '/b.bin?rest', method='HEAD')
        c.order.clear()
        filler = c.get(5, '/c.bin', headers=[('range', f'bytes=0-{65535 - SIZE - 1}')])
        assert filler.ended                             # the connection's window is shut now
        c.order.clear()
        for i, p in enumerate(priorities):
            c.ask(7 + 2 * i, f'/{"abc"[i]}.bin', headers=[('priority', p)] if p else [])
        for stream, p in updates:
            c.frame(PRIORITY_UPDATE, 0, 0, struct.pack('>I', stream) + p.encode())
        c.ping()
        c.window(0, 10 * SIZE)
        for i in range(len(priorities)):
            c.answer(7 + 2 * i)
        return [(stream - 7) // 2 for stream, _, _ in c.order]


def runs(seq):
    return [x for i, x in enumerate(seq) if i == 0 or seq[i - 1] != x]


def test_one_by_one(site):
    assert runs(order(site, ['u=3', 'u=3', 'u=3'])) == [0, 1, 2]


def test_urgency(site):
    assert runs(order(site, ['u=5', 'u=1', 'u=3'])) == [1, 2, 0]
    assert runs(order(site, ['u=7', 'u=0, i', 'u=3'])) == [1, 2, 0]


def test_incremental_ones_take_turns(site):
    seq = order(site, ['u=3, i', 'u=3, i', 'u=3;x, i=?1'])
    assert sorted(seq[:3]) == [0, 1, 2] and len(runs(seq)) >= 20


def test_who_says_nothing_takes_turns(site):
    seq = order(site, [None, None, None])
    assert sorted(seq[:3]) == [0, 1, 2] and len(runs(seq)) >= 20


def test_updates(site):
    assert runs(order(site, ['u=5', 'u=5', 'u=5'], updates=[(11, 'u=0')])) == [2, 0, 1]
    assert runs(order(site, ['u=1', None, 'u=2'], updates=[(9, 'u=0'), (7, 'u=7')])) == [1, 2, 0]


def test_an_update_before_its_request(site):
    with H2(site, windows=False, payload=settings(INITIAL_WINDOW_SIZE=1 << 24)) as c:
        c.started().get(1, '/a.bin')
        c.get(3, '/c.bin', headers=[('range', f'bytes=0-{65535 - SIZE - 1}')])
        c.order.clear()
        c.frame(PRIORITY_UPDATE, 0, 0, struct.pack('>I', 7) + b'u=0')
        c.ask(5, '/a.bin', headers=[('priority', 'u=4')]).ask(7, '/b.bin').ping()
        c.window(0, 10 * SIZE)
        c.answer(5), c.answer(7)
        assert runs([stream for stream, _, _ in c.order]) == [7, 5]


@pytest.mark.parametrize('text', ['u=9', 'u', 'u=-1', 'u=1.5', 'i=1', 'x', '"', 'u="1"', ',,', ''])
def test_what_is_no_priority_changes_nothing(site, text):
    assert runs(order(site, [text or 'q', 'u=2', 'u=4'])) == [1, 0, 2]


def test_a_head_waits_for_no_window(site):
    with H2(site, windows=False) as c:
        c.ask(1, '/a.bin').ask(3, '/b.bin')
        c.until(lambda: sum(n for _, n, _ in c.order) == 65535)
        assert c.get(5, '/a.bin', method='HEAD').status == 200
