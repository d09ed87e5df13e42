"""Reload: a new configuration for the same connections, and nobody notices but by the answers."""
import re
import subprocess
import threading
import time

import pytest


def swap(s, old, new):
    s.rewrite(s.conf.read_text().replace(old, new))


def reload(s):
    return s.command('-s', 'reload')


def test_next_request_on_the_same_connection(weir):
    s = weir('location / { return 200 old; }')
    with s.connect() as c:
        assert c.ask('/').text == 'old'
        swap(s, 'return 200 old', 'return 200 new')
        r = reload(s)
        assert r.returncode == 0, r.stderr
        assert c.ask('/').text == 'new'
    assert s.get('/').text == 'new'


def test_request_in_flight_keeps_its_configuration(weir):
    s = weir('limit_rate 50k; add_header X-Gen old; location = /gone { return 200 there; }',
             files={'html/f': b'x' * 60 * 1024})
    with s.connect() as c:
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        s.rewrite(s.conf.read_text().replace('limit_rate 50k; add_header X-Gen old;',
                                             'add_header X-Gen new;'))
        assert reload(s).returncode == 0
        with s.connect() as other:
            assert other.ask('/file.txt')['x-gen'] == 'new'
        a = c.answer()
        assert a['x-gen'] == 'old' and len(a.body) == 60 * 1024
        assert c.ask('/file.txt')['x-gen'] == 'new'


def test_a_bad_file_changes_nothing(weir):
    s = weir('return 200 old;')
    swap(s, 'return 200 old;', 'retrun 200 new;')
    with s.connect() as c:
        assert c.ask('/').text == 'old'
        r = reload(s)
        assert r.returncode == 1 and '`return`' in r.stderr
        assert c.ask('/').text == 'old'
    swap(s, 'retrun', 'return')
    assert reload(s).returncode == 0
    assert s.get('/').text == 'new'


def test_a_hup_with_a_bad_file_is_logged(weir):
    s = weir('return 200 old;')
    worker = s.worker()
    s.rewrite('events { } http { oops; }')
    s.signal(1)
    s.wait_log('oops')
    assert s.get('/').text == 'old' and s.worker() == worker


def test_no_process_is_replaced(weir):
    s = weir()
    before = s.worker()
    for _ in range(3):
        assert reload(s).returncode == 0
    assert s.worker() == before


def test_listeners_come_and_go(weir):
    """reason: listener_gone"""
    from conftest import Client, free_port
    second = free_port()
    s = weir(servers='server { listen 127.0.0.1:PORT; return 200 one; }')
    one = s.conf.read_text()
    s.rewrite(one.replace('server {', f'server {{ listen 127.0.0.1:{second};', 1))
    assert reload(s).returncode == 0
    with Client(('127.0.0.1', second)) as c:
        assert c.ask('/').text == 'one'
        s.rewrite(one)
        assert reload(s).returncode == 0
        assert c.closed(5)
    for _ in range(100):
        try:
            Client(('127.0.0.1', second)).close()
            time.sleep(0.02)
        except OSError:
            break
    else:
        pytest.fail('the listener is still there')
    assert s.get('/').text == 'one'


def test_port_in_use_refuses_the_reload(weir):
    import socket
    s = weir('return 200 old;')
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        swap(s, 'server {', f'server {{ listen 127.0.0.1:{port};')
        swap(s, 'return 200 old;', 'return 200 new;')
        r = reload(s)
        assert r.returncode == 1 and str(port) in r.stderr
        assert s.get('/').text == 'old'


def test_fifty_reloads_under_load(weir):
    s = weir('location / { return 200 "generation 0\\n"; }', main='')
    wrk = subprocess.Popen(['wrk', '-t1', '-c16', '-d30s', f'http://127.0.0.1:{s.port}/file.txt'],
                           stdout=subprocess.PIPE, text=True)
    try:
        with s.connect() as c:
            for n in range(1, 51):
                s.rewrite(re.sub(r'generation \d+', f'generation {n}', s.conf.read_text()))
                s.signal(1) if n % 2 else reload(s)
                for _ in range(500):
                    if c.ask('/').text == f'generation {n}\n':
                        break
                    time.sleep(0.002)
                else:
                    pytest.fail(f'generation {n} never came:\n{s.log()}')
    finally:
        wrk.send_signal(2)
        out = wrk.communicate(timeout=20)[0]
    assert 'Socket errors' not in out and 'Non-2xx' not in out, out
    assert int(re.search(r'(\d+) requests in', out)[1]) > 100


def test_old_generations_are_freed(weir):
    s = weir(''.join(f'location /{i} {{ return 200 {"x" * 1000}; }}\n' for i in range(300)))

    def memory():
        text = open(f'/proc/{s.worker()}/smaps_rollup').read()
        return int(re.search(r'Pss:\s+(\d+) kB', text)[1])

    for _ in range(3):
        assert reload(s).returncode == 0
    time.sleep(0.3)
    before = memory()
    for _ in range(10):
        assert reload(s).returncode == 0
    time.sleep(0.3)
    assert memory() < before + 2048


def test_open_descriptors_stay_few(weir):
    import os
    s = weir('access_log access.log;')
    reload(s)
    time.sleep(0.3)
    count = [len(os.listdir(f'/proc/{p}/fd')) for p in (s.process.pid, s.worker())]
    for _ in range(8):
        assert reload(s).returncode == 0
    time.sleep(0.3)
    after = [len(os.listdir(f'/proc/{p}/fd')) for p in (s.process.pid, s.worker())]
    assert after == count


def test_reload_changes_logs_and_types(weir):
    s = weir('access_log one.log;')
    s.get('/file.txt')
    s.file('one.log')
    swap(s, 'access_log one.log;', 'access_log two.log; types { text/x-new txt; }')
    assert reload(s).returncode == 0
    assert s.get('/file.txt')['content-type'] == 'text/x-new'
    assert s.file('two.log') and len(s.file('one.log').splitlines()) == 1


def test_concurrent_clients_see_one_or_the_other(weir):
    s = weir('location / { return 200 "a a a a"; }')
    seen, stop = set(), threading.Event()

    def ask():
        with s.connect() as c:
            while not stop.is_set():
                seen.add(c.ask('/').text)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for word in 'bcdef':
        s.rewrite(re.sub(r'"\w \w \w \w"', f'"{word} {word} {word} {word}"', s.conf.read_text()))
        reload(s)
    seen.add(s.get('/').text)
    stop.set()
    for t in threads:
        t.join()
    assert seen <= {f'{w} {w} {w} {w}' for w in 'abcdef'} and 'f f f f' in seen
