"""ssl_key_log: the secrets of connections in a file, for its owner alone."""
import os
import signal
import stat
import time

import pytest

from pki import authority, files
from test_tls import ask, context, shake

SERVER = '''server { listen 127.0.0.1:PORT ssl; server_name a.test; ssl_certificate a.crt;
    ssl_certificate_key a.key; ssl_key_log keys.log; return 200 ok; }'''


def start(weir, **kw):
    return weir(servers=SERVER, files={**files(a=authority().issue('a.test')), **kw})


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize('version', ['TLSv1_2', 'TLSv1_3'])
def test_it_has_what_the_client_knows(weir, tmp_path, version):
    import ssl
    s = start(weir)
    v = getattr(ssl.TLSVersion, version)
    c = context(verify=False, minimum_version=v, maximum_version=v,
                keylog_filename=str(tmp_path / 'client'))
    for _ in range(3):
        with shake(s, c=c) as t:
            assert ask(t)[0] == 200
    ours = {line for line in (tmp_path / 'client').read_text().splitlines() if line[0] != '#'}
    assert len(ours) >= 3
    for line in ours:
        s.file('keys.log', contains=line)
    assert mode(s.dir / 'keys.log') == 0o600


def test_a_warning_and_a_file_that_others_could_read(weir):
    s = start(weir, **{'keys.log': ''})
    assert mode(s.dir / 'keys.log') == 0o600
    assert 'everything that is encrypted here can be read' in s.command('-t').stderr


def test_it_is_reopened_like_logs(weir):
    s = start(weir)
    with shake(s, c=context(verify=False)) as t:
        ask(t)
    s.file('keys.log', contains='CLIENT')
    (s.dir / 'keys.log').rename(s.dir / 'old.log')
    s.signal(signal.SIGUSR1)
    end = time.monotonic() + 5
    while not (s.dir / 'keys.log').exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.2)
    with shake(s, c=context(verify=False)) as t:
        ask(t)
    s.file('keys.log', contains='CLIENT')
    assert mode(s.dir / 'keys.log') == 0o600


@pytest.mark.one_engine
def test_a_file_that_cannot_be_opened(weir):
    s = weir(servers=SERVER.replace('keys.log', '/no/such/dir/keys.log'),
             files=files(a=authority().issue('a.test')), start=False)
    said = s.command()
    assert said.returncode == 1 and '/no/such/dir/keys.log' in said.stderr
