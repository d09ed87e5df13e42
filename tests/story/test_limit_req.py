"""limit_req: how many requests of one key come in a time. Rates of a request a minute make the
outcome independent of how fast the test is."""
import re
import socket
import struct
import subprocess
import time

import pytest

from conftest import BINARY

ZONES = '''
limit_req_zone $arg_k zone=one:1m rate=1r/m;
limit_req_zone $arg_m zone=two:1m rate=1r/m;
limit_req_zone $binary_remote_addr$arg_k zone=addr:1m rate=1r/m;
log_format limits "$request_uri $status $limit_req_status";
'''


@pytest.fixture
def site(shared):
    """Each test takes keys of its own."""
    return shared('''
        location /bare/ { limit_req zone=one; return 200 ok; }
        location /plain/ { limit_req zone=one; alias html/; }
        location /burst/ { limit_req zone=one burst=3 nodelay; alias html/; }
        location /early/ { limit_req zone=one burst=3 delay=3; alias html/; }
        location /both/ { limit_req zone=one nodelay burst=1; limit_req zone=two burst=2 nodelay;
                          alias html/; }
        location /mixed/ { limit_req zone=addr; alias html/; }
        location /status/ { limit_req zone=one; limit_req_status 429; alias html/; }
        location /page/ { limit_req zone=one; error_page 503 =418 /sorry; alias html/; }
        location /sorry { limit_req zone=addr; alias html/file.txt; }
        location /named/ { limit_req zone=one; error_page 503 = @named; alias html/; }
        location @named { limit_req zone=two; add_header X-Named yes; try_files /file.txt =404; }
        location /moved { limit_req zone=one burst=1 nodelay;
                          try_files /none /target$is_args$args; }
        location /target { limit_req zone=one burst=1 nodelay; alias html/index.html; }
        ''', http=ZONES)


def statuses(site, *paths):
    with site.connect() as c:
        return [c.ask(path).status for path in paths]


def test_the_rate_alone(site):
    paths = ['/plain/file.txt?k=rate'] * 3 + ['/plain/file.txt?k=other']
    assert statuses(site, *paths) == [200, 503, 503, 200]


def test_an_empty_key_is_not_counted(site):
    assert statuses(site, *['/plain/file.txt'] * 5, '/plain/file.txt?k=') == [200] * 6


def test_a_burst(site):
    assert statuses(site, *['/burst/file.txt?k=burst'] * 6) == [200] * 4 + [503] * 2
    assert statuses(site, *['/early/file.txt?k=early'] * 6) == [200] * 4 + [503] * 2


def test_one_zone_in_several_places(site):
    assert statuses(site, '/plain/file.txt?k=places', '/plain/index.html?k=places',
                    '/burst/file.txt?k=places') == [200, 503, 200]


def test_answers_of_return_come_before_the_limit(site):
    assert statuses(site, *['/bare/x?k=return'] * 3) == [200] * 3


def test_a_key_of_several_variables(site):
    assert statuses(site, '/mixed/file.txt?k=a', '/mixed/file.txt?k=a', '/mixed/file.txt?k=b') == \
        [200, 503, 200]


def test_what_one_limit_refuses_no_other_counts(site):
    assert statuses(site, *['/both/file.txt?k=x1&m=both'] * 2) == [200, 200]
    assert statuses(site, *['/both/file.txt?k=x1&m=both'] * 5) == [503] * 5
    # two was asked twice: it has room for one more, and then it refuses; one does not count that
    assert statuses(site, '/both/file.txt?k=x2&m=both', '/both/file.txt?k=x3&m=both') == [200, 503]
    assert statuses(site, *['/both/file.txt?k=x3'] * 3) == [200, 200, 503]


def test_another_status(site):
    assert statuses(site, *['/status/file.txt?k=status'] * 2) == [200, 429]


def test_internal_redirects_count_once(site):
    assert statuses(site, *['/moved?k=moved'] * 3) == [200, 200, 503]


def test_error_pages_are_not_limited_again(site):
    assert statuses(site, *['/page/file.txt?k=page'] * 4) == [200, 418, 418, 418]
    assert site.get('/page/file.txt?k=page').text == '0123456789'
    answers = [site.get('/named/file.txt?k=named&m=named') for _ in range(4)]
    assert [(a.status, a['x-named']) for a in answers] == [(200, None)] + [(200, 'yes')] * 3


