"""Broken, hostile and merely rare requests: every row of tests/corpus/bad_inputs.tsv."""
import contextlib
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import catalogue
from conftest import launch
from upstreams import Upstream, reply

ROWS = catalogue.rows()
SERVERS = '''
    server { listen 127.0.0.1:PORT default_server; server_name other.test; root html;
        add_header X-Met "other.test $host" always; %(locations)s }
    server { listen 127.0.0.1:PORT; server_name a.test; root html;
        add_header X-Met "a.test $host" always; %(locations)s }
'''
LOCATIONS = '''
    location = /echo { return 200; }
    location = /limit { client_max_body_size 1k; return 200; }
    location /redir/ { return 302 http://a.test$uri; }
    location = /next { return 200 "smuggled"; }
    location /alias { alias html/aliased/; }
    location = /log { access_log access.log; error_log error.log; return 200; }
'''
HTTP = '''client_header_timeout 5s; client_body_timeout 5s; send_timeout 10s;
    keepalive_timeout 10s; access_log access.log; '''
FILES = {'html/dir/index.html': 'directory', 'html/aliased/x': 'x', 'html/noperm.txt': 'closed',
         'html/secret.txt': 'beside the alias', 'html/big': b'big!' * (10 << 18)}

# What rows demand beside their statuses: a pattern that must, or must not, be in what was received.
HAS = {'HO28': rb'X-Met: a\.test ', 'HO30': rb'X-Met: \S+ b\.test\r', 'OK10': rb' b\.test\r',
       'CH44': rb'X-Met: a\.test a\.test\r', 'RG01': rb'\r\n\r\n01234$'}
HAS_NOT = {'IN01': rb'(?m)^X-Injected', 'RL58': rb'Location: //', 'RL23': rb'^(?!HTTP/)',
           'HO27': rb'X-Met: a\.test '}
NEVER = re.compile(rb'smuggled|root:x:0|beside the alias')


def start(keep, engine, http=''):
    user = 'user www-data;' if os.geteuid() == 0 else ''
    s = launch(keep, engine, servers=SERVERS % {'locations': LOCATIONS}, http=HTTP + http,
               main=user, files=FILES)
    os.mkfifo(s.dir / 'html/fifo')
    os.symlink('/etc/passwd', s.dir / 'html/link-out')
    os.chmod(s.dir / 'html/noperm.txt', 0)
    return s


@pytest.fixture
def server(engine, shared_servers):
    """One server an engine, for all classes."""
    if engine not in shared_servers:
        keep = contextlib.ExitStack()
        shared_servers[engine] = (start(keep, engine), keep)
    return shared_servers[engine][0]


def beyond_statuses(row, received):
    if NEVER.search(received):
        return f'sent {NEVER.search(received)[0]!r}'
    if row.id in HAS and not re.search(HAS[row.id], received):
        return f'{HAS[row.id]!r} is missing'
    if row.id in HAS_NOT and received and re.search(HAS_NOT[row.id], received):
        return f'{HAS_NOT[row.id]!r} was sent'
    if row.kind == 'range' and len(received) > 1000:
        return f'{len(received)} bytes for a file of ten'
    return None


def play(s, chosen, expect_of=lambda row: row.expect):
    """Plays rows at the same time; returns a line for each that went wrong."""
    def one(row):
        outcome = catalogue.run(s.address, row, expect_of(row))
        wrong = catalogue.complaint(row, expect_of(row), outcome) or \
            beyond_statuses(row, outcome.received)
        return wrong and f'{row.id} ({row.reason}): {wrong}'

    with ThreadPoolExecutor(16) as pool:
        return [line for line in pool.map(one, chosen) if line]


@pytest.mark.parametrize('kind', sorted({row.kind for row in ROWS}))
def test_class(server, kind):
    wrong = play(server, [row for row in ROWS if row.kind == kind])
    assert not wrong, '\n'.join(wrong)
    assert server.get('/file.txt').body == b'0123456789'


def test_logs_hold_one_line_a_request(server):
    """What a client sends cannot forge a line, nor reach a terminal."""
    assert not play(server, [row for row in ROWS if row.id in ('IN03', 'IN04', 'FI14')])
    server.file('access.log', contains='/log?x=%0a127.0.0.1')
    for name in ('access.log', 'error.log'):
        assert not re.search(rb'[\x00-\x08\x0b-\x1f\x7f]', (server.dir / name).read_bytes())
    assert '\n127.0.0.1 HTTP' not in server.file('access.log')


def test_bare_lf_when_it_is_allowed(weir, engine):
    """`allow_bare_lf on` accepts the rows that differ by their line ends alone."""
    chosen = [row for row in ROWS if row.id in ('FI20', 'FI21', 'RL10')]
    with contextlib.ExitStack() as keep:
        s = start(keep, engine, http='allow_bare_lf on;')
        lenient = [row._replace(after='any') for row in chosen]
        assert not play(s, lenient, expect_of=lambda row: row.compat)


def test_notation():
    assert catalogue.steps(r'a\r\n\x00\\<<2*b<<2*c>>>>') == [b'a\r\n\0\\bccbcc']
    assert catalogue.steps('a<<PAUSE 20>>b<<FIN>>') == [b'a', 0.02, b'b', catalogue.FIN]
    assert len({row.id for row in ROWS}) == len(ROWS) >= 209
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'
    assert catalogue.statuses(answer + b'ok' + answer, False) == ['200', '200']
    assert catalogue.statuses(answer + answer, True) == ['200', '200']


# ---- the same, passed on ---------------------------------------------------------------------

PASSED_ON = ('chunked', 'content-length', 'transfer-encoding', 'smuggling', 'field', 'pipeline')
FRAMED = re.compile(r'POST /echo HTTP/1\.1|GET /next HTTP/1\.1|[A-Z]+ \S+ HTTP/1\.1')


@pytest.mark.parametrize('buffering', ['on', 'off'])
def test_what_is_refused_is_not_passed_on(engine, buffering):
    """A server behind weir gets whole requests only, and their count is that of good answers."""
    with contextlib.ExitStack() as keep:
        up = keep.enter_context(Upstream(reply(b'passed on')))
        passed = f'proxy_pass http://{up.at}; proxy_request_buffering {buffering};'
        locations = (f'location / {{ {passed} proxy_read_timeout 3s; }} '
                     f'location = /limit {{ client_max_body_size 1k; {passed} }}')
        s = launch(keep, engine, servers=SERVERS % {'locations': locations}, http=HTTP)
        chosen = [row for row in ROWS if row.kind in PASSED_ON and row.id not in HAS]
        assert len(chosen) > 80
        wrong = play(s, chosen)
        assert not wrong, '\n'.join(wrong)
        for asked in up.asked:
            assert FRAMED.fullmatch(asked.line), asked.line
            names = [n.lower() for n, _ in asked.fields]
            assert names.count('host') == 1 and names.count('content-length') <= 1
            assert not ('content-length' in names and 'transfer-encoding' in names)
            assert all(n == n.strip() for n in names), names
            assert '/next' not in asked.target or asked.method == 'GET'
