"""weir upstream: servers of a running server, from the command line, over its admin socket."""
import json
import os
import signal
import stat
import subprocess
import time

import pytest

from conftest import BINARY, Client
from upstreams import Upstream, reply

HTTP = 'deny all; upstream app { zone app; server %s route=x; server 127.0.0.1:1 backup; }'
BODY = 'allow all; location / { proxy_pass http://app; }'


def weir_upstream(s, *words, ok=0):
    r = subprocess.run([BINARY, 'upstream', '-p', f'{s.dir}/', '-c', str(s.conf), *words],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == ok, r.stdout + r.stderr
    return r.stdout if ok == 0 else r.stderr


@pytest.fixture
def app():
    u = Upstream(reply('app'))
    yield u
    u.close()


@pytest.fixture
def s(weir, app):
    return weir(BODY, http=HTTP % app.at)


def rows(text):
    names, *lines = [line.split() for line in text.splitlines()]
    return [dict(zip(names, line)) for line in lines]


def test_commands(s, app):
    s.get('/')
    assert rows(weir_upstream(s, 'list')) == [
        {'UPSTREAM': 'app', 'SERVERS': '2', 'UP': '2', 'ACTIVE': '0', 'REQUESTS': '1',
         'FAILS': '0', 'ZONE': 'app'}]
    first, second = rows(weir_upstream(s, 'show', 'app'))
    assert first['SERVER'] == app.at and first['STATE'] == 'up' and first['REQUESTS'] == '1'
    assert second['BACKUP'] == 'backup'
    other = Upstream(reply('other'))
    assert rows(weir_upstream(s, 'add', 'app', other.at, 'weight=3', 'max_fails=0',
                              'fail_timeout=2s', 'down')) == \
        [{'ID': '2', 'SERVER': other.at, 'WEIGHT': '3', 'BACKUP': 'no', 'DOWN': 'yes',
          'DRAIN': 'no'}]
    assert {s.get('/').text for _ in range(4)} == {'app'}
    weir_upstream(s, 'up', 'app', other.at)
    assert {s.get('/').text for _ in range(4)} == {'app', 'other'}
    assert rows(weir_upstream(s, 'weight', 'app', '2', '9'))[0]['WEIGHT'] == '9'
    assert rows(weir_upstream(s, 'drain', 'app', app.at))[0]['DRAIN'] == 'yes'
    assert {s.get('/').text for _ in range(4)} == {'other'}
    weir_upstream(s, 'down', 'app', other.at)
    weir_upstream(s, 'up', 'app', app.at)
    assert {s.get('/').text for _ in range(4)} == {'app'}
    weir_upstream(s, 'set', 'app', other.at, 'max_conns=5', 'slow_start=1s')
    servers = json.loads(weir_upstream(s, '--json', 'show', 'app'))['peers']
    assert servers[2]['max_conns'] == 5 and servers[2]['state'] == 'down'
    left = rows(weir_upstream(s, 'remove', 'app', other.at))
    assert [x['ID'] for x in left] == ['0', '1']
    other.close()


def test_a_socket_for_its_user_alone(s):
    path = s.dir / 'weir-admin.sock'
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    with Client(str(path)) as c:
        assert json.loads(c.ask('/api/').body) == [9]
        assert c.ask('/').status == 404
    s.stop()
    assert not path.exists()


def test_through_a_reload_and_an_upgrade(s, app):
    s.rewrite(s.conf.read_text().replace('daemon off;', 'daemon off; admin unix:other.sock;'))
    assert s.command('-s', 'reload').returncode == 0
    assert (s.dir / 'other.sock').exists() and not (s.dir / 'weir-admin.sock').exists()
    assert rows(weir_upstream(s, 'list'))[0]['SERVERS'] == '2'
    old = s.process.pid
    s.signal(signal.SIGUSR2)
    end = time.monotonic() + 10
    while not (s.dir / 'weir.pid.oldbin').exists() or not (s.dir / 'weir.pid').exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    fresh = int((s.dir / 'weir.pid').read_text())
    os.kill(old, signal.SIGQUIT)
    s.process.wait(10)
    assert (s.dir / 'other.sock').exists()
    weir_upstream(s, 'weight', 'app', app.at, '4')
    assert rows(weir_upstream(s, 'show', 'app'))[0]['WEIGHT'] == '4'
    os.kill(fresh, signal.SIGQUIT)
    while os.path.exists(f'/proc/{fresh}') and time.monotonic() < end:
        time.sleep(0.02)


def test_a_stale_file(s):
    worker = s.worker()
    s.process.kill()
    os.kill(worker, signal.SIGKILL)
    s.process.wait()
    time.sleep(0.3)
    assert (s.dir / 'weir-admin.sock').exists()
    assert 'runs' in weir_upstream(s, 'list', ok=1)
    s.start()
    assert rows(weir_upstream(s, 'list'))


@pytest.mark.one_engine
def test_off(weir, app):
    s = weir(BODY, http=HTTP % app.at, main='admin off;')
    assert not (s.dir / 'weir-admin.sock').exists()
    assert 'admin off' in weir_upstream(s, 'list', ok=1)


@pytest.mark.one_engine
def test_a_place_that_cannot_be(weir, app):
    s = weir(BODY, http=HTTP % app.at, main='admin unix:none/weir.sock;', start=False)
    s.start(wait=False)
    assert s.process.wait(10) == 1
    s.expect_status = 1
    assert '`admin off;` does without' in s.log()


@pytest.mark.one_engine
def test_mistakes(s):
    assert 'too few words' in weir_upstream(s, 'add', 'app', ok=2)
    assert '"what" is no command' in weir_upstream(s, 'what', ok=2)
    assert 'upstream not found' in weir_upstream(s, 'show', 'none', ok=1)
    assert 'has no server "1.2.3.4:5"' in weir_upstream(s, 'down', 'app', '1.2.3.4:5', ok=1)
    assert 'nothing that a server has' in weir_upstream(s, 'add', 'app', '1.2.3.4:5', 'x=y', ok=2)
    assert 'invalid "server"' in weir_upstream(s, 'add', 'app', 'a;b', ok=1)
    assert 'is no weight' in weir_upstream(s, 'weight', 'app', '0', 'much', ok=2)
    assert 'not understood' in weir_upstream(s, '--what', ok=2)
    assert 'usage' in weir_upstream(s, '--help')
    for wrong, said in (('admin 127.0.0.1:80;', 'no unix socket'),
                        (f'admin unix:/{"x" * 120};', '1 to 107 bytes')):
        r = s.command('-t', '-g', wrong)
        assert r.returncode == 1 and said in r.stderr
