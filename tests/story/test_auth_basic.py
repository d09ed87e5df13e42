"""auth_basic: names and passwords; satisfy; auth_delay."""
import base64
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from conftest import BINARY

SESAME = 'open sesame'
# Each is a hash of SESAME, as htpasswd, openssl passwd or crypt(3) made it.
HASHES = {
    'plain': '{PLAIN}open sesame',
    'sha': '{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=',
    'ssha': '{SSHA}hN5uxFJUEWCPg56kk42tnVCdJ61zYWx0',
    'apr1': '$apr1$BJRDfuT3$tcF9k7SBqNlctfls3.JOx1',
    'bcrypt': '$2y$05$Ta.zXJAykM4TFfw9cspiHOlyPChiT3g4T2Hp/UQ/HAurexKFcXbtm',
    'yescrypt': '$y$j75$saltsaltsalt$/t.p6VFaMssrvW9hjFBIPSCdXaaCzdMD9V8t0nx8fL.',
    'sha512': '$6$rounds=1000$saltsalt$/IiX/CoEcxCZ9SksEXnbjfCT1LGvD4z5OpJkaFYl/'
              'T37OAwuKZ8I8BixDhruhPLkw6lS7dw/6wQWgQnGo7lLg/',
    'md5crypt': '$1$saltsalt$Yo6tRKYGO/jWyb1etwHDS/',
    'des': 'ab/G8gtZdMwak',
}
SLOW = '$2b$08$abcdefghijklmnopqrstuuvbcBqwD0vqGp5cw/xK4wy0Mtx9M8.Zy'
USERS = '# people\n\n' + ''.join(f'{name}:{text}\n' for name, text in HASHES.items()) + \
    'words:{PLAIN}open sesame:a comment\r\nbroken:secret\nno colon\n:no name\n' \
    'ümläut:{PLAIN}paß:wort\nempty:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=\n'
AUTH = 'auth_basic "closed site"; auth_basic_user_file htpasswd; '
SITE = '''
    location /open/ { alias html/; }
    location /closed/ { alias html/; AUTH }
    location /say/ { AUTH try_files /none @say; }
    location @say { return 200 "<$remote_user>"; }
    location /outer/ { alias html/; AUTH location /outer/free/ { alias html/; auth_basic off; }
        location /outer/too/ { alias html/; } }
    location /realm/ { alias html/; auth_basic "$arg_realm"; auth_basic_user_file htpasswd; }
    location /host/ { alias html/; auth_basic grüße; auth_basic_user_file $arg_file; }
    location /nofile/ { alias html/; auth_basic x; auth_basic_user_file missing; }
    location /directory/ { alias html/; auth_basic x; auth_basic_user_file html; }
    location /unasked/ { alias html/; auth_basic x; }
    location /page/ { alias html/; AUTH error_page 401 /sorry.html; }
    location /pageout/ { alias html/; AUTH error_page 401 =200 /sorry.html; }
    location /named/ { alias html/; AUTH error_page 401 @sorry; }
    location @sorry { return 403 "named"; }
    location /limited/ { alias html/; limit_except GET { AUTH } }
    location /if/ { alias html/; AUTH if ($arg_x) { add_header X-If yes; } }
'''.replace('AUTH', AUTH)
SATISFY = '''
    location /all/in/ { alias html/; satisfy all; allow 127.0.0.1; deny all; AUTH }
    location /all/out/ { alias html/; satisfy all; deny all; AUTH }
    location /any/in/ { alias html/; satisfy any; allow 127.0.0.1; deny all; AUTH }
    location /any/out/ { alias html/; satisfy any; deny all; AUTH }
    location /any/auth/ { alias html/; satisfy any; AUTH }
    location /any/deny/ { alias html/; satisfy any; deny all; }
    location /any/nofile/ { alias html/; satisfy any; deny all; auth_basic x;
                            auth_basic_user_file missing; }
'''.replace('AUTH', AUTH)


def token(user, password=SESAME):
    return base64.b64encode(f'{user}:{password}'.encode()).decode()


def ask(s, path, user=None, password=SESAME, **kw):
    fields = [('Authorization', f'Basic {token(user, password)}')] if user else []
    return s.get(path, headers=fields, **kw)


