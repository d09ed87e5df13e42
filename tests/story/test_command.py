"""The command line: testing, printing, signalling. None of it needs an engine."""
import os
import pathlib
import subprocess
import time

import pytest

from conftest import BINARY, ROOT

pytestmark = pytest.mark.one_engine

MISTAKES = '''events { }
http {
    server {
        listen 8080
        server_name a.test;
        rot /srv;
        keepalive_timeout soon;
        return 99;
        location ~ "([" { }
        add_header X "$no_such_variable";
        proxy_cache_path;
    }
'''


def run(*args, **kw):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=20,
                          **kw)


def trial(tmp_path, text):
    conf = tmp_path / 'weir.conf'
    conf.write_text(text)
    return run('-t', '-p', tmp_path, '-c', conf)


def test_good(tmp_path):
    r = trial(tmp_path, 'events { } http { server { listen 127.0.0.1:1; } }')
    assert r.returncode == 0
    assert 'syntax is ok' in r.stderr and 'test is successful' in r.stderr
    assert run('-t', '-q', '-p', tmp_path, '-c', 'weir.conf').stderr == ''


def test_a_relative_configuration_is_where_the_user_is(tmp_path):
    trial(tmp_path, 'events { } http { }')
    assert run('-t', '-c', 'weir.conf', cwd=tmp_path).returncode == 0
    (tmp_path / 'sub').mkdir()
    assert run('-t', '-c', '../weir.conf', cwd=tmp_path / 'sub').returncode == 0
    r = run('-t', '-c', 'weir.conf', cwd=tmp_path / 'sub')
    assert r.returncode == 1 and f'{tmp_path}/sub/weir.conf' in r.stderr


def test_all_mistakes_at_their_places(tmp_path):
    r = trial(tmp_path, MISTAKES)
    assert r.returncode == 1 and 'test failed' in r.stderr
    for place, about in (('4:', ';'), ('6:9', '`root`'), ('7:27', 'soon'), ('8:16', '99'),
                         ('9:', '(['), ('10:', 'no_such_variable'), ('2:', '}')):
        lines = [i for i, x in enumerate(r.stderr.splitlines()) if f'weir.conf:{place}' in x]
        assert lines, f'nothing at {place}\n{r.stderr}'
        around = '\n'.join(r.stderr.splitlines()[lines[0]:lines[0] + 5])
        assert about in around, around


@pytest.mark.parametrize('text,place,words', [
    ('events { } htp { }', '1:12', ['htp', '`http`']),
    ('worker_processes many;\nevents { }', '1:18', ['many']),
    ('events { use kpoll; }', '1:14', ['kpoll', 'epoll']),
    ('events { }\nserver { }', '2:1', ['server', 'http']),
    ('events { }\nhttp { server { listen 127.0.0.1:99999; } }', '2:', ['99999']),
    ('events { }\nhttp { client_max_body_size 12q; }', '2:', ['12q']),
    ('events { }\nhttp { server { location / { gzip maybe; } } }', '2:', ['gzip']),
    ('events { }\ninclude nowhere.conf;', '2:', ['nowhere.conf']),
    ('events { } http { server { server_name "a; } }', '1:', ['"']),
    ('events { } http { server { listen 1.2.3.4:80; listen 1.2.3.4:80; } }', '1:', ['listen']),
    ('events { } }', '1:12', ['}']),
    ('events { } http { server { return 200; return; } }', '1:', ['return']),
])
def test_mistakes_one_by_one(tmp_path, text, place, words):
    r = trial(tmp_path, text)
    assert r.returncode == 1 and f'weir.conf:{place}' in r.stderr, r.stderr
    for word in words:
        assert word in r.stderr


def test_testing_changes_nothing(tmp_path):
    conf = tmp_path / 'weir.conf'
    conf.write_text('error_log new/error.log; pid new.pid; events { } '
                    'http { access_log a.log; server { listen 127.0.0.1:1; } }')
    before = sorted(tmp_path.rglob('*'))
    assert run('-t', '-p', tmp_path, '-c', conf).returncode == 0
    assert sorted(tmp_path.rglob('*')) == before


def test_testing_needs_no_privilege(tmp_path):
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:
        if parent != pathlib.Path('/') and parent.stat().st_uid == os.getuid() \
                and str(parent).startswith('/tmp/'):
            os.chmod(parent, 0o755)
    (tmp_path / 'weir.conf').write_text('events { } http { server { listen 80; } }')
    command = [BINARY, '-t', '-p', str(tmp_path), '-c', 'weir.conf']
    drop = {'user': 65534, 'group': 65534, 'extra_groups': []} if os.getuid() == 0 else {}
    if drop and not os.access(BINARY, os.X_OK):
        drop = {}
    try:
        r = subprocess.run(command, capture_output=True, text=True, timeout=20, **drop)
    except PermissionError:         # the build is in a place that nobody else may read
        r = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stderr


