"""proxy_pass https://: handshakes with servers, whom weir trusts, sessions, kept connections."""
import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

from certificates import DIRECTORY, authority, certificate, files, openssl
from conftest import free_port
from upstreams import Upstream, reply

B = certificate('b.test', '127.0.0.1')
OTHER = certificate('c.test')
EXPIRED = certificate('b.test', days=-1)
STRANGER = certificate('b.test', by='stranger')
CLIENT = certificate('client.test', kind='rsa')
FILES = {**files(client=CLIENT, ca=authority())}
VERIFY = 'proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.crt; '
TOLD = 'proxy_ssl_server_name on; proxy_ssl_name b.test; '


def context(pair=B, lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_3, clients=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*map(str, pair.paths))
    c.minimum_version, c.maximum_version = lowest, highest
    if clients:
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(str(authority().paths[0]))
    return c


def tls_12(**kw):
    return context(highest=ssl.TLSVersion.TLSv1_2, **kw)


@pytest.fixture
def up():
    with Upstream(tls=context()) as u:
        yield u


def behind(weir, u, more='', uri='', extra='', **kw):
    return weir(f'location / {{ proxy_pass https://{u.at}{uri}; {more} }} {extra}',
                files={**FILES, **kw.pop('files', {})}, **kw)


# ---- asking ------------------------------------------------------------------------------------

@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_a_request_and_its_answer(weir, version):
    with Upstream(tls=tls_12() if version == 'TLSv1.2' else context()) as up:
        s = behind(weir, up, 'proxy_set_header X-At $proxy_host:$proxy_port;', uri='/sub/')
        for _ in range(3):
            a = s.get('/a?b')
            assert (a.status, a.text) == (200, 'hello'), s.log()
        assert up.last.target == '/sub/a?b' and up.last['Host'] == up.at
        assert up.last['X-At'] == f'{up.at}:{up.port}'
        assert up.connections == 1 and [h[0] for h in up.shaken] == [version]


def test_protocols_and_ciphers(weir, up):
    s = behind(weir, up, 'proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers '
                         'ECDHE-ECDSA-AES256-GCM-SHA384;')
    up.script = lambda peer, asked: peer.send(reply(repr(peer.sock.cipher())))
    assert 'ECDHE-ECDSA-AES256-GCM-SHA384' in s.get().text and up.shaken[0][0] == 'TLSv1.2'
    with Upstream(tls=context(lowest=ssl.TLSVersion.TLSv1_3)) as newer:
        s = behind(weir, newer, 'proxy_ssl_protocols TLSv1.2;')
        assert s.get().status == 502
        s.wait_log('while SSL handshaking to upstream')
    s = behind(weir, up, 'proxy_ssl_conf_command MaxProtocol TLSv1.2;')
    assert s.get().status == 200 and up.shaken[-1][0] == 'TLSv1.2'


def test_upstreams_variables_and_unix_sockets(weir, up):
    with tempfile.TemporaryDirectory(prefix='weir-story-') as directory, \
            Upstream(tls=context(), unix=directory + '/sock') as local:
        os.chmod(directory, 0o755)
        os.chmod(directory + '/sock', 0o777)
        s = weir(f'''location /u/ {{ proxy_pass https://back/; }}
                     location /v {{ proxy_pass $arg_scheme://$arg_at/v?x;
                                    proxy_connect_timeout 1s; }}
                     location /w {{ proxy_pass https://127.0.0.1:$arg_port; }}
                     location /x/ {{ proxy_pass https://unix:{directory}/sock:/y/; }}''',
                 http=f'upstream back {{ server {up.at}; }}', files=FILES)
        assert s.get('/u/1').text == 'hello' and up.last['Host'] == 'back'
        assert s.get(f'/v?scheme=https&at={up.at}').text == 'hello' and up.last.target == '/v?x'
        assert s.get('/v?scheme=HTTPS&at=back').text == 'hello' and up.last['Host'] == 'back'
        assert s.get(f'/w?port={up.port}').text == 'hello'
        assert s.get('/x/z').text == 'hello', s.log()
        assert local.last.target == '/y/z'
        assert local.last['Host'] == 'localhost'
        assert s.get(f'/v?scheme=ftp&at={up.at}').status == 500
        assert up.connections == 1      # whichever way leads to it
        with Upstream() as plain:
            assert s.get(f'/v?scheme=http&at={plain.at}').text == 'hello'
            assert s.get(f'/v?scheme=https&at={plain.at}').status == 504


