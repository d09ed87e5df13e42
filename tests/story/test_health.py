"""health_check and match: servers are asked whether they are well, and used only then."""
import json
import subprocess
import threading
import time

import pytest

from conftest import BINARY, free_port
from upstreams import Upstream, reply


class Backend(Upstream):
    """Answers /health as it is told, and everything else with its name."""

    def __init__(self, name):
        self.health, self.name = reply('fine'), name

        def script(peer, asked):
            if asked.target.startswith('/health'):
                if self.health is None:
                    return False
                peer.send(self.health)
            else:
                peer.send(reply(self.name))
        super().__init__(script)

    def checks(self):
        return [a for a in self.asked if a.target.startswith('/health')]

    def uses(self):
        return len(self.asked) - len(self.checks())


@pytest.fixture
def pair():
    with Backend('one') as one, Backend('two') as two:
        yield one, two


def behind(weir, *apps, check='uri=/health', http='', more='', **kw):
    servers = ''.join(f'server {app.at};' for app in apps)
    return weir(f'''location / {{ proxy_pass http://back; health_check interval=30ms {check};
                                  proxy_read_timeout 2s; {more} }}''',
                http=f'{http} upstream back {{ {servers} }}', **kw)


def until(true, what=''):
    end = time.monotonic() + 15
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def names(s, count=12):
    return {s.get('/').text for _ in range(count)}


def log(s):
    return (s.dir / 'error.log').read_text()


def test_sick_and_well_again(weir, pair):
    one, two = pair
    s = behind(weir, one, two)
    until(lambda: one.checks() and two.checks())
    assert names(s) == {'one', 'two'}
    one.health = reply('sick', '500 Broken')
    until(lambda: 'peer is unhealthy while checking status code, health check of peer '
          f'{one.at} in upstream "back"' in log(s))
    before = one.uses()
    assert names(s) == {'two'} and one.uses() == before
    one.health = reply('fine')
    until(lambda: 'peer is healthy' in log(s))
    assert names(s) == {'one', 'two'}


def test_what_a_check_is(weir, pair):
    one, two = pair
    s = behind(weir, one, two, check='uri=/health?deep=1',
               more='proxy_set_header X-From weir-$http_host; access_log access.log combined;')
    until(lambda: len(one.checks()) > 3)
    asked = one.checks()[0]
    assert asked.method == 'GET' and asked.target == '/health?deep=1'
    assert asked['Host'] == 'back' and asked['X-From'] == 'weir-back' and asked.body == b''
    s.get('/')
    assert '/health' not in s.file('access.log', contains='GET / ')


def test_all_of_them_sick(weir, pair):
    one, two = pair
    s = behind(weir, one, two)
    one.health = two.health = None      # the connection is closed
    until(lambda: log(s).count('peer is unhealthy') == 2)
    assert s.get('/').status == 502
    two.health = reply('fine')
    until(lambda: s.get('/').status == 200)


def test_fails_and_passes(weir, pair):
    one, two = pair
    s = behind(weir, one, two, check='uri=/health fails=4 passes=3')
    until(lambda: one.checks())
    one.health, before = reply('', '503 Off'), len(one.checks())
    until(lambda: 'peer is unhealthy' in log(s))
    assert len(one.checks()) - before >= 4
    one.health, before = reply('fine'), len(one.checks())
    until(lambda: 'peer is healthy' in log(s))
    assert len(one.checks()) - before >= 3


def test_mandatory(weir, pair):
    one, two = pair
    one.health = reply('', '503 Not yet')
    s = behind(weir, one, two, check='uri=/health mandatory')
    until(lambda: s.get('/').status == 200)
    assert names(s) == {'two'} and one.uses() == 0
    one.health = reply('ready')
    until(lambda: names(s) == {'one', 'two'})


MATCHES = '''
match any { }
match ok { status 200; }
match not_ok { status ! 500-599 404; }
match ranges { status 200 300-302; }
match typed { header Content-Type = text/x; }
match untyped { header Content-Type != text/x; }
match close { header X-A ~ "^b+$"; }
match unlike { header X-A !~ "^b+$"; }
match there { header X-A; }
match absent { header ! X-A; }
match welcome { body ~ "Wel+come"; status 200; }
match unwelcome { body !~ "Wel+come"; }
match needs { require $upstream_http_x_a $upstream_status; }
'''


