"""userid: clients named by a cookie."""
import base64
import re
import socket
import struct
import time

import pytest

HEADERS = 'add_header X-Got "[$uid_got]"; add_header X-Set "[$uid_set]";'


def cookie_of(answer):
    return re.match(r'uid=([^;]{24})', answer['set-cookie'])[1]


def words(text):
    return struct.unpack('<4I', base64.b64decode(text[:22] + '=='))


def shown(text):
    return 'uid=%08X%08X%08X%08X' % words(text)


def test_a_new_client(weir):
    s = weir(f'userid on; access_log uid.log u; {HEADERS}',
             http='log_format u "$uid_got $uid_set";')
    first = s.get('/file.txt')
    name = cookie_of(first)
    assert first['set-cookie'] == f'uid={name}; path=/' and name.endswith('==')
    host, now, _, _ = struct.unpack('>4I', base64.b64decode(name))
    assert socket.inet_ntoa(struct.pack('>I', host)) == '127.0.0.1'
    assert abs(now - time.time()) < 60
    second = s.get('/file.txt')
    assert cookie_of(second) != name
    third = s.get('/file.txt', headers={'Cookie': f'a=b; uid={name}; c=d'})
    assert third['set-cookie'] is None and third['x-got'] == f'[{shown(name)}]'
    s.stop()
    assert {'- ' + shown(name), shown(name) + ' -'} < set(s.file('uid.log').splitlines())


def test_what_is_no_identifier(weir):
    s = weir('userid on;')
    for wrong in ('', 'x', 'A' * 21, '?' * 22, 'A' * 5000):
        assert s.get('/file.txt', headers={'Cookie': f'uid={wrong}'})['set-cookie'], wrong[:30]
    s.wait_log('client sent invalid userid cookie "x"')


def test_settings(shared):
    s = shared('userid on; userid_name me; userid_domain a.test; userid_path /x; '
               'userid_expires max; userid_p3p "policyref=x"; userid_service 7; '
               'userid_flags secure httponly samesite=lax;')
    a = s.get('/file.txt')
    value = re.match(r'me=([^;]*)(.*)', a['set-cookie'])
    assert value[2] == '; expires=Thu, 31-Dec-37 23:55:55 GMT; domain=a.test; path=/x; secure; ' \
        'httponly; samesite=lax'
    assert struct.unpack('>4I', base64.b64decode(value[1]))[0] == 7
    assert a['p3p'] == 'policyref=x'
    s = shared('userid v1; userid_expires 1h;')
    a = s.get('/file.txt')
    assert re.search(r'; expires=\w\w\w, \d\d \w\w\w \d{4} \d\d:\d\d:\d\d GMT; path=/$',
                     a['set-cookie'])
    assert words(cookie_of(a))[0] == 0 and abs(words(cookie_of(a))[1] - time.time()) < 60


def test_log_only(shared):
    s = shared('userid log; ' + HEADERS)
    assert s.get('/file.txt')['set-cookie'] is None
    name = base64.b64encode(bytes(range(16))).decode()
    assert s.get('/file.txt', headers={'Cookie': f'uid={name}'})['x-got'] == f'[{shown(name)}]'


def test_the_mark(shared):
    s = shared('userid on; userid_mark z; userid_expires 1d;')
    name = cookie_of(s.get('/file.txt'))
    assert name[22:] == 'z='
    assert s.get('/file.txt', headers={'Cookie': f'uid={name}'})['set-cookie'] is None
    old = name[:22] + '=='
    assert cookie_of(s.get('/file.txt', headers={'Cookie': f'uid={old}'})) == name


def test_reset(weir):
    s = weir('userid on; if ($arg_new) { set $uid_reset $arg_new; } ' + HEADERS)
    name = cookie_of(s.get('/file.txt'))
    sent = {'Cookie': f'uid={name}'}
    assert s.get('/file.txt?new=0', headers=sent)['set-cookie'] is None
    assert cookie_of(s.get('/file.txt?new=1', headers=sent)) != name
    assert cookie_of(s.get('/file.txt?new=log', headers=sent)) != name
    s.wait_log(f'userid cookie "{shown(name)[4:]}" was reset')


def test_off_below(shared):
    s = shared('userid on; location /off/ { userid off; }', files={'html/off/a': 'x'})
    assert s.get('/off/a')['set-cookie'] is None and s.get('/file.txt')['set-cookie']


@pytest.mark.one_engine
@pytest.mark.parametrize('line, says', [
    ('userid yes;', 'expected: off, log, v1 or on'), ('userid_mark zz;', 'a letter, a digit'),
    ('userid_expires soon;', 'a time, max or off'), ('userid_service x;', 'a number below'),
    ('userid_flags secret;', 'samesite=lax')])
def test_mistakes(weir, line, says):
    assert says in weir(line, start=False).command('-t').stderr
