"""Access logs and error logs: formats, conditions, buffers, rotation, and disks that are full."""
import gzip
import json
import re
import time


def test_combined(weir):
    s = weir('access_log access.log;')
    s.get('/file.txt?a=1', headers={'Referer': 'http://r.test/', 'User-Agent': 'story "x"'})
    line = s.file('access.log', contains='/file.txt')
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                        r'"GET /file\.txt\?a=1 HTTP/1\.1" 200 10 "http://r\.test/" '
                        r'"story \\x22x\\x22"\n', line)


def test_escapes(weir):
    s = weir('access_log j.log j; access_log n.log n; access_log d.log d;',
             http='''log_format j escape=json '{"ua":"$http_user_agent"}';
                     log_format n escape=none '$http_user_agent|$http_none|';
                     log_format d '$http_user_agent|$http_none|';''')
    s.get('/', headers={'User-Agent': 'a"b\\c\xe9'})
    s.file('j.log')
    line = (s.dir / 'j.log').read_bytes().decode('latin1')
    assert json.loads(line)['ua'][:5] == 'a"b\\c'
    assert (s.dir / 'n.log').read_bytes() == b'a"b\\c\xe9||\n'
    assert s.file('d.log') == 'a\\x22b\\x5Cc\\xE9|-|\n'


def test_json_needs_no_definition(weir):
    s = weir('access_log j.log json; location /say { return 200 twelve_bytes; }')
    a = s.get('/say?a="b"', host='Site.test', headers={'User-Agent': 'a"b\\c\xe9'})
    line = json.loads(s.file('j.log', contains='/say'))
    assert list(line) == ['time', 'remote_addr', 'remote_user', 'method', 'uri', 'protocol',
                          'status', 'body_bytes_sent', 'bytes_sent', 'request_length',
                          'request_time', 'host', 'server_name', 'referer', 'user_agent',
                          'request_id', 'connection']
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d', line['time'])
    assert (line['remote_addr'], line['method'], line['uri'], line['protocol'], line['status']) == \
        ('127.0.0.1', 'GET', '/say?a="b"', 'HTTP/1.1', 200)
    assert line['body_bytes_sent'] == 12 and line['bytes_sent'] == len(a.raw) + 12
    assert line['request_length'] > 40 and 0 <= line['request_time'] < 5
    assert line['host'] == 'site.test' and line['user_agent'].startswith('a"b\\c')
    assert (line['referer'], line['remote_user']) == ('', '')
    assert re.fullmatch('[0-9a-f]{32}', line['request_id']) and line['connection'] > 0


def test_json_of_requests_that_make_no_sense(weir):
    s = weir('access_log j.log json;')
    for text in ('nonsense\r\n\r\n', 'GET /\x01" HTTP/1.1\r\nHost: a\r\n\r\n',
                 'GET / HTTP/1.1\r\nHost: "\xff\r\n\r\n', 'GET /last HTTP/9.9\r\n\r\n'):
        with s.connect() as c:
            c.send(text)
            assert c.answer().status >= 400
    s.stop()
    lines = s.file('j.log').splitlines()
    assert len(lines) == 4 and all(isinstance(json.loads(line)['status'], int) for line in lines)


def test_a_json_format_of_ones_own_takes_the_place_of_ours(weir):
    s = weir('access_log before.log json; access_log after.log json;',
             http="""access_log first.log json;
                     log_format json escape=json '{"mine":"$uri"}';""")
    s.get('/x')
    assert json.loads(s.file('before.log')) == {'mine': '/x'}
    assert json.loads(s.file('after.log')) == {'mine': '/x'}
    assert '[warn]' not in s.log()


def test_a_log_line_cannot_be_forged(weir):
    s = weir('access_log access.log;')
    s.get('/%0a127.0.0.1%20-%20forged')
    text = s.file('access.log', contains='forged')
    assert text.count('\n') == 1


def test_condition_and_off(weir):
    s = weir('''access_log access.log combined if=$arg_log;
        location /off/ { access_log off; return 200 x; }
        location /own/ { access_log own.log; return 200 x; }''')
    for path in ('/?log=1&first', '/?log=0&zero', '/?log=', '/off/?log=1', '/own/', '/?log=1&last'):
        s.get(path)
    text = s.file('access.log', contains='last')
    assert 'first' in text and 'zero' not in text and len(text.splitlines()) == 2
    assert len(s.file('own.log').splitlines()) == 1