@pytest.fixture
def site(shared):
    return shared(SITE + SATISFY, files={'htpasswd': USERS, 'html/sorry.html': 'sorry'})


# ---- names and passwords ---------------------------------------------------------------------

@pytest.mark.parametrize('kind', HASHES)
def test_every_kind_of_hash(site, kind):
    assert ask(site, '/closed/file.txt', kind).text == '0123456789'
    assert ask(site, '/closed/file.txt', kind, 'Open sesame').status == 401
    assert ask(site, '/closed/file.txt', kind, '').status == 401
    assert ask(site, '/closed/file.txt', kind).status == 200    # remembered or not


def test_who_is_asked(site):
    assert ask(site, '/open/file.txt').status == 200
    a = ask(site, '/closed/file.txt')
    assert a.status == 401 and a.all('WWW-Authenticate') == ['Basic realm="closed site"']
    assert '401' in a.text
    assert ask(site, '/closed/file.txt', method='HEAD').status == 401
    assert ask(site, '/closed/none', 'plain').status == 404
    assert ask(site, '/closed/none').status == 401
    assert ask(site, '/unasked/file.txt').status == 200


def test_names(site):
    assert ask(site, '/closed/file.txt', 'nobody').status == 401
    assert ask(site, '/closed/file.txt', 'PLAIN').status == 401
    assert ask(site, '/closed/file.txt', 'words').status == 200
    assert ask(site, '/closed/file.txt', 'empty', '').status == 200
    assert ask(site, '/closed/file.txt', 'ümläut', 'paß').status == 200
    assert ask(site, '/closed/file.txt', 'broken', 'secret').status == 401
    assert ask(site, '/closed/file.txt', '# people', '').status == 401
    site.wait_log('user "nobody" was not found in')
    assert ask(site, '/closed/file.txt', 'plain', 'no').status == 401
    site.wait_log('user "plain": password mismatch')
    site.wait_log('the hash of user "broken" in')


def test_remote_user(site):
    assert ask(site, '/say/', 'plain').text == '<plain>'
    assert ask(site, '/say/', 'nobody').status == 401


@pytest.mark.parametrize('value', [
    '', 'Basic', 'Basic ', 'Basic ====', 'Basic *', 'Basic ' + base64.b64encode(b'plain').decode(),
    'Basic ' + base64.b64encode(b':open sesame').decode(), f'Bearer {token("plain")}',
    f'Basic{token("plain")}', f'Basic {token("plain")}A!',
    f'Basic {token("plain", SESAME + chr(0))}',
    f'Basic {token("plain", SESAME + chr(0) + "x")}', 'Basic ' + 'QUFB' * 1500,
    f'Basic {token("plain", "x" * 1100)}', f'Basic {token("bcrypt", "x" * 900)}',
    f'Basic {token("x" * 900)}', 'Basic w7w='])
def test_malformed(site, value):
    a = site.get('/closed/file.txt', headers=[('Authorization', value)])
    assert a.status == 401 and a['WWW-Authenticate'] == 'Basic realm="closed site"'


def test_too_large_for_a_head(site):
    a = site.get('/closed/file.txt', headers=[('Authorization', 'Basic ' + 'QUFB' * 5000)])
    assert a.status == 431


def test_scheme_in_any_case(site):
    for scheme in ('basic', 'BASIC', 'Basic  '):
        assert site.get('/closed/file.txt', headers=[
            ('Authorization', f'{scheme} {token("plain")}')]).status == 200


def test_inheritance(site):
    assert ask(site, '/outer/file.txt').status == 401
    assert ask(site, '/outer/too/file.txt').status == 401
    assert ask(site, '/outer/too/file.txt', 'plain').status == 200
    assert ask(site, '/outer/free/file.txt').status == 200
    assert ask(site, '/if/file.txt?x=1').status == 401
    assert ask(site, '/if/file.txt?x=1', 'plain')['X-If'] == 'yes'


def test_realms(site):
    assert ask(site, '/realm/file.txt?realm=abc')['WWW-Authenticate'] == 'Basic realm="abc"'
    assert ask(site, '/realm/file.txt?realm=')['WWW-Authenticate'] == 'Basic realm=""'
    assert ask(site, '/realm/file.txt?realm=off').status == 200
    assert ask(site, '/host/file.txt?file=htpasswd')['WWW-Authenticate'] == \
        'Basic realm="grüße"'.encode().decode('latin1')


