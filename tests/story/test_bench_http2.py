"""weir bench --http2: against a real server, and against servers that break every rule."""
import contextlib
import json
import os
import ssl
import subprocess
import threading
import time

import hpack
import pytest
from hyperframe import frame as hf

from certificates import certificate
from conftest import BINARY
from h2_upstreams import H2Upstream
from pki import authority, files
from test_bench import OK, SECURE, answering, bench, result, secure_url, url

KEEP = 'http2 on; keepalive_requests 1000000; access_log access.log combined;'


def secure(weir, body='', **more):
    pair = authority().issue('localhost', '127.0.0.1')
    return weir(servers=SECURE.format(body=KEEP + body), files=files(a=pair), **more)


def h2(*words, **more):
    found = result('--http2', *words, **more)
    assert found['config']['protocol'] == 'HTTP/2', found
    return found


def over(way, weir, body='', **more):
    """A server, and how its URLs are made."""
    return (secure(weir, body, **more), secure_url) if way == 'https' else \
        (weir(KEEP + body, **more), url)


# ---- a real server -------------------------------------------------------------------------


@pytest.mark.parametrize('way', ['http', 'https'])
@pytest.mark.parametrize('streams', [1, 10])
def test_as_many_requests_as_were_asked_for(weir, engine, way, streams):
    s, at = over(way, weir)
    found = h2(at(s), '-n', 1000, '-c', 10, '-m', streams, '--engine', engine)
    assert found['requests'] == 1000 and found['errors']['total'] == 0, found
    assert found['connections'] == 10 and found['unfinished'] == 0
    assert found['config']['streams'] == streams and found['config']['pipeline'] == 1
    assert sum(n for _, n in found['latency_us']['buckets']) == 1000
    assert found['handshakes']['count'] == (10 if way == 'https' else 0)
    s.stop()
    lines = s.file('access.log').splitlines()
    assert len(lines) == 1000 and all('"GET /file.txt HTTP/2.0" 200' in x for x in lines)


@pytest.mark.parametrize('way', ['http', 'https'])
def test_an_open_loop_keeps_its_rate(weir, engine, way):
    s, at = over(way, weir)
    for gaps in 'constant', 'exponential':
        found = h2(at(s), '-r', 500, '--gaps', gaps, '-d', 1, '-c', 4, '-m', 8, '--engine', engine)
        assert 380 < found['requests'] + found['unfinished'] < 620, found
        assert found['errors']['total'] == 0


@pytest.mark.parametrize('way', ['http', 'https'])
def test_answers_beyond_the_windows(weir, engine, way):
    """A stream's window is 16 MiB, the connection's 64 MiB."""
    s, at = over(way, weir)
    (s.dir / 'html' / 'large').write_bytes(os.urandom(20_000_000))
    found = h2(at(s, '/large'), '-n', 8, '-c', 1, '-m', 4, '--engine', engine)
    assert found['requests'] == 8 and found['errors']['total'] == 0, found
    assert found['bytes'] > 160_000_000 and found['connections'] == 1


@pytest.mark.parametrize('way', ['http', 'https'])
def test_bodies_beyond_the_windows(weir, engine, way, tmp_path):
    s, at = over(way, weir, 'client_max_body_size 10m; dav_methods PUT;')
    os.chmod(s.dir / 'html', 0o777)
    body = os.urandom(1_000_000)
    (tmp_path / 'body').write_bytes(body)
    found = h2(at(s, '/put'), '-n', 40, '-c', 2, '-m', 5, '-X', 'PUT', '--body',
               f'@{tmp_path / "body"}', '--engine', engine)
    assert found['requests'] == 40 and found['errors']['total'] == 0, found
    assert (s.dir / 'html' / 'put').read_bytes() == body


def test_a_server_that_says_goodbye_after_some_requests(weir, engine):
    s = weir(KEEP.replace('1000000', '7'))
    found = h2(url(s), '-n', 500, '-c', 4, '-m', 4, '--engine', engine)
    assert found['requests'] == 500 and found['errors']['total'] == 0, found
    assert found['connections'] > 50