def test_buffer_and_flush(weir):
    s = weir('access_log access.log combined buffer=32k flush=300ms;')
    s.get('/one')
    assert not (s.dir / 'access.log').exists() or not (s.dir / 'access.log').read_text()
    assert '/one' in s.file('access.log', contains='/one')
    s.get('/two')
    s.stop()
    assert '/two' in (s.dir / 'access.log').read_text()


def test_gzip(weir):
    s = weir('access_log access.log.gz combined gzip=1 buffer=4k flush=200ms;')
    for i in range(100):
        s.get(f'/{i}')
    s.stop()
    with gzip.open(s.dir / 'access.log.gz', 'rt') as f:
        assert len(f.read().splitlines()) == 100


def test_variables_in_the_path(weir):
    s = weir('access_log logs-$arg_site.log; open_log_file_cache max=2 valid=1s;')
    import os
    os.chmod(s.dir, 0o777)
    for site in ('a', 'b', 'c', 'a'):
        s.get(f'/?site={site}')
    assert len(s.file('logs-a.log', contains='site=a').splitlines()) >= 1
    assert s.file('logs-b.log') and s.file('logs-c.log')
    s.get('/?site=../../escape')
    assert not (s.dir.parent / 'escape.log').exists()


def test_bytes_and_times(weir):
    s = weir('access_log access.log t;', http='log_format t "$status $body_bytes_sent $bytes_sent '
             '$request_length $request_time $connection_requests $pipe $request_completion";')
    s.get('/file.txt')
    status, body, total, length, seconds, nth, pipe, done = s.file('access.log').split()
    assert (status, body, nth, pipe, done) == ('200', '10', '1', '.', 'OK')
    assert int(total) > 100 and int(length) > 30 and re.fullmatch(r'\d+\.\d{3}', seconds)


def test_error_log_levels(weir):
    s = weir('''error_log error.log;
        location /a/ { error_log loc.log crit; }
        location /b/ { error_log loc.log notice; error_log second.log; }''')
    s.get('/missing')
    s.get('/a/missing')
    s.get('/b/missing2')
    s.wait_log('html/missing" failed')
    assert 'missing2' in s.file('loc.log', contains='missing2')
    assert 'a/missing' not in s.file('loc.log')
    assert 'missing2' in s.file('second.log', contains='missing2')
    line = next(x for x in s.log().splitlines() if 'html/missing"' in x)
    assert re.match(r'\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ open\(\) "', line)
    assert 'client: 127.0.0.1, server: a.test, request: "GET /missing HTTP/1.1", host: "a.test"' \
        in line


def test_log_not_found(weir):
    s = weir('log_not_found off;')
    s.get('/missing')
    time.sleep(0.1)
    assert 'missing" failed' not in s.log()


def test_reopen(weir):
    s = weir('access_log access.log;')
    s.get('/one')
    s.file('access.log', contains='/one')
    (s.dir / 'access.log').rename(s.dir / 'access.log.1')
    (s.dir / 'error.log').rename(s.dir / 'error.log.1')
    assert s.command('-s', 'reopen').returncode == 0
    end = time.monotonic() + 3
    while not (s.dir / 'access.log').exists() and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.2)
    s.get('/two')
    assert '/two' in s.file('access.log', contains='/two')
    assert '/two' not in (s.dir / 'access.log.1').read_text()


def test_full_disk(weir):
    s = weir('access_log /dev/full;')
    for _ in range(200):
        assert s.get('/file.txt').status == 200
    s.wait_log('No space left')
    assert s.log().count('No space left') < 20


def test_full_disk_behind_a_buffer(weir):
    s = weir('access_log /dev/full combined buffer=4k flush=100ms;')
    for _ in range(100):
        assert s.get('/file.txt').status == 200
    s.wait_log('No space left')


def test_full_error_log(weir):
    s = weir('error_log /dev/full info;')
    for _ in range(50):
        assert s.get('/missing').status == 404


def test_syslog(weir):
    import socket
    import tempfile
    with tempfile.TemporaryDirectory() as d, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        import os
        os.chmod(d, 0o755)
        log.bind(f'{d}/log')
        os.chmod(f'{d}/log', 0o777)
        log.settimeout(5)
        s = weir(f'access_log syslog:server=unix:{d}/log,tag=story,facility=local3,severity=info;')
        s.get('/syslogged')
        line = log.recv(4096)
        assert line.startswith(b'<158>') and b' story: ' in line and b'/syslogged' in line
        s.stop()