def test_path_of_the_file_from_a_variable(site):
    assert ask(site, '/host/file.txt?file=htpasswd', 'plain').status == 200
    assert ask(site, f'/host/file.txt?file={site.dir}/htpasswd', 'plain').status == 200
    assert ask(site, '/host/file.txt?file=none', 'plain').status == 403


def test_files_that_cannot_be_read(site):
    assert ask(site, '/nofile/file.txt').status == 401      # nothing to look up yet
    a = ask(site, '/nofile/file.txt', 'plain')
    assert a.status == 403 and a['WWW-Authenticate'] is None
    assert ask(site, '/directory/file.txt', 'plain').status == 500
    site.wait_log(f'the password file "{site.dir}/missing" cannot be read')
    site.wait_log(f'the password file "{site.dir}/html" cannot be read')


def test_a_line_end_in_a_realm_makes_no_field(weir):
    s = weir('location / { set $x "$uri"; auth_basic "$x"; auth_basic_user_file htpasswd; }',
             files={'htpasswd': USERS})
    a = s.get('/a%0D%0AX-Own:%20yes')
    assert a.status == 401 and a['X-Own'] is None
    assert a['WWW-Authenticate'] == 'Basic realm="/a  X-Own: yes"'


def test_limit_except(site):
    assert ask(site, '/limited/file.txt').status == 200
    assert ask(site, '/limited/file.txt', method='DELETE').status == 401
    assert ask(site, '/limited/file.txt', 'plain', method='DELETE').status == 405


def test_error_pages(site):
    a = ask(site, '/page/file.txt')
    assert (a.status, a.text, a.all('WWW-Authenticate')) == \
        (401, 'sorry', ['Basic realm="closed site"'])
    a = ask(site, '/pageout/file.txt')
    assert (a.status, a.text, a.all('WWW-Authenticate')) == \
        (200, 'sorry', ['Basic realm="closed site"'])
    a = ask(site, '/named/file.txt')
    assert a.text == 'named' and a.all('WWW-Authenticate') == ['Basic realm="closed site"']
    assert ask(site, '/page/file.txt', 'plain')['WWW-Authenticate'] is None


def test_an_error_page_behind_the_same_door(weir):
    s = weir(AUTH + 'error_page 401 /sorry.html;',
             files={'htpasswd': USERS, 'html/sorry.html': 'sorry'})
    a = ask(s, '/file.txt')
    assert a.status == 401 and a.all('WWW-Authenticate') == ['Basic realm="closed site"']
    assert ask(s, '/file.txt', 'sha').status == 200


def test_a_file_that_changes(weir):
    s = weir(AUTH, files={'htpasswd': 'ann:{PLAIN}one\n'})
    assert ask(s, '/file.txt', 'ann', 'one').status == 200
    (s.dir / 'htpasswd').write_text(f'ann:{HASHES["bcrypt"]}\nbob:{{PLAIN}}two\n')
    assert ask(s, '/file.txt', 'ann', 'one').status == 401
    assert ask(s, '/file.txt', 'ann').status == 200
    assert ask(s, '/file.txt', 'bob', 'two').status == 200
    (s.dir / 'htpasswd').write_text(f'ann:{HASHES["apr1"][:-1]}0\n')
    assert ask(s, '/file.txt', 'ann').status == 401         # was remembered by its old hash
    os.unlink(s.dir / 'htpasswd')
    assert ask(s, '/file.txt', 'bob', 'two').status == 403
    (s.dir / 'htpasswd').write_text('bob:{PLAIN}three')
    assert ask(s, '/file.txt', 'bob', 'three').status == 200


def test_one_connection(site):
    with site.connect() as c:
        for user, status in (('bcrypt', 200), ('nobody', 401), ('sha', 200), ('apr1', 200)):
            a = c.ask('/closed/file.txt', headers=[('Authorization', f'Basic {token(user)}')])
            assert a.status == status
            assert (a['WWW-Authenticate'] is None) == (status == 200)


# ---- together with addresses -----------------------------------------------------------------