@pytest.mark.parametrize('name, good, bad', [
    ('any', reply('', '500 x'), None),
    ('ok', reply('x'), reply('x', '201 x')),
    ('not_ok', reply('x', '403 x'), reply('x', '404 x')),
    ('not_ok', reply('x', '200 x'), reply('x', '503 x')),
    ('ranges', reply('x', '302 x'), reply('x', '303 x')),
    ('typed', reply('x', fields=['Content-Type: text/x']), reply('x')),
    ('untyped', reply('x'), reply('x', fields=['Content-Type: text/x'])),
    ('close', reply('x', fields=['X-A: bbb']), reply('x', fields=['X-A: bbc'])),
    ('unlike', reply('x', fields=['X-A: bbc']), reply('x', fields=['X-A: bbb'])),
    ('there', reply('x', fields=['X-A: 1']), reply('x')),
    ('absent', reply('x'), reply('x', fields=['X-A: 1'])),
    ('welcome', reply('x' * 30_000 + 'Wellcome!'), reply('Welome')),
    ('unwelcome', reply('Welome'), reply('Welcome')),
    ('needs', reply('x', fields=['X-A: 1']), reply('x', fields=['X-A: 0'])),
])
def test_match(weir, pair, name, good, bad):
    one, two = pair
    one.health, two.health = good, good if bad is None else bad
    s = behind(weir, one, two, check=f'uri=/health mandatory match={name}', http=MATCHES)
    until(lambda: s.get('/').status == 200)
    until(lambda: len(two.checks()) > 2)
    assert names(s) == ({'one'} if bad else {'one', 'two'})


def test_a_server_that_hangs(weir, pair):
    one, two = pair
    release = threading.Event()

    def hang(peer, asked):
        release.wait(20)
        return False
    s = behind(weir, one, two, more='proxy_send_timeout 1s;')
    until(lambda: one.checks())
    one.script = hang
    until(lambda: 'peer is unhealthy' in log(s), 'the check never ended')
    assert names(s) == {'two'}
    release.set()


@pytest.mark.parametrize('slow', ['', 'slow_start=1h'])
def test_slow_start(weir, pair, slow):
    one, two = pair
    one.health = reply('', '500 sick')
    s = weir(f'''location / {{ proxy_pass http://back;
                 health_check interval=30ms uri=/health; }}''',
             http=f'upstream back {{ server {one.at} {slow}; server {two.at}; }}')
    until(lambda: 'peer is unhealthy' in log(s))
    one.health = reply('fine')
    until(lambda: 'peer is healthy' in log(s))
    before = one.uses()
    for _ in range(40):
        assert s.get('/').status == 200
    used = one.uses() - before
    assert used <= 2 if slow else 19 <= used <= 21


def test_port(weir, pair):
    one, two = pair
    with Backend('doctor') as doctor:
        doctor.health = reply('', '500 sick')
        s = weir(f'''location / {{ proxy_pass http://back;
                     health_check interval=30ms uri=/health port={doctor.port}; }}''',
                 http=f'upstream back {{ server {one.at}; server {two.at}; }}')
        until(lambda: log(s).count('peer is unhealthy') == 2)
        assert s.get('/').status == 502 and not one.checks() and not two.checks()
        doctor.health = reply('fine')
        until(lambda: names(s) == {'one', 'two'})


@pytest.mark.parametrize('word, used', [('', {'one', 'two'}), ('persistent', {'two'})])
def test_reload(weir, pair, word, used):
    one, two = pair
    one.health, release, plain = reply('', '500 sick'), threading.Event(), one.script

    def script(peer, asked):
        if asked.target == '/slow':     # after the reload, nothing new is known for a while
            release.wait(10)
            return False
        return plain(peer, asked)
    one.script = script
    s = behind(weir, one, two, check=f'uri=/health {word}')
    until(lambda: 'peer is unhealthy' in log(s))
    s.rewrite(s.conf.read_text().replace('uri=/health', 'uri=/slow'))
    assert s.command('-s', 'reload').returncode == 0
    assert names(s) == used
    release.set()


def test_many_reloads(weir, pair):
    one, two = pair
    s = behind(weir, one, two)
    until(lambda: one.checks() and two.checks())
    for _ in range(20):
        assert s.command('-s', 'reload').returncode == 0
        assert s.get('/').status == 200
    before = len(one.checks())
    until(lambda: len(one.checks()) > before + 2)
    time.sleep(0.1)
    before, began = len(one.checks()), time.monotonic()
    time.sleep(0.6)
    # one generation checks, not twenty
    assert len(one.checks()) - before <= 2 * (time.monotonic() - began) / 0.03 + 2


