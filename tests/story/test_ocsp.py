"""ssl_stapling: answers of OCSP responders go with certificates, if they can be believed."""
import subprocess
import time

import pytest

from pki import Authority, authority, files
from responders import openssl_responder, responder

SERVER = '''server {{ listen 127.0.0.1:PORT ssl; server_name {name}; ssl_certificate {file}.crt;
    ssl_certificate_key {file}.key; ssl_stapling on; {more} return 200 "ok"; }}'''


def start(weir, pair, more='', name='a.test', chain=True, **kw):
    made = files(a=pair)
    if chain:
        made['a.crt'] += authority().crt
    made['ca.crt'] = authority().crt
    return weir(servers=SERVER.format(name=name, file='a', more=more),
                files={**made, **kw.pop('files', {})}, **kw)


def status(s, name='a.test', *words):
    run = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{s.port}', '-servername',
                          name, '-status', '-CAfile', str(s.dir / 'ca.crt'), *words],
                         input='', capture_output=True, text=True, timeout=20)
    if 'OCSP response: no response sent' in run.stdout:
        return None
    assert 'OCSP Response Status: successful' in run.stdout, run.stdout + run.stderr
    return 'good' if 'Cert Status: good' in run.stdout else 'revoked'


def wait_status(s, wanted, seconds=10, **kw):
    end = time.monotonic() + seconds
    while (found := status(s, **kw)) != wanted:
        assert time.monotonic() < end, f'{found}, not {wanted}\n{s.log()}'
        time.sleep(0.1)


def issue(*names, **kw):
    return authority().issue(*names or ['a.test'], **kw)


# ---- answers that can be believed ----------------------------------------------------------


def test_the_answer_of_openssls_responder(weir, tmp_path):
    pair = issue()
    with openssl_responder(tmp_path, authority(), good=[pair]) as url:
        s = start(weir, pair, f'ssl_stapling_responder {url};')
        wait_status(s, 'good')
        assert status(s, 'a.test', '-tls1_2') == 'good'
        assert 'OCSP' not in s.log()


def test_the_responder_that_the_certificate_names(weir):
    answers = []
    with responder(lambda _: answers[0]) as r:
        pair = issue(responder=r.url)
        answers.append(authority().status(pair))
        s = start(weir, pair)
        wait_status(s, 'good')
        head = r.asked[0][0].decode()
        assert head.startswith('POST /ocsp HTTP/1.1') and 'application/ocsp-request' in head
        assert f'Host: 127.0.0.1:{r.port}' in head


def test_the_name_of_the_responder_is_looked_up(weir):
    pair = issue()
    with responder(authority().status(pair)) as r:
        s = start(weir, pair, f'ssl_stapling_responder http://localhost:{r.port}/;')
        wait_status(s, 'good')


def test_an_issuer_that_is_only_trusted(weir):
    pair = issue()
    with responder(authority().status(pair)) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url}; ssl_trusted_certificate ca.crt;',
                  chain=False)
        wait_status(s, 'good')


def test_somebody_who_may_answer_for_the_issuer(weir):
    pair, helper = issue(), issue('helper.test', signs_ocsp=True)
    with responder(authority().status(pair, signer=helper)) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url};')
        wait_status(s, 'good')


def test_stapling_verify_wants_a_chain_to_the_trusted(weir):
    pair, other = issue(), Authority('another authority')
    with responder(authority().status(pair)) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url}; ssl_stapling_verify on; '
                              'ssl_trusted_certificate ca.crt;')
        wait_status(s, 'good')
        t = start(weir, pair, f'ssl_stapling_responder {r.url}; ssl_stapling_verify on; '
                              'ssl_trusted_certificate other.crt;', files={'other.crt': other.crt})
        t.file('error.log', contains='its signature is not good')
        assert status(t) is None


def test_two_certificates_have_an_answer_each(weir):
    pair, second = issue(), issue(kind='rsa')
    by_serial = {p.cert.serial_number: authority().status(p) for p in (pair, second)}

    def answer(request):
        from cryptography.x509 import ocsp
        return by_serial[ocsp.load_der_ocsp_request(request).serial_number]

    with responder(answer) as r:
        both = files(a=pair, b=second)
        both['b.crt'] += authority().crt
        s = start(weir, pair, f'ssl_stapling_responder {r.url}; ssl_certificate b.crt; '
                              'ssl_certificate_key b.key;', files={k: v for k, v in both.items()
                                                                   if k[0] == 'b'})
        r.wait_asked(2)
        wait_status(s, 'good')
        for kind in 'ECDSA', 'RSA':
            words = '-tls1_2', '-cipher', f'ECDHE-{kind}-AES128-GCM-SHA256'
            assert status(s, 'a.test', *words) == 'good'


# ---- answers that cannot -------------------------------------------------------------------