def test_a_connection_for_each_request(weir, engine):
    s, at = over('https', weir)
    words = at(s), '-n', 100, '-c', 4, '--no-keepalive', '--engine', engine
    full, again = h2(*words), h2(*words, '--resume')
    assert full['requests'] == again['requests'] == 100
    assert full['errors']['total'] == again['errors']['total'] == 0
    assert full['handshakes']['count'] >= 100 and full['handshakes']['resumed'] == 0
    assert again['handshakes']['resumed'] >= 96


def test_idle_and_trickling_connections_stay(weir, engine):
    s = weir(KEEP + 'client_header_timeout 60s; keepalive_timeout 60s;')
    found = h2(url(s), '-d', 1, '-c', 2, '--idle', 20, '--trickle', 5, '--engine', engine)
    assert found['side_lost'] == 0 and found['requests'] > 0


def test_a_warm_up_is_not_counted(weir):
    s = weir(KEEP)
    found = h2(url(s), '--warmup', 1, '-r', 200, '--gaps', 'constant', '-d', 1, '-c', 4, '-m', 3)
    s.stop()
    assert found['requests'] + found['unfinished'] < 260
    assert len(s.file('access.log').splitlines()) > 300


@pytest.mark.one_engine
def test_several_loops_heads_and_wrong_statuses(weir):
    s = weir(KEEP)
    assert h2(url(s), '-n', 999, '-c', 10, '-m', 7, '-t', 3)['requests'] == 999
    assert h2(url(s), '-n', 50, '-c', 2, '-m', 7, '-X', 'HEAD')['errors']['total'] == 0
    assert h2(url(s, '/none'), '-n', 50, '-c', 2)['errors']['status'] == 50
    assert h2(url(s, '/none'), '-n', 50, '-c', 2, '--expect', 404)['errors']['total'] == 0


@pytest.mark.one_engine
def test_every_report_says_what_was_spoken(weir, tmp_path):
    s = weir(KEEP)
    run = bench('--http2', url(s), '-n', 50, '-c', 2, '-m', 5, '--html', tmp_path / 'h')
    assert ': HTTP/2, 2 connections, streams 5, keep-alive' in run.stdout
    assert '<td>HTTP/2</td>' in (tmp_path / 'h').read_text()
    assert ': HTTP/1.1, 2 connections, depth 1' in bench(url(s), '-n', 50, '-c', 2).stdout


# ---- who does not speak it -----------------------------------------------------------------


@pytest.mark.one_engine
def test_a_server_of_http1_alone(weir):
    pair = authority().issue('localhost', '127.0.0.1')
    s = weir(servers=SECURE.format(body='http2 off;'), files=files(a=pair))
    run = bench('--http2', secure_url(s), '-n', 5, status=1)
    assert 'HTTP/2' in run.stderr or 'application protocol' in run.stderr
    with answering(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n') as target:
        run = bench('--http2', target, '-n', 5, status=1)
        assert 'does not speak HTTP/2 without TLS' in run.stderr
    c = tls()
    c.set_alpn_protocols(['http/1.1'])
    with H2Upstream(tls=c) as u:
        run = bench('--http2', f'https://{u.at}/', '-n', 5, status=1)
        assert 'does not speak HTTP/2' in run.stderr and 'chose none' in run.stderr


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate('bench.test').paths))
    return context


