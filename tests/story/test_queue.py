"""queue: requests wait until a server can be asked, in order; full or late is 502."""
import json
import threading
import time

import pytest

from upstreams import Upstream, reply

BODY = '''location /api { api write=on; }
          location / { proxy_pass http://app; proxy_read_timeout 10s; }'''


class Gate:
    """Answers one request for each open()."""

    def __init__(self):
        self.allowed = threading.Semaphore(0)
        self.seen = []
        self.app = Upstream(self.script)

    def script(self, peer, asked):
        self.seen.append(asked.target)
        self.allowed.acquire(timeout=15)
        peer.send(reply(asked.target))

    def open(self, n=1):
        self.allowed.release(n)

    def wait(self, count):
        end = time.monotonic() + 5
        while len(self.seen) < count:
            assert time.monotonic() < end, self.seen
            time.sleep(0.01)


@pytest.fixture
def gate():
    g = Gate()
    yield g
    g.open(100)
    g.app.close()


def queue_of(s):
    return json.loads(s.get('/api/9/http/upstreams/app').body)['queue']


def wait_size(s, size):
    end = time.monotonic() + 5
    while queue_of(s)['size'] != size:
        assert time.monotonic() < end, queue_of(s)
        time.sleep(0.01)


def begin(s, path):
    c = s.connect(timeout=15)
    c.send(f'GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n')
    return c


def start(weir, gate, queue, more='', http='', server='max_conns=1', body='', **kw):
    group = f'zone app; server {gate.app.at} {server}; {queue} {more}'
    return weir(BODY + body, http=f'upstream app {{ {group} }} {http}', **kw)


def test_in_order(weir, gate):
    s = start(weir, gate, 'queue 10;')
    clients = []
    for i in range(6):
        clients.append(begin(s, f'/{i}'))
        if i == 0:
            gate.wait(1)
        else:
            wait_size(s, i)
    assert queue_of(s) == {'size': 5, 'max_size': 10, 'overflows': 0}
    for i, c in enumerate(clients):
        gate.open()
        assert c.answer().text == f'/{i}'
    assert gate.seen == [f'/{i}' for i in range(6)]
    assert queue_of(s)['size'] == 0


def test_full(weir, gate):
    s = start(weir, gate, 'queue 1;')
    a = begin(s, '/a')
    gate.wait(1)
    b = begin(s, '/b')
    wait_size(s, 1)
    assert s.get('/c').status == 502
    s.wait_log('upstream queue is full')
    assert queue_of(s)['overflows'] == 1
    gate.open(2)
    assert a.answer().status == b.answer().status == 200


def test_late(weir, gate):
    s = start(weir, gate, 'queue 5 timeout=300ms;',
              http='log_format q "$uri $status $upstream_queue_time $upstream_addr";',
              body='access_log q.log q;')
    a = begin(s, '/a')
    gate.wait(1)
    began = time.monotonic()
    assert s.get('/b').status == 502
    assert 0.25 < time.monotonic() - began < 3
    s.wait_log('no upstream was free in time')
    c = begin(s, '/c')
    wait_size(s, 1)
    gate.open(2)
    assert a.answer().status == c.answer().status == 200
    log = s.file('q.log', contains='/c')
    lines = dict(line.split(' ', 1) for line in log.splitlines() if '/api' not in line)
    assert lines['/a'] == f'200 - {gate.app.at}'
    assert lines['/b'].startswith('502 0.3') and lines['/b'].endswith(' app')
    assert lines['/c'].startswith('200 0.')


def test_the_client_leaves(weir, gate):
    s = start(weir, gate, 'queue 5;')
    a = begin(s, '/a')
    gate.wait(1)
    b, c = begin(s, '/b'), None
    wait_size(s, 1)
    c = begin(s, '/c')
    wait_size(s, 2)
    b.close()
    wait_size(s, 1)
    gate.open(2)
    assert a.answer().text == '/a' and c.answer().text == '/c'
    assert gate.seen == ['/a', '/c']


def test_a_server_is_added(weir, gate):
    s = start(weir, gate, 'queue 5;', server='down')
    waiting = [begin(s, f'/{i}') for i in range(3)]
    wait_size(s, 3)
    gate.open(3)
    a = s.get('/api/9/http/upstreams/app/servers/0', method='PATCH', body=b'{"down":false}')
    assert a.status == 200
    assert [c.answer().text for c in waiting] == ['/0', '/1', '/2']


def test_a_server_that_failed(weir, gate):
    """After fail_timeout it is asked again, and nobody but the queue's own timer says so."""
    s = weir(BODY, http=f'upstream app {{ zone app; server {gate.app.at} fail_timeout=1s; '
             'server 127.0.0.1:1 down; queue 5 timeout=8s; }')
    gate.app.script = lambda peer, asked: False
    assert s.get('/').status == 502
    gate.app.script = lambda peer, asked: peer.send(reply('well'))
    began = time.monotonic()
    assert s.get('/').text == 'well'
    assert 0.5 < time.monotonic() - began < 4


def test_health(weir, gate):
    well = threading.Event()

    def script(peer, asked):
        peer.send(reply('x', '200 OK' if well.is_set() or asked.target == '/' else '500 Oh'))
    gate.app.script = script
    s = weir('location /api { api; } location / { proxy_pass http://app; '
             'health_check interval=100ms uri=/h mandatory; }',
             http=f'upstream app {{ zone app; server {gate.app.at}; queue 5; }}')
    c = begin(s, '/')
    wait_size(s, 1)
    well.set()
    assert c.answer().text == 'x'


def test_two_loops(weir):
    """Many clients, one connection at a time to each of two servers: all are answered."""
    apps = [Upstream(reply('a')), Upstream(reply('b'))]
    servers = ' '.join(f'server {a.at} max_conns=1;' for a in apps)
    s = weir(BODY, http=f'upstream app {{ zone app; {servers} queue 100; }} '
             'keepalive_requests 1000000;', start=False)
    s.rewrite(s.conf.read_text().replace('worker_processes 1', 'worker_processes 2'))
    s.start()
    clients = [s.connect(timeout=10) for _ in range(16)]
    end = time.monotonic() + 3
    rounds = 0
    while time.monotonic() < end:
        for c in clients:
            c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        clients[rounds % 16].close()        # somebody leaves in the middle
        for i, c in enumerate(clients):
            if i != rounds % 16:
                assert c.answer().status == 200
        clients[rounds % 16] = s.connect(timeout=10)
        rounds += 1
    assert rounds > 20
    for c in clients:
        c.close()
    wait_size(s, 0)
    for a in apps:
        a.close()


@pytest.mark.one_engine
@pytest.mark.parametrize('words', ['0', 'x', '5 timeout=x', '5 late=1s'])
def test_words(weir, gate, words):
    s = start(weir, gate, f'queue {words};', start=False)
    r = s.command('-t')
    assert r.returncode == 1 and 'expected:' in r.stderr