def test_redirects_change_by_default(weir, up):
    up.script = lambda peer, asked: peer.send(reply(
        status='302 Found', fields=[f'Location: https://{up.at}/two/x']))
    s = weir(f'location /one/ {{ proxy_pass https://{up.at}/two/; }}')
    assert s.get('/one/')['Location'] == f'http://a.test:{s.port}/one/x'


def test_secrets_are_written_down(weir, up):
    s = behind(weir, up, 'proxy_ssl_key_log keys.log;',
               extra=f'location /not {{ proxy_pass https://{up.at}; proxy_set_header X-A b; '
                     'proxy_ssl_server_name on; }')
    assert s.get().status == 200 and s.get('/not').status == 200
    lines = s.file('keys.log', contains='CLIENT_TRAFFIC_SECRET_0').splitlines()
    assert {line.split()[0] for line in lines} >= {'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
                                                   'SERVER_TRAFFIC_SECRET_0'}
    assert len({line.split()[1] for line in lines}) == 1 and up.connections == 2
    assert (s.dir / 'keys.log').stat().st_mode & 0o777 == 0o600


# ---- names -------------------------------------------------------------------------------------

def test_names_are_told_if_asked_for(weir, up):
    s = behind(weir, up, extra=f'''
        location /told {{ proxy_pass https://{up.at}; {TOLD} }}
        location /var {{ proxy_pass https://{up.at}; proxy_ssl_server_name on;
                         proxy_ssl_name $arg_n; }}
        location /host {{ proxy_pass https://back; proxy_ssl_server_name on; }}
        location /address {{ proxy_pass https://{up.at}; proxy_ssl_server_name on; }}''',
               http=f'upstream back {{ server {up.at}; }}')
    seen = []
    for path in ('/', '/told', '/var?n=x.test', '/var?n=x.test:444', '/var?n=y.test.', '/host',
                 '/address'):
        assert s.get(path).status == 200, s.log()
        seen.append(up.connections)
    # none, b.test; x.test is known by then; y.test, the upstream's, an address is none
    assert up.names == [None, 'b.test', 'x.test', 'y.test', 'back', None]
    assert seen == [1, 2, 3, 3, 4, 5, 6]
    assert s.get('/var?n=' + 'a' * 256).status == 500


@pytest.mark.parametrize('pair, more, fault', [
    (B, TOLD, None),
    (B, 'proxy_ssl_name b.test;', None),
    (B, '', None),                                  # the address is in it
    (B, 'proxy_ssl_name B.TEST;', None),
    (B, 'proxy_ssl_name x.test;', 'upstream SSL certificate does not match "x.test"'),
    (B, 'proxy_ssl_name 127.0.0.2;', 'upstream SSL certificate does not match "127.0.0.2"'),
    (OTHER, TOLD, 'upstream SSL certificate does not match "b.test"'),
    (EXPIRED, TOLD, 'upstream SSL certificate verify error: (10:certificate has expired)'),
    (STRANGER, TOLD, 'upstream SSL certificate verify error: (20:unable to get local issuer'),
    (authority('self'), TOLD, 'upstream SSL certificate verify error: (18:self'),
])
def test_certificates_are_verified(weir, pair, more, fault):
    with Upstream(tls=context(pair)) as up:
        s = behind(weir, up, VERIFY + more,
                   extra=f'location /any {{ proxy_pass https://{up.at}; }}')
        a = s.get()
        if fault is None:
            assert (a.status, a.text) == (200, 'hello'), s.log()
        else:
            assert a.status == 502 and up.asked == []
            s.wait_log(fault)
            assert 'while SSL handshaking to upstream, upstream: "https://' in s.log()
        assert s.get('/any').text == 'hello'        # a connection of its own


