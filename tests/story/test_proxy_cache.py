"""proxy_cache and its kin: answers that are kept."""
import hashlib
import os
import random
import tempfile
import threading
import time
from email.utils import formatdate

import pytest
from upstreams import Upstream, reply

PATH = 'proxy_cache_path cache levels=1:2 keys_zone=one:1m inactive={inactive} {more};'
BIG = random.Random(2).randbytes(3_000_000)


class Pages:
    """Answers /path with what was put there, numbered; `fields` and `status` of each."""

    def __init__(self):
        self.pages, self.count, self.gate = {}, 0, None
        self.up = Upstream(self.script)
        self.at = self.up.at

    def put(self, path, body='page', fields=(), status='200 OK'):
        self.pages[path] = (body, list(fields), status)

    def script(self, peer, asked):
        self.count += 1
        if self.gate:
            self.gate.wait(10)
        page = self.pages.get(asked.target.split('?')[0], ('page', [], '200 OK'))
        if callable(page):
            return page(peer, asked)
        body, fields, status = page
        if isinstance(body, str):
            body = f'{body} {self.count}'.encode()
        answer = reply(body, status, fields)
        peer.send(answer.split(b'\r\n\r\n')[0] + b'\r\n\r\n' if asked.method == 'HEAD' else answer)


@pytest.fixture
def up():
    pages = Pages()
    with pages.up:
        yield pages


def cached(weir, up, more='proxy_cache_valid 200 1m;', inactive='10m', path='', http='', **kw):
    zone = '' if 'proxy_cache $' in more else 'proxy_cache one;'
    return weir(f'''location / {{ proxy_pass http://{up.at}; {zone} {more}
                    add_header X-Cache $upstream_cache_status always; }}''',
                http=PATH.format(inactive=inactive, more=path) + http, **kw)


def ask(s, path='/', **kw):
    a = s.get(path, **kw)
    return a['X-Cache'], a.text


def files(s):
    return sorted(p for p in (s.dir / 'cache').glob('**/*') if len(p.name) >= 32)


def all_of(c):
    """What comes until the connection ends, however it does."""
    data = b''
    try:
        while piece := c.sock.recv(4096):
            data += piece
    except ConnectionResetError:
        pass
    return data


def size_of(s):
    total = 0
    for path in files(s):
        try:
            total += path.stat().st_size
        except OSError:
            pass    # it has just gone, or got its name
    return total


def open_directory(s, path):
    """Makes it, for everybody: the worker may have another user than this."""
    path.mkdir(parents=True, exist_ok=True)
    while path != s.dir / 'cache':
        path.chmod(0o777)
        path = path.parent


def settle(s, count):
    for _ in range(100):
        found = files(s)
        if len(found) == count and all('.' not in p.name for p in found):
            return found
        time.sleep(0.03)
    raise AssertionError((files(s), s.log()))


# ---- hit and miss ------------------------------------------------------------------------------

def test_the_second_time_it_is_there(weir, up):
    s = cached(weir, up)
    assert ask(s, '/a?x=1') == ('MISS', 'page 1')
    path, = settle(s, 1)
    name = hashlib.md5(f'http{up.at}/a?x=1'.encode()).hexdigest()
    assert path == s.dir / 'cache' / name[-1] / name[-3:-1] / name
    assert path.stat().st_mode & 0o777 == 0o600
    for _ in range(5):
        assert ask(s, '/a?x=1') == ('HIT', 'page 1')
    assert ask(s, '/a?x=2') == ('MISS', 'page 2')
    assert up.count == 2


def test_what_a_hit_says(weir, up):
    up.put('/a', 'page', ['Content-Type: text/css', 'ETag: "e"', 'X-Own: 1', 'X-Gone: 1',
                          'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT', 'X-Accel-Expires: 60'])
    s = cached(weir, up, 'proxy_hide_header X-Gone; add_header X-Own-Own $upstream_http_x_own;')
    first = s.get('/a')
    settle(s, 1)
    again = s.get('/a')
    assert (first['X-Cache'], again['X-Cache']) == ('MISS', 'HIT')
    for name in ('Content-Type', 'ETag', 'X-Own', 'Last-Modified', 'Content-Length', 'X-Own-Own',
                 'X-Gone', 'X-Accel-Expires', 'Accept-Ranges'):
        assert first[name] == again[name], name
    assert first['X-Gone'] is None and again['X-Own'] == '1' and again['X-Own-Own'] == '1'


