"""sticky: sessions stay with their server."""
import hashlib
import re
import subprocess
import time

import pytest

from conftest import BINARY
from upstreams import Upstream, reply


@pytest.fixture
def three():
    apps = [Upstream(reply(name)) for name in ('one', 'two', 'three')]
    yield apps
    for app in apps:
        app.close()


def behind(weir, apps, sticky, words=('', '', ''), more=''):
    servers = ''.join(f'server {a.at} {w};' for a, w in zip(apps, words))
    return weir('location / { proxy_pass http://back; }',
                http=f'{more} upstream back {{ {servers} {sticky} }}')


def cookie(answer):
    return (answer['set-cookie'] or '').partition(';')[0]


def md5(app):
    return hashlib.md5(app.at.encode()).hexdigest()


def test_a_cookie(weir, three):
    s = behind(weir, three, 'sticky cookie srv;')
    first = [s.get('/') for _ in range(3)]
    assert {a.text for a in first} == {'one', 'two', 'three'}
    for a in first:
        app = three[('one', 'two', 'three').index(a.text)]
        assert a['set-cookie'] == f'srv={md5(app)}'
        for _ in range(5):
            again = s.get('/', headers={'Cookie': f'x=y; {cookie(a)}'})
            assert again.text == a.text and again['set-cookie'] is None
    a = s.get('/', headers={'Cookie': 'srv=nonsense'})
    assert cookie(a).startswith('srv=')


def test_its_attributes(weir, three):
    s = behind(weir, three, 'sticky cookie srv expires=1h domain=.a.test path=/x secure httponly '
               'samesite=$arg_s;', ('route=a',) * 3)
    text = s.get('/?s=lax')['set-cookie']
    assert re.fullmatch(r'srv=a; expires=\w{3}, .* GMT; max-age=3600; domain=.a.test; path=/x; '
                        r'samesite=lax; secure; httponly', text), text
    assert 'samesite' not in s.get('/')['set-cookie']
    s = behind(weir, three, 'sticky cookie srv expires=max;')
    assert s.get('/')['set-cookie'].endswith('max-age=315360000')


def test_a_server_that_is_gone(weir, three):
    s = behind(weir, three, 'sticky cookie srv;')
    a = s.get('/')
    three[('one', 'two', 'three').index(a.text)].close()
    b = s.get('/', headers={'Cookie': cookie(a)})
    assert b.status == 200 and b.text != a.text and cookie(b) not in ('', cookie(a))


def test_one_that_is_down_and_a_backup(weir, three):
    s = behind(weir, three, 'sticky cookie srv;', ('route=a down', 'route=b', 'route=c backup'))
    assert s.get('/', headers={'Cookie': 'srv=a'}).text == 'two'
    assert s.get('/', headers={'Cookie': 'srv=c'}).text == 'three'
    assert s.get('/').text == 'two'


def test_draining(weir, three):
    s = behind(weir, three, 'sticky cookie srv;', ('route=a drain', 'route=b', 'route=c'))
    assert {s.get('/').text for _ in range(8)} == {'two', 'three'}
    for _ in range(3):
        assert s.get('/', headers={'Cookie': 'srv=a'}).text == 'one'


def test_routes(weir, three):
    s = behind(weir, three, 'sticky route $route $arg_r;', ('route=a', 'route=b', 'route=c'),
               r'map $cookie_JSESSIONID $route { ~.+\.(?<r>\w+)$ $r; }')
    for route, text in (('a', 'one'), ('b', 'two'), ('c', 'three')):
        for _ in range(3):
            assert s.get(f'/?r={route}').text == text
            a = s.get('/?r=c', headers={'Cookie': f'JSESSIONID=0123.{route}'})
            assert a.text == text and a['set-cookie'] is None
    assert {s.get('/?r=none').text for _ in range(6)} == {'one', 'two', 'three'}