def test_revoked_certificates(weir, up):
    conf = DIRECTORY / 'revoke.conf'
    conf.write_text(f'''[ca]\ndefault_ca = d\n[d]\ndatabase = {DIRECTORY}/index\n
        crlnumber = {DIRECTORY}/crlnumber\ndefault_md = sha256\ndefault_crl_days = 30\n''')
    (DIRECTORY / 'index').write_text('')
    (DIRECTORY / 'crlnumber').write_text('01\n')
    signed = ['-config', conf, '-keyfile', 'ca.key', '-cert', 'ca.crt']
    authority()
    openssl('ca', '-gencrl', *signed, '-out', 'none.crl')
    openssl('ca', '-revoke', B.paths[0], *signed)
    openssl('ca', '-gencrl', *signed, '-out', 'b.crl')
    lists = {name: (DIRECTORY / name).read_text() for name in ('none.crl', 'b.crl')}
    s = behind(weir, up, VERIFY + 'proxy_ssl_crl none.crl;', files=lists, extra=f'''
        location /revoked {{ proxy_pass https://{up.at}; {VERIFY} proxy_ssl_crl b.crl; }}''')
    assert s.get().status == 200
    assert s.get('/revoked').status == 502
    s.wait_log('upstream SSL certificate verify error: (23:certificate revoked)')


# ---- certificates of weir's own ------------------------------------------------------------------

@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_client_certificates(weir, version):
    with Upstream(tls=(tls_12 if version == 'TLSv1.2' else context)(clients=True)) as up:
        secret = subprocess.run(['openssl', 'pkey', '-in', str(CLIENT.paths[1]), '-aes256',
                                 '-passout', 'pass:secret'], capture_output=True, text=True).stdout
        s = behind(weir, up, 'proxy_ssl_certificate client.crt; proxy_ssl_certificate_key '
                             'client.key;', extra=f'''
            location /none {{ proxy_pass https://{up.at}; }}
            location /locked {{ proxy_pass https://{up.at}; proxy_ssl_certificate client.crt;
                proxy_ssl_certificate_key locked.key; proxy_ssl_password_file words; }}
            location /data {{ proxy_pass https://{up.at};
                proxy_ssl_certificate "data:{CLIENT.crt}";
                proxy_ssl_certificate_key "data:{CLIENT.key}"; }}''',
                   files={'locked.key': secret, 'words': 'wrong\nsecret\n'})
        assert s.get().status == 200, s.log()
        assert ('commonName', 'client.test') in up.shaken[-1][2]['subject'][0]
        assert s.get('/none').status == 502
        assert s.get('/locked').status == 200 and s.get('/data').status == 200, s.log()
        assert len({c.connection for c in up.asked}) == 2     # the same pair, wherever it stands


def test_client_certificates_by_variable(weir):
    with Upstream(tls=context(clients=True)) as up:
        s = behind(weir, up, 'proxy_ssl_certificate pairs/$arg_c.crt; proxy_ssl_certificate_key '
                             'pairs/$arg_c.key; proxy_ssl_session_reuse off;', extra=f'''
            location /empty {{ proxy_pass https://{up.at}; proxy_ssl_certificate $arg_none;
                proxy_ssl_certificate_key $arg_none; }}
            location /absolute {{ proxy_pass https://{up.at};
                proxy_ssl_certificate $document_root/../pairs/one.crt;
                proxy_ssl_certificate_key $document_root/../pairs/one.key; }}''',
                   files={'pairs/one.crt': CLIENT.crt, 'pairs/one.key': CLIENT.key,
                          'pairs/two.crt': OTHER.crt, 'pairs/two.key': OTHER.key})

        def shown(path):
            a = s.get(path)
            assert a.status == 200, s.log()
            return up.shaken[up.asked[-1].connection - 1 - failed][2]['subject'][-1][0][1]
        failed = 0
        assert shown('/?c=one') == 'client.test' and shown('/?c=two') == 'c.test'
        assert shown('/?c=one') == 'client.test' and up.connections == 2
        assert shown('/absolute') == 'client.test' and up.connections == 2
        assert s.get('/?c=none').status == 500
        s.wait_log('pairs/none.crt" cannot be read: No such file')
        assert s.get('/?c=' + 'a' * 1100).status == 500
        for end, pair in (('crt', CLIENT.crt), ('key', CLIENT.key)):
            (s.dir / f'pairs/two.{end}').write_text(pair)
        assert shown('/?c=two') == 'client.test'        # the file says so now
        assert s.get('/empty').status == 502            # none is shown
        (s.dir / 'pairs/two.key').write_text(OTHER.key)
        assert s.get('/?c=two').status == 500
        s.wait_log('pairs/two.crt" cannot be used')


