"""early_hints: answers 103 of proxied servers, and which clients are given them."""
import threading

import pytest
from upstreams import Upstream, reply

HINT = ('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n'
        'Connection: close\r\nX-Hidden: 1\r\nServer: other\r\n\r\n')


class Hinting:
    """A server that says `hints`, and answers when it is let go."""

    def __init__(self, *hints):
        self.go, self.hints = threading.Event(), hints

    def __call__(self, peer, asked):
        for hint in self.hints:
            peer.send(hint)
        assert self.go.wait(10)
        peer.send(reply('whole', fields=('X-Own: yes',)))


def site(weir, up, more='early_hints $arg_hints;', **kw):
    return weir(f'location / {{ proxy_pass http://{up.at}; proxy_hide_header X-Hidden; {more} }}',
                **kw)


def send(c, path='/?hints=1', version='1.1', body=''):
    more = f'Content-Length: {len(body)}\r\n' if body else ''
    c.send(f'GET {path} HTTP/{version}\r\nHost: a.test\r\n{more}\r\n{body}')


def test_they_come_before_the_answer(weir):
    script = Hinting(HINT)
    with Upstream(script) as up, site(weir, up).connect() as c:
        send(c)
        hint = c.answer()                       # the server has not answered yet
        assert hint.status == 103 and hint.reason == 'Early Hints'
        assert hint.headers == {'link': ['</a.css>; rel=preload', '</b.js>; rel=preload']}
        script.go.set()
        a = c.answer()
        assert (a.status, a.text, a['x-own'], a['link']) == (200, 'whole', 'yes', None)
        send(c)                                 # the connection is as good as before
        assert [c.answer().status for _ in range(2)] == [103, 200]


def test_several(weir):
    script = Hinting(HINT.replace('a.css', 'one.css'))
    with Upstream(script) as up, site(weir, up).connect() as c:
        script.hints += ('HTTP/1.1 102 Processing\r\n\r\n', HINT.replace('a.css', 'two.css'))
        send(c)
        assert 'one.css' in c.answer()['link']
        script.go.set()
        found = [c.answer()]
        while found[-1].status == 103:          # one that comes while another is sent is left out
            found.append(c.answer())
        assert found[-1].text == 'whole' and len(found) <= 2


def test_with_a_request_body(weir):
    script = Hinting(HINT)
    with Upstream(script) as up, site(weir, up).connect() as c:
        send(c, body='x' * 5000)
        assert c.answer().status == 103
        script.go.set()
        assert c.answer().text == 'whole' and len(up.last.body) == 5000


@pytest.mark.parametrize('path, version, more', [
    ('/', '1.1', 'early_hints $arg_hints;'), ('/?hints=0', '1.1', 'early_hints $arg_hints;'),
    ('/?hints=1', '1.1', ''), ('/?hints=1', '1.0', 'early_hints $arg_hints;')])
def test_who_gets_none(weir, path, version, more):
    script = Hinting(HINT)
    script.go.set()
    with Upstream(script) as up, site(weir, up, more).connect() as c:
        send(c, path, version)
        a = c.answer()
        assert (a.status, a.text, a['link']) == (200, 'whole', None)


def test_one_without_fields_is_left_out(weir):
    script = Hinting('HTTP/1.1 103 Early Hints\r\nX-Hidden: 1\r\n\r\n')
    script.go.set()
    with Upstream(script) as up, site(weir, up).connect() as c:
        send(c)
        assert c.answer().status == 200


def test_a_client_that_leaves_meanwhile(weir):
    script = Hinting(HINT)
    with Upstream(script) as up:
        s = site(weir, up)
        with s.connect() as c:
            send(c)
            assert c.answer().status == 103
        script.go.set()
        assert s.get('/').text == 'whole'


def test_it_changes_no_answer_of_ours(weir):
    s = weir('early_hints $http_sec_fetch_mode; location /x { early_hints 0; }')
    assert s.get('/file.txt', headers={'Sec-Fetch-Mode': 'navigate'}).status == 200


@pytest.mark.one_engine
@pytest.mark.parametrize('line, says', [
    ('early_hints;', 'early_hints'),
    ('early_hints $no_such;', 'no_such'),
    ('early_hints 1; early_hints 0;', 'early_hints'),
    ('if ($arg_a) { early_hints 1; }', 'early_hints')])
def test_mistakes(weir, line, says):
    run = weir(line, start=False).command('-t')
    assert run.returncode == 1 and says in run.stderr, run.stderr