@pytest.mark.parametrize('how', ['length', 'chunked'])
@pytest.mark.parametrize('size', [0, 1, 5000, 100_000, 3_000_000])
def test_sizes(weir, up, size, how):
    def script(peer, asked):
        body = BIG[:size]
        if how == 'length':
            peer.send(reply(body))
            return
        peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for i in range(0, size, 9000):
            piece = body[i:i + 9000]
            peer.send(b'%x\r\n%s\r\n' % (len(piece), piece))
        peer.send('0\r\n\r\n')

    up.pages['/'] = script
    s = cached(weir, up)
    assert s.get('/').body == BIG[:size]
    settle(s, 1)
    for _ in range(3):
        a = s.get('/')
        assert a['X-Cache'] == 'HIT' and a.body == BIG[:size]
    time.sleep(2.1)     # contents of small files are copied to memory
    for _ in range(3):
        a = s.get('/')
        assert a['X-Cache'] == 'HIT' and a.body == BIG[:size]
    assert up.count == 1


def test_ranges_and_conditions(weir, up):
    up.put('/a', BIG[:50_000], ['ETag: "e"', 'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT'])
    s = cached(weir, up)
    a = s.get('/a', headers={'Range': 'bytes=10-19', 'If-None-Match': '"other"'})
    assert (a.status, a.body, a['X-Cache']) == (206, BIG[10:20], 'MISS')
    assert up.up.last['Range'] is None and up.up.last['If-None-Match'] is None
    settle(s, 1)        # all of it, although the client wanted ten bytes
    a = s.get('/a', headers={'Range': 'bytes=49990-'})
    assert (a.status, a.body, a['X-Cache']) == (206, BIG[49_990:50_000], 'HIT')
    assert a['Content-Range'] == 'bytes 49990-49999/50000'
    a = s.get('/a', headers={'Range': 'bytes=0-1,5-6'})
    assert a.status == 206 and b'bytes 5-6/50000' in a.body
    assert s.get('/a', headers={'Range': 'bytes=60000-'}).status == 416
    a = s.get('/a', headers={'If-None-Match': 'W/"e"'})
    assert (a.status, a.body, a['ETag'], a['X-Cache']) == (304, b'', '"e"', 'HIT')
    a = s.get('/a', headers={'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT'})
    assert a.status == 304
    assert s.get('/a', headers={'If-Match': '"x"'}).status == 412
    assert up.count == 1


def test_head(weir, up):
    s = cached(weir, up)
    a = s.get('/a', method='HEAD')
    assert (a.status, a['X-Cache'], a['Content-Length'], a.body) == (200, 'MISS', '6', b'')
    assert up.up.last.method == 'GET'
    settle(s, 1)
    assert ask(s, '/a') == ('HIT', 'page 1')
    a = s.get('/a', method='HEAD')
    assert (a['X-Cache'], a['Content-Length']) == ('HIT', '6')
    s = cached(weir, up, 'proxy_cache_valid 200 1m; proxy_cache_convert_head off;')
    a = s.get('/b', method='HEAD')
    assert up.up.last.method == 'HEAD' and a['X-Cache'] == 'MISS'
    settle(s, 1)
    a = s.get('/b', method='HEAD')
    assert (a['X-Cache'], a['Content-Length']) == ('HIT', '6')
    assert ask(s, '/b')[0] == 'MISS'        # the answer to a HEAD is none to a GET
    settle(s, 1)
    assert ask(s, '/b')[0] == 'HIT'


def test_methods(weir, up):
    s = cached(weir, up)
    assert s.get('/a', method='POST', body=b'x')['X-Cache'] is None
    assert s.get('/a', method='GET', body=b'fat')['X-Cache'] is None
    assert ask(s, '/a')[0] == 'MISS'
    settle(s, 1)
    assert s.get('/a', method='POST', body=b'x')['X-Cache'] is None
    s = cached(weir, up, 'proxy_cache_methods POST; proxy_cache_valid 1m;')
    assert s.get('/p', method='POST', body=b'x')['X-Cache'] == 'MISS'
    settle(s, 1)
    assert s.get('/p', method='POST', body=b'y')['X-Cache'] == 'HIT'
    assert ask(s, '/p')[0] == 'MISS'        # what a POST got is nothing for a GET


# ---- how long ----------------------------------------------------------------------------------

IN_AN_HOUR, BEFORE = formatdate(time.time() + 3600, usegmt=True), formatdate(0, usegmt=True)


