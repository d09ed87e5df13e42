"""resolver: names in proxy_pass that are asked for at run time, of scripted name servers."""
import socket
import threading
import time

import pytest

from names import A, AAAA, CNAME, NXDOMAIN, REFUSED, SERVFAIL, Names, record
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
def app():
    up = Upstream(reply('hello'))
    yield up
    up.close()


def asking(weir, app, servers, options='', more=''):
    at = ' '.join(s.at for s in servers)
    return weir(f'resolver {at} {options}; resolver_timeout 3s; {more}'
                f'location / {{ proxy_pass http://$arg_name:{app.port}; }}')


def get(s, name):
    return s.get(f'/?name={name}')


def test_a_name_is_kept_as_long_as_it_says(weir, names, app):
    ns = names({('a.test', A): ['127.0.0.1']}, ttl=1)
    s = asking(weir, app, [ns])
    for _ in range(5):
        assert get(s, 'A.test').text == 'hello'
    assert ns.count('a.test') == 1 and ns.count('a.test', AAAA) >= 1
    time.sleep(1.2)
    assert get(s, 'a.test').text == 'hello'
    assert ns.count('a.test') == 2
    assert len(ns.ids) > 1 and len(ns.ports) > 1


def test_valid_says_it_instead(weir, names, app):
    ns = names({('a.test', A): ['127.0.0.1']}, ttl=1)
    s = asking(weir, app, [ns], 'valid=1h ipv6=off')
    assert get(s, 'a.test').text == 'hello'
    time.sleep(1.2)
    assert get(s, 'a.test').text == 'hello'
    assert ns.asked == [('a.test', A)]


def test_aliases(weir, names, app):
    def behave(server, question):
        query, name, kind, _ = question
        if name == 'far.test':  # its records do not come along
            return [server.answer(query, [record(name, CNAME, 'b.test')])]
        if name.startswith('loop'):
            return [server.answer(query, [record(name, CNAME, f'loop{len(server.asked)}.test')])]
        return None
    ns = names({('a.test', CNAME): ['b.test'], ('b.test', CNAME): ['c.test'],
                ('c.test', A): ['127.0.0.1']}, behave)
    s = asking(weir, app, [ns], 'ipv6=off')
    assert get(s, 'a.test').text == 'hello' and ns.asked == [('a.test', A)]
    assert get(s, 'far.test').text == 'hello'
    assert get(s, 'loop.test').status == 502
    assert len(ns.asked) < 15


def test_what_does_not_fit_is_asked_for_over_tcp(weir, names, app):
    def behave(server, question):
        query, name, kind, tcp = question
        many = [record(name, A, '127.0.0.1')] * 200
        return [server.answer(query, many)] if tcp else [server.answer(query, [], truncated=True)]
    s = asking(weir, app, [names(behave=behave)], 'ipv6=off')
    assert get(s, 'a.test').text == 'hello'


def test_forged_answers_are_not_heard(weir, names, app):
    def behave(server, question):
        query, name, kind, _ = question
        lie = record(name, A, '127.0.0.9')
        other = query.replace(b'\x01a\x04test', b'\x01x\x04test')
        return [server.answer(query, [lie], ident=bytes([query[0] ^ 1, query[1]])),
                server.answer(other, [record('x.test', A, '127.0.0.9')]),
                query, b'', b'\0', query[:11],
                server.answer(query, [record(name, A, '127.0.0.1')])]
    s = asking(weir, app, [names(behave=behave)], 'ipv6=off')
    assert get(s, 'a.test').text == 'hello'


def test_another_server_when_one_is_of_no_use(weir, names, app):
    zone = {('a.test', A): ['127.0.0.1'], ('b.test', A): ['127.0.0.1'],
            ('c.test', A): ['127.0.0.1'], ('d.test', A): ['127.0.0.1']}
    bad = names(behave=lambda server, q: {
        'a.test': [server.answer(q[0], rcode=SERVFAIL)],
        'b.test': [server.answer(q[0], rcode=REFUSED)],
        'c.test': [],
        'd.test': [server.answer(q[0], [b'\xff' * 20])]}[q[1]])
    good = names(zone)
    s = asking(weir, app, [bad, good], 'ipv6=off')
    for name in ('a.test', 'b.test', 'c.test'):
        assert get(s, name).text == 'hello', name
    gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gone.bind(('127.0.0.1', 0))
    closed = type('Closed', (), {'at': f'127.0.0.1:{gone.getsockname()[1]}'})
    gone.close()
    s = asking(weir, app, [closed, good], 'ipv6=off')
    assert get(s, 'a.test').text == 'hello' and get(s, 'b.test').text == 'hello'


@pytest.mark.parametrize('rcode, said', [
    (NXDOMAIN, 'there is no such name, or it has no address'),
    (SERVFAIL, 'no name server could answer')])
def test_no_such_name(weir, names, app, rcode, said):
    ns = names(behave=lambda server, q: [server.answer(q[0], rcode=rcode)])
    s = asking(weir, app, [ns])
    assert get(s, 'a.test').status == 502
    s.wait_log(f'"a.test" could not be resolved: {said}')


def test_silence_ends(weir, names, app):
    ns = names(behave=lambda server, q: [])
    s = asking(weir, app, [ns], 'ipv6=off')
    began = time.monotonic()
    assert get(s, 'a.test').status == 502
    assert 2.5 < time.monotonic() - began < 10
    assert ns.count('a.test') >= 2
    s.wait_log('"a.test" could not be resolved: no name server answered in time')


def test_one_question_for_all_who_want_it(weir, names, app):
    hold = threading.Event()

    def behave(server, question):
        hold.wait(5)
        return [server.answer(question[0], [record(question[1], A, '127.0.0.1')])]
    ns = names(behave=behave)
    s = asking(weir, app, [ns], 'ipv6=off')
    texts = []
    crowd = [threading.Thread(target=lambda: texts.append(get(s, 'a.test').text))
             for _ in range(20)]
    for t in crowd:
        t.start()
    time.sleep(0.3)
    hold.set()
    for t in crowd:
        t.join()
    assert texts == ['hello'] * 20 and ns.count('a.test') == 1


def test_a_client_that_goes_away_meanwhile(weir, names, app):
    hold = threading.Event()

    def behave(server, question):
        hold.wait(5)
        return None
    s = asking(weir, app, [names({('a.test', A): ['127.0.0.1']}, behave)], 'ipv6=off')
    for _ in range(5):
        with s.connect() as c:
            c.send("GET /?name=a.test HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.2)
    hold.set()
    assert get(s, 'a.test').text == 'hello'


def test_hosts_are_not_asked_for(weir, names, app):
    ns = names()
    s = asking(weir, app, [ns])
    assert get(s, 'localhost').text == 'hello'
    assert ns.asked == []


def test_a_reload_while_a_name_is_asked_for(weir, names, app):
    hold = threading.Event()

    def behave(server, question):
        hold.wait(5)
        return None
    s = asking(weir, app, [names({('a.test', A): ['127.0.0.1']}, behave)], 'ipv6=off')
    texts = []
    one = threading.Thread(target=lambda: texts.append(get(s, 'a.test').text))
    one.start()
    time.sleep(0.2)
    assert s.command('-s', 'reload').returncode == 0
    hold.set()
    one.join()
    assert texts == ['hello']
    assert get(s, 'a.test').text == 'hello'
