"""realip: the client's address as a trusted proxy tells it."""
import subprocess

import pytest

from conftest import BINARY

TRUST = 'set_real_ip_from 127.0.0.0/8; set_real_ip_from 10.0.0.0/8; '
SETTINGS = {
    '/x-real': TRUST,
    '/last': TRUST + 'real_ip_header X-Forwarded-For;',
    '/recursive': TRUST + 'real_ip_header X-Forwarded-For; real_ip_recursive on;',
    '/own': TRUST + 'real_ip_header CF-Connecting-IP;',
    '/none': 'set_real_ip_from 192.0.2.1;',
    '/denied': 'location / { real_ip_header X-Forwarded-For; deny 192.0.2.66; ' + TRUST + '}',
}


@pytest.fixture
def site(shared):
    """A server for each of the settings, told apart by their names."""
    return shared(servers=''.join(f'''
        server {{ listen 127.0.0.1:PORT; server_name {name[1:]}; root html; {text}
                  location /say {{ return 200 "$remote_addr:$remote_port $realip_remote_addr"; }} }}
        ''' for name, text in SETTINGS.items()))


def said(site, name, *fields):
    return site.get('/say', host=name[1:], headers=fields).text


def test_one_address(site):
    assert said(site, '/x-real', ('X-Real-IP', '192.0.2.7')) == '192.0.2.7: 127.0.0.1'
    assert said(site, '/own', ('cf-connecting-ip', '192.0.2.8')) == '192.0.2.8: 127.0.0.1'
    assert said(site, '/x-real').startswith('127.0.0.1:') and \
        said(site, '/x-real').endswith(' 127.0.0.1')


@pytest.mark.parametrize('text, address', [
    ('192.0.2.1:81', '192.0.2.1:81'), ('2001:db8::1', '2001:db8::1:'),
    ('[2001:db8::1]:82', '2001:db8::1:82'), ('[2001:db8::1]', '2001:db8::1:')])
def test_ports_and_six(site, text, address):
    assert said(site, '/x-real', ('X-Real-IP', text)) == f'{address} 127.0.0.1'


@pytest.mark.parametrize('text', ['', 'unknown', '1.2.3', '192.0.2.1/24', '80', '*', '[::1', ',,'])
def test_what_is_no_address_changes_nothing(site, text):
    assert said(site, '/x-real', ('X-Real-IP', text)).startswith('127.0.0.1:')


def test_the_last_of_a_list(site):
    assert said(site, '/last', ('X-Forwarded-For', '192.0.2.1, 192.0.2.2, 10.0.0.1')) == \
        '10.0.0.1: 127.0.0.1'
    assert said(site, '/last', ('X-Forwarded-For', '192.0.2.1'),
                ('X-Forwarded-For', '192.0.2.3')) == '192.0.2.3: 127.0.0.1'


def test_the_last_that_is_not_trusted(site):
    chain = ('X-Forwarded-For', '192.0.2.1, 192.0.2.2, 10.0.0.1,10.2.3.4')
    assert said(site, '/recursive', chain) == '192.0.2.2: 127.0.0.1'
    assert said(site, '/recursive', ('X-Forwarded-For', '192.0.2.5'),
                ('X-Forwarded-For', '10.0.0.9')) == '192.0.2.5: 127.0.0.1'
    assert said(site, '/recursive', ('X-Forwarded-For', '10.0.0.1, 10.0.0.2')) == \
        '10.0.0.1: 127.0.0.1'
    assert said(site, '/recursive', ('X-Forwarded-For', '192.0.2.1, junk, 10.0.0.2')) == \
        '10.0.0.2: 127.0.0.1'


def test_access_is_judged_by_it(site):
    assert site.get('/file.txt', host='denied',
                    headers=[('X-Forwarded-For', '192.0.2.66')]).status == 403
    assert site.get('/file.txt', host='denied',
                    headers=[('X-Forwarded-For', '192.0.2.67')]).status == 200


def test_others_are_not_believed(site):
    assert said(site, '/none', ('X-Real-IP', '192.0.2.7')).startswith('127.0.0.1:')


def test_logs_and_rewrites_at_the_server(weir):
    s = weir('access_log access.log; if ($remote_addr = 192.0.2.9) { return 418; }',
             http='set_real_ip_from 127.0.0.1;')
    with s.connect() as c:
        assert c.ask('/file.txt', headers=[('X-Real-IP', '192.0.2.9')]).status == 418
        assert c.ask('/file.txt').status == 200
    s.stop()
    first, second = s.file('access.log').splitlines()
    assert first.startswith('192.0.2.9 ') and second.startswith('127.0.0.1 ')


def test_the_next_request_is_asked_anew(site):
    with site.connect() as c:
        a = c.ask('/say', host='x-real', headers=[('X-Real-IP', '192.0.2.7')])
        assert a.text.startswith('192.0.2.7:')
        assert c.ask('/say', host='x-real').text.startswith('127.0.0.1:')


@pytest.mark.parametrize('text, says', [
    ('set_real_ip_from example.com;', 'is not an address'),
    ('set_real_ip_from 10.0.0.0/40;', 'is not an address'),
    ('real_ip_recursive maybe;', 'maybe')])
def test_mistakes(tmp_path, text, says):
    (tmp_path / 'weir.conf').write_text(f'events {{}}\nhttp {{ {text} server {{ listen 81; }} }}\n')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', 'weir.conf'],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and says in run.stderr, run.stderr
