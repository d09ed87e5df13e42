"""server … resolve: servers of an upstream come and go with what the name servers say."""
import subprocess
import threading
import time

import pytest

from conftest import BINARY
from names import A, AAAA, SERVFAIL, SRV, Names
from upstreams import Upstream, reply


@pytest.fixture
def names():
    made = []

    def make(*args, **kwargs):
        made.append(Names(*args, **kwargs))
        return made[-1]
    yield make
    for n in made:
        n.close()


@pytest.fixture
def apps():
    made = [Upstream(reply(str(i))) for i in range(3)]
    yield made
    for app in made:
        app.close()


def service(apps, *places):
    """SRV records for these apps, and the name that they are under."""
    return {('_http._tcp.back.test', SRV): [(0, 1, apps[i].port, 'host.test') for i in places],
            ('host.test', A): ['127.0.0.1']}


def behind(weir, ns, line, more='', body='', options='ipv6=off'):
    return weir(f'location / {{ proxy_pass http://back; {body} }}',
                http=f'resolver {ns.at} {options}; resolver_timeout 2s; '
                     f'upstream back {{ zone back 64k; {line} {more} }}')


def until(check, seconds=10):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def becomes(ns, zone):
    """The name server says something else, and was asked since: of what weir knew before, a
    method that likes one server best may show no more than that one."""
    ns.zone, asked = zone, ns.count('host.test')
    until(lambda: ns.count('host.test') > asked)


def texts(s, count=30):
    return {a.text for a in (s.get(f'/?k={i}') for i in range(count)) if a.status == 200}


def test_an_address_follows(weir, names, apps):
    ns = names({('back.test', A): ['127.0.0.9']}, ttl=1)
    s = behind(weir, ns, f'server back.test:{apps[0].port} resolve max_fails=0;')
    until(lambda: ns.count('back.test') > 0)
    assert s.get('/').status == 502
    ns.zone = {('back.test', A): ['127.0.0.1']}
    until(lambda: s.get('/').text == '0')
    ns.zone = {('other.test', A): ['127.0.0.1']}  # the name does not exist any more
    until(lambda: s.get('/').status == 502)
    s.wait_log('in upstream "back" could not be resolved: there is no such name')


@pytest.mark.parametrize('method', [
    '', 'least_conn;', 'random two;', 'hash $arg_k;', 'hash $arg_k consistent;',
    'least_time header;', 'sticky cookie srv;'])
def test_servers_come_and_go(weir, names, apps, method):
    ns = names(service(apps, 0, 1), ttl=1)
    s = behind(weir, ns, 'server back.test service=http resolve;', method)
    seen = set()
    until(lambda: seen.update(texts(s)) or seen == {'0', '1'})
    becomes(ns, service(apps, 1, 2))
    until(lambda: texts(s) <= {'1', '2'})
    becomes(ns, service(apps, 0))
    until(lambda: texts(s) == {'0'})
    becomes(ns, service(apps, 0, 1, 2))
    # least_time asks each new server once; the old one only if it is not slower than they are
    new = {'1', '2'} if 'least_time' in method else {'0', '1', '2'}
    seen = set()
    until(lambda: seen.update(texts(s)) or seen >= new)


def test_weights_and_priorities_of_a_service(weir, names, apps):
    a, b, c = apps
    ns = names({('_x._udp.back.test', SRV): [(1, 3, a.port, 'h.test'), (1, 1, b.port, 'h.test'),
                                             (2, 9, c.port, 'h.test')],
                ('h.test', A): ['127.0.0.1']}, ttl=60)
    s = behind(weir, ns, 'server back.test service=_x._udp resolve;')
    until(lambda: s.get('/').status == 200)
    got = [s.get('/').text for _ in range(40)]
    assert got.count('0') == 30 and got.count('1') == 10
    a.close()
    b.close()
    assert s.get('/').text == '2'


def test_beside_servers_that_stay(weir, names, apps):
    ns = names(service(apps, 1), ttl=1)
    s = behind(weir, ns, f'server {apps[0].at}; server back.test service=http resolve;')
    until(lambda: texts(s) == {'0', '1'})
    ns.zone = service(apps)
    until(lambda: texts(s) == {'0'})


def test_a_name_server_that_fails_changes_nothing(weir, names, apps):
    ns = names(service(apps, 0), ttl=1)
    s = behind(weir, ns, 'server back.test service=http resolve;')
    until(lambda: s.get('/').status == 200)
    ns.behave = lambda server, q: [server.answer(q[0], rcode=SERVFAIL)]
    s.wait_log('in upstream "back" could not be resolved: no name server could answer')
    assert texts(s) == {'0'}


