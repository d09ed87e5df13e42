"""weir bench: what it counts, against a real server and against servers that answer wrongly."""
import contextlib
import html.parser
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BINARY, ENGINES, free_port
from pki import authority, files

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'


def bench(*words, timeout=30, status=0):
    run = subprocess.run([BINARY, 'bench', *map(str, words)], capture_output=True, text=True,
                         timeout=timeout)
    assert run.returncode == status, run.stdout + run.stderr
    return run


def result(*words, status=0):
    return json.loads(bench(*words, '--json', '-', status=status).stdout)


@contextlib.contextmanager
def answering(answer, delay=0, close=False, seen=None):
    """A server that gives each request (a head without a body) these bytes."""
    listener = socket.create_server(('127.0.0.1', 0))
    alive = True

    def serve(c):
        with c:
            text = b''
            while True:
                while b'\r\n\r\n' not in text:
                    piece = c.recv(65536)
                    if not piece:
                        return
                    text += piece
                head, _, text = text.partition(b'\r\n\r\n')
                if seen is not None:
                    seen.append(head.decode())
                time.sleep(delay)
                c.sendall(answer)
                if close:
                    return

    def guarded(c):
        with contextlib.suppress(OSError):
            serve(c)

    def accept():
        while alive:
            with contextlib.suppress(OSError):
                threading.Thread(target=guarded, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{listener.getsockname()[1]}/'
    finally:
        alive = False
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def url(s, path='/file.txt'):
    return f'http://127.0.0.1:{s.port}{path}'


# ---- TLS -----------------------------------------------------------------------------------

SECURE = '''server {{ listen 127.0.0.1:PORT ssl; server_name localhost; root html;
    ssl_certificate a.crt; ssl_certificate_key a.key; {body} }}'''


def secure(weir, body='', http='', **more):
    pair = authority().issue('localhost', '127.0.0.1', **more)
    ca = {'ca.crt': authority().crt}
    return weir(servers=SECURE.format(body=body), http=http, files={**files(a=pair), **ca})


def secure_url(s, path='/file.txt', host='127.0.0.1'):
    return f'https://{host}:{s.port}{path}'


@pytest.mark.parametrize('depth', [1, 8])
def test_requests_by_https(weir, engine, depth):
    s = secure(weir)
    found = result(secure_url(s), '-n', 1000, '-c', 10, '-p', depth, '--engine', engine)
    assert found['requests'] == 1000 and found['errors']['total'] == 0
    assert found['handshakes']['count'] == found['connections'] <= 10, found
    assert found['handshakes']['p50_us'] > 0 and found['config']['tls']


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_handshakes_full_and_resumed(weir, engine, version):
    s = secure(weir, 'location / { return 200 "$ssl_session_reused"; }')
    words = secure_url(s, '/'), '-n', 100, '-c', 4, '--no-keepalive', '--engine', engine, \
        '--tls', version
    full, again = result(*words), result(*words, '--resume')
    assert full['requests'] == again['requests'] == 100
    assert full['errors']['total'] == again['errors']['total'] == 0
    assert full['handshakes']['count'] >= 100 and full['handshakes']['resumed'] == 0
    assert again['handshakes']['count'] - again['handshakes']['resumed'] <= 4
    assert again['handshakes']['resumed'] >= 96


@pytest.mark.one_engine
def test_ciphers_and_groups_are_those_that_were_named(weir):
    s = secure(weir, 'location / { return 200; } set $both $ssl_cipher:$ssl_curve; '
                     'if ($both != TLS_CHACHA20_POLY1305_SHA256:X25519) { return 400; }')
    words = secure_url(s, '/'), '-n', 20, '-c', 2, '--groups', 'X25519', '--ciphers'
    found = result(*words, 'ECDHE-ECDSA-AES128-GCM-SHA256:TLS_CHACHA20_POLY1305_SHA256')
    assert found['errors']['total'] == 0 and found['requests'] == 20
    assert result(*words, 'TLS_AES_128_GCM_SHA256')['errors']['status'] == 20


def test_large_bodies_by_https(weir, engine):
    s = secure(weir)
    (s.dir / 'html' / 'large').write_bytes(os.urandom(3_000_000))
    found = result(secure_url(s, '/large'), '-n', 30, '-c', 3, '--engine', engine)
    assert found['requests'] == 30 and found['errors']['total'] == 0
    assert found['bytes'] > 90_000_000


def test_the_name_of_the_url_is_told(weir, engine):
    s = secure(weir, 'location / { return 200; } if ($ssl_server_name != other.test) '
                     '{ return 400; }')
    words = '-n', 20, '-c', 2, '--engine', engine
    assert result(secure_url(s, host='localhost'), *words)['errors']['status'] == 20
    found = result(secure_url(s), *words, '--sni', 'other.test')
    assert found['errors']['total'] == 0 and found['requests'] == 20


@pytest.mark.one_engine
def test_certificates_are_verified_when_asked(weir):
    s = secure(weir)
    words = secure_url(s), '-n', 20, '-c', 2
    assert result(*words)['requests'] == 20
    assert 'certificate' in bench(*words, '--verify', status=1).stderr
    found = result(*words, '--cacert', s.dir / 'ca.crt')
    assert found['requests'] == 20 and found['config']['verify']
    wrong = bench(*words, '--cacert', s.dir / 'ca.crt', '--sni', 'other.test', status=1)
    assert 'TLS with https://' in wrong.stderr and 'mismatch' in wrong.stderr


@pytest.mark.one_engine
def test_https_to_a_server_without_tls(weir):
    assert 'TLS with' in bench(secure_url(weir()), '-n', 5, status=1).stderr


def test_handshakes_that_fail_later_are_errors(weir, engine):
    s = secure(weir)
    child = subprocess.Popen([BINARY, 'bench', secure_url(s), '-d', '2', '-c', '3',
                              '--no-keepalive', '--engine', engine, '--json', '-'],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.7)
    s.rewrite(s.conf.read_text().replace('root html;', 'ssl_reject_handshake on;', 1))
    assert s.command('-s', 'reload').returncode == 0
    out, err = child.communicate(timeout=20)
    found = json.loads(out)
    assert found['requests'] > 0 and found['errors']['tls'] > 0
    assert 'unrecognized name' in err


def test_idle_connections_shake_hands(weir, engine):
    s = secure(weir, http='client_header_timeout 60s; keepalive_requests 1000000;')
    found = result(secure_url(s), '-d', 1, '-c', 2, '--idle', 20, '--trickle', 5,
                   '--engine', engine)
    assert found['side_lost'] == 0 and found['requests'] > 0
    assert found['handshakes']['count'] == 27


# ---- a real server -------------------------------------------------------------------------


@pytest.mark.parametrize('depth', [1, 8])
def test_as_many_requests_as_were_asked_for(weir, engine, depth):
    s = weir('access_log access.log; keepalive_requests 100000;')
    found = result(url(s), '-n', 1000, '-c', 10, '-p', depth, '--engine', engine)
    assert found['requests'] == 1000 and found['errors']['total'] == 0
    assert found['connections'] == 10 and found['unfinished'] == 0
    assert sum(n for _, n in found['latency_us']['buckets']) == 1000
    s.stop()
    assert len(s.file('access.log').splitlines()) == 1000


def test_a_connection_for_each_request(weir, engine):
    s = weir('location / { return 200 $connection_requests; }')
    found = result(url(s), '-n', 200, '-c', 5, '--no-keepalive', '--engine', engine)
    assert found['requests'] == 200 and found['errors']['total'] == 0
    assert found['connections'] >= 200


def test_a_server_that_closes_after_some_requests(weir, engine):
    s = weir('keepalive_requests 7;')
    found = result(url(s), '-n', 500, '-c', 4, '-p', 4, '--engine', engine)
    assert found['requests'] == 500 and found['errors']['total'] == 0


def test_an_open_loop_keeps_its_rate(weir, engine):
    s = weir()
    for gaps in 'constant', 'exponential':
        found = result(url(s), '-r', 500, '--gaps', gaps, '-d', 2, '-c', 20, '--engine', engine)
        assert 850 < found['requests'] + found['unfinished'] < 1150
        assert found['errors']['total'] == 0


def test_idle_and_trickling_connections_stay(weir, engine):
    s = weir('client_header_timeout 60s;')
    found = result(url(s), '-d', 1, '-c', 2, '--idle', 50, '--trickle', 5, '--engine', engine)
    assert found['side_lost'] == 0 and found['requests'] > 0


def test_several_loops(weir):
    found = result(url(weir()), '-n', 999, '-c', 10, '-t', 3)
    assert found['requests'] == 999


def test_time_is_counted_from_when_a_request_was_due():
    """The server takes 50 ms for each, one at a time; 100 a second are due. Whoever counts from the
    sending sees 50 ms; the truth is that everybody waits longer and longer."""
    with answering(OK, delay=0.05) as target:
        late = result(target, '-r', 100, '--gaps', 'constant', '-c', 1, '-d', 1)
        assert late['latency_us']['max'] > 300_000 and late['unfinished'] > 50
        closed = result(target, '-c', 1, '-d', 1)
        assert closed['latency_us']['p50'] < 200_000


# ---- what is wrong is counted --------------------------------------------------------------

WRONG = {
    'malformed': b'SMTP ready\r\n\r\n',
    'status': b'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n',
    'reset': b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
}


@pytest.mark.parametrize('kind', WRONG)
def test_wrong_answers_are_errors_of_their_kind(kind):
    with answering(WRONG[kind], close=kind == 'reset') as target:
        run = subprocess.run([BINARY, 'bench', target, '-d', '1', '-c', '2', '--json', '-'],
                             capture_output=True, text=True, timeout=20)
        found = json.loads(run.stdout)
        assert found['errors'][kind] > 0
        assert found['errors'][kind] == found['errors']['total']
        assert run.returncode == (0 if kind == 'status' else 1)


def test_a_server_that_says_nothing():
    with answering(b'') as target:
        found = result(target, '-d', 1, '-c', 2, '--timeout', 0.3, status=1)
        assert found['errors']['timeout'] > 0 and found['requests'] == 0


def test_an_expected_status():
    with answering(WRONG['status']) as target:
        assert result(target, '-n', 20, '-c', 2, '--expect', 500)['errors']['total'] == 0
    with answering(OK) as target:
        assert result(target, '-n', 20, '-c', 2, '--expect', 404)['errors']['status'] == 20


ANSWERS = {
    'chunked': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'interim': b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' + OK,
    'no content': b'HTTP/1.1 204 No Content\r\n\r\n',
    'not modified': b'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n',
}


@pytest.mark.parametrize('kind', ANSWERS)
def test_answers_of_every_framing(kind):
    with answering(ANSWERS[kind]) as target:
        found = result(target, '-n', 50, '-c', 2)
        assert found['requests'] == 50 and found['errors']['total'] == 0
        assert found['connections'] == 2


def test_answers_that_end_with_the_connection():
    with answering(b'HTTP/1.0 200 OK\r\n\r\nsome bytes', close=True) as target:
        found = result(target, '-n', 20, '-c', 2)
        assert found['requests'] == 20 and found['errors']['total'] == 0


def test_redirects_are_not_followed():
    other = []
    with answering(OK, seen=other) as elsewhere:
        answer = f'HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n'
        with answering(answer.encode()) as target:
            assert result(target, '-n', 10, '-c', 1)['errors']['total'] == 0
    assert other == []


# ---- what is sent --------------------------------------------------------------------------


def test_method_fields_body(weir, tmp_path):
    seen = []
    with answering(OK, seen=seen) as target:
        bench(target + 'a/b?c=d', '-n', 2, '-c', 1, '-X', 'PURGE', '-H', 'X-One: 1', '-H',
              'Host: b.test')
    lines = seen[0].split('\r\n')
    assert lines[0] == 'PURGE /a/b?c=d HTTP/1.1' and seen[0] == seen[1]
    assert 'X-One: 1' in lines and [x for x in lines if x.startswith('Host')] == ['Host: b.test']
    (tmp_path / 'body').write_bytes(b'x' * 1000)
    s = weir('access_log access.log combined; location / { return 200 $request_length; }')
    found = result(url(s), '-n', 100, '-c', 2, '--body', f'@{tmp_path / "body"}')
    assert found['requests'] == 100 and found['errors']['total'] == 0
    s.stop()
    assert s.file('access.log').count('"POST /file.txt') == 100


def test_sources(weir):
    s = weir('access_log access.log;')
    bench(url(s), '-n', 40, '-c', 4, '--source', '127.0.0.2,127.0.0.3')
    s.stop()
    assert {x.split()[0] for x in s.file('access.log').splitlines()} == {'127.0.0.2', '127.0.0.3'}


# ---- what it says --------------------------------------------------------------------------

MISTAKES = [
    (['http://127.0.0.1:1/', '-c', '0', '-n', '5'], 2, '-c above 0'),
    (['http://127.0.0.1:1/', '-c', 'many'], 2, 'a number from 0'),
    (['http://127.0.0.1:1/', '-d', '-1'], 2, 'seconds'),
    (['http://127.0.0.1:1/', '-r', '0'], 2, 'above 0'),
    (['http://127.0.0.1:1/', '--gaps', 'wide'], 2, 'exponential or constant'),
    (['http://127.0.0.1:1/', '--engine', 'kqueue'], 2, 'io_uring'),
    (['http://127.0.0.1:1/', '--no-keepalive', '-p', '2'], 2, '-p 1'),
    (['http://127.0.0.1:1/', '--frobnicate'], 2, 'unknown word'),
    (['http://127.0.0.1:1/', '-H', 'nonsense'], 2, 'Name: value'),
    (['http://127.0.0.1:1/', '--source', 'here'], 2, 'source address'),
    (['http://127.0.0.1:1/', '--body', '@/no/such/file'], 2, 'No such file'),
    (['http://127.0.0.1:99999/'], 2, 'port'),
    (['http:///x'], 2, 'no host'),
    (['https://127.0.0.1:1/'], 1, 'Connection refused'),
    (['http://127.0.0.1:1/', '--resume'], 2, 'there is no TLS in'),
    (['https://127.0.0.1:1/', '--tls', '1.1'], 2, '1.2 or 1.3'),
    (['https://127.0.0.1:1/', '--ciphers', 'none-such'], 2, '--ciphers'),
    (['https://127.0.0.1:1/', '--ciphers', 'TLS_NONE_SUCH'], 2, '--ciphers'),
    (['https://127.0.0.1:1/', '--groups', 'none-such'], 2, '--groups'),
    (['http://127.0.0.1:1/', '--groups', 'X25519'], 2, 'there is no TLS in'),
    (['https://127.0.0.1:1/', '--cacert', '/no/such/file'], 2, 'No such file'),
    (['https://127.0.0.1:1/', '--sni', ''], 2, 'a host\'s name'),
    (['ftp://127.0.0.1/'], 2, 'scheme'),
    (['http://name.invalid/'], 2, 'name.invalid'),
    (['http://127.0.0.1:1/'], 1, 'Connection refused'),
    (['http://127.0.0.1:1/', '-c', '1000000'], 1, 'descriptors'),
    (['http://127.0.0.1:1/', '-c', '2000', '--engine', 'select'], 1, '1024'),
]


@pytest.mark.parametrize('words, status, says', MISTAKES, ids=[' '.join(m[0]) for m in MISTAKES])
def test_mistakes_are_explained(words, status, says):
    assert says in bench(*words, status=status).stderr


def test_help_names_every_option():
    said = bench('--help').stdout
    for option in ('--connections', '--rate', '--gaps', '--idle', '--json', '--html', '--warmup',
                   '--http2', '--streams', '--groups'):
        assert option in said


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.points, self.outside = [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == 'polyline':
            self.points.append(attrs['points'].split())
        self.outside += [v for k, v in attrs.items() if k in ('src', 'href')]


def test_reports(weir, tmp_path):
    s = weir()
    run = bench(url(s), '-d', 2, '-c', 4, '--csv', tmp_path / 'c', '--html', tmp_path / 'h',
                '--json', tmp_path / 'j')
    found = json.loads((tmp_path / 'j').read_text())
    assert f'requests  {found["requests"]} in' in run.stdout and 'p99.9' in run.stdout
    rows = (tmp_path / 'c').read_text().splitlines()
    assert rows[0].startswith('second,requests,') and len(rows) >= 3
    assert sum(int(r.split(',')[1]) for r in rows[1:]) == found['requests']
    page = Page()
    page.feed((tmp_path / 'h').read_text())
    assert len(page.points) == 4 and page.outside == []
    assert len(page.points[0]) > 100 and len(page.points[1]) == len(rows) - 1
    late = found['latency_us']
    assert late['p50'] <= late['p90'] <= late['p99'] <= late['p999'] <= late['max']
    assert late['p50'] <= 1.02 * late['max'] and late['mean'] > 0


def test_a_warm_up_is_not_counted(weir):
    s = weir('access_log access.log;')
    found = result(url(s), '--warmup', 1, '-r', 200, '--gaps', 'constant', '-d', 1, '-c', 4)
    s.stop()
    assert found['requests'] + found['unfinished'] < 260
    assert len(s.file('access.log').splitlines()) > 300


def test_marks_tell_when_it_counts(weir):
    run = bench(url(weir()), '--warmup', 0.2, '--marks', '-n', 20, '-q')
    assert run.stderr.split() == ['begin', 'end']


def test_a_report_that_cannot_be_written(weir):
    run = bench(url(weir()), '-n', 10, '--json', '/no/such/dir/x', status=1)
    assert '/no/such/dir/x' in run.stderr and 'requests  10' in run.stdout


def test_ctrl_c_gives_what_was_measured(weir, tmp_path):
    child = subprocess.Popen([BINARY, 'bench', url(weir()), '-d', '60', '--json', tmp_path / 'j'],
                             stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    out = child.communicate(timeout=10)[0]
    assert child.returncode == 0 and 'requests' in out
    found = json.loads((tmp_path / 'j').read_text())
    assert found['requests'] > 0 and found['seconds'] < 10


def test_the_live_line_is_for_terminals(weir):
    main, terminal = os.openpty()
    child = subprocess.Popen([BINARY, 'bench', url(weir()), '-d', '3', '-c', '2'], stdout=terminal)
    os.close(terminal)
    text = b''
    with contextlib.suppress(OSError):
        while piece := os.read(main, 4096):
            text += piece
    os.close(main)
    assert child.wait(10) == 0
    assert re.search(r'2 s +\d+/s +errors 0 +p50 \d+', text.decode()) and '█' in text.decode()


def test_a_server_that_goes_away(weir):
    s = weir()
    child = subprocess.Popen([BINARY, 'bench', url(s), '-d', '2', '-c', '4', '--json', '-'],
                             stdout=subprocess.PIPE, text=True)
    time.sleep(0.7)
    s.stop()
    found = json.loads(child.communicate(timeout=20)[0])
    assert found['requests'] > 0 and found['errors']['connect'] > 0


def test_every_engine_generates():
    with answering(OK) as target:
        for engine in [*ENGINES, 'auto']:
            assert result(target, '-n', 50, '-c', 3, '--engine', engine)['requests'] == 50


def test_nobody_listens_on_a_free_port():
    assert 'refused' in bench(f'http://127.0.0.1:{free_port()}/', status=1).stderr
