"""test_tls.py - HTTPS: handshakes, names, sessions, early data, files, what is refused."""
import contextlib
import http.client
import pathlib
import re
import socket
import ssl
import subprocess
import time

import pytest

from certificates import authority, certificate, files

A = certificate('a.test', 'localhost', '127.0.0.1')
R = certificate('rsa.test', kind='rsa')
W = certificate('*.wild.test')
FILES = files(a=A, r=R, w=W)
LISTEN = 'listen 127.0.0.1:PORT ssl;'
PAIR = 'ssl_certificate a.crt; ssl_certificate_key a.key; '
PLAIN = f'server {{ {LISTEN} server_name a.test; {PAIR} root html; '


def context(verify=True, **settings):
    c = ssl.create_default_context(cafile=str(authority().paths[0])) if verify else \
        ssl._create_unverified_context()
    for name, value in settings.items():
        setattr(c, name, value)
    return c


def shake(server, name='a.test', c=None, session=None):
    s = socket.create_connection(('127.0.0.1', server.port), timeout=10)
    return (c or context()).wrap_socket(s, server_hostname=name, session=session)


def ask(t, path='/', name='a.test', more='', method='GET', body=b''):
    t.sendall(f'{method} {path} HTTP/1.1\r\nHost: {name}\r\n{more}\r\n'.encode() + body)
    return answer(t)


def answer(t):
    r = http.client.HTTPResponse(t)
    r.begin()
    return r.status, r.read()


def body(server, path='/', name='a.test', c=None):
    with shake(server, name, c) as t:
        return ask(t, path, name)


def one(weir, more='', **kw):
    return weir(servers=PLAIN + more + '}', files={**FILES, **kw.pop('files', {})}, **kw)


def reload(server):
    done = server.command('-s', 'reload')
    assert done.returncode == 0, done.stderr


# ---- handshakes

@pytest.mark.parametrize('version', ['TLSv1_2', 'TLSv1_3'])
def test_a_file_over_each_version(weir, version):
    s = one(weir, 'location /v { return 200 "$ssl_protocol $ssl_cipher $https $scheme"; }')
    v = getattr(ssl.TLSVersion, version)
    c = context(minimum_version=v, maximum_version=v)
    with shake(s, c=c) as t:
        assert ask(t) == (200, b'<h1>index</h1>\n')
        status, text = ask(t, '/v')
        assert text.decode().split()[0] == version.replace('_', '.') and text.endswith(b'on https')
        assert ask(t, '/file.txt') == (200, b'0123456789')


def test_names_choose_certificates(weir):
    s = weir(servers=PLAIN + '}' + f'''
        server {{ {LISTEN} server_name rsa.test; ssl_certificate r.crt; ssl_certificate_key r.key;
                  return 200 rsa; }}
        server {{ {LISTEN} server_name *.wild.test; ssl_certificate w.crt;
                  ssl_certificate_key w.key; return 200 "wild $ssl_server_name"; }}
        server {{ {LISTEN} server_name no.test; ssl_reject_handshake on; }}''', files=FILES)
    assert body(s)[1] == b'<h1>index</h1>\n'
    assert body(s, name='rsa.test')[1] == b'rsa'
    assert body(s, name='x.wild.test')[1] == b'wild x.wild.test'
    assert body(s, name='localhost')[1] == b'<h1>index</h1>\n'      # the default server
    with pytest.raises(ssl.SSLError, match='(?i)unrecognized.name'):
        shake(s, 'no.test', context(verify=False, check_hostname=False))
    with shake(s, None, context(verify=False)) as t:                # no SNI
        assert ask(t)[0] == 200


def test_rsa_and_ecdsa_of_one_server(weir):
    both = certificate('a.test', kind='rsa')
    s = one(weir, 'ssl_certificate b.crt; ssl_certificate_key b.key;'
                  'location /c { return 200 $ssl_cipher; }', files=files(b=both))
    v = dict(maximum_version=ssl.TLSVersion.TLSv1_2)
    for kind in ('ECDSA', 'RSA'):
        c = context(**v)
        c.set_ciphers(f'ECDHE-{kind}-AES128-GCM-SHA256')
        assert body(s, '/c', c=c)[1] == f'ECDHE-{kind}-AES128-GCM-SHA256'.encode()