@pytest.mark.parametrize('fields, kept', [
    ([], False),
    (['Cache-Control: max-age=60'], True),
    (['Cache-Control: max-age=0'], False),
    (['Cache-Control: max-age=60, s-maxage=0'], False),
    (['Cache-Control: max-age=0', 'Cache-Control: s-maxage=60'], True),
    (['Cache-Control: max-age=60, private'], False),
    (['Cache-Control: max-age=60, no-store'], False),
    (['Cache-Control: max-age=60', 'Cache-Control: no-cache'], False),
    (['Cache-Control: max-age=60', 'Age: 59'], True),
    (['Cache-Control: max-age=60', 'Age: 60'], False),
    ([f'Expires: {IN_AN_HOUR}'], True),
    ([f'Expires: {BEFORE}'], False),
    (['Expires: 0'], False),
    ([f'Expires: {BEFORE}', 'Cache-Control: max-age=60'], True),
    (['X-Accel-Expires: 60'], True),
    (['X-Accel-Expires: 0', 'Cache-Control: max-age=60'], False),
    (['X-Accel-Expires: 60', 'Cache-Control: no-store'], True),
    (['X-Accel-Expires: @4000000000'], True),
    (['X-Accel-Expires: @1000000000', f'Expires: {IN_AN_HOUR}'], False),
    (['Cache-Control: max-age=60', 'Set-Cookie: a=b'], False),
    (['Cache-Control: max-age=60', 'Vary: *'], False),
    (['Cache-Control: max-age=60', 'Vary: Accept'], True),
])
@pytest.mark.one_engine
def test_what_answers_say(weir, up, fields, kept):
    up.put('/a', 'page', fields)
    s = cached(weir, up, '')
    assert ask(s, '/a') == ('MISS', 'page 1')
    if kept:
        settle(s, 1)
        assert ask(s, '/a') == ('HIT', 'page 1')
    else:
        time.sleep(0.1)
        assert ask(s, '/a') == ('MISS', 'page 2') and files(s) == []


@pytest.mark.one_engine
def test_fields_may_be_ignored(weir, up):
    up.put('/a', 'page', ['Cache-Control: no-store', f'Expires: {BEFORE}', 'X-Accel-Expires: 0',
                          'Set-Cookie: a=b', 'Vary: *'])
    s = cached(weir, up, '''proxy_cache_valid 1m; proxy_ignore_headers Cache-Control Expires
                            X-Accel-Expires Set-Cookie Vary;''')
    assert ask(s, '/a')[0] == 'MISS'
    settle(s, 1)
    assert ask(s, '/a')[0] == 'HIT'


@pytest.mark.parametrize('valid, status, kept', [
    ('1m', '200 OK', True), ('1m', '301 Moved', True), ('1m', '404 Not Found', False),
    ('404 1m', '404 Not Found', True), ('any 1m', '500 Error', True), ('any 1m', '206 Part', False),
    ('200 1m', '204 No Content', False), ('200 0', '200 OK', False), ('any 1m', '204 No', True),
])
@pytest.mark.one_engine
def test_valid(weir, up, valid, status, kept):
    up.put('/a', b'' if '204' in status else 'page', status=status)
    s = cached(weir, up, f'proxy_cache_valid {valid};')
    assert ask(s, '/a')[0] == 'MISS'
    time.sleep(0.15)
    a = s.get('/a')
    assert a['X-Cache'] == ('HIT' if kept else 'MISS') and a.status == int(status[:3])


def test_what_is_not_fresh_is_asked_for_again(weir, up):
    up.put('/a', 'page', ['Cache-Control: max-age=1'])
    s = cached(weir, up)
    assert ask(s, '/a') == ('MISS', 'page 1')
    settle(s, 1)
    assert ask(s, '/a') == ('HIT', 'page 1')
    time.sleep(2)
    assert ask(s, '/a') == ('EXPIRED', 'page 2')
    assert ask(s, '/a') == ('HIT', 'page 2')


def test_authorization(weir, up):
    up.put('/a', 'page', ['Cache-Control: max-age=60'])
    up.put('/public', 'page', ['Cache-Control: public, max-age=60'])
    s = cached(weir, up)
    who = {'headers': {'Authorization': 'Basic YTpi'}}
    for _ in range(2):
        assert ask(s, '/a', **who)[0] == 'MISS'
    assert ask(s, '/public', **who)[0] == 'MISS'
    assert ask(s, '/public', **who)[0] == 'HIT'
    s = cached(weir, up, 'proxy_cache_key $http_authorization$uri;')
    assert ask(s, '/a', **who)[0] == 'MISS'
    assert ask(s, '/a', **who)[0] == 'HIT'
    assert ask(s, '/a')[0] == 'MISS'


