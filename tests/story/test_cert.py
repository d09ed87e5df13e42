"""weir cert and weir serve --tls: certificates of a configuration, and of one's own authority."""
import base64
import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest

from conftest import BINARY, free_port
from pki import Authority, authority, days, files, now
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


@pytest.fixture
def home(tmp_path):
    return tmp_path / 'share'


def cert(home, *words, status=0, cwd=None):
    run = subprocess.run([BINARY, 'cert', *map(str, words)], capture_output=True, text=True,
                         timeout=20, cwd=cwd, env=dict(os.environ, XDG_DATA_HOME=str(home)))
    assert run.returncode == status, run.stdout + run.stderr
    return run


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def verify(ca, leaf, name):
    kind = '-verify_ip' if name.replace('.', '').isdigit() or ':' in name else '-verify_hostname'
    return subprocess.run(['openssl', 'verify', '-x509_strict', '-CAfile', str(ca), kind, name,
                           str(leaf)], capture_output=True, text=True)


# ---- the local authority -------------------------------------------------------------------


def test_an_authority_is_made_once(home, tmp_path):
    first = cert(home, 'make', 'a.test', cwd=tmp_path)
    ca = home / 'weir' / 'ca.crt'
    before = ca.read_bytes()
    assert 'update-ca-certificates' in first.stdout and str(ca) in first.stdout
    second = cert(home, 'make', 'b.test', '10.0.0.1', cwd=tmp_path)
    assert 'update-ca-certificates' not in second.stdout and ca.read_bytes() == before
    assert mode(home / 'weir') == 0o700 and mode(home / 'weir' / 'ca.key') == 0o600
    assert mode(tmp_path / 'a.test.key') == 0o600
    left = load(ca).not_valid_after - now()
    assert days(3640) < left < days(3653)
    for name in 'b.test', '10.0.0.1':
        assert verify(ca, tmp_path / 'b.test.crt', name).returncode == 0
    assert verify(ca, tmp_path / 'b.test.crt', 'a.test').returncode != 0


def test_its_certificates_last_397_days_at_most(home, tmp_path):
    cert(home, 'make', '*.a.test', '::1', cwd=tmp_path)
    leaf = load(tmp_path / '_.a.test.crt')
    assert leaf.not_valid_after - leaf.not_valid_before <= days(397)
    assert leaf.public_key().curve.name == 'secp256r1'
    assert verify(home / 'weir' / 'ca.crt', tmp_path / '_.a.test.crt', 'x.a.test').returncode == 0


@pytest.mark.parametrize('name', ['example.com', '8.8.8.8', 'test.example', '*.com'])
def test_it_speaks_for_nobody_elses_names(home, tmp_path, name):
    said = cert(home, 'make', 'a.test', name, cwd=tmp_path, status=1).stderr
    assert 'cannot speak for' in said and name in said
    assert not (tmp_path / 'a.test.key').exists()


def test_a_thief_of_its_key_cannot_either(home, tmp_path):
    cert(home, 'trust')
    ca = home / 'weir' / 'ca.crt'
    thief = Authority.__new__(Authority)
    thief.cert = load(ca)
    thief.secret = serialization.load_pem_private_key((home / 'weir' / 'ca.key').read_bytes(),
                                                      None)
    for name, fine in ('bank.example', False), ('a.test', True):
        (tmp_path / 'x.crt').write_text(thief.issue(name).crt)
        run = subprocess.run(['openssl', 'verify', '-CAfile', str(ca), str(tmp_path / 'x.crt')],
                             capture_output=True, text=True)
        assert (run.returncode == 0) == fine
        assert fine or 'permitted subtree violation' in run.stdout + run.stderr


@pytest.mark.parametrize('name', ['a b.test', '-a.test', 'a.test.', 'ä.test', 'a,DNS:b.test'])
def test_names_that_are_none(home, tmp_path, name):
    assert cert(home, 'make', 'a.test', name, cwd=tmp_path, status=1 if name[0] != '-' else 2)
    assert not (tmp_path / 'a.test.key').exists()


def test_nothing_is_replaced_unasked(home, tmp_path):
    cert(home, 'make', 'a.test', cwd=tmp_path)
    before = (tmp_path / 'a.test.crt').read_bytes()
    assert '--force' in cert(home, 'make', 'a.test', cwd=tmp_path, status=1).stderr
    assert (tmp_path / 'a.test.crt').read_bytes() == before
    cert(home, 'make', '--force', 'a.test', cwd=tmp_path)
    assert (tmp_path / 'a.test.crt').read_bytes() != before


def test_a_key_that_others_could_read_is_refused(home):
    cert(home, 'trust')
    (home / 'weir' / 'ca.key').chmod(0o644)
    assert 'can be read by others' in cert(home, 'trust', status=1).stderr


def test_half_an_authority_is_not_replaced(home):
    cert(home, 'trust')
    (home / 'weir' / 'ca.crt').unlink()
    assert 'ca.crt' in cert(home, 'trust', status=1).stderr
    assert (home / 'weir' / 'ca.key').exists()


