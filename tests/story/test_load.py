"""Many requests, many connections: nothing is lost."""
import re
import resource
import subprocess

import pytest

from conftest import Client, THREADS_MAX


def wrk(s, path, *args):
    out = subprocess.run(['wrk', *args, f'http://127.0.0.1:{s.port}{path}'], capture_output=True,
                         text=True, timeout=60).stdout
    assert 'Socket errors' not in out and 'Non-2xx' not in out, out
    return int(re.search(r'(\d+) requests in', out)[1])


def test_ten_thousand_requests(weir):
    s = weir('keepalive_requests 100; access_log access.log combined buffer=64k;')
    done = 0
    while done < 10000:
        done += wrk(s, '/file.txt', '-t1', '-c32', '-d1s')
    s.stop()
    with open(s.dir / 'access.log') as f:
        logged = sum(1 for line in f if '" 200 10 ' in line)
    assert logged >= done


def test_every_request_on_its_own_connection(weir):
    s = weir()
    for _ in range(1000):
        with s.connect() as c:
            assert c.ask('/file.txt').body == b'0123456789'


@pytest.mark.parametrize('count', [900, 9000])
def test_many_connections_at_once(weir, engine, count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if count == 9000 and (engine == 'select' or (hard != -1 and hard < 10000)):
        count = 500             # select() knows no descriptor above 1023
    if engine == 'threads':
        count = min(count, THREADS_MAX)
    if hard == -1 or hard >= 10000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (10000, hard))
    s = weir('keepalive_timeout 60s;', main='worker_rlimit_nofile 12000;', connections=10500,
             start=False) if engine != 'select' else weir(connections=1005, start=False)
    s.start()
    clients = []
    try:
        for i in range(count):
            clients.append(Client(s.address, timeout=20))
        for c in clients:
            c.send('GET /file.txt HTTP/1.1\r\nHost: a.test\r\n\r\n')
        for c in clients:
            assert c.answer().body == b'0123456789'
        for c in clients[::10]:
            assert c.ask('/file.txt').body == b'0123456789'
    finally:
        for c in clients:
            c.close()
    assert s.get('/file.txt').status == 200
