"""limit_conn: how many requests of one key are answered at the same time."""
import contextlib
import socket
import struct
import subprocess
import time

import pytest

from conftest import BINARY, Client

ZONES = '''
limit_conn_zone $arg_k zone=one:1m;
limit_conn_zone $arg_m zone=two:1m;
limit_req_zone $arg_k zone=rate:1m rate=1r/m;
log_format limits "$request_uri $status $limit_conn_status";
'''
# What is sent so slowly is being answered for more than a minute.
FILES = {'html/slow': bytes(100 * 1024), 'html/d/index.html': 'index'}
BODY = '''
    location /slow { limit_rate 1k; limit_conn one 1; }
    location / { limit_conn one 1; }
    location /free { return 200 free; }
'''


class Holder:
    """Begins an answer that takes long: its connection, and its status."""

    def __init__(self, s, path, **kw):
        self.c = s.connect(**kw)
        self.c.send(f'GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n')
        self.status = int(self.c.take(self.c.line_end(b'\r\n\r\n') + 4).split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.close()


def get(s, path):
    """The answer, when its request has ended: the next one on the connection was answered, too."""
    with s.connect() as c:
        a = c.ask(path)
        assert c.ask('/file.txt').status == 200     # without a key
        return a


def until(s, path, status, seconds=10):
    """The server notices a little later that a client is gone."""
    end = time.monotonic() + seconds
    while (got := get(s, path).status) != status:
        assert time.monotonic() < end, f'{path} still gives {got}:\n{s.log()}'
        time.sleep(.02)


def test_one_at_a_time(weir):
    s = weir(BODY, http=ZONES, files=FILES)
    with Holder(s, '/slow?k=a') as h:
        assert h.status == 200
        assert get(s, '/file.txt?k=a').status == 503
        assert get(s, '/slow?k=a').status == 503
        assert get(s, '/file.txt?k=b').status == 200
        assert get(s, '/file.txt').status == 200     # an empty key
        assert get(s, '/free?k=a').text == 'free'
    until(s, '/file.txt?k=a', 200)
    s.wait_log('limiting connections by zone "one", client: 127.0.0.1')


def test_connections_that_wait_do_not_count(weir):
    s = weir(BODY, http=ZONES)
    request = 'GET /file.txt?k=a HTTP/1.1\r\nHost: a.test\r\n\r\n'
    with s.connect() as c, s.connect() as idle, s.connect() as half:
        half.send(request[:20])
        for _ in range(20):
            assert c.ask('/file.txt?k=a').status == 200
        c.send(request * 20)
        assert [c.answer().status for _ in range(20)] == [200] * 20
        until(s, '/file.txt?k=a', 200)
        assert idle.ask('/free').status == 200


def rst(c):
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()


def test_every_end_gives_back(weir):
    s = weir('''
        client_body_timeout 1s; client_max_body_size 1k; send_timeout 1s; dav_methods PUT;
        location /slow { limit_rate 1k; limit_conn one 1; }
        location /stuck { limit_conn one 1; }
        location / { limit_conn one 1; error_page 404 /404.html; }
        location = /404.html { return 404 gone; }
        ''', http=ZONES, files=FILES | {'html/stuck': bytes(24 << 20)})
    put = 'PUT /new?k=a HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n' \
        'Content-Length: 10\r\n\r\n'
    for leave in (rst, Client.close):
        with Holder(s, '/slow?k=a') as h:
            assert h.status == 200 and get(s, '/file.txt?k=a').status == 503
            leave(h.c)
        until(s, '/file.txt?k=a', 200)
    with s.connect() as c:
        assert c.send(put).answer().status == 100
        assert get(s, '/file.txt?k=a').status == 503
        assert c.answer().status == 408     # the body did not come
    until(s, '/file.txt?k=a', 200)
    with s.connect() as c:
        assert c.send(put).answer().status == 100
        assert get(s, '/file.txt?k=a').status == 503
    until(s, '/file.txt?k=a', 200)
    assert get(s, '/none?k=a').status == 404
    until(s, '/file.txt?k=a', 200)
    assert s.get('/new?k=a', method='PUT', body=b'x' * 2000).status == 413
    until(s, '/file.txt?k=a', 200)
    with Holder(s, '/stuck?k=a') as h:
        assert h.status == 200 and get(s, '/file.txt?k=a').status == 503
        until(s, '/file.txt?k=a', 200)      # send_timeout


def test_several_limits(weir):
    s = weir('location /slow { limit_rate 1k; limit_conn one 2; limit_conn two 3; }'
             'location /one { limit_conn one 1; alias html/file.txt; }'
             'location /two { limit_conn two 3; alias html/file.txt; }', http=ZONES, files=FILES)
    with contextlib.ExitStack() as keep:
        def hold(path):
            return keep.enter_context(Holder(s, path)).status

        assert [hold('/slow?k=a&m=x') for _ in range(3)] == [200, 200, 503]
        # a request that one limit refuses is given back to the others
        assert [get(s, '/slow?m=x&k=a').status for _ in range(5)] == [503] * 5
        assert hold('/slow?k=b&m=x') == 200
        assert hold('/slow?k=c&m=x') == 503
        assert get(s, '/one?k=c').status == 200
        assert get(s, '/one?k=b').status == 503
        assert get(s, '/two?m=x').status == 503 and get(s, '/two?m=y').status == 200


def test_where_limits_hold_and_other_answers(weir):
    s = weir('''
        limit_conn_status 429;
        location /slow { limit_rate 1k; }
        location /own/ { limit_conn two 1; alias html/; }
        location /page { error_page 429 =418 /sorry; }
        location /sorry { return 200 sorry; }
        ''', http=ZONES + 'limit_conn one 1;', files=FILES)
    with Holder(s, '/slow?k=a&m=a'):
        assert get(s, '/file.txt?k=a').status == 429
        assert get(s, '/own/file.txt?k=a&m=a').status == 200
        a = get(s, '/page?k=a')
        assert a.status == 418 and a.text == 'sorry'


def test_internal_redirects_count_once(weir):
    s = weir('limit_conn one 1; location /try { try_files /none /file.txt$is_args$args; }',
             http=ZONES, files=FILES)
    for path in ('/d/?k=a', '/try?k=a'):
        for _ in range(3):
            until(s, path, 200, seconds=3)


def test_dry_run_levels_and_variable(weir):
    s = weir('''
        access_log access.log limits; limit_conn_log_level notice; limit_conn_dry_run on;
        location /slow { limit_rate 1k; limit_conn one 1; }
        location / { limit_conn one 1; }
        location /wet { limit_conn one 1; limit_conn_dry_run off; limit_conn_log_level info;
                        alias html/file.txt; }
        ''', http=ZONES, files=FILES)
    with Holder(s, '/slow?k=a'):
        assert get(s, '/file.txt?k=a').status == 200
        assert get(s, '/wet?k=a').status == 503
        assert get(s, '/file.txt').status == 200
    s.stop()
    assert set(s.file('access.log').splitlines()) == {
        '/file.txt 200 -', '/file.txt?k=a 200 REJECTED_DRY_RUN', '/slow?k=a 200 PASSED',
        '/wet?k=a 503 REJECTED'}
    log = [line for line in s.log().splitlines() if 'limiting connections' in line]
    assert len(log) == 2 and '[notice]' in log[0] and \
        'limiting connections, dry run, by zone "one"' in log[0] and '[info]' in log[1]


def test_a_request_that_limit_req_delays_does_not_count_yet(weir):
    s = weir('limit_req zone=rate burst=5; limit_conn two 1;', http=ZONES)
    assert get(s, '/file.txt?k=a&m=m').status == 200
    with s.connect() as c:
        c.send('GET /file.txt?k=a&m=m HTTP/1.1\r\nHost: a.test\r\n\r\n')
        s.wait_log('delaying request')
        assert get(s, '/file.txt?k=b&m=m').status == 200
        rst(c)


def test_a_full_zone_refuses(weir):
    s = weir('location /slow { limit_rate 1k; limit_conn small 5; }'
             'location /dry { limit_conn small 5; limit_conn_dry_run on; alias html/file.txt; }',
             http='limit_conn_zone "$arg_k$arg_k$arg_k" zone=small:32k;', files=FILES)
    keys = [c * 6000 for c in 'abc']
    with Holder(s, '/slow?k=' + keys[0]) as a, Holder(s, '/slow?k=' + keys[0]) as same, \
            Holder(s, '/slow?k=' + keys[1]) as b:
        assert (a.status, same.status, b.status) == (200, 200, 503)
        s.wait_log('the zone "small" is full')
        assert get(s, '/dry?k=' + keys[2]).status == 200
        assert get(s, '/dry?k=x').status == 200
    with Holder(s, '/slow?k=x'):
        end = time.monotonic() + 10
        while True:     # the memory comes back
            with Holder(s, '/slow?k=' + keys[1]) as b:
                if b.status == 200:
                    break
            assert time.monotonic() < end


def test_many_keys(weir):
    """More than the zone could keep at once; none of them stays."""
    s = weir('limit_conn small 1;', http='limit_conn_zone $arg_k zone=small:32k;')
    for i in range(30):
        with s.connect() as c:
            c.send(''.join(f'GET /file.txt?k={i}-{n} HTTP/1.1\r\nHost: a.test\r\n\r\n'
                           for n in range(100)))
            assert [c.answer().status for _ in range(100)] == [200] * 100


def test_a_reload_keeps_what_is_counted(weir):
    s = weir(BODY, http=ZONES, files=FILES)

    def change(old, new):
        s.rewrite(s.conf.read_text().replace(old, new))
        r = s.command('-s', 'reload')
        assert r.returncode == 0, r.stderr

    with Holder(s, '/slow?k=a') as h:
        for _ in range(3):
            change('200 free', '200 free')
            assert get(s, '/file.txt?k=a').status == 503
        change('zone=one:1m', 'zone=one:2m')    # a new zone; h counts in the old one
        with Holder(s, '/slow?k=a') as other:
            assert other.status == 200 and get(s, '/file.txt?k=a').status == 503
            change('limit_conn_zone $arg_k zone=one:2m', 'limit_conn_zone $arg_n zone=one:1m')
            h.c.close()
            assert get(s, '/file.txt?n=a').status == 200
    until(s, '/file.txt?n=a', 200)


def test_loops_share_a_zone(weir):
    s = weir('limit_rate 1k; limit_conn one 5;', http=ZONES, files=FILES, start=False)
    s.rewrite(s.conf.read_text().replace('worker_processes 1;', 'worker_processes 4;'))
    s.start()
    with contextlib.ExitStack() as keep:
        got = [keep.enter_context(Holder(s, '/slow?k=a')).status for _ in range(30)]
        assert got.count(200) == 5 and got[:5] == [200] * 5
    until(s, '/file.txt?k=a', 200)


ZONE = 'limit_conn_zone $uri zone=one:1m;'


@pytest.mark.parametrize('text, says', [
    ('limit_conn_zone $uri one:1m;', 'the zone is missing'),
    ('limit_conn_zone $uri zone=one:1k;', 'too little for a zone'),
    ('limit_conn one 1;', 'there is no zone "one"'),
    (ZONE + 'limit_conn one 0;', 'expected: how many, 1 to 65535'),
    (ZONE + 'limit_conn one 65536;', '"65536" is no such number'),
    (ZONE + 'limit_conn one few;', '"few" is no such number'),
    (ZONE + 'limit_conn one 1; limit_conn one 2;', 'a second time'),
    (ZONE + 'limit_req zone=one;', 'it is for something else'),
    ('limit_conn_status 600;', '600'), ('limit_conn_log_level crit;', 'crit')])
@pytest.mark.one_engine
def test_mistakes(tmp_path, engine, text, says):
    (tmp_path / 'weir.conf').write_text(f'events {{}}\nhttp {{ {text} server {{ listen 81; }} }}\n')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', 'weir.conf'],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and says in run.stderr, run.stderr