def test_where_limits_hold(weir):
    s = weir(http=ZONES + 'limit_req zone=one;', servers='''
        server { listen 127.0.0.1:PORT; server_name outer; root html;
                 location /own/ { limit_req zone=one burst=1 nodelay; alias html/; } }
        server { listen 127.0.0.1:PORT; server_name inner; root html; limit_req zone=two; }
        ''')

    def ask(host, path, times=1):
        return [s.get(path, host=host).status for _ in range(times)]

    assert ask('outer', '/file.txt?k=a', 2) == [200, 503]
    assert ask('outer', '/own/file.txt?k=b', 3) == [200, 200, 503]
    assert ask('inner', '/file.txt?k=c', 3) == [200] * 3
    assert ask('inner', '/file.txt?m=c', 2) == [200, 503]


# ---- waiting ----------------------------------------------------------------------------------

def test_requests_wait_for_their_time(weir):
    s = weir('limit_req zone=fast burst=2; access_log access.log limits;',
             http=ZONES + 'limit_req_zone $arg_k zone=fast:1m rate=5r/s;')
    with s.connect() as a, s.connect() as b, s.connect() as c:
        start = time.monotonic()
        assert a.ask('/file.txt?k=1').status == 200
        b.send('GET /file.txt?k=1&b HTTP/1.1\r\nHost: a.test\r\n\r\n')
        s.wait_log('delaying request, excess: ')
        assert b.answer().text == '0123456789' and time.monotonic() - start >= .195
        for _ in range(2):     # they must wait behind what came before
            assert c.ask('/file.txt?k=1&c').text == '0123456789'
    s.stop()
    lines = s.file('access.log').splitlines()
    assert {'/file.txt?k=1 200 PASSED', '/file.txt?k=1&b 200 DELAYED'} < set(lines)
    assert len(lines) == 4 and 'REJECTED' not in ''.join(lines)


def test_the_longest_wait_holds(weir):
    s = weir('limit_req zone=fast burst=5; limit_req zone=slow burst=5;', http='''
        limit_req_zone $arg_k zone=fast:1m rate=100r/s;
        limit_req_zone $arg_k zone=slow:1m rate=4r/s;''')
    with s.connect() as c:
        start = time.monotonic()
        assert [c.ask('/file.txt?k=1').status for _ in range(3)] == [200] * 3
        assert time.monotonic() - start >= .495
    assert 'by zone "slow"' in s.log() and 'by zone "fast"' not in s.log()


def test_who_waits_holds_nobody_up(weir):
    """Nor do those that leave meanwhile."""
    s = weir('access_log access.log limits; location / { limit_req zone=one burst=20; }'
             'location /free { return 200 free; }', http=ZONES)
    assert s.get('/file.txt?k=1').status == 200
    waiting = [s.connect() for _ in range(10)]
    for c in waiting:
        c.send('GET /file.txt?k=1&w HTTP/1.1\r\nHost: a.test\r\n\r\n')
    while s.log().count('delaying request') < 10:
        time.sleep(.02)
    for _ in range(20):
        assert s.get('/free').text == 'free'
    for c in waiting:
        c.sock.settimeout(.01)
        with pytest.raises(socket.timeout):
            c.fill()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.close()
    log = s.file('access.log', contains='/file.txt?k=1&w 499 DELAYED')
    assert '/free 200 -' in log and '/file.txt?k=1 200 PASSED' in log
    s.stop()
    assert s.file('access.log').count('/file.txt?k=1&w 499 DELAYED') == 10


# ---- what is told -----------------------------------------------------------------------------

@pytest.mark.parametrize('level, refused, delayed', [
    ('error', 'error', 'warn'), ('warn', 'warn', 'notice'), ('notice', 'notice', 'info'),
    ('info', 'info', 'info')])
