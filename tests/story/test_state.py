"""state: servers that were changed at run time are there after a reload, a crash and a restart."""
import json
import os
import signal
import time

import pytest

from names import A, SRV, Names
from upstreams import Upstream, reply

BODY = 'location /api { api write=on; } location / { proxy_pass http://app; }'
SERVERS = '/api/9/http/upstreams/app/servers'


def ask(s, path='', method='GET', body=None, status=200):
    a = s.get(SERVERS + path, method=method, body=json.dumps(body).encode() if body else b'')
    assert a.status == status, (a.status, a.body)
    return json.loads(a.body)


def of(s):
    return [(x['server'], x['weight']) for x in ask(s)]


@pytest.fixture
def app():
    u = Upstream(reply('app'))
    yield u
    u.close()


@pytest.fixture
def s(weir):
    return weir(BODY, http='upstream app { zone app 64k; state state/app.conf; }')


def test_an_empty_one(s):
    assert ask(s) == []
    assert s.get('/').status == 502


def test_through_everything(s, app):
    ask(s, '', 'POST', {'server': app.at, 'weight': 3, 'max_conns': 9, 'max_fails': 0,
                        'fail_timeout': '250ms', 'slow_start': '4s', 'route': 'a'}, 201)
    ask(s, '', 'POST', {'server': '127.0.0.1:1', 'down': True, 'backup': True}, 201)
    ask(s, '', 'POST', {'server': '[::1]:2', 'drain': True}, 201)
    text = s.file('state/app.conf')
    assert text == f'server {app.at} weight=3 max_conns=9 max_fails=0 fail_timeout=250ms ' \
        'slow_start=4s route=a;\nserver 127.0.0.1:1 backup down;\nserver [::1]:2 drain;\n'
    before = ask(s)
    assert s.get('/').text == 'app'
    assert s.command('-s', 'reload').returncode == 0
    assert ask(s) == before and s.get('/').text == 'app'
    os.kill(s.worker(), signal.SIGKILL)
    s.wait_log('exited on signal 9')
    old = time.monotonic()
    while time.monotonic() - old < 5:
        try:
            if ask(s) == before:
                break
        except (OSError, EOFError):
            time.sleep(0.05)
    assert ask(s) == before
    assert json.loads(s.get('/api/9/processes').body) == {'respawned': 1}
    ask(s, '/1', 'DELETE')
    ask(s, '/0', 'PATCH', {'weight': 4})
    s.stop()
    s.start()
    assert [(x['server'], x['weight']) for x in ask(s)] == [(app.at, 4), ('[::1]:2', 1)]
    assert s.file('state/app.conf') == text.replace('weight=3', 'weight=4').replace(
        'server 127.0.0.1:1 backup down;\n', '')
    assert os.listdir(s.dir / 'state') == ['app.conf']      # no temporary file is left


def test_many_at_once(s):
    with s.connect() as a, s.connect() as b, s.connect() as c:
        for i in range(20):
            for client, base in ((a, 1000), (b, 2000), (c, 3000)):
                body = json.dumps({'server': f'127.0.0.1:{base + i}'}).encode()
                client.send(f'POST {SERVERS} HTTP/1.1\r\nHost: a.test\r\n'
                            f'Content-Length: {len(body)}\r\n\r\n'.encode() + body)
            for client in (a, b, c):
                assert client.answer().status == 201
    lines = s.file('state/app.conf').splitlines()
    assert sorted(lines) == sorted(f'server 127.0.0.1:{base + i};' for i in range(20)
                                   for base in (1000, 2000, 3000))


def test_where_nobody_can_write(s):
    directory = s.dir / 'state'
    directory.rmdir()
    ask(s, '', 'POST', {'server': '127.0.0.1:1'}, 201)      # in force all the same
    s.wait_log('the servers of upstream "app" cannot be written to')
    assert len(ask(s)) == 1


def test_a_file_written_by_hand(weir, app):
    files = {'app.conf': f'# a comment\nserver {app.at};\n'}
    s = weir(BODY, http='upstream app { zone app; state app.conf; }', files=files)
    assert of(s) == [(app.at, 1)] and s.get('/').text == 'app'
    (s.dir / 'app.conf').write_text('server 127.0.0.1:1 weight=0;')
    r = s.command('-s', 'reload')
    assert r.returncode == 1 and 'app.conf:1' in r.stderr and 'weight=' in r.stderr
    assert s.get('/').text == 'app'


@pytest.mark.one_engine
@pytest.mark.skipif(os.geteuid() != 0, reason='only root has privileges to give up')
def test_another_user(weir):
    s = weir(BODY, main='user nobody;', start=False,
             http='upstream app { zone app; state made/app.conf; } '
             'upstream bad { zone bad; state bad/x; server 127.0.0.1:1; }')
    s.rewrite(s.conf.read_text().replace('server 127.0.0.1:1; }', '}'))
    (s.dir / 'bad').mkdir()
    s.start()
    ask(s, '', 'POST', {'server': '127.0.0.1:1'}, 201)
    assert s.file('made/app.conf') == 'server 127.0.0.1:1;\n'
    assert (s.dir / 'made/app.conf').stat().st_uid != 0
    assert 'changes of upstream "bad" will not be remembered' in s.log()