def test_many_at_once_make_one(home):
    env = dict(os.environ, XDG_DATA_HOME=str(home))
    all_ = [subprocess.Popen([BINARY, 'cert', 'trust'], env=env, stdout=subprocess.DEVNULL)
            for _ in range(8)]
    assert [p.wait(20) for p in all_] == [0] * 8
    assert cert(home, 'trust').stdout


def test_wrong_words(home):
    for words in [], ['renew'], ['make'], ['show'], ['list', '--yaml'], ['trust', 'me']:
        assert 'usage' in cert(home, *words, status=2).stderr
    assert 'usage' in cert(home, '--help').stdout


# ---- list and show -------------------------------------------------------------------------

CONF = '''events {}
http {
    server { listen 443 ssl; ssl_certificate a.crt; ssl_certificate_key a.key; }
    include more.conf;
}
'''
MORE = '''server { listen 444 ssl;
    ssl_certificate r.crt;
    ssl_certificate_key r.key; }
'''


def write(directory, **pairs):
    for name, text in files(**pairs).items():
        (directory / name).write_text(text)
    (directory / 'weir.conf').write_text(CONF)
    (directory / 'more.conf').write_text(MORE)
    return directory / 'weir.conf'


def test_a_list_with_places(home, tmp_path):
    conf = write(tmp_path, a=authority().issue('a.test', '127.0.0.1', last=90),
                 r=authority().issue('r.test', kind='rsa', last=20))
    lines = cert(home, 'list', '-c', conf).stdout.splitlines()
    assert len(lines) == 3
    for text in '19 ', 'RSA 2048', 'r.test', 'weir story authority', 'more.conf:2':
        assert text in lines[1]
    for text in '89 ', 'EC P-256', 'a.test, 127.0.0.1', 'weir.conf:3':
        assert text in lines[2]


def test_the_list_as_json(home, tmp_path):
    pair = authority().issue('a.test', 'b.test', last=90, responder='http://127.0.0.1/ocsp')
    conf = write(tmp_path, a=pair, r=authority().issue('r.test', kind='rsa', last=20))
    found = json.loads(cert(home, 'list', '-c', conf, '--json').stdout)
    assert [f['days'] for f in found] == [19, 89]
    a = found[1]
    assert a['names'] == ['a.test', 'b.test'] and a['key'] == 'EC P-256' and not a['expired']
    assert a['file'].endswith('weir.conf') and a['line'] == 3
    assert a['directive'] == 'ssl_certificate'
    assert a['path'] == str(tmp_path / 'a.crt') and a['ocsp'] == 'http://127.0.0.1/ocsp'
    assert a['sha256'].replace(':', '').lower() == pair.cert.fingerprint(hashes.SHA256()).hex()
    assert int(a['serial'], 16) == pair.cert.serial_number


def test_one_that_expired(home, tmp_path):
    conf = write(tmp_path, a=authority().issue('a.test', first=-9, last=-2),
                 r=authority().issue('r.test'))
    found = json.loads(cert(home, 'list', '-c', conf, '--json', status=1).stdout)
    assert found[0]['expired'] and found[0]['days'] == -3
    assert cert(home, 'list', '-c', conf, status=1).stdout.splitlines()[1].split()[0] == '-3'


def test_one_that_cannot_be_read(home, tmp_path):
    conf = write(tmp_path, a=authority().issue('a.test'), r=authority().issue('r.test'))
    (tmp_path / 'a.crt').unlink()
    (tmp_path / 'r.crt').write_text('nothing')
    said = cert(home, 'list', '-c', conf, status=1).stdout
    assert 'No such file' in said and 'there is no certificate' in said


def test_a_broken_configuration(home, tmp_path):
    (tmp_path / 'weir.conf').write_text('http {')
    assert cert(home, 'list', '-c', tmp_path / 'weir.conf', status=2).stderr