def test_vary(weir, up):
    def script(peer, asked):
        peer.send(reply(f'{asked["Accept-Language"]} {up.count}',
                        fields=['Vary: accept-language, X-None', 'Cache-Control: max-age=60']))

    up.pages['/a'] = script
    s = cached(weir, up)
    for language, n in (('de', 1), ('en', 2), ('fr', 3)):
        assert ask(s, '/a', headers={'Accept-Language': language}) == ('MISS', f'{language} {n}')
        settle(s, n)
    for language, n in (('fr', 3), ('de', 1), ('en', 2), ('de', 1)):
        assert ask(s, '/a', headers={'Accept-Language': language}) == ('HIT', f'{language} {n}')
    assert ask(s, '/a', headers={'Accept-Language': 'de', 'X-None': '1'})[0] == 'MISS'


# ---- which are kept ----------------------------------------------------------------------------

def test_bypass_and_no_cache(weir, up):
    s = cached(weir, up, '''proxy_cache_valid 1m; proxy_cache_bypass $arg_nothing $http_pragma;
                            proxy_no_cache $upstream_http_x_private;
                            proxy_cache_key $uri;''')
    assert ask(s, '/a') == ('MISS', 'page 1')
    settle(s, 1)
    assert ask(s, '/a', headers={'Pragma': '0'}) == ('HIT', 'page 1')
    assert ask(s, '/a', headers={'Pragma': 'no-cache'}) == ('BYPASS', 'page 2')
    for _ in range(100):    # until the file has been replaced, the old one is there
        if ask(s, '/a') == ('HIT', 'page 2'):
            break
        time.sleep(0.03)
    assert ask(s, '/a') == ('HIT', 'page 2')
    up.put('/b', 'page', ['X-Private: yes'])
    for _ in range(3):
        assert ask(s, '/b')[0] == 'MISS'


def test_min_uses(weir, up):
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_min_uses 3;')
    assert [ask(s, '/a')[0] for _ in range(3)] == ['SCARCE', 'SCARCE', 'MISS']
    settle(s, 1)
    assert ask(s, '/a') == ('HIT', 'page 3')


@pytest.mark.parametrize('how', ['short', 'chunks', 'close', 'reset'])
def test_what_was_cut_off_is_not_kept(weir, up, how):
    def script(peer, asked):
        if how == 'chunks':
            peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
        elif how == 'close':
            peer.send('HTTP/1.1 200 OK\r\n\r\nhello')
        else:
            peer.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello')
        if how == 'reset':
            time.sleep(0.1)
            peer.reset()
        return False

    up.pages['/a'] = script
    s = cached(weir, up, 'proxy_cache_valid any 1m;')
    for n in range(2):
        with s.connect() as c:
            c.send('GET /a HTTP/1.0\r\nHost: a.test\r\n\r\n')
            assert b'hello' in all_of(c)
    for _ in range(50):
        if files(s) == []:
            break
        time.sleep(0.03)
    assert files(s) == [] and up.count == 2