MISTAKES = [
    (['http://127.0.0.1:1/', '-m', '4'], '--http2'),
    (['http://127.0.0.1:1/', '--http2', '-p', '4'], '-m with --http2'),
    (['http://127.0.0.1:1/', '--http2', '-m', '0'], 'a number from 1'),
    (['http://127.0.0.1:1/', '--http2', '-m', '2', '--no-keepalive'], 'expected -m 1'),
    (['http://127.0.0.1:1/', '--http2', '-X', 'CONNECT'], 'CONNECT'),
    (['http://127.0.0.1:1/', '--http2', '-H', 'Connection: close'], 'HTTP/2 has no such field'),
    (['http://127.0.0.1:1/', '--http2', '-H', 'TE: gzip'], 'HTTP/2 has no such field'),
    (['http://127.0.0.1:1/', '--http2', '-H', 'nonsense'], 'Name: value'),
    (['http://127.0.0.1:1/', '--http2', '-H', 'a b: c'], 'Name: value'),
]


@pytest.mark.parametrize('words, says', MISTAKES, ids=[' '.join(m[0]) for m in MISTAKES])
def test_mistakes_are_explained(words, says):
    assert says in bench(*words, status=2).stderr


# ---- what is sent --------------------------------------------------------------------------


@contextlib.contextmanager
def speaking(script, settings=None):
    with H2Upstream(script, settings=settings) as u:
        u.url = f'http://{u.at}/'
        yield u


def test_method_fields_body():
    seen = []

    def script(peer):
        while True:
            stream, _ = peer.request()
            seen.append((peer.heads[stream], peer.bodies[stream]))
            peer.answer(stream)
    with speaking(script) as u:
        bench('--http2', u.url + 'a/b?c=d', '-n', 2, '-c', 1, '-X', 'PURGE', '-H', 'X-One: 1 ',
              '-H', 'Host: b.test', '-H', 'TE: trailers', '--body', 'abc')
    assert seen[0] == seen[1] and seen[0][1] == b'abc'
    assert hpack.Decoder().decode(seen[0][0]) == [
        (':method', 'PURGE'), (':scheme', 'http'), (':path', '/a/b?c=d'),
        (':authority', 'b.test'), ('user-agent', 'weir-bench'), ('content-length', '3'),
        ('x-one', '1'), ('te', 'trailers')]


def test_windows_and_limits_of_the_server_are_obeyed():
    """The first request goes before they are known."""
    most, mistakes = [0], []

    def script(peer):
        window, opened = {0: 65535}, set()
        while True:
            f = peer.read()
            if isinstance(f, hf.HeadersFrame):
                opened.add(f.stream_id)
                window[f.stream_id] = 1000 if f.stream_id > 1 else 65535
                most[0] = max(most[0], len(opened))
            if isinstance(f, hf.DataFrame):
                for w in 0, f.stream_id:
                    window[w] -= len(f.data)
                    if window[w] < 0:
                        mistakes.append(f)
                if 'END_STREAM' in f.flags:
                    opened.discard(f.stream_id)
                    peer.answer(f.stream_id)
                else:
                    for w in 0, f.stream_id:
                        window[w] += len(f.data)
                        peer.send(hf.WindowUpdateFrame(w, window_increment=len(f.data)))
    with speaking(script, {3: 3, 4: 1000}) as u:
        found = h2(u.url, '-n', 30, '-c', 1, '-m', 10, '--body', 'x' * 5500)
        assert found['requests'] == 30 and found['errors']['total'] == 0, found
    assert most[0] == 3 and mistakes == []


def test_one_stream_at_a_time():
    most = [0]

    def script(peer):
        peer.sock.settimeout(0.05)
        while True:
            waiting = [peer.request()[0]]
            with contextlib.suppress(TimeoutError):
                waiting.append(peer.request()[0])
            most[0] = max(most[0], len(waiting))
            for stream in waiting:
                peer.answer(stream)
    with speaking(script, {3: 1}) as u:
        found = h2(u.url, '-n', 10, '-c', 2, '-m', 8)
        assert found['requests'] == 10 and found['errors']['total'] == 0, found
    assert most[0] == 1


def test_time_is_counted_from_when_a_request_was_due():
    """One at a time, 50 ms each, and 100 a second are due: whoever counts from the sending sees 50
    ms."""
    def script(peer):
        while True:
            stream = peer.request()[0]
            time.sleep(0.05)
            peer.answer(stream)
    with speaking(script) as u:
        late = h2(u.url, '-r', 100, '--gaps', 'constant', '-c', 1, '-m', 4, '-d', 1)
        assert late['latency_us']['max'] > 300_000 and late['unfinished'] > 50


