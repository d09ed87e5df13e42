"""secure_link: signed links, their end, and the form with a word."""
import base64
import hashlib
import time

import pytest

SIGNED = '''
    secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri$remote_addr key";
    add_header X-L "[$secure_link]" always; add_header X-E "[$secure_link_expires]" always;
    if ($secure_link = "") { return 403; }
    if ($secure_link = "0") { return 410; }
'''


def signature(text):
    return base64.urlsafe_b64encode(hashlib.md5(text.encode()).digest()).decode().rstrip('=')


def test_signed(shared):
    s = shared(SIGNED)
    later, before = int(time.time()) + 1000, int(time.time()) - 1000
    good = signature(f'{later}/file.txt127.0.0.1 key')
    a = s.get(f'/file.txt?md5={good}&expires={later}')
    assert (a.status, a['x-l'], a['x-e']) == (200, '[1]', f'[{later}]')
    assert s.get(f'/file.txt?md5={good}==&expires={later}').status == 200
    assert s.get(f'/file.txt?md5={good}&expires={later + 1}').status == 403
    assert s.get(f'/index.html?md5={good}&expires={later}').status == 403
    for wrong in ('', 'x', good[:-1], good + 'AAAA', 'A' * 22, '?' * 22):
        assert s.get(f'/file.txt?md5={wrong}&expires={later}').status == 403, wrong
    old = signature(f'{before}/file.txt127.0.0.1 key')
    assert s.get(f'/file.txt?md5={old}&expires={before}').status == 410
    for wrong in ('', '-5', '1x', '9' * 30):
        bad = signature(f'{wrong}/file.txt127.0.0.1 key')
        assert s.get(f'/file.txt?md5={bad}&expires={wrong}').status == 403, wrong


def test_without_an_end(shared):
    s = shared('secure_link $arg_md5; secure_link_md5 "$uri key"; add_header X-L "[$secure_link]";')
    assert s.get('/file.txt?md5=' + signature('/file.txt key'))['x-l'] == '[1]'
    assert s.get('/file.txt?md5=' + signature('/file.txt kex'))['x-l'] == '[]'


def test_every_signature_can_be_read(shared):
    """Those with - and _ too."""
    s = shared('secure_link $arg_md5; secure_link_md5 "$arg_n"; add_header X-L "[$secure_link]";')
    with s.connect() as c:
        for n in range(100):
            assert c.ask(f'/file.txt?n={n}&md5={signature(str(n))}')['x-l'] == '[1]'


def test_a_word(shared):
    s = shared('location /p/ { secure_link_secret enigma; if ($secure_link = "") { return 403; } '
               'rewrite ^ /secure/$secure_link; } location /secure/ { internal; alias html/; }')
    good = hashlib.md5(b'file.txtenigma').hexdigest()
    assert s.get(f'/p/{good}/file.txt').text == '0123456789'
    assert s.get(f'/p/{good.upper()}/file.txt').status == 200
    for path in ('', '/', 'file.txt', f'{good}', f'{good}/', f'{good}/index.html',
                 f'{good[:-1]}/file.txt', f'{"x" * 32}/file.txt'):
        assert s.get(f'/p/{path}').status == 403, path
    assert s.get('/secure/file.txt').status == 404


@pytest.mark.one_engine
def test_both_exclude_each_other(weir):
    s = weir('location / { secure_link $arg_a; secure_link_secret x; }', start=False)
    assert 'exclude each other' in s.command('-t').stderr