@pytest.mark.one_engine
def test_levels(weir, level, refused, delayed):
    s = weir(f'limit_req_log_level {level}; location / {{ limit_req zone=one; }}'
             'location /d { limit_req zone=fast burst=2; alias html/; }',
             http=ZONES + 'limit_req_zone $arg_k zone=fast:1m rate=50r/s;')
    assert statuses(s, *['/file.txt?k=1'] * 2) == [200, 503]
    while 'delaying' not in s.log():
        assert statuses(s, *['/d/file.txt?k=1'] * 3) == [200] * 3
    assert re.search(rf'\[{refused}\] \S+ \*\d+ limiting requests, excess: (1\.000|0\.99\d) by '
                     r'zone "one", client: 127\.0\.0\.1, .*request: "GET /file\.txt\?k=1 ', s.log())
    assert re.search(rf'\[{delayed}\] \S+ \*\d+ delaying request, excess: \d\.\d\d\d '
                     'by zone "fast"', s.log())


def test_dry_run(weir):
    s = weir('limit_req_dry_run on; access_log access.log limits;'
             'location / { limit_req zone=one burst=1; }'
             'location /now/ { limit_req zone=one; limit_req_dry_run off; alias html/; }',
             http=ZONES)
    # the last one was counted; on one connection, as lines of several come in any order
    assert statuses(s, *['/file.txt?k=1'] * 3, '/now/file.txt?k=1') == [200] * 3 + [503]
    s.stop()
    assert [line.split(' ', 1)[1] for line in s.file('access.log').splitlines()] == [
        '200 PASSED', '200 DELAYED_DRY_RUN', '200 REJECTED_DRY_RUN', '503 REJECTED']
    assert 'limiting requests, dry run, excess: ' in s.log()
    assert 'delaying request, dry run, excess: ' in s.log()


# ---- zones ------------------------------------------------------------------------------------

def many(site, paths):
    """The statuses of GETs for all of the paths, on one connection."""
    with site.connect() as c:
        c.send(''.join(f'GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n' for path in paths))
        return [c.answer().status for _ in paths]


def test_a_full_zone_forgets_the_oldest(weir):
    s = weir('limit_req zone=small;', http='limit_req_zone $arg_k zone=small:32k rate=1r/m;')
    keys = [f'/file.txt?k={n}' for n in range(3000)]
    for i in range(0, 3000, 100):
        assert many(s, keys[i:i + 100]) == [200] * 100
    # 32k are 481 states: these are the latest, those of the first hundreds are long gone
    assert many(s, keys[2700:2800]) == [503] * 100
    assert many(s, keys[:100]) == [200] * 100
    assert 'is full' not in s.log()


def test_long_keys(weir):
    long = '$arg_k' * 6
    s = weir('location / { limit_req zone=small; } location /far/ { limit_req zone=far; '
             'alias html/; } location /dry/ { limit_req zone=small; limit_req_dry_run on; '
             'alias html/; }', http=f'''
        limit_req_zone "{long}" zone=small:32k rate=1r/m;
        limit_req_zone "{long}$arg_k$arg_k$arg_k$arg_k" zone=far:1m rate=1r/m;
        large_client_header_buffers 4 16k;''')
    paths = [f'/file.txt?k={"a" * 4000}{n}' for n in range(3)]
    assert many(s, paths + [paths[2], paths[0]]) == [200, 200, 200, 503, 200]
    too_long = '?k=' + 'b' * 7000   # six times that is more than the zone
    assert many(s, ['/file.txt' + too_long] * 2 + ['/dry/file.txt' + too_long]) == [503, 503, 200]
    s.wait_log('the zone "small" is full: its size is 32768 bytes')
    assert many(s, ['/far/file.txt' + too_long] * 2) == [200, 200]
    s.wait_log('of the zone "far" is longer than 65535 bytes: not counted')
    assert many(s, ['/far/file.txt?k=' + 'b' * 6500] * 2) == [200, 503]


