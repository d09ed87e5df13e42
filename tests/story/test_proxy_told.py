"""What servers are told of clients: X-Forwarded-For, Forwarded, Via, and PROXY headers."""
import re
import socket
import struct
import time

import pytest
from conftest import free_port
from upstreams import Upstream, reply


class Told(Upstream):
    """Each connection begins with a PROXY header: up.heads has them, one a connection."""

    def __init__(self):
        super().__init__(raw=self.raw_peer)
        self.heads = []

    def raw_peer(self, peer):
        first = peer.file.peek(12)[:12]
        if first == b'\r\n\r\n\0\r\nQUIT\n':
            head = peer.file.read(16)
            head += peer.file.read(struct.unpack('>H', head[14:])[0])
        else:
            head = peer.file.readline()
        with self.lock:
            self.heads.append(head)
        while (asked := peer.read()) is not None:
            with self.lock:
                self.asked.append(asked)
            peer.send(reply('hello'))


@pytest.fixture
def up():
    with Told() as u:
        yield u


def behind(weir, u, more='', **kw):
    return weir(f'location / {{ proxy_pass http://{u.at}; {more} }}', **kw)


# ---- fields --------------------------------------------------------------------------------------

def test_fields_of_the_way(weir):
    with Upstream() as up:
        s = behind(weir, up, more='''proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Forwarded "$proxy_add_forwarded;proto=$scheme";
            proxy_set_header Via "1.1 weir";''')
        s.get('/')
        assert up.last.all('X-Forwarded-For') == ['127.0.0.1']
        assert up.last.all('Forwarded') == ['for=127.0.0.1;proto=http']
        assert up.last.all('Via') == ['1.1 weir']
        s.get('/', headers={'X-Forwarded-For': '1.2.3.4', 'Forwarded': 'for="[2001:db8::1]"',
                            'Via': '1.0 other'})
        assert up.last.all('X-Forwarded-For') == ['1.2.3.4, 127.0.0.1']
        assert up.last.all('Forwarded') == ['for="[2001:db8::1]", for=127.0.0.1;proto=http']
        assert up.last.all('Via') == ['1.1 weir']       # in place of the client's
        s = behind(weir, up)
        s.get('/', headers={'Forwarded': 'for=1.2.3.4', 'Via': '1.0 other'})
        assert up.last['Forwarded'] == 'for=1.2.3.4' and up.last['Via'] == '1.0 other'


