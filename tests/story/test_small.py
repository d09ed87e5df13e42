"""empty_gif and stub_status: handlers that a directive puts into a location."""
import re
import time

STATUS = re.compile(r'Active connections: (\d+) \nserver accepts handled requests\n'
                    r' (\d+) (\d+) (\d+) \nReading: (\d+) Writing: (\d+) Waiting: (\d+) \n')


def test_empty_gif(shared):
    s = shared('location = /p.gif { empty_gif; } location /deep/ { empty_gif; }')
    a = s.get('/p.gif')
    assert (a.status, a['content-type'], a['content-length']) == (200, 'image/gif', '43')
    assert a.body[:6] == b'GIF89a' and a.body[6:10] == b'\1\0\1\0' and a.body[-1:] == b';'
    assert s.get('/deep/any').body == a.body
    head = s.get('/p.gif', method='HEAD')
    assert (head['content-length'], head.body) == ('43', b'')
    again = s.get('/p.gif', headers={'If-Modified-Since': a['last-modified']})
    assert again.status == 304
    post = s.get('/p.gif', method='POST')
    assert post.status == 405 and post['allow'] == 'GET, HEAD'


def numbers(s):
    a = s.get('/status')
    assert (a.status, a['content-type']) == (200, 'text/plain')
    found = STATUS.fullmatch(a.text)
    assert found, a.text
    return dict(zip(('active', 'accepts', 'handled', 'requests', 'reading', 'writing', 'waiting'),
                    map(int, found.groups())))


def until(s, **wanted):
    end = time.monotonic() + 5
    while any(numbers(s)[k] != v for k, v in wanted.items()):
        assert time.monotonic() < end, (numbers(s), wanted)
        time.sleep(0.02)
    return numbers(s)


def test_numbers(weir):
    s = weir('location = /status { stub_status; }')
    until(s, active=1)
    before = until(s, active=1, writing=1, waiting=0, reading=0)
    with s.connect() as idle, s.connect() as slow:
        idle.ask('/file.txt')
        slow.send('GET /file.txt HTTP/1.1\r\nHo')
        n = until(s, active=3, waiting=1, reading=1, writing=1)
        assert n['accepts'] >= before['accepts'] + 3 and n['handled'] == n['accepts']
        assert n['requests'] > before['requests'] + 1
    until(s, active=1, waiting=0)


def test_several_loops_are_one_sum(weir):
    s = weir(user_conf='''daemon off; worker_processes 3; pid weir.pid; error_log error.log info;
        events { use ENGINE; worker_connections 64; }
        http { server { listen 127.0.0.1:PORT; stub_status on;
                        location /file.txt { root html; } } }''')
    with s.connect() as a, s.connect() as b:
        a.ask('/file.txt')
        b.ask('/file.txt')
        assert until(s, active=3, waiting=2)['writing'] == 1


def test_as_variables(weir):
    s = weir('location = /v { return 200 "$connections_active $connections_reading '
             '$connections_writing $connections_waiting"; }')
    end = time.monotonic() + 5
    while (text := s.get('/v').text) != '1 0 1 0':
        assert time.monotonic() < end, text


def test_only_get(shared):
    assert shared('location = /status { stub_status; }').get('/status', method='PUT').status == 405