def test_connections_of_others_are_not_taken(weir, up):
    """Each location has an identity of its own; those that say the same share connections."""
    ways = ['', VERIFY, VERIFY + 'proxy_ssl_name b.test;', TOLD, 'proxy_ssl_protocols TLSv1.3;',
            'proxy_ssl_certificate client.crt; proxy_ssl_certificate_key client.key;',
            VERIFY + 'proxy_ssl_verify_depth 2;', 'proxy_ssl_ciphers HIGH;',
            'proxy_bind 127.0.0.1;']
    s = weir('\n'.join(f'location /{i}/ {{ proxy_pass https://{up.at}; {way} }}'
                       f'location /{i}/same/ {{ proxy_pass https://{up.at}; {way} }}'
                       for i, way in enumerate(ways)), files=FILES)
    for i in range(len(ways)):
        assert s.get(f'/{i}/').status == 200, s.log()
        assert up.connections == i + 1
    for i in range(len(ways)):
        assert s.get(f'/{i}/same/').status == 200
    assert up.connections == len(ways)
    assert [a.connection for a in up.asked] == 2 * list(range(1, len(ways) + 1))


# ---- sessions ----------------------------------------------------------------------------------

@pytest.mark.parametrize('reuse', ['on', 'off'])
@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_sessions_are_taken_up(weir, version, reuse):
    with Upstream(tls=tls_12() if version == 'TLSv1.2' else context()) as up:
        s = behind(weir, up, VERIFY + f'proxy_set_header Connection close;'
                                      f'proxy_ssl_session_reuse {reuse};',
                   extra=f'''location /other {{ proxy_pass https://{up.at};
                                 proxy_set_header Connection close; }}''')
        up.script = lambda peer, asked: peer.send(reply('hello')) or False
        for _ in range(4):
            assert s.get().status == 200, s.log()
        assert [h[1] for h in up.shaken] == [False] + 3 * [reuse == 'on']
        assert s.get('/other').status == 200
        assert up.shaken[-1][1] is False            # whom nobody verified is somebody else


def test_a_weir_behind(weir):
    back = weir(servers='''server { listen 127.0.0.1:PORT ssl; ssl_certificate b.crt;
        ssl_certificate_key b.key; location / { return 200
        "$ssl_protocol $ssl_session_reused $ssl_server_name $connection_requests"; } }''',
                files=files(b=B))
    s = weir(f'''location / {{ proxy_pass https://127.0.0.1:{back.port}; {TOLD} {VERIFY}
                     proxy_set_header Connection close; }}
                 location /kept {{ proxy_pass https://127.0.0.1:{back.port}; {TOLD} {VERIFY} }}''',
             files=FILES)
    assert [s.get().text for _ in range(3)] == \
        ['TLSv1.3 . b.test 1', 'TLSv1.3 r b.test 1', 'TLSv1.3 r b.test 1']
    assert [s.get('/kept').text[-1] for _ in range(3)] == ['1', '2', '3']