def test_a_reload_keeps_what_is_counted(weir):
    s = weir('location / { limit_req zone=one; }', http=ZONES)
    assert statuses(s, *['/file.txt?k=1'] * 2) == [200, 503]

    def change(old, new):
        s.rewrite(s.conf.read_text().replace(old, new))
        return s.command('-s', 'reload')

    assert change('zone=one;', 'zone=one burst=1 nodelay;').returncode == 0
    assert statuses(s, *['/file.txt?k=1'] * 2) == [200, 503]
    assert change('zone=one:1m rate=1r/m', 'zone=one:1m rate=2r/m').returncode == 0
    assert statuses(s, '/file.txt?k=1') == [503]
    r = change('$arg_k zone=one:1m', '$arg_other zone=one:1m')
    assert r.returncode == 1 and \
        'the zone "one" has the key "$arg_other", and so far it had "$arg_k"' in r.stderr, r.stderr
    assert statuses(s, '/file.txt?k=1') == [503]
    r = change('$arg_other zone=one:1m', '$arg_k zone=one:2m')
    assert r.returncode == 0, r.stderr
    assert statuses(s, *['/file.txt?k=1'] * 3) == [200, 200, 503]
    assert change('$arg_k zone=one:2m', '$arg_other zone=one:1m').returncode == 0
    assert statuses(s, *['/file.txt?other=1'] * 3) == [200, 200, 503]


@pytest.mark.parametrize('loops', [4])
def test_loops_share_a_zone(weir, loops):
    s = weir('limit_req zone=one burst=9 nodelay;', http=ZONES, start=False)
    s.rewrite(s.conf.read_text().replace('worker_processes 1;', f'worker_processes {loops};'))
    s.start()
    clients = [s.connect() for _ in range(60)]
    for c in clients:
        c.send('GET /file.txt?k=1 HTTP/1.1\r\nHost: a.test\r\n\r\n')
    got = [c.answer().status for c in clients]
    for c in clients:
        c.close()
    assert got.count(200) == 10 and got.count(503) == 50


# ---- mistakes ---------------------------------------------------------------------------------

ZONE = 'limit_req_zone $uri zone=one:1m rate=1r/s;'


@pytest.mark.parametrize('text, says', [
    ('limit_req_zone $uri zone=one:1m rate=1;', '"1" is not a rate'),
    ('limit_req_zone $uri zone=one:1m rate=0r/s;', '"0r/s" is not a rate'),
    ('limit_req_zone $uri zone=one:1m rate=1r/h;', 'rate=10r/s'),
    ('limit_req_zone $uri zone=one:1m 1r/s;', 'the rate is missing'),
    ('limit_req_zone $uri one:1m rate=1r/s;', 'the zone is missing'),
    ('limit_req_zone $uri zone=one rate=1r/s;', '"one" is not a name and a size'),
    ('limit_req_zone $uri zone=:1m rate=1r/s;', '":1m" is not a name and a size'),
    ('limit_req_zone $uri zone=one:1x rate=1r/s;', '"1x" is not a size'),
    ('limit_req_zone $uri zone=one:31k rate=1r/s;', '"31k" is too little for a zone'),
    ('limit_req_zone $nobody zone=one:1m rate=1r/s;', 'unknown variable `$nobody`'),
    (ZONE + ZONE, 'already declared by limit_req_zone at'),
    (ZONE + 'limit_conn_zone $uri zone=one:1m;', 'already declared by limit_req_zone at'),
    ('limit_req zone=one;', 'there is no zone "one"'),
    (ZONE + 'limit_req zone=onee;', 'did you mean "one"?'),
    (ZONE + 'limit_conn one 1;', 'it is for something else'),
    (ZONE + 'limit_req burst=1;', 'names no zone'),
    (ZONE + 'limit_req zone=one zone=one;', 'means nothing here'),
    (ZONE + 'limit_req zone=one burst=x;', '"burst=x" means nothing here'),
    (ZONE + 'limit_req zone=one burst=1 delay=-1;', '"delay=-1" means nothing here'),
    (ZONE + 'limit_req zone=one; limit_req zone=one burst=1;', 'a second time'),
    ('limit_req_status 399;', '400'), ('limit_req_log_level debug;', 'debug')])
@pytest.mark.one_engine
def test_mistakes(tmp_path, engine, text, says):
    (tmp_path / 'weir.conf').write_text(f'events {{}}\nhttp {{ {text} server {{ listen 81; }} }}\n')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', 'weir.conf'],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and says in run.stderr, run.stderr


@pytest.mark.one_engine
def test_a_zone_may_be_declared_later(tmp_path, engine):
    (tmp_path / 'weir.conf').write_text(
        f'events {{}}\nhttp {{ server {{ listen 81; limit_req zone=one; }} {ZONE} }}\n')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', 'weir.conf'],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 0, run.stderr
