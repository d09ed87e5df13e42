"""proxy_http_version 2: requests that share a connection to a server.

On the threads engine a connection is one thread's, and carries one request at a time: there the
stories ask for the same answers, over as many connections as there are requests.
"""
import contextlib
import random
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hyperframe import frame as hf

from certificates import certificate, files
from conftest import Client
from h2_upstreams import Gone, H2Upstream
from test_proxy_http2 import behind

B = certificate('b.test', '127.0.0.1')


@pytest.fixture
def shares(engine):
    """How many requests of `count` come over one connection."""
    return lambda count: 1 if engine == 'threads' else count


def at_once(count, ask):
    """Results of ask(0), ask(1), … each in a thread of its own."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def together(s, count, **kw):
    return at_once(count, lambda i: s.get(f'/{i}', **kw))


def whole_requests(peer, count):
    """So many, in the order of their ends; their frames may come mixed."""
    heads, done = {}, []
    while len(done) < count:
        f = peer.read()
        if isinstance(f, hf.HeadersFrame):
            heads[f.stream_id] = dict(peer.decoder.decode(f.data))
        if 'END_STREAM' in f.flags:
            done.append((f.stream_id, heads[f.stream_id]))
    return done


def gathers(count, answer):
    """A script: reads so many requests, then has answer(peer, [(stream, fields) …]) say it all."""
    def script(peer):
        while True:
            answer(peer, whole_requests(peer, count))
    return script


# ---- sharing -----------------------------------------------------------------------------------

def test_answers_come_in_any_order(weir, shares):
    def backwards(peer, requests):
        for stream, fields in reversed(requests):
            peer.answer(stream, fields[':path'].encode())
    with H2Upstream(gathers(shares(8), backwards)) as u:
        s = behind(weir, u)
        for _ in range(3):
            assert [a.body for a in together(s, 8)] == [b'/%d' % i for i in range(8)]
        assert len(u.peers) <= 8 // shares(8)


def test_content_comes_mixed(weir, shares):
    """Small and large pieces of all answers, in any order, and in any packets."""
    rng = random.Random(7)
    bodies = {f'/{i}': rng.randbytes(rng.choice((10, 5000, 200_000))) for i in range(6)}

    def mixed(peer, requests):
        left = {stream: memoryview(bodies[f[':path']]) for stream, f in requests}
        peer.send(*(peer.head(stream) for stream in left))
        out = b''
        while left:
            stream = rng.choice(list(left))
            size = rng.choice((1, 100, 4000, 16000))
            piece, left[stream] = left[stream][:size], left[stream][size:]
            out += peer.data(stream, bytes(piece), end=not left[stream]).serialize()
            if not left[stream]:
                del left[stream]
            if len(out) > 60_000 or not left:   # all of it is within the windows
                peer.send(out)
                out = b''
    with H2Upstream(gathers(shares(6), mixed)) as u:
        s = behind(weir, u)
        for _ in range(2):
            assert [a.body for a in together(s, 6)] == [bodies[f'/{i}'] for i in range(6)]


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_bodies_of_requests_side_by_side(weir, shares, buffering):
    """Windows of a few kilobytes; they are opened in turns."""
    bodies = [random.Random(i).randbytes(size)
              for i, size in enumerate((3, 3000, 30_000, 100_000, 300_000, 100_000))]

    def script(peer):
        while True:
            f = peer.read()
            if isinstance(f, hf.HeadersFrame):
                peer.heads_of = getattr(peer, 'heads_of', {})
                peer.heads_of[f.stream_id] = dict(peer.decoder.decode(f.data))
            if isinstance(f, hf.DataFrame) and f.flow_controlled_length > 0:
                peer.send(hf.WindowUpdateFrame(0, f.flow_controlled_length))
                if f.stream_id not in peer.ended:
                    peer.send(hf.WindowUpdateFrame(f.stream_id, f.flow_controlled_length))
            if 'END_STREAM' in f.flags:
                i = int(peer.heads_of[f.stream_id][':path'][1:])
                peer.answer(f.stream_id, b'%d' % (peer.bodies[f.stream_id] == bodies[i]))
    with H2Upstream(script, settings={4: 5000}) as u:
        s = behind(weir, u, more=f'proxy_request_buffering {buffering};')
        got = at_once(len(bodies), lambda i: s.get(f'/{i}', method='POST', body=bodies[i]).body)
        assert got == [b'1'] * len(bodies)
        assert len(u.peers) <= len(bodies) // shares(len(bodies))


def test_no_more_than_the_server_allows(weir, engine):
    most = []

    def script(peer):
        open_ = set()
        peer.sock.settimeout(0.3)
        while True:
            try:
                open_.add(peer.request()[0])
                most.append(len(open_))
            except TimeoutError:        # nobody else comes
                for stream in open_:
                    peer.answer(stream)
                open_.clear()
    with H2Upstream(script, settings={3: 2}) as u:
        s = behind(weir, u)
        s.get('/')          # the settings are known now
        assert all(a.body == b'hello' for a in together(s, 6))
        assert max(most) <= 2 and len(u.peers) >= 3
        if engine != 'threads':
            assert max(most) == 2 and len(u.peers) == 3


def test_a_server_that_allows_one_at_a_time(weir):
    """It says so when more are on their way already: those are refused, and asked again."""
    def script(peer):
        busy = None
        peer.sock.settimeout(0.2)
        while True:
            try:
                stream, fields = peer.request()
            except TimeoutError:
                if busy:
                    peer.answer(busy)
                busy = None
                continue
            if busy:
                peer.send(hf.RstStreamFrame(stream, error_code=7))
            else:
                busy = stream
    with H2Upstream(script, settings={3: 1}) as u:
        s = behind(weir, u)
        assert all((a.status, a.body) == (200, b'hello') for a in together(s, 5))


def test_who_comes_while_it_connects_waits_for_it(weir, engine, tmp_path):
    """Over TLS, with a server that takes its time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, text in files(b=B).items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    context.load_cert_chain(tmp_path / 'b.crt', tmp_path / 'b.key')
    context.set_alpn_protocols(['h2'])
    slow = context.wrap_socket

    def wrap(sock, **kw):
        time.sleep(0.5)
        return slow(sock, **kw)
    context.wrap_socket = wrap
    with H2Upstream(tls=context) as u:
        s = behind(weir, u, scheme='https')
        assert sorted(a.body for a in together(s, 5)) == [b'hello /%d' % i for i in range(5)]
        assert len(u.peers) == (5 if engine == 'threads' else 1)