# ---- answers of every kind -----------------------------------------------------------------


def every_kind(peer):
    while True:
        stream = peer.request()[0]
        early = peer.head(stream, status='103')
        block = peer.block([(':status', '200'), ('content-length', '5'), ('x-y', 'z' * 3000)])
        peer.send(early, hf.HeadersFrame(stream, block[:1]),
                  hf.ContinuationFrame(stream, block[1:2]),
                  hf.ContinuationFrame(stream, block[2:], flags=['END_HEADERS']),
                  hf.PriorityFrame(stream + 2, depends_on=0, stream_weight=9),
                  peer.data(stream, b'hel', pad=200), hf.PingFrame(0, b'12345678'),
                  peer.data(stream, b'', pad=1), b'\0\0\1\x7a\0\0\0\0\1?',
                  peer.data(stream, b'lo'), peer.trailers(stream, [('x-sum', '5')]))


def test_answers_of_every_framing():
    with speaking(every_kind) as u:
        found = h2(u.url, '-n', 50, '-c', 2, '-m', 3)
        assert found['requests'] == 50 and found['errors']['total'] == 0, found
        assert found['connections'] == 2
        assert any(isinstance(f, hf.PingFrame) and 'ACK' in f.flags for f in u.peers[-1].frames)


def test_answers_in_another_order():
    def script(peer):
        while True:
            streams = [peer.request()[0]]
            if streams != [1]:
                streams += [peer.request()[0] for _ in range(3)]
            for stream in reversed(streams):
                peer.answer(stream)
    with speaking(script) as u:
        found = h2(u.url, '-n', 41, '-c', 1, '-m', 4)
        assert found['requests'] == 41 and found['errors']['total'] == 0, found


def test_what_a_server_has_not_begun_is_asked_again():
    def script(peer):
        for _ in range(3):
            last = peer.request()[0]
            peer.answer(last)
        peer.request()
        peer.send(hf.GoAwayFrame(0, last_stream_id=last))
        peer.drain()
    with speaking(script) as u:
        found = h2(u.url, '-n', 60, '-c', 2, '-m', 5)
        assert found['requests'] == 60 and found['errors']['total'] == 0, found
        assert found['connections'] >= 20


# ---- what is wrong is counted --------------------------------------------------------------


def flood(peer):
    threading.Thread(target=peer.drain, daemon=True).start()
    while True:
        peer.send(hf.PingFrame(0, b'12345678'))


def flood_unread(peer):
    while True:
        peer.send(hf.PingFrame(0, b'12345678').serialize() * 100)


def empty_frames(peer):
    peer.request()
    threading.Thread(target=peer.drain, daemon=True).start()
    peer.send(peer.head(1))
    while True:
        peer.send(peer.data(1))


def half(peer):
    stream = peer.request()[0]
    peer.send(peer.head(stream), peer.data(stream, b'hel'))


def each(*frames_of):
    """Every request gets these frames."""
    def script(peer):
        while True:
            stream = peer.request()[0]
            peer.send(*[f(peer, stream) for f in frames_of])
    return script