@pytest.mark.one_engine
@pytest.mark.parametrize('group, said', [
    ('zone a; state a.conf; server 127.0.0.1:1;', 'are those in its state file'),
    ('state a.conf;', 'without a zone'),
    ('zone a;', 'there is no server'),
    ('zone a; state a.conf; } upstream other { zone a; state a.conf;',
     '"app" has that state file'),
])
def test_words(weir, group, said):
    s = weir('', http=f'upstream app {{ {group} }}', start=False)
    r = s.command('-t')
    assert r.returncode == 1 and said in r.stderr


def test_two_loops(weir):
    """Servers come and go on two loops while requests are passed on, and checked."""
    apps = [Upstream(reply(n)) for n in 'abc']
    body = BODY.replace('http://app;', 'http://app; health_check interval=20ms;')
    s = weir(body, http=f'upstream app {{ zone app; hash $uri consistent; server {apps[0].at}; }} '
             'keepalive_requests 1000000;')
    s.rewrite(s.conf.read_text().replace('worker_processes 1', 'worker_processes 2'))
    s.stop()
    s.start()
    end = time.monotonic() + 3
    clients = [s.connect() for _ in range(6)]
    while time.monotonic() < end:
        made = [json.loads(c.ask(SERVERS, method='POST', body=json.dumps(
            {'server': a.at, 'weight': 3}).encode()).body) for c, a in zip(clients, apps[1:])]
        for i, c in enumerate(clients):
            c.send(f'GET /{i} HTTP/1.1\r\nHost: a.test\r\n\r\n')
        for c in clients:
            assert c.answer().status == 200
        for c, m in zip(clients[2:], made):
            c.send(f'PATCH {SERVERS}/{m["id"]} HTTP/1.1\r\nHost: a.test\r\n'
                   'Content-Length: 12\r\n\r\n{"weight":9}')
        for c, m in zip(clients[2:], made):
            assert c.answer().status == 200
        for c, m in zip(clients[4:], made):
            c.send(f'DELETE {SERVERS}/{m["id"]} HTTP/1.1\r\nHost: a.test\r\n\r\n')
        for c, m in zip(clients[4:], made):
            assert c.answer().status == 200
    for c in clients:
        c.close()
    assert len(ask(s)) == 1
    for a in apps:
        a.close()


# ---- servers with names -----------------------------------------------------------------

def until(check, seconds=10):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_names(weir, app):
    """A name is looked up again and again, whoever said it; a restart remembers the name."""
    port = app.at.rpartition(':')[2]
    ns = Names({('back.test', A): ['127.0.0.1', '127.0.0.9'],
                ('_http._tcp.back.test', SRV): [(0, 5, int(port), 'back.test')]}, ttl=1)
    s = weir(BODY, http=f'upstream app {{ zone app; state state/app.conf; '
             f'resolver {ns.at} ipv6=off; }}')
    made = ask(s, '', 'POST', {'server': f'back.test:{port}', 'max_fails': 0}, 201)
    assert made['id'] == 0 and made['server'] == f'back.test:{port}'
    assert s.file('state/app.conf') == f'server back.test:{port} max_fails=0 resolve;\n'
    until(lambda: len(ask(s)) == 3)
    children = {x['server']: x for x in ask(s) if 'parent' in x}
    assert set(children) == {app.at, f'127.0.0.9:{port}'}
    child = children[app.at]
    assert child['host'] == 'back.test' and child['parent'] == 0 and child['max_fails'] == 0
    assert s.get('/').text == 'app'
    ns.zone[('back.test', A)] = ['127.0.0.1']
    until(lambda: len(ask(s)) == 2)
    code = ask(s, f'/{child["id"]}', 'DELETE', status=400)['error']['code']
    assert code == 'UpstreamServerImmutable'
    assert ask(s, '/0', 'PATCH', {'weight': 7})['weight'] == 7
    assert [x['weight'] for x in ask(s)] == [7, 7]
    s.stop()
    s.start()
    until(lambda: len(ask(s)) == 2)
    assert s.get('/').text == 'app'
    assert ask(s, '', 'POST', {'server': f'back.test:{port}'}, 409)['error']['code'] == \
        'EntryExists'
    assert ask(s, '', 'POST', {'server': 'back.test', 'service': 'http', 'down': True}, 201)
    until(lambda: len(ask(s)) == 4)
    assert 'service=http resolve down;' in s.file('state/app.conf')
    assert len(ask(s, '/0', 'DELETE')) == 2
    assert s.get('/').status == 502
    body = b'{"server":"gone.test:1"}'
    with s.connect() as c:      # who does not wait for the answer
        c.send(f'POST {SERVERS} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(body)}\r\n\r\n'
               .encode() + body)
    s.file('state/app.conf', contains='gone.test:1 resolve')
    left = ask(s)
    assert len(ask(s, f'/{left[1]["id"]}', 'DELETE')) == 2
    assert len(ask(s, f'/{left[0]["id"]}', 'DELETE')) == 0
    assert (s.dir / 'state/app.conf').read_text() == ''
    asked = ns.count('back.test')
    time.sleep(1.5)
    assert ns.count('back.test') == asked       # nobody asks for it any more
    ns.close()
