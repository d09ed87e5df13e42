"""What is worked out for each server that is asked: allow_upstream, bind_dynamic,
request_dynamic; and ntlm, whose connections belong to clients' connections."""
import pytest

from upstreams import Upstream, reply


class Told(Upstream):
    """Answers with its name and the address that it was asked from."""

    def __init__(self, name, status='200 OK'):
        self.name, self.status = name, status
        super().__init__(self.tell)

    def tell(self, peer, asked):
        peer.send(reply(f'{self.name} {peer.sock.getpeername()[0]}', self.status))


@pytest.fixture
def two():
    apps = [Told('one'), Told('two')]
    yield apps
    for app in apps:
        app.close()


def behind(weir, two, location, more='', words=('', '')):
    servers = ' '.join(f'server {a.at} {w};' for a, w in zip(two, words))
    return weir(f'location / {{ proxy_pass http://app; {location} }}',
                http=f'upstream app {{ {servers} }} {more}')


def good(app, variable='$good', host=False):
    key = f'~^{app.at}$' if not host else app.at
    return f'map $upstream_last_addr {variable} {{ volatile; default 0; {key} 1; }}'


def test_allow(weir, two):
    s = behind(weir, two, 'proxy_allow_upstream $good;', good(two[0]))
    assert sorted(s.get('/').status for _ in range(4)) == [200, 200, 403, 403]
    s.wait_log('upstream is not allowed')
    assert not two[1].asked
    s = behind(weir, two, 'proxy_allow_upstream $good; proxy_next_upstream denied;', good(two[0]))
    assert [s.get('/').text for _ in range(4)] == ['one 127.0.0.1'] * 4
    s = behind(weir, two, 'proxy_allow_upstream $arg_a $arg_b;')
    assert s.get('/?a=1&b=x').status == 200
    assert [s.get(p).status for p in ('/?a=1', '/?a=0&b=1', '/')] == [403] * 3


def test_bind(weir, two):
    s = behind(weir, two, 'proxy_bind $arg_from;')
    assert s.get('/?from=127.0.0.7').text.endswith(' 127.0.0.7')
    assert s.get('/').text.endswith(' 127.0.0.1')
    assert s.get('/?from=off').text.endswith(' 127.0.0.1')
    assert s.get('/?from=nonsense').status == 200
    s.wait_log('"nonsense" is no address to connect from')


def test_bind_dynamic(weir, two):
    two[0].status = '500 Oh'
    froms = f'map $upstream_last_addr $from {{ volatile; default 127.0.0.8; ' \
        f'~^{two[1].at}$ 127.0.0.9; }}'
    for flag, seen in (('on', '127.0.0.9'), ('off', '127.0.0.8')):
        s = behind(weir, two, f'proxy_bind $from; proxy_bind_dynamic {flag}; '
                   'proxy_next_upstream http_500;', froms)
        assert s.get('/').text == f'two {seen}'


def test_request_dynamic(weir, two):
    two[0].status = '500 Oh'
    for flag in ('on', 'off'):
        s = behind(weir, two, 'proxy_set_header X-To $upstream_last_addr; '
                   f'proxy_set_body "to:$upstream_last_addr"; proxy_request_dynamic {flag}; '
                   'proxy_next_upstream http_500;')
        assert s.get('/').status == 200
        last = two[1].asked[-1]
        assert last['X-To'] == (two[1].at if flag == 'on' else None)
        assert last.body == (f'to:{two[1].at}' if flag == 'on' else 'to:').encode()


def test_ntlm(weir, two):
    servers = ' '.join(f'server {a.at};' for a in two)
    s = weir('location / { proxy_pass http://app; }', http=f'upstream app {{ {servers} ntlm; }}')
    clients = [s.connect() for _ in range(4)]
    for _ in range(5):
        for c in clients:
            assert c.ask('/').status == 200
    used = [(app.name, asked.connection) for app in two for asked in app.asked]
    assert len(used) == 20 and len(set(used)) == 4      # one connection for each client
    assert all(used.count(u) == 5 for u in used)
    for c in clients:
        c.close()


@pytest.mark.one_engine
def test_words(weir, two):
    s = weir('location / { proxy_pass http://a.test; proxy_bind 127.0.0.1 often; }', start=False)
    r = s.command('-t')
    assert r.returncode == 1 and 'is no address of this machine' in r.stderr
    s.rewrite(s.conf.read_text().replace('proxy_bind 127.0.0.1 often',
                                         'proxy_allow_upstream' + ' $arg_a' * 9))
    r = s.command('-t')
    assert r.returncode == 1 and 'more than 8 conditions' in r.stderr
