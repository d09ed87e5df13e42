"""Reload again and again: connections, memory and descriptors stay as they are."""
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import Client, free_port


def until(true, seconds=5, what='it'):
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, f'{what} did not happen'
        time.sleep(0.01)
    return value


def change(s, old, new):
    text = s.conf.read_text()
    assert old in text
    s.rewrite(text.replace(old, new))


def reload(s):
    r = s.command('-s', 'reload')
    assert r.returncode == 0, r.stderr + s.log()


def listens(port):
    try:
        Client(('127.0.0.1', port), timeout=1).close()
        return True
    except OSError:
        return False


def test_idle_connections_survive_twenty_reloads(weir):
    s = weir('location / { return 200 "generation 0"; }')
    clients = [s.connect() for _ in range(10)]
    silent = s.connect()                        # connected, and has not asked anything yet
    for c in clients:
        assert c.ask('/').text == 'generation 0'
    for n in range(1, 21):
        change(s, f'generation {n - 1}"', f'generation {n}"')
        reload(s)
        assert clients[n % 10].ask('/').text == f'generation {n}'
    for c in [*clients, silent]:
        assert c.ask('/').text == 'generation 20'
        c.close()


def test_a_slow_answer_ends_as_it_began(weir):
    """Rate, headers and file of the old configuration; then the new one, on one connection."""
    content = os.urandom(90 * 1024)
    s = weir('location /f { limit_rate 60k; add_header X-Site old; alias one/; }',
             files={'one/data': content, 'two/data': b'new'})
    with s.connect(timeout=10) as c:
        start = time.monotonic()
        c.send('GET /f/data HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        change(s, 'location /f { limit_rate 60k; add_header X-Site old; alias one/; }',
               'location /f { add_header X-Site new; alias two/; }')
        reload(s)
        change(s, 'X-Site new', 'X-Site newer')
        reload(s)
        a = c.answer()
        assert (a['x-site'], a.body) == ('old', content)
        assert time.monotonic() - start > 0.4
        a = c.ask('/f/data')
        assert (a['x-site'], a.body) == ('newer', b'new')


def test_a_request_that_is_half_there(weir):
    """It has begun, so it ends on the old configuration; the next one begins on the new."""
    s = weir('location / { return 200 old; }')
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.t')
        time.sleep(0.1)
        change(s, 'return 200 old', 'return 200 new')
        reload(s)
        assert c.send('est\r\n\r\n').answer().text == 'old'
        assert c.ask('/').text == 'new'


@pytest.mark.one_engine
def test_what_a_refused_reload_says(weir):
    s = weir('location / { return 200 old; }')
    good = s.conf.read_text()
    for bad, place, words in (
            (good.replace('return 200 old', 'return 200 new; retrun'), '', 'unknown directive'),
            (good.replace('server_name a.test;', 'server_name a.test; root;'), '', '`root`'),
            (good + '}\n', '', '}'), (good.replace('http {', 'http {\n}\nhtp {'), '', '`http`')):
        s.rewrite(bad)
        r = s.command('-s', 'reload')
        assert r.returncode == 1 and words in r.stderr
        assert re.search(rf'{re.escape(str(s.conf))}:\d+:\d+: error: ', r.stderr), r.stderr
        assert s.get('/').text == 'old'
    s.rewrite(good.replace('return 200 old', 'return 200 new'))
    reload(s)
    assert s.get('/').text == 'new'


@pytest.mark.one_engine
def test_a_log_that_cannot_be_opened_refuses_the_reload(weir):
    s = weir('location / { return 200 old; }')
    change(s, 'return 200 old;', 'return 200 new; access_log no/such/place/access.log;')
    r = s.command('-s', 'reload')
    assert r.returncode == 1 and 'no/such/place/access.log' in r.stderr, r.stderr
    assert s.get('/').text == 'old'


def test_listeners_open_and_close(weir):
    second, third = free_port(), free_port()
    s = weir('location / { return 200 $server_port; }')
    first = f'listen 127.0.0.1:{s.port};'
    assert not listens(second)
    change(s, first, f'{first} listen 127.0.0.1:{second}; listen 127.0.0.1:{third};')
    reload(s)
    for port in (s.port, second, third):
        with Client(('127.0.0.1', port)) as c:
            assert c.ask('/').text == str(port)
    change(s, f'listen 127.0.0.1:{second};', '')
    reload(s)
    until(lambda: not listens(second), what='the end of a listener')
    assert listens(third) and s.get('/').text == str(s.port)
    change(s, first, f'{first} listen 127.0.0.1:{second};')
    reload(s)
    with Client(('127.0.0.1', second)) as c:
        assert c.ask('/').text == str(second)


def resident(pid):
    """Kilobytes in memory that are the process's own."""
    return int(re.search(r'^RssAnon:\s+(\d+)', open(f'/proc/{pid}/status').read(), re.M)[1])


def measure(s):
    pids = (s.process.pid, s.worker())
    return [(resident(p), len(os.listdir(f'/proc/{p}/fd')), len(os.listdir(f'/proc/{p}/task')))
            for p in pids]


def test_fifty_reloads_under_load(weir):
    """No request fails, and what ten reloads cost is all that fifty cost."""
    s = weir('location /n { return 200 "generation 0"; }\n' +
             ''.join(f'location /l{i} {{ add_header X-I {i}; }}\n' for i in range(100)))
    wrk = subprocess.Popen(['wrk', '-t1', '-c32', '-d300s', f'http://127.0.0.1:{s.port}/file.txt'],
                           stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)
        for n in range(1, 51):
            change(s, f'generation {n - 1}"', f'generation {n}"')
            reload(s)
            if n == 10:
                time.sleep(0.1)
                after_ten = measure(s)
            if n % 10 == 0:
                assert s.get('/n').text == f'generation {n}'
        assert wrk.poll() is None, 'fifty reloads took longer than the load'
    finally:
        wrk.send_signal(signal.SIGINT)
        out = wrk.communicate(timeout=30)[0]
    assert 'Socket errors' not in out and 'Non-2xx' not in out, out
    assert int(re.search(r'(\d+) requests in', out)[1]) > 100
    time.sleep(0.2)
    reload(s)
    for (size, files, threads), (size_10, files_10, threads_10) in zip(measure(s), after_ten):
        assert size < size_10 + 3072, 'memory grows'
        assert files <= files_10 and threads <= threads_10
