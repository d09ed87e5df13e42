"""Birth and death: the daemon, signals, log files, upgrades, users, and ports that are taken."""
import contextlib
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BINARY, Client, free_port

one_engine = pytest.mark.one_engine


def until(true, seconds=5, what='it'):
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, f'{what} did not happen'
        time.sleep(0.01)
    return value


def alive(pid):
    """Is there such a process, and not only its exit status?"""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_in(path):
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def children(pid):
    try:
        return [int(p) for p in open(f'/proc/{pid}/task/{pid}/children').read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Asker(threading.Thread):
    """Asks again and again, a connection each time; counts what went wrong."""

    def __init__(self, s, pause=0.002):
        super().__init__()
        self.s, self.pause = s, pause
        self.good, self.refused, self.broken = 0, 0, []
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                if self.s.get('/file.txt').body != b'0123456789':
                    self.broken.append('wrong body')
                self.good += 1
            except ConnectionRefusedError:
                self.refused += 1
            except (OSError, EOFError) as e:
                self.broken.append(repr(e))
            time.sleep(self.pause)

    def __enter__(self):
        self.start()
        until(lambda: self.good > 5, what='an answer')
        return self

    def stop(self):
        self.stopped.set()
        self.join()

    def __exit__(self, *_):
        self.stop()


# ---- the daemon -------------------------------------------------------------------------------

@contextlib.contextmanager
def daemon(weir, *args, **kw):
    s = weir(*args, start=False, **kw)
    s.rewrite(s.conf.read_text().replace('daemon off;', 'daemon on;'))
    r = s.command()
    pid = pid_in(s.dir / 'weir.pid')
    try:
        assert r.returncode == 0, r.stderr + s.log()
        yield s, pid
    finally:
        if pid and alive(pid):
            os.kill(pid, signal.SIGTERM)
            until(lambda: not alive(pid), what='the end')


@pytest.mark.parametrize('how', ['quit', 'stop'])
def test_daemon_is_told_to_go(weir, how):
    with daemon(weir) as (s, pid):
        assert s.get('/file.txt').body == b'0123456789'
        assert os.getsid(pid) == pid or os.getsid(pid) != os.getsid(0)
        worker, = children(pid)
        r = s.command('-s', how)
        assert r.returncode == 0, r.stderr
        until(lambda: not alive(pid) and not alive(worker), what='the end')
        assert not (s.dir / 'weir.pid').exists()
        with pytest.raises(ConnectionRefusedError):
            s.connect()
        r = s.command('-s', how)
        assert r.returncode == 1 and 'weir.pid' in r.stderr


@one_engine
def test_daemon_answers_as_soon_as_the_command_returns(weir):
    for _ in range(5):
        with daemon(weir) as (s, pid):
            assert pid and s.get('/file.txt').status == 200


@one_engine
def test_daemon_lets_go_of_the_terminal(weir):
    with daemon(weir) as (s, pid):
        for p in (pid, *children(pid)):
            assert os.getsid(p) != os.getsid(0)
            for fd in (0, 1):
                assert os.readlink(f'/proc/{p}/fd/{fd}') == '/dev/null'


@one_engine
def test_daemon_with_a_mistake_does_not_begin(weir):
    s = weir(start=False)
    s.rewrite(s.conf.read_text().replace('daemon off;', '').replace('server {', 'sever {'))
    r = s.command()
    assert r.returncode == 1 and 'did you mean `server`' in r.stderr
    assert not (s.dir / 'weir.pid').exists()


@one_engine
def test_port_in_use(weir):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        for mode in ('daemon on;', 'daemon off;'):
            s = weir(start=False, port=port)
            s.rewrite(s.conf.read_text().replace('daemon off;', mode))
            start = time.monotonic()
            r = s.command()
            said = r.stderr + s.log()
            assert r.returncode == 1, said
            assert f'127.0.0.1:{port}' in said and 'Address already in use' in said
            assert time.monotonic() - start < 10 and not (s.dir / 'weir.pid').exists()


@one_engine
def test_a_second_server_does_not_take_the_first_ones_pid_file(weir):
    s = weir()
    r = s.command()
    assert r.returncode == 1 and pid_in(s.dir / 'weir.pid') == s.process.pid
    assert s.get('/file.txt').status == 200


# ---- signals and logs -------------------------------------------------------------------------

@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_that_end_it(weir, number):
    s = weir()
    with s.connect() as idle:
        assert idle.ask('/file.txt').status == 200
        worker = s.worker()
        s.signal(number)
        assert s.process.wait(5) == 0
        assert idle.closed()
    assert not alive(worker)
    assert not (s.dir / 'weir.pid').exists()


@pytest.mark.parametrize('how', ['command', 'signal'])
def test_reopen(weir, how):
    s = weir('access_log access.log;')

    def ask(path):
        assert s.get(path).status == 404

    ask('/before')
    s.file('access.log', contains='/before')
    for name in ('access.log', 'error.log'):
        (s.dir / name).rename(s.dir / f'{name}.1')
    ask('/between')
    s.file('access.log.1', contains='/between')
    if how == 'command':
        assert s.command('-s', 'reopen').returncode == 0
    else:
        s.signal(signal.SIGUSR1)
    until((s.dir / 'access.log').exists, what='a new access log')
    until((s.dir / 'error.log').exists, what='a new error log')

    def arrives():
        ask('/after')
        return '/after' in (s.dir / 'access.log').read_text()

    until(arrives)
    assert '/before' not in (s.dir / 'access.log').read_text()
    s.stop()
    assert (s.dir / 'error.log').read_text()


def test_reopen_loses_no_line(weir):
    s = weir('access_log access.log combined buffer=32k flush=1h;')
    with s.connect() as c:
        for i in range(300):
            assert c.ask(f'/n{i}?').status == 404
            if i % 60 == 30:
                (s.dir / 'access.log').rename(s.dir / f'access.log.{i}')
                assert s.command('-s', 'reopen').returncode == 0
                until((s.dir / 'access.log').exists)
    s.stop()
    text = ''.join(p.read_text() for p in s.dir.glob('access.log*'))
    lines = sorted(int(n) for n in re.findall(r'GET /n(\d+)\?', text))
    assert lines == list(range(300))


def test_quit_lets_a_download_finish(weir):
    content = os.urandom(400 * 1024)
    s = weir('limit_rate 200k;', files={'html/f': content})
    with s.connect() as c, s.connect() as idle:
        assert idle.ask('/file.txt').status == 200
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        s.signal(signal.SIGQUIT)
        assert idle.closed(2)
        until(lambda: refused(s), what='the end of the listener')
        a = c.answer()
        assert a.status == 200 and a.body == content
        assert c.closed(2)
    assert s.process.wait(5) == 0


def refused(s):
    try:
        s.connect(timeout=1).close()
        return False
    except OSError:
        return True


def test_term_does_not_wait_for_a_download(weir):
    s = weir('limit_rate 10k;', files={'html/f': bytes(1 << 20)})
    with s.connect() as c:
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        start = time.monotonic()
        s.signal(signal.SIGTERM)
        assert s.process.wait(5) == 0 and time.monotonic() - start < 3


# ---- crashes ----------------------------------------------------------------------------------

def test_a_killed_worker_and_its_clients(weir):
    s = weir()
    with Asker(s) as asker:
        old = s.worker()
        os.kill(old, signal.SIGKILL)
        killed = time.monotonic()
        until(lambda: [p for p in children(s.process.pid) if p != old], what='a new worker')
        good = asker.good
        until(lambda: asker.good > good + 5, what='answers')
        assert time.monotonic() - killed < 1
    assert asker.refused == 0
    assert len(asker.broken) <= 1, asker.broken         # the one that was being answered
    assert f'worker process {old} exited on signal 9' in s.log()


def test_a_killed_master_takes_its_worker_along(weir):
    s = weir()
    worker = s.worker()
    s.expect_status = -signal.SIGKILL
    s.signal(signal.SIGKILL)
    s.process.wait(5)
    until(lambda: not alive(worker), 2, 'the end of the worker')
    with pytest.raises(ConnectionRefusedError):
        s.connect()
    s.expect_status = 0
    s.start()                               # the stale pid file is in nobody's way
    until(lambda: pid_in(s.dir / 'weir.pid') == s.process.pid, what='the pid file')
    assert s.get('/file.txt').status == 200


# ---- a new binary -----------------------------------------------------------------------------

@contextlib.contextmanager
def upgraded(s):
    """USR2: the new master's process id, once both run."""
    s.signal(signal.SIGUSR2)
    until((s.dir / 'weir.pid.oldbin').exists, what='the pid file of the old one')
    new = until(lambda: pid_in(s.dir / 'weir.pid'), what='the pid file of the new one')
    try:
        assert new != s.process.pid and pid_in(s.dir / 'weir.pid.oldbin') == s.process.pid
        until(lambda: children(new), what='a worker of the new one')
        yield new
    finally:
        if alive(new):
            os.kill(new, signal.SIGTERM)
            until(lambda: not alive(new), what='the end of the new one')


def test_upgrade_with_nobody_refused(weir):
    s = weir('location /who { return 200 $pid; }')
    with Asker(s) as asker, upgraded(s) as new:
        worker, = children(new)
        s.signal(signal.SIGQUIT)
        assert s.process.wait(10) == 0
        assert all(int(s.get('/who').text) == worker for _ in range(20))
        assert pid_in(s.dir / 'weir.pid') == new
        assert not (s.dir / 'weir.pid.oldbin').exists()
        good = asker.good
        until(lambda: asker.good > good + 20, what='answers')
        asker.stop()
    assert asker.refused == 0 and not asker.broken, asker.broken
    assert s.command('-s', 'stop').returncode == 1


def test_upgrade_and_the_way_back(weir):
    """WINCH rests the old worker; HUP wakes it and QUIT sends the new master away."""
    s = weir('location /who { return 200 $pid; }')
    with Asker(s) as asker, upgraded(s) as new:
        s.signal(signal.SIGWINCH)
        until(lambda: not [p for p in children(s.process.pid) if p != new], what='rest')
        assert s.process.poll() is None
        worker, = children(new)
        assert all(int(s.get('/who').text) == worker for _ in range(10))
        s.signal(signal.SIGHUP)
        mine = until(lambda: [p for p in children(s.process.pid) if p != new], what='a worker')
        os.kill(new, signal.SIGQUIT)
        until(lambda: not alive(new), what='the end of the new one')
        until(lambda: pid_in(s.dir / 'weir.pid') == s.process.pid, what='the pid file')
        assert not (s.dir / 'weir.pid.oldbin').exists()
        assert all(int(s.get('/who').text) == mine[0] for _ in range(10))
        good = asker.good
        until(lambda: asker.good > good + 20, what='answers')
        asker.stop()
    assert asker.refused == 0 and not asker.broken, asker.broken


def test_upgrade_lets_a_download_finish(weir):
    content = os.urandom(300 * 1024)
    s = weir('limit_rate 200k;', files={'html/f': content})
    with s.connect() as c:
        c.send('GET /f HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        with upgraded(s):
            s.signal(signal.SIGQUIT)
            assert c.answer().body == content
            assert s.process.wait(10) == 0
            assert s.get('/file.txt').status == 200


@one_engine
def test_upgrade_to_a_broken_configuration(weir):
    """The new master does not begin; the old one goes on under its own pid file."""
    s = weir()
    s.rewrite(s.conf.read_text().replace('http {', 'htp {'))
    s.signal(signal.SIGUSR2)
    s.wait_log('exited with code')
    until(lambda: pid_in(s.dir / 'weir.pid') == s.process.pid, what='the pid file')
    assert not (s.dir / 'weir.pid.oldbin').exists()
    assert s.get('/file.txt').status == 200
    s.rewrite(s.conf.read_text().replace('htp {', 'http {'))


# ---- users ------------------------------------------------------------------------------------

@pytest.mark.parametrize('said,name', [('user www-data;', 'www-data'), ('', 'nobody'),
                                       ('user daemon www-data;', 'daemon')])
@one_engine
def test_user(weir, said, name):
    if os.getuid() != 0:
        return                              # only root has something to give up
    s = weir(main=said, files={'html/secret': 'x'})
    os.chmod(s.dir / 'html' / 'secret', 0o600)
    assert s.get('/file.txt').status == 200 and s.get('/secret').status == 403
    status = pathlib.Path(f'/proc/{s.worker()}/status').read_text()
    user = pwd.getpwnam(name)
    assert re.search(r'^Uid:\t(.*)$', status, re.M)[1].split() == [str(user.pw_uid)] * 4
    gid = re.search(r'^Gid:\t(.*)$', status, re.M)[1].split()
    if said == 'user daemon www-data;':
        assert gid == [str(pwd.getpwnam('www-data').pw_gid)] * 4
    elif said:
        assert gid == [str(user.pw_gid)] * 4
    assert int(re.search(r'^CapEff:\t(.*)$', status, re.M)[1], 16) == 0
    assert '0' not in re.search(r'^Groups:\t(.*)$', status, re.M)[1].split()
    master = pathlib.Path(f'/proc/{s.process.pid}/status').read_text()
    assert re.search(r'^Uid:\t(\d+)', master, re.M)[1] == '0'


@one_engine
def test_unknown_user(weir):
    s = weir(main='user no-such-user-here;', start=False)
    r = s.command('-t')
    assert r.returncode == 1 and 'no-such-user-here' in r.stderr


# ---- weir serve -------------------------------------------------------------------------------

@one_engine
def test_serve_a_directory(weir, tmp_path):
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'x.txt').write_text('served')
    port = free_port()
    with subprocess.Popen([BINARY, 'serve', tmp_path, '-l', f'127.0.0.1:{port}'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        try:
            until(lambda: connects(port), what='a listener')
            with Client(('127.0.0.1', port)) as c:
                a = c.ask('/sub/x.txt')
                assert a.text == 'served' and a['content-type'] == 'text/plain; charset=utf-8'
                assert 'x.txt' in c.ask('/sub/').text
                assert c.ask('/none').status == 404
            assert sorted(x.name for x in tmp_path.rglob('*')) == ['sub', 'x.txt']
        finally:
            p.send_signal(signal.SIGINT)
            out = p.communicate(timeout=10)[0]
        assert p.returncode == 0, out
        assert f'http://127.0.0.1:{port}/' in out


def connects(port):
    try:
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    except OSError:
        return False


@one_engine
def test_serve_shows_the_configuration_it_would_use(weir, tmp_path):
    port = free_port()
    r = subprocess.run([BINARY, 'serve', tmp_path, '-l', f'127.0.0.1:{port}', '--print-config'],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 0 and f'listen 127.0.0.1:{port}' in r.stdout
    assert str(tmp_path) in r.stdout and not connects(port)
    (tmp_path / 'weir.conf').write_text(r.stdout)
    t = subprocess.run([BINARY, '-t', '-p', tmp_path, '-c', 'weir.conf'], capture_output=True,
                       text=True, timeout=20)
    assert t.returncode == 0, t.stderr


@one_engine
def test_serve_what_is_not_there(weir, tmp_path):
    for args in ([tmp_path / 'none'], [tmp_path, '-l', 'nonsense:x'], [tmp_path, '-l']):
        r = subprocess.run([BINARY, 'serve', *args], capture_output=True, text=True, timeout=20)
        assert r.returncode == 1 and r.stderr.strip(), args