def test_keepalive_requests_counts_them(weir):
    with H2Upstream() as u:
        s = weir('location / { proxy_pass http://back; proxy_http_version 2; }',
                 http=f'upstream back {{ server {u.at}; keepalive 8; keepalive_requests 3; }}')
        for i in range(7):
            assert s.get(f'/{i}').body == b'hello /%d' % i
        assert len(u.peers) == 3


def test_without_keepalive_nothing_is_shared(weir):
    with H2Upstream() as u:
        s = weir('location / { proxy_pass http://back; proxy_http_version 2; }',
                 http=f'upstream back {{ server {u.at}; keepalive 0; }}')
        assert sorted(a.body for a in together(s, 4)) == [b'hello /%d' % i for i in range(4)]
        assert len(u.peers) == 4


# ---- one that goes wrong, and the others -------------------------------------------------------

def wrongs(peer, stream):
    return {
        '/reset': hf.RstStreamFrame(stream, error_code=2),
        '/status': peer.head(stream, status='abc'),
        '/big': peer.head(stream, [('a', 'v' * 9000)]),
        '/bomb': peer.head(stream, [(f'a{i}', 'v' * 500) for i in range(35)]),
        '/length': peer.head(stream, [('content-length', '5')], end=True),
    }


def test_an_answer_that_is_wrong_is_that_ones_own(weir, shares):
    def answer(peer, requests):
        for stream, fields in sorted(requests, key=lambda r: r[1][':path'] == '/well'):
            bad = wrongs(peer, stream).get(fields[':path'])
            if bad:
                peer.send(bad)
            else:
                peer.answer(stream, b'well')
    paths = ['/well', '/reset', '/status', '/big', '/bomb', '/length']
    with H2Upstream(gathers(shares(len(paths)), answer)) as u:
        s = behind(weir, u, more='proxy_next_upstream off;')
        got = at_once(len(paths), lambda i: s.get(paths[i]).status)
        assert got == [200] + [502] * (len(paths) - 1)
        assert len(u.peers) <= len(paths) // shares(len(paths))


