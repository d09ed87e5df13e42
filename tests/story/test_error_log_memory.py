"""error_log memory: lines that stay in memory, and error_log_status, which shows them."""
import os
import re
import signal
import time

import pytest

LINE = re.compile(r'\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: .+')
STATUS = 'location = /errors { error_log_status; }'


def lines(s, path='/errors'):
    a = s.get(path)
    assert (a.status, a['content-type']) == (200, 'text/plain')
    found = a.text.splitlines()
    assert all(LINE.fullmatch(line) for line in found), a.text
    return found


def test_newest_last(weir):
    s = weir(STATUS, main='error_log memory:32k debug;')
    for name in ('first', 'second'):
        assert s.get(f'/{name}').status == 404
    found = [line for line in lines(s) if 'open()' in line]
    assert len(found) == 2 and '/first' in found[0] and '/second' in found[1]
    assert 'client: 127.0.0.1' in found[1] and 'request: "GET /second HTTP/1.1"' in found[1]
    assert '/second' in s.file('error.log', contains='/second')      # beside the file, not instead
    head = s.get('/errors', method='HEAD')
    assert (head.status, head.body) == (200, b'')
    assert s.get('/errors', method='POST').status == 405


def test_old_lines_make_room(weir):
    s = weir(STATUS, main='error_log memory:32k error;')
    with s.connect() as c:
        for n in range(400):
            assert c.ask(f'/missing-{n}').status == 404
    numbers = [int(re.search(r'/missing-(\d+)', line)[1]) for line in lines(s)]
    assert numbers == list(range(numbers[0], 400)) and 50 < len(numbers) < 200
    assert sum(map(len, lines(s))) > 16 * 1024


def test_levels_and_places(weir):
    s = weir('''location /own/ { error_log memory:64k error; location = /own/errors
                { error_log_status; } }
                ''' + STATUS, main='error_log memory:32k crit;')
    assert s.get('/own/missing').status == 404 and s.get('/missing').status == 404
    assert lines(s) == []
    own = lines(s, '/own/errors')
    assert len(own) == 1 and '/own/missing' in own[0]


def test_many_at_once_while_it_is_read(weir):
    import threading
    s = weir(STATUS, main='error_log memory:32k error;')
    over = threading.Event()

    def ask():
        with s.connect() as c:
            while not over.is_set():
                c.ask('/missing')
    threads = [threading.Thread(target=ask) for _ in range(4)]
    [t.start() for t in threads]
    try:
        end, seen = time.monotonic() + 10, []
        while len(seen) < 20 or (seen[-1] <= 20 and time.monotonic() < end):
            seen.append(len(lines(s)))
    finally:
        over.set()
        [t.join() for t in threads]
    assert seen[-1] > 20


def test_a_reload_keeps_them(weir):
    s = weir(STATUS, main='error_log memory:32k error;')
    s.get('/before')
    assert s.command('-s', 'reload').returncode == 0
    s.get('/after')
    found = '\n'.join(lines(s))
    assert '/before' in found and '/after' in found and found.index('before') < found.index('after')
    s.rewrite(s.conf.read_text().replace('memory:32k', 'memory:64k'))
    assert s.command('-s', 'reload').returncode == 0
    assert lines(s) == []
    s.get('/later')
    assert len(lines(s)) == 1


def test_reopening_keeps_them(weir):
    s = weir(STATUS, main='error_log memory:32k notice;')
    s.get('/before')
    s.signal(signal.SIGUSR1)
    s.wait_log('reopening logs')
    s.get('/after')
    found = '\n'.join(lines(s))
    assert '/before' in found and 'reopening logs' in found and '/after' in found


def test_a_worker_that_dies_leaves_them(weir):
    s = weir(STATUS, main='error_log memory:32k notice;')
    s.get('/before')
    old = s.worker()
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + 10
    while True:
        try:
            found = '\n'.join(lines(s))
            break
        except (OSError, EOFError):
            assert time.monotonic() < end
            time.sleep(0.05)
    assert '/before' in found and f'{old}' in found
    s.get('/after')
    assert '/after' in lines(s)[-1]


def test_without_a_file(weir):
    s = weir(user_conf='''daemon off; pid weir.pid; error_log memory:1m info;
        events { use ENGINE; worker_connections 64; }
        http { access_log off;
               server { listen 127.0.0.1:PORT; root html; location = /errors { error_log_status; } }
        }''')
    s.get('/missing')
    assert any('/missing' in line for line in lines(s))
    assert not (s.dir / 'error.log').exists()


@pytest.mark.one_engine
@pytest.mark.parametrize('conf, says', [
    ('error_log memory:16k;', 'from 32k to 64m'),
    ('error_log memory:128m;', 'is not a size for a log in memory'),
    ('error_log memory:;', 'from 32k to 64m'),
])
def test_sizes(engine, weir, conf, says):
    s = weir(main=conf, start=False)
    answer = s.command('-t')
    assert answer.returncode == 1 and says in answer.stderr


@pytest.mark.one_engine
def test_status_needs_something_to_show(engine, weir):
    s = weir(STATUS, start=False)
    answer = s.command('-t')
    assert answer.returncode == 1 and 'no error log is kept in memory here' in answer.stderr
