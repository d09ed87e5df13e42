"""What a client of HTTP/2 may waste, and how soon it is told to calm down."""
import re
import struct
import time

import pytest

from h2 import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Ended,
                FLOW_CONTROL_ERROR, GOAWAY, H2, HEADERS, INITIAL_WINDOW_SIZE, NO_ERROR, PING,
                PREFACE, PRIORITY, PRIORITY_UPDATE, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM,
                SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, settings)


@pytest.fixture
def site(shared):
    return shared('''http2 on; keepalive_requests 1000000;
        location = /say { return 200 "$http_x"; }
        location / { limit_rate 1; return 200 "................................"; }''')


def calmed(c, pieces, within=1.0):
    """Sends until the server has had enough; the reason is calm_down."""
    c.windows = False
    begin = time.monotonic()
    try:
        for piece in pieces:
            c.send(piece)
    except OSError:
        pass
    try:
        while not c.goaways:
            c.read()
    except (Ended, OSError):
        pass
    assert c.goaways and c.goaways[-1][1] == ENHANCE_YOUR_CALM, c.goaways
    assert time.monotonic() - begin < within + 3


def unharmed(s):
    with H2(s) as c:
        assert c.get(1, '/say', headers=[('x', 'fine')]).body == b'fine'


def test_rapid_reset(site):
    """A thousand at once are a burst; more are not."""
    with H2(site) as c:
        first = c.block(c.fields('/say'))
        block = c.block(c.fields('/say'))
        assert len(block) < len(first)
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, first).answer(1)

        def one(i):
            return c.pack(HEADERS, END_HEADERS, i, block) + \
                c.pack(RST_STREAM, 0, i, struct.pack('>I', CANCEL))
        c.frame(SETTINGS, 0, 0, settings(INITIAL_WINDOW_SIZE=0))
        c.send(b''.join(one(2 * i + 3) for i in range(900))).ping()
        assert not c.goaways
        calmed(c, [b''.join(one(2 * i + 2003) for i in range(100 * k, 100 * k + 100))
                   for k in range(5)])
    unharmed(site)


MADE = {        # what makes the server reset a stream
    'a window of nothing': lambda c, i: c.pack(WINDOW_UPDATE, 0, i, b'\0' * 4),
    'a window too large': lambda c, i: c.pack(WINDOW_UPDATE, 0, i, b'\x7f\xff\xff\xff'),
    'data behind the end': lambda c, i: c.pack(DATA, END_STREAM, i, b'x'),
}


@pytest.mark.parametrize('how', MADE)
def test_made_you_reset(site, how):
    """Resets that the server is made to send count like the client's own."""
    with H2(site) as c:
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, c.block(c.fields('/x')))
        block = c.block(c.fields('/x'))

        def one(i):
            return c.pack(HEADERS, END_HEADERS | END_STREAM, i, block) + MADE[how](c, i)
        calmed(c, [b''.join(one(2 * i + 3) for i in range(50 * k, 50 * k + 50))
                   for k in range(30)])
    unharmed(site)


def test_malformed_requests_count(site):
    with H2(site) as c:
        c.get(1, '/say')
        block = c.block(c.fields('/x', headers=[('connection', 'close')]))
        calmed(c, [b''.join(c.pack(HEADERS, END_HEADERS | END_STREAM, 2 * i + 3, block)
                            for i in range(100 * k, 100 * k + 100)) for k in range(15)])
    unharmed(site)


FOR_NOTHING = {
    'priority': lambda c: c.pack(PRIORITY, 0, 1, b'\0\0\0\3\x10'),
    'priority update': lambda c: c.pack(PRIORITY_UPDATE, 0, 0, b'\0\0\x10\1u=1'),
    'empty data': lambda c: c.pack(DATA, 0, 1, b''),
    'unknown': lambda c: c.pack(0x4a, 0, 0, b''),
    'drips': lambda c: c.pack(WINDOW_UPDATE, 0, 1, b'\0\0\0\1'),
    'drips for all': lambda c: c.pack(WINDOW_UPDATE, 0, 0, b'\0\0\0\1'),
    'answers to no ping': lambda c: c.pack(PING, ACK, 0, b'12345678'),
    'resets of what is gone': lambda c: c.pack(RST_STREAM, 0, 3, b'\0\0\0\x08'),
    'goaway': lambda c: c.pack(GOAWAY, 0, 0, b'\0' * 8),
}