def test_who_leaves_cancels_his_own_alone(weir, shares):
    resets, asked = [], threading.Semaphore(0)

    def script(peer):
        here = None
        while True:
            f = peer.read()
            if isinstance(f, hf.HeadersFrame):
                if dict(peer.decoder.decode(f.data))[':path'] == '/stays':
                    here = f.stream_id
                asked.release()
            if isinstance(f, hf.RstStreamFrame):
                resets.append(f.error_code)
            if here and resets:
                peer.answer(here, b'here')
                here = None
    with H2Upstream(script) as u, ThreadPoolExecutor(1) as pool:
        s = behind(weir, u)
        stays = pool.submit(s.get, '/stays')
        assert asked.acquire(timeout=5)
        leaver = Client(s.address)
        leaver.send('GET /leaves HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert asked.acquire(timeout=5)
        leaver.close()
        end = time.monotonic() + 5
        while not resets and time.monotonic() < end:
            time.sleep(0.02)
        assert resets == [8] and len(u.peers) == 2 // shares(2)
        if shares(2) == 2:
            assert stays.result().body == b'here'
        assert s.get('/stays').body == b'here'


def test_a_slow_client_holds_nobody_else_up(weir, shares):
    size = 2_000_000

    def answer(peer, requests):
        windows = {stream: peer.settings[4] for stream, _ in requests}
        window, left = 65535, {}
        for f in peer.frames:
            if isinstance(f, hf.WindowUpdateFrame):
                if f.stream_id == 0:
                    window += f.window_increment
        for stream, _ in requests:
            peer.send(peer.head(stream))
            left[stream] = size
        while left:
            ready = [k for k in left if windows[k] > 0]
            if not ready or window <= 0:
                f = peer.read()
                if isinstance(f, hf.WindowUpdateFrame):
                    if f.stream_id == 0:
                        window += f.window_increment
                    else:
                        windows[f.stream_id] = windows.get(f.stream_id, 0) + f.window_increment
                if isinstance(f, hf.RstStreamFrame):
                    left.pop(f.stream_id, None)
                continue
            for k in ready:
                n = min(windows[k], window, 16384, left[k])
                peer.send(peer.data(k, b'x' * n, end=n == left[k]))
                windows[k] -= n
                window -= n
                left[k] -= n
                if not left[k]:
                    del left[k]
    with H2Upstream(gathers(shares(3), answer)) as u:
        s = behind(weir, u, more='proxy_buffering off;')
        with Client(s.address) as slow, ThreadPoolExecutor(2) as pool:
            slow.send('GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n')
            others = [pool.submit(s.get, f'/{i}') for i in range(2)]
            for f in others:
                assert len(f.result(timeout=20).body) == size
            assert len(slow.answer().body) == size


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_goaway_among_several(weir, engine, shares, method):
    """The lower half is answered, the upper half was not begun, and is asked again elsewhere."""
    def answer(peer, requests):
        streams = sorted(stream for stream, _ in requests)
        last = streams[len(streams) // 2 - 1] if peer.number == 0 and len(streams) > 1 else None
        if last:
            peer.send(hf.GoAwayFrame(0, last_stream_id=last))
        for stream, fields in requests:
            if last is None or stream <= last:
                peer.answer(stream, fields[':path'].encode())

    def script(peer):
        gathers(shares(6 if peer.number == 0 else 3), answer)(peer)
    with H2Upstream(script) as u:
        s = behind(weir, u)
        got = at_once(6, lambda i: s.get(f'/{i}', method=method,
                                         body=b'x' if method == 'POST' else b'').body)
        assert got == [b'/%d' % i for i in range(6)]
        assert engine == 'threads' or len(u.peers) == 2


def test_a_connection_that_breaks_is_everybodys(weir, shares):
    """Those that may be asked again are, at the other server."""
    def breaks(peer, requests):
        raise Gone
    with H2Upstream(gathers(shares(5), breaks)) as bad, H2Upstream() as good:
        s = behind(weir, bad, more='proxy_next_upstream off;')
        assert [a.status for a in together(s, 5)] == [502] * 5
        s.stop()
        s = weir('location / { proxy_pass http://back; proxy_http_version 2; }',
                 http=f'upstream back {{ server {bad.at}; server {good.at} backup; }}')
        assert [a.body for a in together(s, 5)] == [b'hello /%d' % i for i in range(5)]


def test_answers_that_are_cut_off(weir, shares):
    def half(peer, requests):
        for stream, _ in requests:
            peer.send(peer.head(stream, [('content-length', '20')]), peer.data(stream, b'half'))
        time.sleep(0.2)
        raise Gone
    with H2Upstream(gathers(shares(4), half)) as u:
        s = behind(weir, u)

        def ask(_):
            with Client(s.address) as c:
                c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
                return c.rest()
        for got in at_once(4, ask):
            assert got.endswith(b'\r\n\r\nhalf')


def test_a_connection_that_froze_is_given_up(weir):
    """Whoever waited in vain takes it out of use; the next request has a fresh one."""
    def script(peer):
        if peer.number == 0:
            peer.sock.settimeout(20)
            time.sleep(3)
            return
        u.hello(peer)
    with H2Upstream(script) as u:
        s = behind(weir, u, more='proxy_read_timeout 500ms; proxy_next_upstream off;')
        assert s.get('/').status == 504
        assert s.get('/a').body == b'hello /a'
        assert len(u.peers) == 2


def test_under_load_with_cancels_and_resets(weir, engine):
    """Thousands of requests, a tenth of which goes wrong on either side; every other is right."""
    rng = random.Random(1)

    def script(peer):
        while True:
            stream, fields = peer.request()
            what = rng.random()
            if what < 0.05:
                peer.send(hf.RstStreamFrame(stream, error_code=2))
            elif what < 0.5:
                peer.answer(stream, fields[':path'].encode())
            else:
                peer.send(peer.head(stream), peer.data(stream, fields[':path'].encode()))
                peer.send(peer.data(stream, b'!' * 3000, end=True))
    with H2Upstream(script) as u:
        s = behind(weir, u, more='proxy_next_upstream off;')

        def ask(n):
            mine, good = random.Random(n), 0
            for i in range(150):
                path = f'/{n}-{i}'
                with contextlib.suppress(ConnectionError), Client(s.address) as c:
                    c.send(f'GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n')
                    if mine.random() < 0.05:
                        continue
                    a = c.answer()
                    assert a.status == 502 or a.body.rstrip(b'!') == path.encode()
                    good += a.status == 200
            return good
        assert sum(at_once(8, ask)) > 8 * 150 * 0.8


@pytest.mark.parametrize('version', ['1.1', '2'])
def test_a_rate_is_kept(weir, version):
    """proxy_limit_rate: what is read of a server. With HTTP/2 the window comes at once."""
    body = random.Random(3).randbytes(700_000)
    s = weir('http2 on; location /f { root html; } location / { proxy_limit_rate 200k; '
             f'proxy_http_version {version}; proxy_pass http://127.0.0.1:PORT/f; }}',
             files={'html/f': body})
    began = time.monotonic()
    assert s.get('/').body == body
    assert time.monotonic() - began >= 2


# ---- what the simulation found ------------------------------------------------------------------

def test_content_behind_a_wrong_head_is_nobodys(weir, shares):
    """It comes with the head, before weir can say that it wants no more."""
    def answer(peer, requests):
        for stream, fields in sorted(requests, key=lambda r: r[1][':path'] == '/well'):
            if fields[':path'] == '/well':
                peer.answer(stream, b'well')
            else:
                peer.send(b''.join(f.serialize() for f in (
                    peer.head(stream, status='abc'), peer.data(stream, b'x', end=True))))
    with H2Upstream(gathers(shares(2), answer)) as u:
        s = behind(weir, u, more='proxy_next_upstream off;')
        got = at_once(2, lambda i: s.get(('/well', '/bad')[i]).status)
        assert got == [200, 502]


def test_nothing_in_place_of_what_was_promised(weir):
    """A length, and then the end without content, in the same packet."""
    def script(peer):
        stream, _ = peer.request()
        peer.send(peer.head(stream, [('content-length', '5')]), peer.data(stream, end=True))
        peer.drain()
    with H2Upstream(script) as u:
        s = behind(weir, u)
        with Client(s.address) as c:
            c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
            assert b'content-length: 0' not in c.rest().lower()


def test_content_of_who_left_goes_to_nobody(weir, shares):
    """… and not to whose answer ends behind it."""
    asked = threading.Semaphore(0)

    def script(peer):
        streams = {}
        while len(streams) < shares(2):
            stream, fields = peer.request()
            streams[fields[':path']] = stream
            peer.send(peer.head(stream))
            asked.release()
        together = []
        if '/leaves' in streams:
            peer.until(hf.RstStreamFrame, streams['/leaves'])
            together.append(peer.data(streams['/leaves'], b'secret'))
        if '/stays' in streams:
            together.append(peer.data(streams['/stays'], end=True))
        peer.send(*together)
        peer.drain()
    with H2Upstream(script) as u, ThreadPoolExecutor(1) as pool:
        s = behind(weir, u)
        leaver = Client(s.address)
        leaver.send('GET /leaves HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert asked.acquire(timeout=5)
        stays = pool.submit(s.get, '/stays')
        assert asked.acquire(timeout=5)
        leaver.close()
        assert stays.result().body == b''
        assert len(u.peers) == 2 // shares(2)


def test_a_wrong_answer_that_has_ended_is_reset_all_the_same(weir):
    """The server waits for the rest of the request, and counts the stream until it knows."""
    resets = []

    def script(peer):
        stream, _ = peer.request(whole=False)
        peer.send(peer.head(stream), peer.trailers(stream, [(':status', '200')]))
        resets.append(peer.until(hf.RstStreamFrame, stream).error_code)
        peer.drain()
    with H2Upstream(script) as u:
        s = behind(weir, u)
        with Client(s.address) as c:
            c.send('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n')
            c.send(b'x' * 100_000)
            c.rest()
        end = time.monotonic() + 5
        while not resets and time.monotonic() < end:
            time.sleep(0.02)
        assert resets == [0]