def test_show(home, tmp_path):
    pair = authority().issue('a.test', '::1', last=10)
    (tmp_path / 'chain.crt').write_text(pair.crt + authority().crt)
    said = cert(home, 'show', tmp_path / 'chain.crt').stdout
    spki = pair.secret.public_key().public_bytes(serialization.Encoding.DER,
                                                 serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    assert 'a.test, ::1' in said and 'which is in 9 days' in said
    assert base64.b64encode(digest.finalize()).decode() in said
    assert said.count('SHA-256') == 2 and 'authority    yes' in said
    (tmp_path / 'old.crt').write_text(authority().issue('old.test', first=-5, last=-1).crt)
    assert 'expired for 2 days' in cert(home, 'show', tmp_path / 'old.crt', status=1).stdout
    assert cert(home, 'show', tmp_path / 'none.crt', status=1).stderr
    (tmp_path / 'cut.crt').write_text(pair.crt[:300] + '\n')
    assert cert(home, 'show', tmp_path / 'cut.crt', status=1).stderr


# ---- weir serve --tls ----------------------------------------------------------------------


@contextlib.contextmanager
def serving(home, directory, *words, port=None):
    port = port or free_port()
    (directory / 'index.html').write_text('<p id=it>hello</p>')
    run = subprocess.Popen([BINARY, 'serve', str(directory), '-l', f'127.0.0.1:{port}', '--tls',
                            *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, env=dict(os.environ, XDG_DATA_HOME=str(home)))
    end = time.monotonic() + 10
    while time.monotonic() < end and run.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', port), timeout=1).close()
            break
        time.sleep(0.02)
    try:
        assert run.poll() is None, run.communicate()
        yield port
    finally:
        run.send_signal(signal.SIGQUIT)
        run.said = run.communicate(timeout=15)[0]
    assert run.returncode == 0


def get(port, ca, name='127.0.0.1'):
    c = http.client.HTTPSConnection(name, port, timeout=5,
                                    context=ssl.create_default_context(cafile=str(ca)))
    c.request('GET', '/')
    answer = c.getresponse()
    return answer.status, answer.read()


def test_a_directory_by_https(home, tmp_path):
    www = tmp_path / 'www'
    www.mkdir()
    ca = home / 'weir' / 'ca.crt'
    with serving(home, www) as port:
        assert get(port, ca) == (200, b'<p id=it>hello</p>')
        curl = subprocess.run(['curl', '-sS', '--cacert', str(ca), f'https://localhost:{port}/'],
                              capture_output=True, text=True)
        assert 'hello' in curl.stdout, curl.stderr
        refused = subprocess.run(['curl', '-sS', f'https://localhost:{port}/'],
                                 capture_output=True, text=True)
        assert refused.returncode == 60
        with socket.create_connection(('127.0.0.1', port)) as s:
            s.sendall(b'GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
            head = s.recv(4096).decode()
        assert ' 301 ' in head and f'https://127.0.0.1:{port}/x' in head
    names = load(home / 'weir' / 'local.crt').extensions \
        .get_extension_for_class(x509.SubjectAlternativeName).value
    assert 'localhost' in names.get_values_for_type(x509.DNSName)
    assert {str(a) for a in names.get_values_for_type(x509.IPAddress)} == {'127.0.0.1', '::1'}


def test_the_certificate_stays_until_its_end_is_near(home, tmp_path):
    local = home / 'weir' / 'local.crt'
    with serving(home, tmp_path):
        first = local.read_bytes()
    with serving(home, tmp_path):
        assert local.read_bytes() == first
    ours = Authority.__new__(Authority)
    ours.cert = load(home / 'weir' / 'ca.crt')
    ours.secret = serialization.load_pem_private_key((home / 'weir' / 'ca.key').read_bytes(), None)
    ends = ours.issue(*[str(n) for n in ('localhost', '127.0.0.1', '::1', socket.gethostname())],
                      last=20)
    local.write_text(ends.crt)
    (home / 'weir' / 'local.key').write_text(ends.key)
    with serving(home, tmp_path) as port:
        assert load(local).not_valid_after > now() + days(300)
        assert get(port, home / 'weir' / 'ca.crt')[0] == 200


def test_files_of_ones_own(home, tmp_path):
    pair = authority().issue('localhost', '127.0.0.1')
    for name, text in files(a=pair).items():
        (tmp_path / name).write_text(text)
    (tmp_path / 'ca.crt').write_text(authority().crt)
    www = tmp_path / 'www'
    www.mkdir()
    with serving(home, www, '--cert', tmp_path / 'a.crt', '--key', tmp_path / 'a.key') as port:
        assert get(port, tmp_path / 'ca.crt')[0] == 200
    assert not home.exists()


@pytest.mark.parametrize('words, says', [
    (['--cert', '/no/such'], 'usage'),
    (['--cert', '/no/such', '--key', '/no/such'], 'No such file')])
def test_files_that_are_not_there(home, tmp_path, words, says):
    run = subprocess.run([BINARY, 'serve', str(tmp_path), '--tls', *words], capture_output=True,
                         text=True, timeout=10)
    assert run.returncode == 1 and says in run.stderr


def chromium():
    return next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
                None)


@pytest.mark.skipif(not chromium(), reason='there is no Chromium')
def test_a_browser_that_knows_the_key(home, tmp_path):
    www = tmp_path / 'www'
    www.mkdir()
    with serving(home, www) as port:
        key = load(home / 'weir' / 'local.crt').public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(key)
        pin = base64.b64encode(digest.finalize()).decode()
        def page(*more):
            return subprocess.run(
                [chromium(), '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom',
                 f'--user-data-dir={tmp_path / "profile"}', *more, f'https://localhost:{port}/'],
                capture_output=True, text=True, timeout=60).stdout
        assert 'hello' in page(f'--ignore-certificate-errors-spki-list={pin}')
        assert 'hello' not in page()