@pytest.mark.parametrize('what', FOR_NOTHING)
def test_frames_for_nothing(site, what):
    """Ten thousand are a burst; more are not."""
    with H2(site) as c:
        c.started().frame(SETTINGS, 0, 0, settings(INITIAL_WINDOW_SIZE=0))
        c.headers(1, c.fields('/'), end=False).get(3, '/none', method='HEAD')
        one = FOR_NOTHING[what](c)
        for _ in range(9):
            c.send(one * 1000).ping()
        assert not c.goaways
        calmed(c, [one * 1000] * 4)
    unharmed(site)


@pytest.mark.parametrize('kind,payload', [(PING, b'12345678'), (SETTINGS, b'')])
def test_more_answers_than_anybody_waits_for(site, kind, payload):
    """At most a hundred wait to be sent."""
    with H2(site) as c:
        c.started()
        c.send(c.pack(kind, 0, 0, payload) * 90).ping()
        assert not c.goaways
        calmed(c, [c.pack(kind, 0, 0, payload) * 3000] * 3)
    unharmed(site)


def test_settings_that_go_up_and_down(site):
    """Each changes the window of every stream: thousands in a frame are frames for nothing."""
    with H2(site) as c:
        c.started()
        for i in range(100):
            c.ask(2 * i + 1)
        many = (settings(INITIAL_WINDOW_SIZE=1) + settings(INITIAL_WINDOW_SIZE=2)) * 1300
        calmed(c, [c.pack(SETTINGS, 0, 0, many)] * 6)
    unharmed(site)


def test_a_flood_of_continuations(site):
    with H2(site) as c:
        c.frame(HEADERS, END_STREAM, 1, c.block(c.fields('/say')))
        calmed(c, [c.pack(CONTINUATION, 0, 1, b'')] * 9)
    unharmed(site)


def test_a_block_far_too_large(site):
    """… is not decoded to its end."""
    with H2(site) as c:
        field = b'\0\x01x\x7f\x81\x7e' + b'y' * 16384       # 127 + 16,257
        c.frame(HEADERS, END_STREAM, 1, c.block(c.fields('/say')) + field[:16000])
        calmed(c, [c.pack(CONTINUATION, 0, 1, b'z' * 16384)] * 6)
    unharmed(site)


def test_a_bomb(site):
    """Few bytes that mean many: a large field in the table, called for again and again."""
    with H2(site) as c:
        block = c.block(c.fields('/say')) + b'\x40\x01x\x7f\xb1\x1e' + b'y' * 4016
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block + b'\xbe' * 10)
        a = c.answer(1)
        assert a.status in (400, 431)
        calmed(c, [c.pack(HEADERS, END_HEADERS | END_STREAM, 3,
                          b'\x82\x86\x84\x01\x06a.test' + b'\xbe' * 5000)])
    with H2(site) as c:                 # in trailers, too
        c.headers(1, c.fields('/'), end=False)
        calmed(c, [c.pack(HEADERS, END_HEADERS | END_STREAM, 1,
                          b'\x40\x01x\x7f\xb1\x1e' + b'y' * 4016 + b'\xbe' * 5000)])
    unharmed(site)


def test_too_many_fields(site):
    with H2(site) as c:
        assert c.get(1, '/say', headers=[('a', 'b')] * 99 + [('x', '1')]).body == b'1'
        assert c.get(3, '/say', headers=[('a', 'b')] * 101).status == 431
        assert c.get(5, '/say', headers=[('cookie', f'{i}=1') for i in range(101)]).status == 431
        calmed(c, [c.pack(HEADERS, END_HEADERS | END_STREAM, 7,
                          c.block(c.fields('/say', headers=[('a', 'b')] * 300)))])
    unharmed(site)