@pytest.mark.parametrize('path, user, status', [
    ('/all/in/', None, 401), ('/all/in/', 'plain', 200), ('/all/in/', 'nobody', 401),
    ('/all/out/', None, 403), ('/all/out/', 'plain', 403),
    ('/any/in/', None, 200), ('/any/in/', 'nobody', 200),
    ('/any/out/', None, 401), ('/any/out/', 'plain', 200), ('/any/out/', 'nobody', 401),
    ('/any/auth/', None, 401), ('/any/auth/', 'plain', 200),
    ('/any/deny/', None, 403), ('/any/deny/', 'plain', 403),
    ('/any/nofile/', None, 401), ('/any/nofile/', 'plain', 403)])
def test_satisfy(site, path, user, status):
    a = ask(site, path + 'file.txt', user)
    assert a.status == status
    assert (a['WWW-Authenticate'] is not None) == (status == 401)


@pytest.fixture
def three(shared):
    """Addresses, passwords and a sub-request, which says what the client wants it to say."""
    both = AUTH + 'auth_request /ask; '
    return shared(f'''
        location = /ask {{ internal;
            if ($http_x_say = yes) {{ return 204; }} if ($http_x_say = who) {{ return 401; }}
            if ($http_x_say = broken) {{ return 500; }} return 403; }}
        location /all/ {{ alias html/; {both} }}
        location /any/ {{ alias html/; satisfy any; deny all; {both} }}
        location /late/ {{ alias html/; satisfy any; {both} auth_delay 50ms; }}
    ''', files={'htpasswd': USERS})


@pytest.mark.parametrize('path, user, says, status, challenges', [
    ('/all/', 'plain', 'yes', 200, []), ('/all/', None, 'yes', 401, ['Basic realm="closed site"']),
    ('/all/', 'plain', 'no', 403, []), ('/all/', 'plain', 'who', 401, []),
    ('/all/', 'plain', 'broken', 500, []),
    ('/any/', 'plain', 'no', 200, []), ('/any/', None, 'yes', 200, []),
    ('/any/', None, 'no', 401, ['Basic realm="closed site"']),
    ('/any/', None, 'who', 401, ['Basic realm="closed site"']),
    ('/any/', 'plain', 'broken', 200, []), ('/any/', None, 'broken', 500, []),
    ('/late/', None, 'who', 401, ['Basic realm="closed site"']),
    ('/late/', None, 'yes', 200, [])])
def test_three_steps(three, path, user, says, status, challenges):
    fields = [('X-Say', says)] + \
        ([('Authorization', f'Basic {token(user)}')] if user else [])
    a = three.get(path + 'file.txt', headers=fields)
    assert (a.status, a.all('WWW-Authenticate') if status == 401 else []) == (status, challenges)
    if status == 200:
        assert a['WWW-Authenticate'] is None


# ---- slow ones -------------------------------------------------------------------------------

def test_slow_logins_do_not_hold_up_others(weir):
    """While many slow hashes are waited for, a static file is fetched again and again."""
    people = [f'user{n}' for n in range(24)]
    s = weir(f'location /closed/ {{ alias html/; {AUTH} }}',
             files={'htpasswd': ''.join(f'{p}:{SLOW}\n' for p in people)})
    answers = {}

    def log_in(person, password):
        answers[person, password] = ask(s, '/closed/file.txt', person, password).status

    threads = [threading.Thread(target=log_in, args=(p, w)) for p in people for w in (SESAME, 'no')]
    for t in threads:
        t.start()
    fetched = 0
    while fetched == 0 or any(t.is_alive() for t in threads):
        assert s.get('/file.txt').status == 200
        fetched += 1
    for t in threads:
        t.join()
    assert len(answers) == 48
    assert all(status == (200 if word == SESAME else 401) for (_, word), status in answers.items())