@pytest.mark.parametrize('method', ['least_conn;', 'ip_hash;', 'random;', 'hash $arg_k;'])
def test_with_methods(weir, three, method):
    s = behind(weir, three, f'{method} sticky cookie srv;')
    for app, text in zip(three, ('one', 'two', 'three')):
        for _ in range(3):
            assert s.get('/', headers={'Cookie': f'srv={md5(app)}'}).text == text


@pytest.mark.one_engine
@pytest.mark.parametrize('text, says', [
    ('sticky session x;', 'this is no way to know a session'),
    ('sticky cookie "a b";', 'the cookie needs a name'),
    ('sticky cookie a expires=never;', 'this is no time'),
    ('sticky cookie a tasty;', 'this is nothing that a cookie has'),
    ('sticky learn create=$arg_a;', 'must all be there'),
    ('sticky learn create=$arg_a lookup=$arg_a zone=s:64k timeout=x;', 'no time'),
    ('sticky learn create=$arg_a lookup=$arg_a zone=s:64k often;', 'sessions are learned by'),
    ('sticky learn create=$arg_a lookup=$arg_a zone=s:1;', 'zone'),
    ('sticky route $nobody;', '$nobody'),
])
def test_mistakes(engine, tmp_path, text, says):
    (tmp_path / 'weir.conf').write_text(
        f'events {{ }} http {{ upstream a {{ server 127.0.0.1; {text} }} }}')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', f'{tmp_path}/weir.conf'],
                         capture_output=True, text=True)
    assert run.returncode == 1 and says in run.stderr, run.stderr


# ---- learn --------------------------------------------------------------------------------

LEARN = 'sticky learn create=$upstream_cookie_sid lookup=$cookie_sid zone=sessions:64k %s;'


def sessions(name):
    """Begins a session where the client asks for one."""
    def script(peer, asked):
        new = asked.target.partition('?new=')[2]
        peer.send(reply(name, fields=[f'Set-Cookie: sid={new}; Path=/'] if new else []))
    return Upstream(script)


@pytest.fixture
def learning():
    apps = [sessions(name) for name in ('one', 'two', 'three')]
    yield apps
    for app in apps:
        app.close()


def ask_as(s, sid):
    return s.get('/', headers={'Cookie': f'sid={sid}'}).text


@pytest.mark.parametrize('word', ['', 'header'])
def test_learn(weir, learning, word):
    s = behind(weir, learning, LEARN % word)
    begun = {f's{i}': s.get(f'/?new=s{i}').text for i in range(6)}
    assert set(begun.values()) == {'one', 'two', 'three'}
    for _ in range(3):
        assert {sid: ask_as(s, sid) for sid in begun} == begun
    assert {ask_as(s, 'unknown') for _ in range(6)} == {'one', 'two', 'three'}
    assert s.command('-s', 'reload').returncode == 0
    assert {sid: ask_as(s, sid) for sid in begun} == begun      # a reload forgets nobody


def test_learn_forgets(weir, learning):
    s = behind(weir, learning, LEARN % 'timeout=500ms')
    first = s.get('/?new=a').text
    for _ in range(4):
        time.sleep(0.3)
        assert ask_as(s, 'a') == first
    time.sleep(0.8)
    assert {ask_as(s, 'a') for _ in range(6)} == {'one', 'two', 'three'}


def test_learn_when_a_server_goes(weir, learning):
    s = behind(weir, learning, LEARN % '' + 'zone back;', more='')
    first = s.get('/?new=a').text
    learning[('one', 'two', 'three').index(first)].close()
    assert ask_as(s, 'a') != first
    for i in range(3000):       # more sessions than the zone holds: the oldest make room
        if i % 3 == 0:
            c = s.connect()
        c.ask(f'/?new=n{i}')
    assert ask_as(s, 'n2999') == ask_as(s, 'n2999')


@pytest.mark.one_engine
def test_learn_sync_is_a_notice(weir, learning):
    s = behind(weir, learning, LEARN % 'sync')
    assert '`sync` is ignored' in s.command('-t').stderr