def test_only_the_protocols_that_were_said(weir):
    s = one(weir, 'ssl_protocols TLSv1.3;')
    with pytest.raises(ssl.SSLError):
        shake(s, c=context(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert body(s)[0] == 200


def test_each_server_has_its_own_protocols_and_ciphers(weir):
    s = weir(servers=PLAIN + '''ssl_protocols TLSv1.2;
        ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384; }''' + f'''
        server {{ {LISTEN} server_name x.wild.test; ssl_certificate w.crt; ssl_protocols TLSv1.3;
                  ssl_certificate_key w.key; return 200 $ssl_protocol; }}''', files=FILES)
    with shake(s) as t:
        assert t.version() == 'TLSv1.2' and t.cipher()[0] == 'ECDHE-ECDSA-AES256-GCM-SHA384'
    assert body(s, name='x.wild.test')[1] == b'TLSv1.3'


def test_protocols_behind_tls_are_agreed_strictly(weir):
    s = one(weir, 'location /p { return 200 "[$ssl_alpn_protocol]"; }')
    c = context()
    c.set_alpn_protocols(['http/1.1'])
    with shake(s, c=c) as t:
        assert t.selected_alpn_protocol() == 'http/1.1' and ask(t, '/p')[1] == b'[http/1.1]'
    c.set_alpn_protocols(['imap'])
    with pytest.raises(ssl.SSLError, match='(?i)no.application.protocol'):
        shake(s, c=c)
    assert body(s, '/p')[1] == b'[]'


def test_variables(weir):
    s = one(weir, '''location /v {
        set $a "$ssl_curve|$ssl_server_name|$ssl_session_reused|$ssl_session_id";
        return 200 "$a|$ssl_client_verify|$ssl_early_data|$ssl_curves|$ssl_ciphers"; }
        location /plain { return 200 $https; }''')
    text = body(s, '/v')[1].decode()
    curve, name, reused, session, verify, early, curves, ciphers = text.split('|')
    assert curve == 'X25519' and name == 'a.test' and reused == '.' and verify == 'NONE'
    assert early == '' and 'prime256v1' in curves and 'TLS_AES_256_GCM_SHA384' in ciphers
    assert re.fullmatch(r'[0-9a-f]{64}', session)


def test_redirects_stay_on_https(weir):
    s = one(weir, files={'html/dir/index.html': 'x'})
    with shake(s) as t:
        t.sendall(b'GET /dir HTTP/1.1\r\nHost: a.test\r\n\r\n')
        r = http.client.HTTPResponse(t)
        r.begin()
        assert r.headers['Location'].startswith('https://a.test')


# ---- bytes

def test_large_answers_and_ranges(weir):
    big = bytes(range(256)) * 20000
    s = one(weir, files={'html/big': big})
    with shake(s) as t:
        assert ask(t, '/big') == (200, big)
        part = ask(t, '/big', more='Range: bytes=1000000-1099999\r\n')
        assert part == (206, big[1000000:1100000])
        t.sendall(b'GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n' * 3)
        for _ in range(3):
            assert answer(t) == (200, big)


def test_large_bodies_arrive(weir):
    s = one(weir, 'client_max_body_size 100m; location /up { dav_methods PUT; }')
    (s.dir / 'html/up').mkdir()
    (s.dir / 'html/up').chmod(0o777)
    sent = bytes(range(256)) * 10000
    with shake(s) as t:
        length = f'Content-Length: {len(sent)}\r\n'
        status, _ = ask(t, '/up/x', more=length, method='PUT', body=sent)
        assert status == 201
    assert (s.dir / 'html/up/x').read_bytes() == sent


def test_a_byte_at_a_time(weir):
    """Records that come in pieces, and requests that come in records of one byte."""
    s = one(weir)
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = context().wrap_bio(inside, outside, server_hostname='a.test')
    raw = socket.create_connection(('127.0.0.1', s.port), timeout=10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def out():
        for byte in outside.read():
            raw.send(bytes([byte]))

    while True:
        try:
            t.do_handshake()
            break
        except ssl.SSLWantReadError:
            out()
            inside.write(raw.recv(65536))
    for byte in b'GET /file.txt HTTP/1.1\r\nHost: a.test\r\n\r\n':
        t.write(bytes([byte]))
    out()
    got = b''
    while b'0123456789' not in got:
        try:
            got += t.read()
        except ssl.SSLWantReadError:
            inside.write(raw.recv(65536))
    raw.close()


def test_a_client_that_reads_slowly(weir):
    big = b'x' * 3_000_000
    s = one(weir, files={'html/big': big})
    with shake(s) as t:
        t.sendall(b'GET /big HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
        time.sleep(1)
        got = b''
        while piece := t.recv(65536):
            got += piece
        assert got.endswith(big)


def test_the_end_is_told(weir):
    """close_notify comes before the connection ends: nothing was cut off."""
    s = one(weir)
    raw = socket.create_connection(('127.0.0.1', s.port), timeout=10)
    t = context().wrap_socket(raw, server_hostname='a.test', suppress_ragged_eofs=False)
    t.sendall(b'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n')
    got = b''
    while piece := t.recv(65536):
        got += piece
    assert got.endswith(b'<h1>index</h1>\n')
    t.close()


def test_idle_connections_are_told_too(weir):
    s = one(weir, 'keepalive_timeout 1s;')
    raw = socket.create_connection(('127.0.0.1', s.port), timeout=10)
    t = context().wrap_socket(raw, server_hostname='a.test', suppress_ragged_eofs=False)
    assert ask(t)[0] == 200
    assert t.recv(1) == b''


# ---- sessions

def resumed(server, c, name='a.test'):
    """Two connections: was the second one's session the first one's?"""
    with shake(server, name, c) as t:
        assert ask(t, name=name)[0] == 200
        session = t.session
    with shake(server, name, c, session) as t:
        assert ask(t, '/r', name)[1] == (b'r' if t.session_reused else b'.')
        return t.session_reused


R_LOCATION = 'location /r { return 200 $ssl_session_reused; }'


@pytest.mark.parametrize('version, settings, taken_up', [
    ('TLSv1_2', '', True),
    ('TLSv1_2', 'ssl_session_tickets off;', False),
    ('TLSv1_2', 'ssl_session_tickets off; ssl_session_cache shared:S:1m;', True),
    ('TLSv1_3', '', True),
    ('TLSv1_3', 'ssl_session_tickets off;', False),
    ('TLSv1_3', 'ssl_session_tickets off; ssl_session_cache shared:S:1m;', True),
])
def test_sessions_are_taken_up(weir, version, settings, taken_up):
    s = one(weir, settings + R_LOCATION)
    v = getattr(ssl.TLSVersion, version)
    assert resumed(s, context(minimum_version=v, maximum_version=v)) == taken_up


@pytest.mark.parametrize('version', ['TLSv1_2', 'TLSv1_3'])
def test_sessions_outlive_a_reload_and_reach_other_loops(weir, version):
    s = weir(user_conf='''daemon off; worker_processes 2; pid weir.pid;
        error_log error.log info; events { use ENGINE; } http { access_log off;
        ''' + PLAIN + 'ssl_session_cache shared:S:1m;' + R_LOCATION + '}}', files=FILES)
    v = getattr(ssl.TLSVersion, version)
    c = context(minimum_version=v, maximum_version=v)
    with shake(s, c=c) as t:
        ask(t)
        session = t.session
    reload(s)
    for _ in range(6):
        with shake(s, c=c, session=session) as t:
            assert ask(t, '/r')[1] == b'r'


def test_ticket_keys_of_files(weir):
    old, new = bytes(range(48)), bytes(range(100, 180))
    s = one(weir, 'ssl_session_ticket_key old.key;' + R_LOCATION,
            files={'old.key': old, 'new.key': new})
    v = ssl.TLSVersion.TLSv1_2
    c = context(minimum_version=v, maximum_version=v)
    with shake(s, c=c) as t:
        ask(t)
        session = t.session
    text = s.conf.read_text()
    said = 'ssl_session_ticket_key old.key;'
    s.conf.write_text(text.replace(said, 'ssl_session_ticket_key new.key;' + said))
    reload(s)
    with shake(s, c=c, session=session) as t:
        assert ask(t, '/r')[1] == b'r'
    s.conf.write_text(text.replace('old.key', 'new.key'))
    reload(s)
    with shake(s, c=c, session=session) as t:
        assert ask(t, '/r')[1] == b'.'


def s_client(server, *words, text=b''):
    return subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{server.port}',
                           '-servername', 'a.test', *map(str, words)], input=text,
                          capture_output=True, timeout=20).stdout


def test_early_data(weir, tmp_path):
    s = one(weir, 'ssl_early_data on; location /e { return 200 "early=$ssl_early_data;"; }')
    request = tmp_path / 'request'
    request.write_bytes(b'GET /e HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    first = s_client(s, '-sess_out', tmp_path / 'session', '-ign_eof', text=request.read_bytes())
    assert b'early=;' in first
    again = s_client(s, '-sess_in', tmp_path / 'session', '-early_data', request, '-ign_eof')
    assert b'Early data was accepted' in again and b'early=1;' in again


# ---- clients' certificates

def client(pair, **kw):
    c = context(**kw)
    c.load_cert_chain(*map(str, pair.paths))
    return c


CLIENT = '''ssl_verify_client %s; ssl_client_certificate ca.crt; ssl_verify_depth 2;
    location /who { set $who "$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn";
        return 200 "$who|$ssl_client_serial|$ssl_client_fingerprint|$ssl_client_v_remain"; }
    location /pem { return 200 $ssl_client_escaped_cert; }'''


def verifying(weir, how, more=''):
    return one(weir, CLIENT % how + more, files={'ca.crt': authority().crt})


def test_a_client_with_a_certificate(weir):
    s = verifying(weir, 'on')
    me = certificate('me', subject='/O=Weir/CN=me')
    text = body(s, '/who', c=client(me))[1].decode()
    verify, subject, issuer, serial, print_, days = text.split('|')
    assert (verify, subject, issuer) == ('SUCCESS', 'CN=me,O=Weir', 'CN=weir test ca')
    assert re.fullmatch('[0-9A-F]+', serial) and re.fullmatch('[0-9a-f]{40}', print_)
    assert 88 <= int(days) <= 90
    assert body(s, '/pem', c=client(me))[1].startswith(b'-----BEGIN%20CERTIFICATE-----%0A')
    status, text = body(s)
    assert status == 400 and b'none came with this connection' in text
    status, text = body(s, c=client(certificate('you', by='other')))
    assert status == 400 and b'is not accepted' in text


def test_certificates_that_may_be_left_out(weir):
    s = verifying(weir, 'optional')
    assert body(s, '/who')[1].startswith(b'NONE|')
    assert body(s, '/who', c=client(certificate('me')))[1].startswith(b'SUCCESS|')
    assert body(s, '/who', c=client(certificate('you', by='other')))[0] == 400
    s = verifying(weir, 'optional_no_ca')
    assert body(s, '/who', c=client(certificate('you', by='other')))[1].startswith(b'FAILED:unable')


def test_error_pages_of_certificates(weir):
    s = verifying(weir, 'on', '''error_page 495 496 =403 /no.html;
        location /no.html { return 403 "none here"; }''')
    assert body(s) == (403, b'none here')


def test_revoked_certificates(weir, tmp_path):
    from certificates import DIRECTORY, openssl
    gone, here = certificate('gone', by='revoking'), certificate('here', by='revoking')
    index = tmp_path / 'index'
    index.write_text('')
    (tmp_path / 'number').write_text('01\n')
    conf = tmp_path / 'ca.cnf'
    conf.write_text(f'[ca]\ndefault_ca=d\n[d]\ndatabase={index}\ncrlnumber={tmp_path}/number\n'
                    f'default_md=sha256\ndefault_crl_days=30\n')
    ca = ['-config', conf, '-keyfile', DIRECTORY / 'revoking.key', '-cert',
          DIRECTORY / 'revoking.crt']
    openssl('ca', *ca, '-revoke', gone.paths[0])
    openssl('ca', *ca, '-gencrl', '-out', tmp_path / 'crl')
    s = one(weir, 'ssl_verify_client on; ssl_client_certificate r.ca; ssl_crl list;',
            files={'r.ca': authority('revoking').crt, 'list': (tmp_path / 'crl').read_text()})
    assert body(s, c=client(here))[0] == 200
    assert body(s, c=client(gone))[0] == 400


def test_another_server_than_the_one_that_shook_hands(weir):
    s = weir(servers=PLAIN + '}' + f'''server {{ {LISTEN} server_name x.wild.test;
        ssl_certificate w.crt; ssl_certificate_key w.key; ssl_verify_client on;
        ssl_client_certificate ca.crt; return 200 secret; }}''',
             files={**FILES, 'ca.crt': authority().crt})
    with shake(s) as t:
        assert ask(t, name='x.wild.test')[0] == 421
    assert body(s, name='x.wild.test', c=client(certificate('me'))) == (200, b'secret')


# ---- what is not TLS, or not well

def test_plain_http_on_a_tls_port(weir):
    s = one(weir)
    with s.connect() as k:
        x = k.ask('/')
        assert x.status == 400 and b'to a port for HTTPS' in x.body
    s = one(weir, 'error_page 497 =301 https://$host:PORT$request_uri;')
    with s.connect() as k:
        x = k.ask('/path?q')
        assert x.status == 301 and x['Location'] == f'https://a.test:{s.port}/path?q'


def test_tls_on_a_plain_port(weir):
    s = weir()
    with pytest.raises(ssl.SSLError):
        shake(s)
    with s.connect() as k:
        assert k.ask('/').status == 200


GARBAGE = {
    'no handshake': b'\x16\x03\x01\x00\x05hello',
    'a record too long': b'\x16\x03\x01\xff\xff' + b'a' * 70000,
    'a hello cut off': b'\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03',
    'an alert': b'\x16\x03\x01\x00\x02\x01\x00' + b'\x15\x03\x01\x00\x02\x02\x28',
    'an old hello': b'\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10' + b'a' * 46,
}


def say_and_leave(server, words):
    """Returns when the server has closed the connection, one way or the other."""
    with socket.create_connection(('127.0.0.1', server.port), timeout=10) as k:
        k.sendall(words)
        k.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while k.recv(65536):
                pass


@pytest.mark.parametrize('what', GARBAGE)
def test_garbage(weir, what):
    s = one(weir)
    say_and_leave(s, GARBAGE[what])
    assert body(s)[0] == 200


def test_a_hello_of_64_kib(weir):
    s = one(weir)
    extension = b'\x00\x15\xff\xf0' + b'\0' * 0xfff0                 # padding
    hello = b'\x03\x03' + b'r' * 32 + b'\0' + b'\0\x02\x13\x01' + b'\x01\0' + \
        (len(extension) + 0).to_bytes(2, 'big') + extension
    message = b'\x01' + len(hello).to_bytes(3, 'big') + hello
    records = b''.join(b'\x16\x03\x01' + len(message[i:i + 16384]).to_bytes(2, 'big') +
                       message[i:i + 16384] for i in range(0, len(message), 16384))
    say_and_leave(s, records)
    assert body(s)[0] == 200


def test_a_handshake_that_stalls(weir):
    """reason: tls_late"""
    s = one(weir, 'client_header_timeout 1s;')
    with socket.create_connection(('127.0.0.1', s.port), timeout=10) as k:
        k.sendall(b'\x16\x03\x01\x02\x00\x01')
        began = time.monotonic()
        assert k.recv(100) == b''
        assert time.monotonic() - began > 0.5


def test_renegotiation_is_refused(weir):
    s = one(weir)
    out = s_client(s, '-tls1_2', text=b'R\n')
    assert b'Secure Renegotiation IS supported' in out
    assert body(s)[0] == 200


def test_a_record_that_was_changed(weir):
    """reason: tls_bad"""
    s = one(weir)
    raw = socket.create_connection(('127.0.0.1', s.port), timeout=10)
    t = context().wrap_socket(raw, server_hostname='a.test')
    assert ask(t)[0] == 200
    plain = socket.socket(fileno=t.detach())
    plain.settimeout(10)
    plain.sendall(b'\x17\x03\x03\x00\x20' + b'z' * 32)
    while plain.recv(65536):
        pass
    plain.close()
    assert body(s)[0] == 200


# ---- reloads

def test_a_new_certificate_comes_with_a_reload(weir):
    s = one(weir)
    old = shake(s)
    first = old.getpeercert()['serialNumber']
    new = certificate('a.test', days=60)
    (s.dir / 'a.crt').write_text(new.crt)
    (s.dir / 'a.key').write_text(new.key)
    reload(s)
    assert ask(old)[0] == 200                                        # connections stay
    with shake(s) as t:
        assert t.getpeercert()['serialNumber'] != first
    old.close()


@pytest.mark.parametrize('what', ['garbage', 'another key', 'gone', 'empty'])
def test_a_bad_certificate_leaves_the_old_one_in_force(weir, what):
    """… for that server; the others' changes come into force."""
    s = weir(servers=PLAIN + 'location /x { return 200 old; } }' + f"""
        server {{ {LISTEN} server_name x.wild.test; ssl_certificate w.crt;
                  ssl_certificate_key w.key; return 200 wild; }}""", files=FILES)
    with shake(s) as t:
        serial = t.getpeercert()['serialNumber']
    bad = {'garbage': 'nonsense', 'another key': R.crt, 'empty': '', 'gone': None}[what]
    for name in ('a.crt', 'a.key') if what == 'gone' else ('a.crt',):
        (s.dir / name).unlink()
        if bad is not None:
            (s.dir / name).write_text(bad)
    s.rewrite(s.conf.read_text().replace('return 200 old', 'return 200 new')
              .replace('return 200 wild', 'return 200 wilder'))
    for _ in range(2):
        reload(s)
        with shake(s) as t:
            assert t.getpeercert()['serialNumber'] == serial and ask(t, '/x')[1] == b'new'
        assert body(s, name='x.wild.test')[1] == b'wilder'
    assert 'stays' in s.log()
    (s.dir / 'a.crt').write_text(A.crt)
    (s.dir / 'a.key').write_text(A.key)
    reload(s)
    assert body(s)[0] == 200


def test_connections_outlive_many_reloads(weir):
    s = one(weir)
    with shake(s) as t:
        for _ in range(30):
            reload(s)
            assert ask(t)[0] == 200


# ---- certificates that are read when they are asked for

DYNAMIC = f'''server {{ {LISTEN} server_name ~.; ssl_certificate certs/$ssl_server_name.crt;
    ssl_certificate_key certs/$ssl_server_name.key; return 200 $ssl_server_name; }}'''


def test_certificates_by_variable(weir):
    B = certificate('b.test')
    s = weir(servers=DYNAMIC, files={'certs/a.test.crt': A.crt, 'certs/a.test.key': A.key,
                                     'certs/b.test.crt': B.crt, 'certs/b.test.key': B.key})
    for _ in range(3):
        assert body(s, name='a.test') == (200, b'a.test')
        assert body(s, name='b.test') == (200, b'b.test')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(s, 'c.test')
    s.wait_log('c.test.crt" cannot be read: No such file')
    C = certificate('c.test')
    (s.dir / 'certs/c.test.crt').write_text(C.crt)
    (s.dir / 'certs/c.test.key').write_text(C.key)
    assert body(s, name='c.test') == (200, b'c.test')
    new = certificate('a.test', days=60)
    with shake(s) as t:
        serial = t.getpeercert()['serialNumber']
    (s.dir / 'certs/a.test.crt').write_text(new.crt)
    (s.dir / 'certs/a.test.key').write_text(new.key)
    with shake(s) as t:
        assert t.getpeercert()['serialNumber'] != serial


# ---- mistakes

MISTAKES = [
    ('ssl_certificate none.crt; ssl_certificate_key a.key;',
     'none.crt" cannot be read: No such file'),
    ('ssl_certificate a.crt;', 'no "ssl_certificate_key" is defined'),
    ('ssl_certificate a.crt; ssl_certificate_key r.key;', "this is not the certificate's key"),
    ('ssl_certificate a.key; ssl_certificate_key a.key;', 'this is not a certificate in PEM'),
    ('', 'no "ssl_certificate" is defined'),
    (PAIR + 'ssl_ciphers nonsense;', 'no cipher fits'),
    (PAIR + 'ssl_ecdh_curve nonsense;', 'not curves'),
    (PAIR + 'ssl_protocols TLSv9;', 'is not a protocol'),
    (PAIR + 'ssl_session_ticket_key a.key;', 'it has'),
    (PAIR + 'ssl_verify_client on;', 'whose certificates'),
    (PAIR + 'ssl_conf_command No Such;', 'refuses'),
    (PAIR + 'ssl_dhparam a.key;', 'DH parameters'),
    (PAIR + 'ssl_session_cache shared:x;', 'size'),
    ('ssl_certificate engine:x; ssl_certificate_key a.key;', 'engines'),
]


@pytest.mark.one_engine
@pytest.mark.parametrize('text, said', MISTAKES)
def test_mistakes_are_explained(weir, text, said):
    s = weir(servers=f'server {{ {LISTEN} {text} }}', files=FILES, start=False)
    out = s.command('-t')
    assert out.returncode == 1 and said in out.stderr, out.stderr


def test_keys_with_pass_phrases(weir):
    from certificates import openssl
    locked = openssl('pkey', '-in', A.paths[1], '-aes256', '-passout', 'pass:open sesame').decode()
    s = one(weir, files={'a.key': locked, 'words': 'wrong\nopen sesame\n'},
            more='ssl_password_file words;')
    assert body(s)[0] == 200


def test_a_certificate_that_ends_soon_is_warned_of(weir):
    soon = certificate('a.test', days=5)
    s = weir(servers=PLAIN + '}', files=files(a=soon))
    s.wait_log('the certificate expires on')
    assert body(s)[0] == 200