def test_fields_too_large(site):
    with H2(site) as c:
        assert c.get(1, '/say', headers=[('x', 'y' * 8000)]).body == b'y' * 8000
        assert c.get(3, '/say', headers=[('x', 'y' * 9000)]).status == 431
        assert c.get(5, '/' + 'y' * 9000).status == 414
        fields = [(f'x{i}', 'y' * 7000) for i in range(5)]
        block = c.block(c.fields('/say', headers=fields))
        c.frame(HEADERS, END_STREAM, 7, block[:16000])
        c.frame(CONTINUATION, 0, 7, block[16000:32000])
        c.frame(CONTINUATION, END_HEADERS, 7, block[32000:])
        assert c.answer(7).status == 431
        assert not c.goaways


def test_a_shut_window(weir):
    """Who asks and does not take is let go: the stream, then, when all stand still, all of it."""
    s = weir('http2 on; send_timeout 1s;', files={'html/big.bin': b'x' * 300_000})
    with H2(s, windows=False, payload=settings(INITIAL_WINDOW_SIZE=0)) as c:
        begin = time.monotonic()
        c.ask(1, '/big.bin').until(lambda: c.streams.get(1) and c.streams[1].reset is not None)
        assert c.streams[1].reset == CANCEL and 0.8 < time.monotonic() - begin < 3
        assert c.get(3, '/file.txt', method='HEAD').status == 200
        c.ask(5, '/big.bin')                        # a byte now and then is no more than nothing
        begin = time.monotonic()
        c.sock.settimeout(0.05)
        while c.streams.get(5) is None or c.streams[5].reset is None:
            try:
                c.read()
            except TimeoutError:
                c.window(5, 1)
            assert time.monotonic() - begin < 5
        c.sock.settimeout(5)
        assert c.streams[5].reset == CANCEL
    with H2(s, windows=False, payload=settings(INITIAL_WINDOW_SIZE=1 << 20)) as c:
        begin = time.monotonic()
        c.ask(1, '/big.bin')
        assert c.goaway() is None and c.closed_by_server
        assert 0.8 < time.monotonic() - begin < 4


def test_counters(weir):
    s = weir('http2 on; location / { return 200 "$http2_resets $http2_glitches $http2_stalled"; } '
             'location /slow { limit_rate 1; return 200 ..........; }')
    assert s.get('/').text == '0 0 0'
    with H2(s) as c:
        c.windows = False
        c.started().ask(1, '/slow').rst(1).frame(PRIORITY, 0, 3, b'\0' * 5)
        c.frame(0x4a, 0, 0, b'unknown')
        assert c.get(3).body == b'1 2 0'
        c.ask(5, '/slow').window(5, 0).answer(5)
        assert c.get(7).body == b'2 2 0'


def test_small_answers_are_no_waste(weir):
    """A client may tell of every byte that it took, however many answers there are."""
    s = weir('http2 on; keepalive_requests 1000000; '
             'location / { return 200 "$http2_glitches"; }')
    with H2(s) as c:
        for i in range(3000):
            assert c.get(2 * i + 1).body == b'0'


def test_begun_and_reset_before_it_is_run(site):
    with H2(site) as c:
        block = c.block(c.fields('/say'))
        for i in range(100):
            c.send(c.pack(HEADERS, END_STREAM, 2 * i + 1, block[:3]) +
                   c.pack(CONTINUATION, END_HEADERS, 2 * i + 1, block[3:]) +
                   c.pack(RST_STREAM, 0, 2 * i + 1, b'\0' * 4))
            block = c.block(c.fields('/say'))
        assert c.ping() and not c.goaways
    unharmed(site)



def test_reasons(weir):
    """reason: preface_bad, protocol_error, calm_down: each is counted and told in the log."""
    s = weir('http2 on; location / { return 200 ok; }')
    with H2(s, begin=False) as c:
        c.send(PREFACE[:20] + b'XXXX')
        assert c.goaway() is None and c.closed_by_server
    with H2(s) as c:
        assert c.frame(DATA, 0, 0, b'x').goaway() == PROTOCOL_ERROR
        assert b'stream' in c.goaways[-1][2]
    with H2(s) as c:
        calmed(c, [c.pack(CONTINUATION, 0, 1, b'')] * 0 +
               [c.pack(HEADERS, 0, 1, b'')] + [c.pack(CONTINUATION, 0, 1, b'')] * 9)
    s.wait_log('PROTOCOL_ERROR')
    s.wait_log('ENHANCE_YOUR_CALM')