def test_a_client_that_leaves_leaves_its_answer_behind(weir, up):
    def script(peer, asked):
        peer.send(f'HTTP/1.1 200 OK\r\nContent-Length: {len(BIG)}\r\n\r\n')
        peer.send(BIG[:1_000_000])
        time.sleep(0.5)
        peer.send(BIG[1_000_000:])

    up.pages['/a'] = script
    s = cached(weir, up)
    with s.connect() as c:
        c.send('GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.fill()
    time.sleep(0.7)
    settle(s, 1)
    a = s.get('/a')
    assert a['X-Cache'] == 'HIT' and a.body == BIG and up.count == 1


def test_a_slow_client_does_not_hold_the_file_up(weir, up):
    body = BIG * 8
    up.put('/a', body)
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_buffers 4 8k;')
    with s.connect(timeout=20) as c:
        c.send('GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n')
        settle(s, 1)
        assert ask_body(s, '/a') == ('HIT', body)
        a = c.answer()
        assert (a['X-Cache'], a.body) == ('MISS', body)


def ask_body(s, path):
    a = s.get(path)
    return a['X-Cache'], a.body


def test_an_error_page_may_be_kept_itself(weir, up):
    up.put('/page', 'sorry')
    s = weir(f'''location / {{ error_page 502 = /page; proxy_pass http://127.0.0.1:1;
                               proxy_cache one; proxy_cache_valid any 1m; }}
                 location = /page {{ internal; proxy_pass http://{up.at}; proxy_cache one;
                                     proxy_cache_key page; proxy_cache_valid 1m;
                                     add_header X-Cache $upstream_cache_status; }}''',
             http='proxy_cache_path cache keys_zone=one:1m;')
    assert [ask(s, f'/{i}') for i in range(3)] == [('MISS', 'sorry 1')] + [('HIT', 'sorry 1')] * 2


def test_a_range_far_behind_is_not_waited_for(weir, up):
    up.put('/a', BIG)
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_max_range_offset 1000;')
    s.get('/a', headers={'Range': 'bytes=2000-2100'})
    assert up.up.last['Range'] == 'bytes=2000-2100'
    assert files(s) == []
    a = s.get('/a', headers={'Range': 'bytes=1000-1009'})
    assert a.body == BIG[1000:1010] and up.up.last['Range'] is None
    settle(s, 1)


def test_the_zone_may_have_variables(weir, up):
    s = cached(weir, up, '''proxy_cache_valid 1m; proxy_cache $arg_c; ''')
    for _ in range(2):
        assert ask(s, '/a')[0] is None and ask(s, '/a?c=off')[0] is None
        assert ask(s, '/a?c=none')[0] is None
    assert 'there is no cache "none"' in s.log()
    assert ask(s, '/a?c=one')[0] == 'MISS'
    settle(s, 1)
    assert ask(s, '/a?c=one')[0] == 'HIT'


# ---- one asks for all --------------------------------------------------------------------------

def together(s, count, path='/a'):
    """Asks `count` times at once."""
    got = []
    threads = [threading.Thread(target=lambda: got.append(ask(s, path))) for _ in range(count)]
    for t in threads:
        t.start()
    return threads, got


def test_lock(weir, up):
    up.gate = threading.Event()
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_lock on;', start=False)
    s.conf.write_text(s.conf.read_text().replace('worker_processes 1;', 'worker_processes 2;'))
    s.start()
    threads, got = together(s, 8)
    time.sleep(0.5)
    assert up.count == 1
    up.gate.set()
    for t in threads:
        t.join()
    assert sorted(got) == [('HIT', 'page 1')] * 7 + [('MISS', 'page 1')]


def test_lock_timeout_and_age(weir, up):
    up.gate = threading.Event()
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_lock on; proxy_cache_lock_timeout 1s;')
    threads, got = together(s, 3)
    time.sleep(0.6)
    assert up.count == 1
    time.sleep(1)
    assert up.count == 3        # they did not wait any longer
    up.gate.set()
    for t in threads:
        t.join()
    assert [g[0] for g in got] == ['MISS'] * 3
    assert ask(s, '/a')[0] == 'HIT'
    up.gate, up.count = threading.Event(), 0
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_lock on; proxy_cache_lock_age 500ms;')
    threads, got = together(s, 3)
    time.sleep(0.3)
    assert up.count == 1
    time.sleep(0.5)
    assert up.count == 2        # one more may try
    up.gate.set()
    for t in threads:
        t.join()
    assert [g[0] for g in got].count('MISS') == 2


def test_a_lock_goes_with_who_had_it(weir, up):
    up.gate = threading.Event()
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_lock on;')
    c = s.connect()
    c.send('GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n')
    while up.count == 0:
        time.sleep(0.02)
    threads, got = together(s, 1)
    time.sleep(0.2)
    assert up.count == 1
    c.close()
    for _ in range(100):
        if up.count == 2:
            break
        time.sleep(0.02)
    assert up.count == 2
    up.gate.set()
    threads[0].join()
    assert got[0][0] == 'MISS' and ask(s, '/a')[0] == 'HIT'


# ---- what is stale -----------------------------------------------------------------------------

STALE = 'proxy_cache_valid 200 1s; proxy_cache_use_stale {};'


def stale(weir, up, words, more='', body='page', fields=()):
    """A server with /a in its cache, not fresh any more."""
    up.put('/a', body, fields)
    s = cached(weir, up, STALE.format(words) + more)
    assert ask(s, '/a')[0] == 'MISS'
    settle(s, 1)
    time.sleep(2)
    return s


@pytest.mark.parametrize('words, broken, given', [
    ('error', 'close', True), ('timeout', 'close', False), ('invalid_header', 'garbage', True),
    ('error', 'garbage', False), ('http_503', '503 No', True), ('http_500', '503 No', False),
    ('http_404', '404 No', True), ('timeout', 'silent', True), ('off', 'close', False),
])
@pytest.mark.one_engine
def test_errors_are_bridged(weir, up, words, broken, given):
    def script(peer, asked):
        if broken == 'close':
            return False
        if broken == 'silent':
            time.sleep(3)
            return False
        if broken == 'garbage':
            peer.send('no answer at all\r\n\r\n')
            return False
        return peer.send(reply('sorry', broken))

    s = stale(weir, up, words, 'proxy_read_timeout 500ms;')
    up.pages['/a'] = script
    for _ in range(2):
        a = s.get('/a')
        if given:
            assert (a['X-Cache'], a.status, a.text) == ('STALE', 200, 'page 1')
        else:
            assert a['X-Cache'] == 'EXPIRED' and a.status >= 400
    up.put('/a')
    assert ask(s, '/a')[0] == 'EXPIRED'


def test_stale_if_error(weir, up):
    s = stale(weir, up, 'off', fields=['Cache-Control: max-age=1, stale-if-error=60'])
    up.put('/a', 'sorry', status='500 No')
    assert ask(s, '/a') == ('STALE', 'page 1')
    up.up.close()
    assert ask(s, '/a') == ('STALE', 'page 1')


def test_stale_while_it_is_updated(weir, up):
    s = stale(weir, up, 'updating')
    up.gate = threading.Event()
    threads, got = together(s, 1)
    while up.count == 1:
        time.sleep(0.02)
    for _ in range(3):
        assert ask(s, '/a') == ('UPDATING', 'page 1')
    up.gate.set()
    threads[0].join()
    assert got == [('EXPIRED', 'page 2')]
    assert ask(s, '/a') == ('HIT', 'page 2') and up.count == 2


@pytest.mark.parametrize('how', ['updating', 'stale-while-revalidate'])
def test_it_is_updated_in_the_background(weir, up, how):
    fields = [] if how == 'updating' else ['Cache-Control: max-age=1, stale-while-revalidate=60']
    s = stale(weir, up, 'updating' if how == 'updating' else 'off',
              'proxy_cache_background_update on;', fields=fields)
    up.gate = threading.Event()
    began = time.time()
    assert ask(s, '/a') == ('STALE', 'page 1')
    assert ask(s, '/a') == ('UPDATING', 'page 1')
    assert time.time() - began < 2
    up.gate.set()
    for _ in range(100):
        got = ask(s, '/a')
        if got[0] == 'HIT':
            break
        time.sleep(0.03)
    assert got == ('HIT', 'page 2') and up.count == 2


def test_revalidation(weir, up):
    fields = ['ETag: "e"', 'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT']

    def script(peer, asked):
        if asked['If-None-Match'] == '"e"' and up.same:
            assert asked['If-Modified-Since'] == 'Sun, 06 Nov 1994 08:49:37 GMT'
            return peer.send('HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n')
        return peer.send(reply(f'page {up.count}', fields=fields))

    up.same, up.pages['/a'] = True, script
    s = cached(weir, up, 'proxy_cache_valid 1s; proxy_cache_revalidate on;')
    assert ask(s, '/a') == ('MISS', 'page 1')
    for count in (2, 3):
        time.sleep(2)
        a = s.get('/a', headers={'If-None-Match': '"other"'})
        assert (a.status, a['X-Cache'], a.text) == (200, 'REVALIDATED', 'page 1')
        assert up.count == count
        time.sleep(0.1)
        assert ask(s, '/a') == ('HIT', 'page 1')
    up.same = False
    time.sleep(2)
    assert ask(s, '/a') == ('EXPIRED', 'page 4')
    assert ask(s, '/a') == ('HIT', 'page 4')


# ---- the files ---------------------------------------------------------------------------------

def test_damage_is_noticed(weir, up):
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_key $uri;')
    assert ask(s, '/a') == ('MISS', 'page 1')
    path, = settle(s, 1)
    whole = path.read_bytes()
    assert whole.endswith(b'page 1')
    n = 1
    for broken in (b'', whole[:50], whole[:140], whole[:-1], whole + b'x',
                   whole[:150] + b'Q' + whole[151:], b'x' + whole[1:],
                   whole[:16] + b'\xff\xff\xff\x7f' + whole[20:]):
        new = path.with_suffix('.new')
        new.write_bytes(broken)
        new.rename(path)
        n += 1
        assert ask(s, '/a') == ('MISS', f'page {n}'), broken
        assert ask(s, '/a') == ('HIT', f'page {n}')
        whole = path.read_bytes()
    assert s.log().count('is removed') == n - 1
    path.unlink()
    assert ask(s, '/a') == ('MISS', f'page {n + 1}')


def test_another_key_with_the_same_name(weir, up):
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_key $uri;')
    assert ask(s, '/one') == ('MISS', 'page 1')
    path, = settle(s, 1)
    name = hashlib.md5(b'/two').hexdigest()
    other = s.dir / 'cache' / name[-1] / name[-3:-1] / name
    open_directory(s, other.parent)
    other.write_bytes(path.read_bytes())
    assert ask(s, '/two') == ('MISS', 'page 2')
    assert ask(s, '/two') == ('HIT', 'page 2')


def test_it_survives(weir, up):
    s = cached(weir, up)
    for i in range(5):
        assert ask(s, f'/{i}')[0] == 'MISS'
    settle(s, 5)
    s.signal(1)
    s.wait_log('reconfigur')
    for i in range(5):
        assert ask(s, f'/{i}')[0] == 'HIT'
    s.stop()
    stray = s.dir / 'cache' / 'a' / '00' / ('0' * 32 + '.0000000001')
    open_directory(s, stray.parent)
    stray.write_bytes(b'half')
    os.utime(stray, (0, 0))
    s.start()
    for i in range(5):
        assert ask(s, f'/{i}')[0] == 'HIT'
    for _ in range(100):
        if not stray.exists():
            break
        time.sleep(0.03)
    assert not stray.exists() and up.count == 5


def test_what_nobody_asks_for_goes(weir, up):
    s = cached(weir, up, inactive='1s')
    assert ask(s, '/a')[0] == 'MISS'
    settle(s, 1)
    for _ in range(100):
        if not files(s):
            break
        time.sleep(0.05)
    assert files(s) == [] and ask(s, '/a') == ('MISS', 'page 2')


def test_the_cache_has_a_size(weir, up):
    for i in range(30):
        up.put(f'/{i}', BIG[:10_000])
    s = cached(weir, up, path='max_size=100k manager_sleep=10ms')
    for i in range(30):
        assert s.get(f'/{i}')['X-Cache'] == 'MISS'
    for _ in range(100):
        if size_of(s) <= 100 * 1024 and all('.' not in p.name for p in files(s)):
            break
        time.sleep(0.05)
    assert 5 <= len(files(s)) <= 10
    assert [s.get(p)['X-Cache'] for p in ('/29', '/0')] == ['HIT', 'MISS']


def test_a_full_zone(weir, up):
    s = weir(f'''location / {{ proxy_pass http://{up.at}; proxy_cache one; proxy_cache_valid 1m;
                 add_header X-Cache $upstream_cache_status; }}''',
             http='proxy_cache_path cache keys_zone=one:32k;')
    for i in range(600):
        assert s.get(f'/{i}')['X-Cache'] == 'MISS'
    time.sleep(0.3)
    assert 50 < len(files(s)) < 500     # the others made room
    assert ask(s, '/599')[0] == 'HIT' and ask(s, '/0')[0] == 'MISS'


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_a_full_disk(weir, up):
    small = tempfile.mkdtemp(prefix='weir-small-')
    os.chmod(small, 0o755)
    if os.system(f'mount -t tmpfs -o size=256k tmpfs {small} 2>/dev/null') != 0:
        pytest.skip('nothing can be mounted here')
    try:
        up.put('/a', BIG)
        s = weir(f'''location / {{ proxy_pass http://{up.at}; proxy_cache one;
                     proxy_cache_valid 1m; }}''',
                 http=f'proxy_cache_path {small}/cache keys_zone=one:1m;')
        for n in range(1, 3):
            assert s.get('/a').body == BIG
            for _ in range(100):
                if not [p for p in os.listdir(f'{small}/cache')]:
                    break
                time.sleep(0.03)
            assert os.listdir(f'{small}/cache') == []
            assert s.log().count('an answer cannot be kept') == n
        assert 'No space left' in s.log()
        assert s.get('/b').text.startswith('page')
        s.stop()
    finally:
        os.system(f'umount -l {small}')
        os.rmdir(small)


# ---- purging -----------------------------------------------------------------------------------

def test_purge(weir, up):
    s = cached(weir, up, '''proxy_cache_valid 1m; proxy_cache_key $host$uri$arg_key;
                            set $purge 0; if ($request_method = PURGE) { set $purge 1; }
                            proxy_cache_purge $purge;''')
    for path in ('/a', '/a/b', '/a/c', '/d'):
        assert ask(s, path)[0] == 'MISS'
        assert ask(s, path)[0] == 'HIT'
    assert s.get('/a', method='PURGE').status == 204
    assert s.get('/a', method='PURGE').status == 404
    assert ask(s, '/a')[0] == 'MISS' and ask(s, '/a/b')[0] == 'HIT'
    assert s.get('/a/?key=*', method='PURGE').status == 204
    assert [ask(s, p)[0] for p in ('/a', '/a/b', '/a/c', '/d')] == ['HIT', 'MISS', 'MISS', 'HIT']
    assert s.get('/none/?key=*', method='PURGE').status == 404
    assert s.get('/*', method='PURGE').status == 204
    assert [ask(s, p)[0] for p in ('/a', '/d')] == ['MISS', 'MISS']


def test_variants_are_purged_together(weir, up):
    up.put('/a', 'page', ['Vary: X-V'])
    s = cached(weir, up, 'proxy_cache_valid 1m; proxy_cache_purge $http_x_purge;')
    for v in '12':
        assert ask(s, '/a', headers={'X-V': v})[0] == 'MISS'
        assert ask(s, '/a', headers={'X-V': v})[0] == 'HIT'
    assert s.get('/a', headers={'X-Purge': '1'}).status == 204
    for v in '12':
        assert ask(s, '/a', headers={'X-V': v})[0] == 'MISS'


# ---- pieces, variables, mistakes ---------------------------------------------------------------

def test_slices_are_kept(weir, up):
    body = BIG[:250_000]

    def script(peer, asked):
        first, last = (int(n) for n in asked['Range'][6:].split('-'))
        last = min(last, len(body) - 1)
        peer.send(reply(body[first:last + 1], '206 Partial Content',
                        [f'Content-Range: bytes {first}-{last}/{len(body)}', 'ETag: "e"']))

    up.pages['/a'] = script
    s = cached(weir, up, '''slice 100k; proxy_cache_key $uri$slice_range;
                            proxy_set_header Range $slice_range; proxy_cache_valid 200 206 1m;''')
    for _ in range(2):
        a = s.get('/a')
        assert (a.status, a.body) == (200, body)
        settle(s, 3)
    a = s.get('/a', headers={'Range': 'bytes=150000-150009'})
    assert (a.status, a.body) == (206, body[150_000:150_010])
    assert len(up.up.asked) == 3


def test_variables(weir, up):
    up.put('/a', 'page', ['ETag: "e"', 'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT'])
    s = cached(weir, up, '''proxy_cache_valid 1m; proxy_cache_key k$uri;
        add_header X-Key $upstream_cache_key; add_header X-Etag $upstream_cache_etag;
        add_header X-Age "$upstream_cache_age"; add_header X-Upstream "$upstream_addr";
        add_header X-Modified $upstream_cache_last_modified;''')
    a = s.get('/a')
    assert (a['X-Key'], a['X-Etag'], a['X-Upstream']) == ('k/a', None, up.at)
    a = s.get('/a')
    assert (a['X-Key'], a['X-Etag'], a['X-Upstream']) == ('k/a', '"e"', None)
    assert a['X-Age'] in ('0', '1') and a['X-Modified'] == 'Sun, 06 Nov 1994 08:49:37 GMT'


@pytest.mark.parametrize('text, says', [
    ('proxy_cache none;', 'there is no zone "none"'),
    ('proxy_cache_valid 99 1m;', 'is no status'),
    ('proxy_cache_valid 200 soon;', 'is no time'),
    ('proxy_cache_use_stale never;', 'is no reason to give what is stale'),
    ('proxy_cache_methods PUT;', 'is no method whose answers can be kept'),
    ('proxy_store_access nobody:rw;', 'says nothing about access'),
    ('proxy_cache one; proxy_store on; proxy_pass http://127.0.0.1:1;', 'do not go together'),
    ('fastcgi_cache fast; fastcgi_pass 127.0.0.1:1;', 'no fastcgi_cache_key says'),
    ('proxy_cache fast;', 'was declared by fastcgi_cache_path'),
])
@pytest.mark.one_engine
def test_mistakes(weir, text, says):
    s = weir('location / { %s }' % text, start=False,
             http='''proxy_cache_path c keys_zone=one:1m;
                     fastcgi_cache_path f keys_zone=fast:1m;''')
    ran = s.command('-t')
    assert ran.returncode != 0 and says in ran.stderr, ran.stderr


@pytest.mark.parametrize('text, says', [
    ('c', 'argument'), ('c levels=1:2', 'has no keys_zone'), ('c keys_zone=one:1k', 'too little'),
    ('c keys_zone=one:1m levels=3', 'are no levels'), ('c keys_zone=one:1m max_size=x', 'no size'),
    ('c keys_zone=one:1m inactive=x', 'is no time'), ('c keys_zone=one:1m foo=1', 'means nothing'),
    ('c keys_zone=one:1m loader_files=0', 'is no number'),
    ('c keys_zone=one:1m; proxy_cache_path c keys_zone=two:1m', "another cache's directory"),
])
@pytest.mark.one_engine
def test_mistakes_of_a_path(weir, text, says):
    s = weir('', start=False, http=f'proxy_cache_path {text};')
    ran = s.command('-t')
    assert ran.returncode != 0 and says in ran.stderr, ran.stderr