WRONG = {
    'refused': ('reset', each(lambda p, s: hf.RstStreamFrame(s, error_code=7))),
    'closed mid-way': ('reset', half),
    'closed at once': ('reset', lambda p: p.request()),
    'goodbye at once': ('reset', each(lambda p, s: hf.GoAwayFrame(0, last_stream_id=0))),
    'goodbye with an error': ('reset', each(
        lambda p, s: hf.GoAwayFrame(0, last_stream_id=0, error_code=11))),
    'garbage': ('malformed', each(lambda p, s: b'SMTP ready\r\n\r\n' * 9)),
    'no block': ('malformed', each(lambda p, s: hf.HeadersFrame(s, b'\xff' * 9,
                                                                flags=['END_HEADERS']))),
    'no status': ('malformed', each(lambda p, s: hf.HeadersFrame(
        s, p.block([('a', 'b')]), flags=['END_HEADERS', 'END_STREAM']))),
    'another stream': ('malformed', each(lambda p, s: p.head(s + 100, end=True))),
    'push': ('malformed', each(lambda p, s: hf.PushPromiseFrame(
        s, promised_stream_id=2, data=p.block([(':method', 'GET')]), flags=['END_HEADERS']))),
    'too little': ('malformed', each(lambda p, s: p.head(s, [('content-length', '9')]),
                                     lambda p, s: p.data(s, b'hello', end=True))),
    'too much': ('malformed', each(lambda p, s: p.head(s, [('content-length', '3')]),
                                   lambda p, s: p.data(s, b'hello', end=True))),
    'a window too far': ('malformed', each(
        lambda p, s: hf.WindowUpdateFrame(0, window_increment=0x7fffffff))),
    'silence': ('timeout', lambda p: p.drain()),
    'pings for ever': ('timeout', flood),
    'pings nobody hears': (None, flood_unread),
    'empty frames for ever': ('timeout', empty_frames),
}


@pytest.mark.parametrize('kind', WRONG)
def test_wrong_answers_are_errors_of_their_kind(kind):
    expected, script = WRONG[kind]
    timeout = '0.3' if expected in ('timeout', None) else '5'
    with speaking(script) as u:
        run = subprocess.run([BINARY, 'bench', '--http2', u.url, '-d', '1', '-c', '2', '-m', '3',
                              '--timeout', timeout, '--json', '-'],
                             capture_output=True, text=True, timeout=20)
        found = json.loads(run.stdout)
        assert found['errors']['total'] > 0 and found['requests'] == 0, found
        assert expected is None or found['errors'][expected] == found['errors']['total'], found
        assert run.returncode == 1
        assert expected != 'malformed' or 'the first error of the kind malformed' in run.stderr


def test_with_a_count_lost_requests_count_too():
    with speaking(WRONG['refused'][1]) as u:
        found = h2(u.url, '-n', 50, '-c', 2, '-m', 3, status=1)
        assert found['errors']['reset'] == 50 and found['requests'] == 0
        run = bench('--http2', u.url, '-n', 5, '-c', 1, status=1)
        assert 'the first error of the kind reset: REFUSED_STREAM' in run.stderr


def test_one_request_that_hangs_stops_no_other():
    def script(peer):
        while True:
            stream = peer.request()[0]
            if stream != 3:
                peer.answer(stream)
    with speaking(script) as u:
        found = h2(u.url, '-d', 1, '-c', 1, '-m', 3, '--timeout', 0.3)
        assert found['errors']['timeout'] == found['errors']['total'] == 1
        assert found['requests'] > 10 and found['connections'] == 1
        assert any(isinstance(f, hf.RstStreamFrame) and f.stream_id == 3
                   for f in u.peers[-1].frames)


def test_no_streams_are_allowed_any_more():
    def script(peer):
        stream = peer.request()[0]
        peer.answer(stream)
        peer.send(hf.SettingsFrame(0, settings={3: 0}))
        peer.drain()
    with speaking(script, {3: 1}) as u:
        found = h2(u.url, '-d', 1.2, '-c', 1, '-m', 3, '--timeout', 0.3)
        assert found['requests'] >= 2 and found['errors']['timeout'] >= 1


def test_every_engine_generates(weir):
    s = weir(KEEP)
    for engine in 'io_uring', 'epoll', 'poll', 'select', 'threads':
        assert h2(url(s), '-n', 50, '-c', 3, '-m', 2, '--engine', engine)['requests'] == 50


def test_http1_is_what_it_was():
    with answering(OK) as target:
        assert result(target, '-n', 20, '-c', 2)['config']['streams'] == 0