def test_clients_that_leave(weir):
    s = weir(f'location /closed/ {{ alias html/; {AUTH} }}',
             files={'htpasswd': f'ann:{SLOW}\n'})
    for n in range(30):
        with s.connect() as c:
            c.send('GET /closed/file.txt HTTP/1.1\r\nHost: a\r\n'
                   f'Authorization: Basic {token("ann", str(n))}\r\n\r\n')
    assert ask(s, '/closed/file.txt', 'ann').status == 200


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_while_many_wait(weir, number):
    s = weir(f'location /closed/ {{ alias html/; {AUTH} }}', files={'htpasswd': f'ann:{SLOW}\n'})
    clients = [s.connect() for _ in range(20)]
    for n, c in enumerate(clients):
        c.send('GET /closed/file.txt HTTP/1.1\r\nHost: a\r\n'
               f'Authorization: Basic {token("ann", str(n))}\r\n\r\n')
    assert clients[0].answer().status == 401
    s.signal(number)
    if number != signal.SIGTERM:
        assert [c.answer().status for c in clients[1:]] == [401] * 19
    if number == signal.SIGHUP:
        assert ask(s, '/closed/file.txt', 'ann').status == 200
    else:
        assert s.process.wait(10) == 0
    for c in clients:
        c.close()


# ---- auth_delay ------------------------------------------------------------------------------

DELAY = f'auth_delay 400ms; location /closed/ {{ alias html/; {AUTH} }}' \
        'location /denied/ { deny all; }'


def test_refusals_are_delayed(weir):
    s = weir(DELAY, files={'htpasswd': USERS})
    begin = time.monotonic()
    with s.connect() as slow:
        slow.send('GET /closed/file.txt HTTP/1.1\r\nHost: a\r\n\r\n')
        for _ in range(5):
            assert s.get('/file.txt').status == 200
            assert s.get('/denied/').status == 403
            assert ask(s, '/closed/file.txt', 'plain').status == 200
        assert slow.answer().status == 401
    assert time.monotonic() - begin >= 0.39
    s.wait_log('delaying the answer')


def test_a_client_that_does_not_wait(weir):
    s = weir(DELAY.replace('400ms', '1h') + 'access_log access.log;', files={'htpasswd': USERS})
    for n in range(5):
        with s.connect() as c:
            c.send(f'GET /closed/{n} HTTP/1.1\r\nHost: a\r\n\r\n')
            s.wait_log(f'"GET /closed/{n} ')
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    assert s.get('/file.txt').status == 200
    s.file('access.log', contains='"GET /closed/4 HTTP/1.1" 499')
    # the fixture asks the server to quit: nobody holds it up


# ---- mistakes --------------------------------------------------------------------------------

def checked(tmp_path, text, **files):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / 'weir.conf').write_text(
        f'events {{}}\nhttp {{ server {{ listen 81; {text} }} }}\n')
    return subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', 'weir.conf'],
                          capture_output=True, text=True, timeout=20)


def test_lines_that_make_no_sense_are_named(tmp_path):
    run = checked(tmp_path, AUTH, htpasswd=USERS)
    lines = USERS.split('\n')
    assert run.returncode == 0
    for text, says in (('broken:secret', 'has a hash of no known kind'),
                       ('no colon', 'is not a name, a colon and a hash'),
                       (':no name', 'is not a name, a colon and a hash')):
        assert f'{tmp_path}/htpasswd:{lines.index(text) + 1} {says}' in run.stderr, run.stderr
    assert run.stderr.count('htpasswd:') == 3


def test_a_missing_file_is_named(tmp_path):
    run = checked(tmp_path, AUTH)
    assert run.returncode == 0 and f'"{tmp_path}/htpasswd" cannot be read' in run.stderr


def test_a_door_without_a_lock_is_named(tmp_path):
    run = checked(tmp_path, 'location / { auth_basic x; } ')
    assert run.returncode == 0 and 'protects nothing here' in run.stderr
    assert 'protects' not in checked(tmp_path, 'location / { auth_basic off; }').stderr
    assert 'protects' not in checked(tmp_path, AUTH + 'location / { }', htpasswd='').stderr


@pytest.mark.parametrize('text, says', [
    ('auth_basic a b;', 'auth_basic'), ('auth_basic_user_file;', 'auth_basic_user_file'),
    ('auth_delay soon;', 'soon'), ('satisfy some;', 'some'), ('auth_basic $nothing;', 'nothing')])
def test_mistakes(tmp_path, text, says):
    run = checked(tmp_path, text)
    assert run.returncode == 1 and says in run.stderr, run.stderr
