"""How connections of HTTP/2 live and end: reloads, the last request, timeouts, quitting."""
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from h2 import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, H2, HEADERS, NO_ERROR, PING, PREFACE,
                SETTINGS, Ended, settings)
from upstreams import Upstream, reply

LAST = 0x7fffffff


def test_requests_of_a_connection(weir):
    """keepalive_requests: a warning, those that are on their way, then the last word."""
    s = weir('http2 on; keepalive_requests 5; location / { return 200 "$connection_requests"; }')
    with H2(s) as c:
        c.auto = False
        for i in range(5):
            assert c.get(2 * i + 1).body == str(i + 1).encode()
        c.until(lambda: c.goaways)
        assert c.goaways == [(LAST, NO_ERROR, b'')]
        ping = [f for f in c.frames if f.kind == PING and not f.flags & ACK][-1] \
            if any(f.kind == PING and not f.flags & ACK for f in c.frames) else c.read()
        assert ping.kind == PING
        assert c.get(11).body == b'6'                  # it was on its way
        c.frame(PING, ACK, 0, ping.payload)
        assert c.goaway() == NO_ERROR
        assert c.goaways[-1][0] == 11 and c.closed_by_server
    with H2(s) as c:                                    # a client that does not answer the ping
        c.auto = False
        for i in range(5):
            c.get(2 * i + 1)
        begin = time.monotonic()
        assert c.goaway() == NO_ERROR and time.monotonic() - begin < 3


def test_idle(weir):
    s = weir('http2 on; keepalive_timeout 1s; client_header_timeout 1s; '
             'location / { return 200 hi; }')
    with H2(s) as c:
        c.get(1)
        begin = time.monotonic()
        assert c.goaway() == NO_ERROR and 0.8 < time.monotonic() - begin < 3
    with H2(s) as c:                # no request at all; pings do not make it longer
        begin = time.monotonic()
        with pytest.raises((Ended, OSError)):
            while time.monotonic() - begin < 4:
                c.ping()
                time.sleep(0.1)
        assert 0.8 < time.monotonic() - begin < 3
    with H2(s, begin=False) as c:
        c.auto = False
        c.send(PREFACE[:10])
        begin = time.monotonic()
        assert c.goaway() is None and c.closed_by_server
        assert 0.8 < time.monotonic() - begin < 3


def test_a_head_that_takes_too_long(weir):
    s = weir('http2 on; client_header_timeout 1s; location / { return 200 hi; }')
    with H2(s) as c:
        c.get(1)
        block = c.block(c.fields('/'))
        c.frame(HEADERS, END_STREAM, 3, block[:2])
        begin = time.monotonic()
        assert c.goaway() == NO_ERROR and 0.8 < time.monotonic() - begin < 3
        assert b'too long' in c.goaways[-1][2]


def test_reload(weir):
    """The connection stays, each new stream begins on the new configuration."""
    s = weir('http2 on; location / { limit_rate 100k; return 200 old; } '
             'location /big { alias html/big.bin; limit_rate 200k; }',
             files={'html/big.bin': b'x' * 600_000})
    with H2(s) as c:
        assert c.get(1).body == b'old'
        c.ask(3, '/big').until(lambda: 3 in c.streams)
        s.rewrite(s.conf.read_text().replace('200 old', '200 new'))
        s.signal(signal.SIGHUP)
        end, n = time.monotonic() + 5, 5
        while c.get(n).body != b'new':
            n += 2
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(c.answer(3).body) == 600_000 and not c.goaways


def test_a_listener_that_leaves(weir):
    s = weir(servers='server { listen 127.0.0.1:PORT; http2 on; return 200 hi; } # end')
    with H2(s) as c:
        c.get(1)
        text = s.conf.read_text()
        s.rewrite(re.sub(r'server .* # end', 'server { listen unix:other.sock; return 200 x; }',
                         text))
        s.signal(signal.SIGHUP)
        time.sleep(0.5)
        c.ask(3)
        assert c.goaway() == NO_ERROR, s.log()


def test_a_hundred_reloads_under_load(weir):
    s = weir('http2 on; keepalive_requests 10000000; location / { return 200 ok; }')
    load = subprocess.Popen(['h2load', '-D', '6', '-c', '4', '-m', '10', '--warm-up-time=0',
                             f'http://127.0.0.1:{s.port}/'], stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    for _ in range(100):
        s.signal(signal.SIGHUP)
        time.sleep(0.05)
    out = load.communicate(timeout=60)[0]
    found = re.search(r'(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored', out)
    assert found and int(found[2]) > 1000, out
    assert (found[3], found[4]) == ('0', '0') and found[1] == found[2], out


def test_quit(weir):
    """What was begun is finished; then the connection says goodbye."""
    s = weir('http2 on; location /f { alias html/big.bin; limit_rate 200k; }',
             files={'html/big.bin': b'x' * 500_000})
    with H2(s) as idle, H2(s) as c:
        idle.get(1, '/f', method='HEAD')
        c.ask(1, '/f').until(lambda: 1 in c.streams and c.streams[1].body)
        s.signal(signal.SIGQUIT)
        assert idle.goaway() == NO_ERROR and idle.goaways[0][0] == LAST
        a = c.answer(1)
        assert len(a.body) == 500_000 and a.ended
        assert c.goaway() == NO_ERROR and c.goaways[0][0] == LAST and c.goaways[-1][0] == 1
    s.process.wait(10)


def test_a_client_that_takes_nothing(weir):
    s = weir('http2 on; send_timeout 1s; location /f { alias html/big.bin; }',
             files={'html/big.bin': b'x' * 20_000_000})
    with H2(s, windows=False, payload=settings(INITIAL_WINDOW_SIZE=LAST)) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.window(0, LAST - 65535).ask(1, '/f')
        time.sleep(4)
        with pytest.raises((Ended, ConnectionResetError)):
            while True:
                c.read()


def test_half_closed(weir):
    """Who has finished sending still gets what he asked for."""
    s = weir('http2 on; location /f { alias html/big.bin; limit_rate 300k; }',
             files={'html/big.bin': b'x' * 60_000})
    with H2(s, windows=False) as c:
        c.ask(1, '/f')
        c.sock.shutdown(socket.SHUT_WR)
        c.auto = False
        assert len(c.answer(1).body) == 60_000
        assert c.goaway() is None and c.closed_by_server


def test_resets_at_any_moment(weir):
    with Upstream(lambda peer, asked: peer.send(reply('x' * 100_000))) as up:
        s = weir(f'http2 on; location / {{ proxy_pass http://127.0.0.1:{up.port}; }} '
                 'location /f { alias html/big.bin; }', files={'html/big.bin': b'x' * 500_000})
        for i in range(20):
            c = H2(s)
            for k in range(8):
                c.ask(2 * k + 1, '/f' if k % 2 else '/')
            if i % 2:
                time.sleep(0.005 * i)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            c.sock.close()
        with H2(s) as c:
            assert len(c.get(1, '/f').body) == 500_000


def test_proxy_protocol_in_front(weir):
    s = weir(servers='server { listen 127.0.0.1:PORT proxy_protocol; http2 on; '
                     'return 200 $proxy_protocol_addr; }')
    with H2(s, begin=False) as c:
        c.send(b'PROXY TCP4 192.0.2.7 127.0.0.1 1234 80\r\n' + PREFACE).frame(SETTINGS)
        assert c.get(1).body == b'192.0.2.7'
