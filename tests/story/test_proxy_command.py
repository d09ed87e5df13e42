"""weir proxy: a reverse proxy without a configuration file."""
import subprocess
import time

import pytest

from certificates import authority
from conftest import BINARY, free_port
from upstreams import Upstream, reply


def run(*words, **kw):
    return subprocess.run([BINARY, 'proxy', *map(str, words)], capture_output=True, text=True,
                          timeout=20, **kw)


@pytest.mark.one_engine
@pytest.mark.parametrize('words, lines', [
    (['8080', '3000'], ['listen 0.0.0.0:8080;', 'server 127.0.0.1:3000;',
                        'proxy_set_header Host $http_host;', 'use auto;']),
    (['127.0.0.1:81', 'http://127.0.0.2:1/', 'unix:/run/a.sock', '--balance', 'least_conn'],
     ['listen 127.0.0.1:81;', 'server 127.0.0.2:1;', 'server unix:/run/a.sock;', 'least_conn;']),
    (['[::1]:81', '3000', '--balance', 'hash', '--backend-host', '--engine', 'epoll'],
     ['listen [::1]:81;', 'hash $request_uri consistent;', 'proxy_set_header Host $proxy_host;',
      'use epoll;']),
    (['81', '3000', '--health', '/up?x=1'], ['health_check uri=/up?x=1;']),
    (['81', 'https://localhost', 'https://localhost:444/', '--ca', authority().paths[0],
      '--backend-host'],
     ['server localhost:443;', 'server localhost:444;', 'proxy_pass https://backends;',
      'proxy_ssl_name localhost;', 'proxy_ssl_verify on;', 'proxy_set_header Host localhost;',
      f'proxy_ssl_trusted_certificate {authority().paths[0]};']),
    (['81', 'https://[::1]:444'], ['server [::1]:444;', 'proxy_ssl_verify off;']),
])
def test_its_configuration(tmp_path, words, lines):
    shown = run(*words, '--print-config')
    assert shown.returncode == 0, shown.stderr
    have = [line.strip() for line in shown.stdout.splitlines()]
    assert all(line in have for line in lines), shown.stdout
    (tmp_path / 'weir.conf').write_text(shown.stdout)
    test = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', tmp_path / 'weir.conf'],
                          capture_output=True, text=True)
    assert test.returncode == 0, test.stderr


@pytest.mark.one_engine
@pytest.mark.parametrize('words, says', [
    ([], 'usage: weir proxy'), (['8080'], 'usage: weir proxy'), (['x', '3000'], 'not an address'),
    (['8080', '3000', '--balance', 'fair'], '"fair" is no way to balance'),
    (['8080', '3000', '--health', 'up'], 'usage: weir proxy'), (['8080', 'a;b'], 'usage: weir'),
    (['8080', '3000', '--nonsense'], 'usage: weir proxy'),
    (['8080', 'https://a', 'https://b'], '"https://b" is another one'),
    (['8080', 'https://a', 'http://a'], '"http://a" is another one'),
    (['8080', 'https://a', '--ca', '/none'], '/none: No such file'),
])
def test_mistakes(words, says):
    bad = run(*words)
    assert bad.returncode == 1 and says in bad.stderr


def test_it_runs(engine, tmp_path):
    port = free_port()
    with Upstream(lambda peer, asked: peer.send(reply(asked['Host'] + asked.target))) as app:
        process = subprocess.Popen([BINARY, 'proxy', f'127.0.0.1:{port}', app.at, '--engine',
                                    engine, '--health', '/up'], cwd=tmp_path,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            end = time.monotonic() + 15
            while True:
                got = subprocess.run(['curl', '-s', f'http://127.0.0.1:{port}/a?b'],
                                     capture_output=True, text=True).stdout
                if app.asked and got or time.monotonic() > end:
                    break
                time.sleep(0.05)
            assert got == f'127.0.0.1:{port}/a?b'
            while not any(a.target == '/up' for a in app.asked):
                assert time.monotonic() < end
                time.sleep(0.02)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0