def lies():
    pair, other = issue(), issue()
    stranger = Authority('weir story authority')
    helper = issue('helper.test')
    good = authority().status(pair)
    return pair, {
        'revoked': (authority().status(pair, revoked=True), 'revoked'),
        'another certificate': (authority().status(other), 'about another certificate'),
        'old': (authority().status(pair, this=-9, next_=-2), 'too old'),
        'of tomorrow': (authority().status(pair, this=1, next_=7), 'not valid yet'),
        'without an end, and old': (authority().status(pair, this=-2, next_=None), 'too old'),
        'a stranger signed': (stranger.status(pair, issuer=authority()), 'signature is not good'),
        'somebody signed who may not': (authority().status(pair, signer=helper),
                                        'signature is not good'),
        'a bit flipped': (good[:-5] + bytes([good[-5] ^ 1]) + good[-4:], 'signature is not good'),
        'cut': (good[:-20], 'no OCSP answer'),
        'more behind it': (good + b'x', 'no OCSP answer'),
        'try later': (bytes.fromhex('30030a0103'), 'trylater'),
        'garbage': (b'\x30\x82' + b'\xff' * 500, 'no OCSP answer'),
        'nothing': (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'no OCSP answer'),
        'status 500': (b'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n', 'status 500'),
        'no HTTP': (b'HTTP/what is this\r\n\r\n', 'not HTTP'),
        'broken off': (b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx', 'ended before'),
        'too large': (b'HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n' + b'x' * 70000,
                      'too large'),
    }


PAIR, LIES = lies()


@pytest.mark.parametrize('lie', LIES)
def test_lies_are_not_stapled(weir, lie):
    answer, says = LIES[lie]
    with responder(answer) as r:
        s = start(weir, PAIR, f'ssl_stapling_responder {r.url};')
        s.file('error.log', contains=says)
        assert status(s) is None and 'asked again in 2 s' in s.log()


def test_who_stalls_is_given_up(weir):
    held = []

    def stall(_):
        held.append(1)
        time.sleep(30)
        return b''

    with responder(stall) as r:
        s = start(weir, issue(), f'ssl_stapling_responder {r.url};')
        r.wait_asked()
        assert status(s) is None
        assert s.command('-s', 'reload').returncode == 0    # … and a reload does not wait for it
        r.wait_asked(2)
        s.stop()                                            # … nor does the end


def test_nobody_there_and_then_somebody(weir):
    pair, answers = issue(), [b'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n']
    with responder(lambda _: answers[0]) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url};')
        r.wait_asked(3, seconds=15)
        first, second, third = r.times[:3]
        assert 1 <= second - first <= 4 and 3 <= third - second <= 7      # twice as long
        answers[0] = authority().status(pair)
        wait_status(s, 'good', seconds=20)
        s.file('error.log', contains='answers again')


# ---- time, and reloads ---------------------------------------------------------------------


def test_an_answer_goes_when_its_time_is_over(weir):
    pair, minute = issue(), 1 / 1440
    answers = [None]
    with responder(lambda _: answers[0]) as r:
        answers[0] = authority().status(pair, this=-1, next_=10 / 86400)
        s = start(weir, pair, f'ssl_stapling_responder {r.url};')
        wait_status(s, 'good')
        answers[0] = b'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'
        r.wait_asked(2)                     # half of its time is over: it is asked for again
        assert status(s) == 'good'          # … and the old one is still good
        wait_status(s, None, seconds=15)


def test_a_reload_keeps_the_answer(weir):
    pair, answers = issue(), [None]
    answers[0] = authority().status(pair)
    with responder(lambda _: answers[0]) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url};')
        wait_status(s, 'good')
        asked = len(r.asked)
        answers[0] = b'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'
        for _ in range(5):
            assert s.command('-s', 'reload').returncode == 0
        time.sleep(0.3)
        assert status(s) == 'good' and len(r.asked) == asked


def test_another_certificate_has_another_answer(weir):
    pair, second = issue(), issue()
    by_serial = {p.cert.serial_number: authority().status(p) for p in (pair, second)}

    def answer(request):
        from cryptography.x509 import ocsp
        return by_serial[ocsp.load_der_ocsp_request(request).serial_number]

    with responder(answer) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url};')
        wait_status(s, 'good')
        for name, text in files(a=second).items():
            (s.dir / name).write_text(text + (authority().crt if name == 'a.crt' else ''))
        assert s.command('-s', 'reload').returncode == 0
        r.wait_asked(2)
        wait_status(s, 'good')


def test_off_after_a_reload(weir):
    pair = issue()
    with responder(authority().status(pair)) as r:
        s = start(weir, pair, f'ssl_stapling_responder {r.url};')
        wait_status(s, 'good')
        s.rewrite(s.conf.read_text().replace('ssl_stapling on', 'ssl_stapling off'))
        assert s.command('-s', 'reload').returncode == 0
        wait_status(s, None)


@pytest.mark.one_engine
@pytest.mark.parametrize('more, chain, says', [
    ('', True, 'no responder is named in it'),
    ('ssl_stapling_responder http://127.0.0.1:1/;', False, 'neither in its chain nor trusted')])
def test_what_cannot_be_asked_is_ignored(weir, more, chain, says):
    s = start(weir, issue(), more, chain=chain)
    s.file('error.log', contains=says)
    assert status(s) is None


@pytest.mark.one_engine
@pytest.mark.parametrize('url', ['https://a.test/', 'a.test', 'http://', 'http://a.test:0/',
                                 'http://[::1/'])
def test_urls_that_are_none(weir, url):
    s = start(weir, issue(), f'ssl_stapling_responder "{url}";', start=False)
    said = s.command('-t')
    assert said.returncode == 1 and 'nobody can be asked there' in said.stderr