def test_dump(tmp_path):
    (tmp_path / 'more.conf').write_text('server { listen 127.0.0.1:1; }\n')
    (tmp_path / 'weir.conf').write_text('events { }\nhttp { include more.conf; }\n')
    r = run('-T', '-p', tmp_path, '-c', 'weir.conf')
    assert r.returncode == 0
    assert f'# configuration file {tmp_path}/weir.conf:\nevents' in r.stdout
    assert f'# configuration file {tmp_path}/more.conf:\nserver' in r.stdout


def test_versions_and_help():
    r = run('-v')
    assert r.returncode == 0 and r.stderr.startswith('weir version: weir/')
    r = run('-V')
    assert 'engines: io_uring epoll poll select threads' in r.stderr
    assert '-t' in run('-h').stdout
    assert run('-x').returncode == 1 and run('-s', 'dance').returncode == 1
    assert run('-c').returncode == 1


def test_help_of_a_directive():
    r = run('help', 'keepalive_timeout')
    assert r.returncode == 0 and '75s' in r.stdout
    r = run('help', 'keepalive_timeot')
    assert r.returncode == 1 and 'keepalive_timeout' in r.stderr
    assert 'autoindex' in run('help').stdout


def test_manual_is_complete(tmp_path):
    r = run('help', '--manual', tmp_path / 'manual')
    assert r.returncode == 0
    pages = ''.join(p.read_text() for p in (tmp_path / 'manual').glob('*.md'))
    for name in ('listen', 'location', 'try_files', 'autoindex_format', 'error_page', 'log_format'):
        assert f'## {name}\n' in pages


def test_serve(tmp_path):
    from conftest import Client, free_port
    (tmp_path / 'x.txt').write_text('served')
    port = free_port()
    with subprocess.Popen([BINARY, 'serve', str(tmp_path), '-l', f'127.0.0.1:{port}'],
                          stdout=subprocess.PIPE, text=True) as p:
        for _ in range(200):
            try:
                c = Client(('127.0.0.1', port))
                break
            except OSError:
                time.sleep(0.02)
        with c:
            assert c.ask('/x.txt').text == 'served'
            assert 'x.txt' in c.ask('/').text
        p.terminate()
        out = p.communicate(timeout=10)[0]
        assert p.returncode == 0 and f'http://127.0.0.1:{port}/' in out


def test_serve_prints_a_configuration_that_is_good(tmp_path):
    r = run('serve', tmp_path, '--print-config')
    (tmp_path / 'weir.conf').write_text(r.stdout)
    assert run('-t', '-p', tmp_path, '-c', 'weir.conf').returncode == 0
    assert run('serve', tmp_path / 'nowhere').returncode == 1


@pytest.mark.parametrize('conf', sorted(p for p in (ROOT / 'conf').rglob('*.conf')
                                        if p.name != 'fastcgi.conf'),     # to be included
                         ids=lambda p: p.name)
def test_our_own_configurations(conf):
    r = run('-t', '-p', ROOT, '-c', conf)
    assert r.returncode == 0, r.stderr


def test_global_directives(tmp_path):
    (tmp_path / 'weir.conf').write_text('events { }')
    ok = run('-t', '-p', tmp_path, '-c', 'weir.conf', '-g', 'daemon off; worker_processes 2;')
    assert ok.returncode == 0
    bad = run('-t', '-p', tmp_path, '-c', 'weir.conf', '-g', 'demon off;')
    assert bad.returncode == 1 and '`daemon`' in bad.stderr


def test_signal_without_a_server(tmp_path):
    (tmp_path / 'weir.conf').write_text('pid none.pid; events { }')
    r = run('-s', 'reload', '-p', tmp_path, '-c', 'weir.conf')
    assert r.returncode == 1 and 'none.pid' in r.stderr


@pytest.mark.parametrize('what,number', [('stop', 0), ('quit', 0)])
def test_stop_and_quit(weir, what, number):
    s = weir()
    assert s.command('-s', what).returncode == number
    assert s.process.wait(5) == 0
    assert not (s.dir / 'weir.pid').exists()


def test_daemon(weir):
    s = weir(start=False)
    s.rewrite(s.conf.read_text().replace('daemon off;', 'daemon on;'))
    r = s.command()
    assert r.returncode == 0, r.stderr
    pid = int((s.dir / 'weir.pid').read_text())
    assert s.get('/file.txt').body == b'0123456789'
    assert s.command('-s', 'quit').returncode == 0
    for _ in range(250):
        if not os.path.exists(f'/proc/{pid}'):
            break
        time.sleep(0.02)
    assert not os.path.exists(f'/proc/{pid}')


def test_port_in_use_is_said_before_leaving_the_terminal(weir):
    s = weir()
    other = weir(start=False, port=s.port)
    other.rewrite(other.conf.read_text().replace('daemon off;', ''))
    r = other.command()
    assert r.returncode == 1 and 'Address already in use' in r.stderr


def test_pid_file(weir):
    s = weir()
    assert int((s.dir / 'weir.pid').read_text()) == s.process.pid