def test_a_reload_begins_with_what_was_known(weir, names, apps):
    ns = names(service(apps, 0, 1), ttl=60)
    s = behind(weir, ns, 'server back.test service=http resolve;', 'sticky cookie srv;')
    until(lambda: texts(s) == {'0', '1'})
    hold = threading.Event()
    ns.behave = lambda server, q: hold.wait(10) and None
    for _ in range(5):
        assert s.command('-s', 'reload').returncode == 0
        assert all(s.get('/').status == 200 for _ in range(10))
    hold.set()


def test_requests_on_a_server_that_goes(weir, names, apps):
    hold = threading.Event()

    def slow(peer, asked):
        if asked.target == '/hold':
            hold.wait(10)
        peer.send(reply('slow'))

    apps[0].script = slow
    ns = names(service(apps, 0), ttl=1)
    s = behind(weir, ns, 'server back.test service=http resolve;',
               body='add_header X-From $upstream_addr;')
    got = []
    until(lambda: ns.count('host.test') > 0)
    time.sleep(0.3)
    one = threading.Thread(target=lambda: got.append(s.get('/hold')))
    one.start()
    until(lambda: apps[0].asked)
    ns.zone = service(apps, 1)
    until(lambda: s.get('/').text == '1')
    hold.set()
    one.join()
    assert got[0].text == 'slow' and got[0]['X-From'] == apps[0].at


def test_churn_under_load(weir, names, apps):
    ns = names(service(apps, 0, 1, 2), ttl=1)
    s = behind(weir, ns, 'server back.test service=http resolve;')
    until(lambda: s.get('/').status == 200)
    end, bad = time.monotonic() + 4, []

    def load():
        while time.monotonic() < end:
            a = s.get('/')
            if a.status != 200:
                bad.append(a.status)
    crowd = [threading.Thread(target=load) for _ in range(4)]
    for t in crowd:
        t.start()
    step = 0
    while time.monotonic() < end:
        ns.zone = service(apps, step % 3, (step + 1) % 3)
        step += 1
        time.sleep(0.3)
    for t in crowd:
        t.join()
    assert bad == []


@pytest.mark.parametrize('text, says', [
    ('server 127.0.0.1 resolve;', 'an address has nothing to resolve'),
    ('server a.test service=http;', 'service= is asked for at run time'),
    ('server a.test service= resolve;', 'service= names nothing'),
    ('server a.test:80 service=http resolve;', 'a service says which ports it has'),
    ('server a.test resolve backup;', 'every server here is a backup')])
def test_mistakes(weir, text, says):
    s = weir('', http=f'resolver 127.0.0.1; upstream a {{ zone a 64k; {text} }}', start=False)
    run = s.command('-t')
    assert run.returncode != 0 and says in run.stderr, run.stderr


def test_health_checks_see_them(weir, names, apps):
    ns = names(service(apps, 0), ttl=1)
    s = behind(weir, ns, 'server back.test service=http resolve max_fails=0;',
               body='health_check interval=50ms uri=/health mandatory;')
    until(lambda: texts(s, 1) == {'0'})
    assert '/health' in [a.target for a in apps[0].asked]
    ns.zone.update(service(apps, 1))
    until(lambda: texts(s, 1) == {'1'})
    assert apps[1].asked[0].target == '/health'         # before anything else
    until(lambda: len(apps[1].asked) > 3)
    seen = len(apps[0].asked)
    time.sleep(0.3)
    assert len(apps[0].asked) == seen                   # who has gone is left alone


def test_explain_names_them(weir):
    s = weir('location / { proxy_pass http://a; }', start=False,
             http='resolver 127.0.0.1; upstream a { server a.test resolve; }')
    told = subprocess.run([BINARY, 'explain', '-p', f'{s.dir}/', '-c', s.conf,
                           f'http://a.test:{s.port}/'], capture_output=True, text=True)
    assert 'what the name servers say of a.test' in told.stdout, told


def test_both_families_and_the_upstreams_own_resolver(weir, names, apps):
    ns = names({('back.test', A): ['127.0.0.1'], ('back.test', AAAA): ['::1']})
    s = weir('location / { proxy_pass http://back; }',
             http=f'upstream back {{ zone z 64k; resolver {ns.at}; resolver_timeout 1s; '
                  f'server back.test:{apps[0].port} resolve; }}')
    until(lambda: s.get('/').text == '0')
    assert {s.get('/').status for _ in range(10)} == {200}
    assert ns.count('back.test', AAAA) >= 1