def test_forwarded_quotes_ipv6(weir):
    with Upstream() as up:
        port = free_port()
        s = weir(servers=f'''server {{ listen 127.0.0.1:PORT; listen [::1]:{port}; location / {{
            proxy_pass http://{up.at}; proxy_set_header Forwarded $proxy_add_forwarded; }} }}''')
        s.get('/')
        assert up.last['Forwarded'] == 'for=127.0.0.1'
        with socket.create_connection(('::1', port)) as c:
            c.sendall(b'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
            while c.recv(65536):
                pass
        assert up.last['Forwarded'] == 'for="[::1]"'


# ---- PROXY headers -------------------------------------------------------------------------------

@pytest.mark.parametrize('word', ['on', 'v1'])
def test_version_1(weir, up, word):
    s = behind(weir, up, more=f'proxy_protocol {word};')
    with s.connect() as c:
        port = c.sock.getsockname()[1]
        assert [c.ask('/').text for _ in range(3)] == ['hello'] * 3
    assert up.heads == [b'PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n' % (port, s.port)]
    assert len(up.asked) == 3


def test_version_2(weir, up):
    s = behind(weir, up, more='proxy_protocol v2;')
    with s.connect() as c:
        port = c.sock.getsockname()[1]
        assert c.ask('/').text == 'hello'
    local = socket.inet_aton('127.0.0.1')
    assert up.heads == [b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + local + local +
                        struct.pack('>HH', port, s.port)]


def test_a_connection_is_one_client_s(weir, up):
    s = behind(weir, up, more='proxy_protocol on;')
    with s.connect() as a, s.connect() as b:
        for _ in range(3):
            assert a.ask('/a').text == b.ask('/b').text == 'hello'
        ports = {a.sock.getsockname()[1], b.sock.getsockname()[1]}
    assert {int(h.split()[4]) for h in up.heads} == ports and len(up.heads) == 2
    by_connection = {}
    for asked in up.asked:
        by_connection.setdefault(asked.connection, set()).add(asked.target)
    assert sorted(by_connection.values()) == [{'/a'}, {'/b'}]


def test_who_speaks_for_others_on_one_connection(weir, up):
    """real_ip changes the client from request to request: each is told, and none shared."""
    s = behind(weir, up, more='proxy_protocol on; set_real_ip_from 127.0.0.1;'
                              'real_ip_header X-Real-IP;')
    with s.connect() as c:
        for address in ('1.1.1.1', '2.2.2.2', '1.1.1.1', '2001:db8::1'):
            c.ask(f'/{address}', headers={'X-Real-IP': address})
    told = {h.split()[2].decode() for h in up.heads}
    assert told == {'1.1.1.1', '2.2.2.2', '2001:db8::1'} and len(up.heads) == 3
    for asked in up.asked:
        assert up.heads[asked.connection - 1].split()[2].decode() == asked.target[1:]
    six = next(h for h in up.heads if b'TCP6' in h)
    assert re.fullmatch(rb'PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 \d+ %d\r\n' % s.port, six)


def test_neither_for_others_nor_from_others(weir, up):
    """Connections without a header are not used where one is wanted, nor the other way round."""
    with Upstream() as plain:
        s = weir(f'''location /told {{ proxy_pass http://g; proxy_protocol on; }}
                     location /two {{ proxy_pass http://g; proxy_protocol v2; }}''',
                 http=f'upstream g {{ server {up.at}; }}')
        with s.connect() as c:
            for path in ('/told', '/two', '/told', '/two'):
                assert c.ask(path).text == 'hello'
        assert len(up.heads) == 2 and up.heads[0][:5] == b'PROXY' and up.heads[1][:2] == b'\r\n'
        s = weir(f'''location /told {{ proxy_pass http://{plain.at}; proxy_protocol on; }}
                     location / {{ proxy_pass http://{plain.at}; proxy_protocol off; }}''')
        with s.connect() as c:
            assert c.ask('/').text == 'hello'
            c.ask('/told')
            assert c.ask('/').text == 'hello'
        assert all(a.line.startswith(('GET ', 'PROXY ')) for a in plain.asked)


def test_idle_connections_are_counted_together(weir, up):
    """Each client has its own; those that are kept are no more than keepalive says."""
    s = weir('location / { proxy_pass http://g; proxy_protocol on; }',
             http=f'upstream g {{ server {up.at}; keepalive 3; }}')
    for _ in range(12):
        assert s.get('/').text == 'hello'
    assert len(up.heads) == 12

    end = time.monotonic() + 5
    while len(up.open) > 3:
        assert time.monotonic() < end, len(up.open)
        time.sleep(0.02)


def test_a_unix_client_is_unknown(weir, up):
    path = '/tmp/weir-told-%d.sock' % free_port()
    s = weir(servers=f'''server {{ listen 127.0.0.1:PORT; listen unix:{path};
        location / {{ proxy_pass http://{up.at}; proxy_protocol on; }} }}''')
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(path)
        c.sendall(b'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
        while c.recv(65536):
            pass
    assert up.heads == [b'PROXY UNKNOWN\r\n']
    s.stop()


@pytest.mark.parametrize('word', ['v1', 'v2'])
def test_weir_understands_weir(weir, word):
    back = weir(servers='''server { listen 127.0.0.1:PORT proxy_protocol; location / {
        return 200 "$proxy_protocol_addr:$proxy_protocol_port $remote_addr $request_body"; } }''',
                start=False)
    back.start(wait=False)
    s = weir(f'location / {{ proxy_pass http://127.0.0.1:{back.port}; proxy_protocol {word}; }}')
    with s.connect() as c:
        port = c.sock.getsockname()[1]
        end = 50
        while (a := c.ask('/')).status == 502 and end > 0:      # it may not listen yet
            end -= 1

            time.sleep(0.1)
        assert a.text.startswith(f'127.0.0.1:{port} 127.0.0.1'), a.text
        a = c.ask('/', method='POST', body=b'x' * 100_000)
        assert a.text.startswith(f'127.0.0.1:{port} ')


@pytest.mark.parametrize('word, head', [('v1', b'PROXY UNKNOWN\r\n'),
                                        ('v2', b'\r\n\r\n\0\r\nQUIT\n\x20\0\0\0')])
def test_a_health_check_is_nobody_s(weir, up, word, head):
    weir(f'location / {{ proxy_pass http://g; proxy_protocol {word}; '
         'health_check interval=200ms; }',
         http=f'upstream g {{ zone g 64k; server {up.at}; }}')
    end = time.monotonic() + 5
    while not up.asked:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert set(up.heads) == {head}


def test_mistakes(weir):
    s = weir('location / { proxy_pass http://127.0.0.1; proxy_protocol v3; }', start=False)
    run = s.command('-t')
    assert run.returncode != 0 and 'expected: off, on, v1 or v2' in run.stderr, run.stderr