def test_one_of_three_is_killed_and_comes_back_under_load(weir):
    """No request is lost that may be repeated."""
    ports = [free_port() for _ in range(3)]
    serve = [None] * 3

    def start(i):
        serve[i] = subprocess.Popen([BINARY, '-p', f'{s.dir}/', '-c', f'{s.dir}/b{i}.conf'],
                                    stderr=subprocess.DEVNULL)
    s = weir('''location / { proxy_pass http://back; health_check interval=50ms; }''',
             http='upstream back { ' + ''.join(f'server 127.0.0.1:{p} fail_timeout=100ms;'
                                               for p in ports) + ' }')
    for i, port in enumerate(ports):
        (s.dir / f'b{i}.conf').write_text(
            f'daemon off; pid b{i}.pid; events {{ }} error_log b{i}.log; '
            f'http {{ access_log off; server {{ listen 127.0.0.1:{port}; '
            f'location / {{ return 200 "{i}"; }} }} }}')
        start(i)
    statuses, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            with s.connect() as c:
                for _ in range(50):
                    statuses.append(c.ask('/').status)
    try:
        until(lambda: names(s) == {'0', '1', '2'})
        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        for _ in range(3):
            serve[1].kill()
            serve[1].wait()
            until(lambda: names(s) == {'0', '2'})
            start(1)
            until(lambda: names(s, 30) == {'0', '1', '2'})
        stop.set()
        for t in threads:
            t.join()
        assert len(statuses) > 100 and set(statuses) == {200}
    finally:
        stop.set()
        for p in serve:
            p.terminate()
            p.wait()


@pytest.mark.one_engine
@pytest.mark.parametrize('text, says', [
    ('server { location / { health_check; } }', 'there is nobody here whose health'),
    ('server { location / { proxy_pass http://$host; health_check; } }', 'there is nobody here'),
    ('server { location / { proxy_pass http://127.0.0.1; health_check match=x; } }',
     'there is no match "x"'),
    ('server { location / { proxy_pass http://127.0.0.1; health_check interval=0; } }',
     '"interval=0" has no value that can be'),
    ('server { location / { proxy_pass http://127.0.0.1; health_check port=70000; } }',
     '"port=70000" has no value'),
    ('server { location / { proxy_pass http://127.0.0.1; health_check uri=x; } }',
     'health_check has no parameter "uri=x"'),
    ('server { health_check; }', '`health_check` is allowed in location'),
    ('match a { } match a { }', 'there is a match "a" already'),
    ('match a { status many; }', 'this condition is not understood'),
    ('match a { status; }', 'this condition is not understood'),
    ('match a { header A like b; }', 'this condition is not understood'),
    ('match a { body = b; }', 'this condition is not understood'),
    ('match a { colour red; }', 'this condition is not understood'),
    ('match a { body ~ "("; }', '('),
])
def test_mistakes(engine, tmp_path, text, says):
    (tmp_path / 'weir.conf').write_text(f'events {{ }} http {{ {text} }}')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', f'{tmp_path}/weir.conf'],
                         capture_output=True, text=True)
    assert run.returncode == 1 and says in run.stderr, run.stderr


def test_servers_that_come_and_go(weir, pair):
    one, two = pair
    servers = '/api/9/http/upstreams/back/servers'
    s = weir('''location /api { api write=on; } location / { proxy_pass http://back;
                health_check interval=30ms uri=/health mandatory; }''',
             http=f'upstream back {{ zone back; server {one.at}; }}')
    until(lambda: s.get('/').text == 'one')
    two.health = reply('', '500 Oh')
    assert s.get(servers, method='POST', body=f'{{"server":"{two.at}"}}'.encode()).status == 201
    until(lambda: len(two.checks()) > 3)
    assert {s.get('/').text for _ in range(6)} == {'one'} and two.uses() == 0
    two.health = reply('fine')
    until(lambda: {s.get('/').text for _ in range(6)} == {'one', 'two'})
    assert s.get(servers + '/1', method='DELETE').status == 200
    time.sleep(0.4)
    seen = len(two.asked)
    time.sleep(0.3)
    assert len(two.asked) == seen
    peer = json.loads(s.get('/api/9/http/upstreams/back').body)['peers'][0]
    assert peer['health_checks']['checks'] > 5 and peer['health_checks']['last_passed'] is True