def test_idle_connections_are_read(weir):
    """New keys that a server makes while a connection is idle: it stays, and answers are read."""
    port, said = free_port(), []
    server = subprocess.Popen(
        ['openssl', 's_server', '-accept', f'127.0.0.1:{port}', '-cert', str(B.paths[0]), '-key',
         str(B.paths[1]), '-tls1_3'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)

    def listen():
        for line in server.stdout:
            said.append(line.strip())
    threading.Thread(target=listen, daemon=True).start()

    def wait(line, count):
        end = time.monotonic() + 10
        while said.count(line) < count:
            assert time.monotonic() < end, said
            time.sleep(0.02)

    def say(text):
        server.stdin.write(text)
        server.stdin.flush()
        time.sleep(0.3)
    try:
        wait(b'ACCEPT', 1)
        s = weir(f'location / {{ proxy_pass https://127.0.0.1:{port}; }}')
        with s.connect() as c:
            for i in range(3):
                c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
                wait(b'GET / HTTP/1.1', i + 1)
                say(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi')
                assert c.answer().text == 'hi'
                if i < 2:
                    say((b'k\n', b'K\n')[i])     # without and with an answer
        handshakes = sum(line.startswith(b'CIPHER is') for line in said)
        assert handshakes == (3 if s.engine == 'threads' else 1)
    finally:
        server.kill()
        server.wait()


@pytest.mark.one_engine
def test_so_many_sessions_are_kept(weir, up):
    up.script = lambda peer, asked: peer.send(reply('hello')) or False
    s = behind(weir, up, 'proxy_set_header Connection close; proxy_ssl_server_name on; '
                         'proxy_ssl_name n$arg_n.test;')
    with s.connect(timeout=30) as c:
        for n in [*range(260), 259, 4, 3, 0]:
            assert c.ask(f'/?n={n}').status == 200
    assert [h[1] for h in up.shaken] == 260 * [False] + [True, True, False, False]


# ---- what goes wrong ---------------------------------------------------------------------------

def stalling(peer):
    """Says nothing, whatever it is asked."""
    while peer.sock.recv(65536):
        pass


def test_a_handshake_that_stalls(weir):
    with Upstream(raw=stalling) as up:
        s = behind(weir, up, 'proxy_connect_timeout 400ms;')
        began = time.monotonic()
        assert s.get().status == 504 and 0.3 < time.monotonic() - began < 4
        s.wait_log('upstream timed out (110: Connection timed out) while SSL handshaking to')


@pytest.mark.parametrize('said', [
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', b'x',
    b'\x16\x03\x03\xff\xff' + b'a' * 70000,
    b'\x17\x03\x03\x00\x05hello', b'\x15\x03\x03\x00\x02\x02\x28', b'\0' * 1000, b''])
def test_what_is_not_tls_is_no_answer(weir, said):
    def script(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(said)
    with Upstream(raw=script) as up:
        s = behind(weir, up)
        assert s.get().status == 502
        s.wait_log('while SSL handshaking to upstream')
        if not said:
            s.wait_log('peer closed connection in SSL handshake')


def test_plaintext_before_the_handshake(weir):
    """What is said before hands are shaken is not taken for an answer."""
    def script(peer):
        peer.sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
        secure = context().wrap_socket(peer.sock, server_side=True)
        secure.recv(1000)
        secure.sendall(reply('real'))
    with Upstream(raw=script) as up:
        assert behind(weir, up).get().status == 502


def test_the_next_server_is_asked(weir, up):
    with Upstream(tls=context(STRANGER)) as bad, Upstream(raw=stalling) as mute:
        s = weir(f'location / {{ proxy_pass https://back; {VERIFY} {TOLD}'
                 'proxy_connect_timeout 300ms; add_header X-Asked $upstream_addr; }',
                 http=f'''upstream back {{ server {bad.at} max_fails=1 fail_timeout=1h;
                     server {mute.at} max_fails=1 fail_timeout=1h; server {up.at}; }}''',
                 files=FILES)
        a = s.get()
        assert (a.status, a.text) == (200, 'hello') and up.at in a['X-Asked'], s.log()
        for _ in range(4):
            s.get()
        assert s.get()['X-Asked'] == up.at          # the others are known to be no good
        assert bad.connections == mute.connections == 1


def test_an_end_in_the_middle_of_a_record(weir, up):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n' + b'a' * 5000)
        os.write(peer.sock.fileno(), b'\x17\x03\x03\x20\x00' + b'b' * 1000)
        return False
    up.script = script
    s = behind(weir, up)
    with s.connect() as c:
        with pytest.raises(EOFError):
            c.ask()
    s.wait_log('upstream closed connection without close_notify while reading upstream')


def test_a_record_that_was_changed(weir, up):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n' + b'a' * 5000)
        os.write(peer.sock.fileno(), b'\x17\x03\x03\x04\x00' + b'b' * 1024)
        peer.sock.recv(10)
        return False
    up.script = script
    s = behind(weir, up)
    with s.connect() as c:
        with pytest.raises(EOFError):
            c.ask()
    s.wait_log('SSL_read() failed')


@pytest.mark.parametrize('polite', [True, False])
def test_answers_that_end_with_the_connection(weir, up, polite):
    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\n\r\n' + b'a' * 50_000)
        if polite:
            peer.sock.unwrap()
        return False
    up.script = script
    s = behind(weir, up)
    with s.connect() as c:
        if polite:
            assert len(c.ask().body) == 50_000
        else:
            with pytest.raises(EOFError):
                c.ask()


def test_a_server_that_closes_a_kept_connection(weir, up):
    def script(peer, asked):
        peer.send(reply('hello'))
        time.sleep(0.2)         # it is idle now
        if asked.target == '/unwrap':
            with contextlib.suppress(OSError):
                peer.sock.unwrap()
        elif asked.target == '/garbage':
            os.write(peer.sock.fileno(), b'\x17\x03\x03\x00\x10' + b'x' * 16)
            peer.sock.recv(10)
        return False
    up.script = script
    s = behind(weir, up)
    for path in ('/unwrap', '/garbage', '/close', '/'):
        assert s.get(path).text == 'hello'
        time.sleep(0.6)
    assert up.connections == 4


# ---- bodies ------------------------------------------------------------------------------------

def digest(peer, asked):
    peer.send(reply(hashlib.sha256(asked.body).hexdigest()))


@pytest.mark.parametrize('more', [
    'client_body_buffer_size 8k;',                       # in a temporary file
    'client_body_buffer_size 8m;',                       # in memory
    'proxy_request_buffering off;',
    'proxy_request_buffering off; proxy_ssl_protocols TLSv1.2;',
])
@pytest.mark.parametrize('chunked', [False, True])
def test_large_bodies_go_up(weir, up, more, chunked):
    up.script = digest
    s = behind(weir, up, 'client_max_body_size 0;' + more)
    for size in (1, 16384, 3_000_000):
        body = os.urandom(size)
        with s.connect(timeout=20) as c:
            if chunked:
                c.send('POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n')
                for i in range(0, size, 50_000):
                    piece = body[i:i + 50_000]
                    c.send(b'%x\r\n%s\r\n' % (len(piece), piece))
                c.send('0\r\n\r\n')
                a = c.answer()
            else:
                a = c.ask(method='POST', body=body)
        assert a.text == hashlib.sha256(body).hexdigest()
    assert up.connections == 1


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_large_bodies_come_down(weir, up, buffering):
    big = os.urandom(6_000_000)

    def script(peer, asked):
        if asked.target == '/length':
            peer.send(reply(big))
            return
        peer.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for i in range(0, len(big), 100_001):
            piece = big[i:i + 100_001]
            peer.send(b'%x\r\n%s\r\n' % (len(piece), piece))
        peer.send(b'0\r\n\r\n')
    up.script = script
    s = behind(weir, up, f'proxy_buffering {buffering};')
    with s.connect(timeout=30) as c:
        for path in ('/length', '/chunked', '/length'):
            assert c.ask(path).body == big
    assert up.connections == 1


def test_a_slow_client_makes_a_slow_server(weir, up):
    sent = []

    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
        for _ in range(1000):
            peer.send(b'a' * 100_000)
            sent.append(100_000)
    up.script = script
    s = behind(weir, up, 'proxy_max_temp_file_size 0;')
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        time.sleep(1)
        assert 0 < sum(sent) < 60_000_000


def test_websocket_over_tls(weir, up):
    def echo(peer, asked):
        peer.send('HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nfirst')
        while data := peer.sock.recv(65536):
            peer.send(data)
        return False
    up.script = echo
    s = behind(weir, up, 'proxy_set_header Upgrade $http_upgrade; '
                         'proxy_set_header Connection "upgrade";')
    with s.connect(timeout=20) as c:
        c.send('GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
        head = b''
        while not head.endswith(b'first'):
            head += c.sock.recv(65536)
        for size in (1, 100, 100_000, 1_000_000):
            data = os.urandom(size)
            threading.Thread(target=c.sock.sendall, args=(data,)).start()
            got = b''
            while len(got) < size:
                got += c.sock.recv(65536)
            assert got == data
        c.sock.shutdown(socket.SHUT_WR)
        assert c.sock.recv(10) == b''


def test_a_crowd(weir, up):
    up.script = lambda peer, asked: peer.send(reply(asked.target * 3000))
    s = behind(weir, up, VERIFY + TOLD)
    wrong = []

    def client(n):
        with s.connect(timeout=30) as c:
            for i in range(10):
                path = f'/{n}/{i}'
                if c.ask(path).text != path * 3000:
                    wrong.append(path)
    all_of = [threading.Thread(target=client, args=(n,)) for n in range(20)]
    for t in all_of:
        t.start()
    for t in all_of:
        t.join()
    assert wrong == [] and len(up.asked) == 200 and up.connections <= 25


# ---- reload, health checks, other protocols ----------------------------------------------------

def reload(s):
    done = s.command('-s', 'reload')
    assert done.returncode == 0, done.stderr


def test_connections_live_through_a_reload(weir, up):
    s = behind(weir, up, VERIFY + TOLD)
    assert s.get().status == 200
    for _ in range(3):
        reload(s)
        time.sleep(0.5)
        assert s.get().status == 200
    assert up.connections == 1
    # others are trusted: nothing of before is good enough
    (s.dir / 'ca.crt').write_text(authority('stranger').crt)
    reload(s)
    end = time.monotonic() + 10
    while s.get().status != 502:
        assert time.monotonic() < end, s.log()
        time.sleep(0.1)
    assert up.connections > 1


def test_an_answer_goes_on_through_a_reload(weir, up):
    go = threading.Event()

    def script(peer, asked):
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n' + b'a' * 100_000)
        go.wait(10)
        peer.send(b'b' * 100_000)
    up.script = script
    s = behind(weir, up)
    with s.connect(timeout=20) as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.line_end(b'\r\n\r\n')
        for _ in range(2):
            reload(s)
            time.sleep(0.5)
        go.set()
        assert c.answer().body == b'a' * 100_000 + b'b' * 100_000
    up.script = lambda peer, asked: peer.send(reply('hello'))
    assert s.get().text == 'hello' and up.connections == 1


def test_health_checks_over_tls(weir, up):
    with Upstream(tls=context(STRANGER)) as bad:
        s = weir(f'''location / {{ proxy_pass https://back; {VERIFY} {TOLD}
                     health_check interval=100ms uri=/up; add_header X-Asked $upstream_addr; }}''',
                 http=f'upstream back {{ server {up.at}; server {bad.at}; }}', files=FILES)
        s.wait_log(f'peer is unhealthy while checking status code, health check of peer {bad.at}')
        for _ in range(4):
            assert s.get()['X-Asked'] == up.at
        assert any(a.target == '/up' for a in up.asked) and up.connections <= 3


def test_uwsgi_over_tls(weir):
    def serve(peer):
        head = peer.file.read(4)
        words, at, got = peer.file.read(head[1] | head[2] << 8), 0, []
        while at < len(words):
            size = words[at] | words[at + 1] << 8
            got.append(words[at + 2:at + 2 + size].decode())
            at += 2 + size
        said = dict(zip(got[::2], got[1::2]))
        peer.send(f'HTTP/1.1 200 OK\r\nX-Path: {said["PATH"]}\r\n\r\nfrom uwsgi')
        peer.sock.unwrap()
    with Upstream(tls=context(), raw=serve) as app:
        s = weir(f'''location / {{ uwsgi_pass suwsgi://{app.at}; uwsgi_param PATH $uri;
                       uwsgi_ssl_server_name on; uwsgi_ssl_name b.test; uwsgi_ssl_verify on;
                       uwsgi_ssl_trusted_certificate ca.crt; }}
                     location /wrong {{ uwsgi_pass suwsgi://{app.at}; uwsgi_ssl_verify on;
                       uwsgi_ssl_name c.test; uwsgi_ssl_trusted_certificate ca.crt; }}''',
                 files=FILES)
        a = s.get('/x/y')
        assert (a.status, a.text, a['X-Path']) == (200, 'from uwsgi', '/x/y'), s.log()
        assert app.names == ['b.test']
        assert s.get('/wrong').status == 502
        s.wait_log('does not match "c.test" while SSL handshaking to upstream, '
                   f'upstream: "suwsgi://{app.at}"')


def test_the_proxy_header_stands_before_tls(weir):
    seen = []

    def script(peer):
        line = b''
        while not line.endswith(b'\r\n'):
            line += peer.sock.recv(1)
        seen.append(line.split()[:3])
        secure = context().wrap_socket(peer.sock, server_side=True)
        while secure.recv(10000):
            secure.sendall(reply('hello'))
    with Upstream(raw=script) as up:
        s = behind(weir, up, VERIFY + TOLD + 'proxy_protocol v1;')
        with s.connect() as c:
            assert [c.ask().text for _ in range(3)] == 3 * ['hello'], s.log()
    assert seen == [[b'PROXY', b'TCP4', b'127.0.0.1']]


# ---- configurations ------------------------------------------------------------------------------

@pytest.mark.one_engine
@pytest.mark.parametrize('more, says', [
    ('proxy_ssl_verify on;', 'no "proxy_ssl_trusted_certificate" says whose certificates are good'),
    ('proxy_ssl_certificate client.crt;', 'no "proxy_ssl_certificate_key" is defined'),
    ('proxy_ssl_certificate client.crt; proxy_ssl_certificate_key ca.key;',
     "this is not the certificate's key"),
    ('proxy_ssl_trusted_certificate none.crt; proxy_ssl_verify on;', 'none.crt" cannot be read'),
    ('proxy_ssl_trusted_certificate client.key; proxy_ssl_verify on;',
     'these are not certificates'),
    ('proxy_ssl_crl client.crt;', 'this is not a revocation list'),
    ('proxy_ssl_ciphers nonsense;', 'no cipher fits'),
    ('proxy_ssl_protocols TLSv2;', '"TLSv2" is not a protocol'),
    ('proxy_ssl_conf_command Nonsense x;', 'the library refuses it'),
    ('proxy_ssl_certificate client.crt; proxy_ssl_certificate_key $host.key;',
     'a certificate with variables needs a key with variables'),
    ('proxy_ssl_key_log syslog:server=127.0.0.1;', 'secrets are written into files alone'),
    ('proxy_ssl_certificate engine:x;', 'keys of engines and stores cannot be used'),
])
def test_mistakes(weir, more, says):
    s = weir(f'location / {{ proxy_pass https://127.0.0.1:1; {more} }}', files=FILES, start=False)
    test = s.command('-t')
    assert test.returncode == 1 and says in test.stderr, test.stderr


@pytest.mark.one_engine
def test_nobody_is_told_twice(weir):
    """Unverified servers are noticed, unless that is said; what nobody uses is not read."""
    s = weir('''location / { proxy_pass https://127.0.0.1:1; }
                location /said { proxy_pass https://127.0.0.1:1; proxy_ssl_verify off; }
                location /plain { proxy_pass http://127.0.0.1:1;
                                  proxy_ssl_trusted_certificate none; }''', start=False)
    test = s.command('-t')
    assert test.returncode == 0, test.stderr
    assert test.stderr.count('the certificates of these servers are not verified') == 1
