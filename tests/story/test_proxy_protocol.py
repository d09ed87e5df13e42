"""listen … proxy_protocol: who a connection comes from, told in front of its first request."""
import signal
import socket
import struct
import time

import pytest

from conftest import free_port

V1 = b'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n'
SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
GET = 'GET /say HTTP/1.1\r\nHost: {}\r\n\r\n'
SAY = 'return 200 "$proxy_protocol_addr:$proxy_protocol_port ' \
      '$proxy_protocol_server_addr:$proxy_protocol_server_port $remote_addr";'
TOLD = '192.0.2.1:56324 198.51.100.2:443 127.0.0.1'
UNTOLD = ': : 127.0.0.1'
NAMES = ('alpn', 'authority', 'unique_id', 'netns', '0x02', '0xe0', 'ssl_version', 'ssl_cn',
         'ssl_cipher', 'ssl_sig_alg', 'ssl_key_alg', 'ssl_verify', 'ssl_0x21', 'nonsense', '0x100')
TLVS = '|'.join(f'$proxy_protocol_tlv_{name}' for name in NAMES)
TRUST = 'real_ip_header proxy_protocol; set_real_ip_from '


def tlv(kind, value):
    return struct.pack('>BH', kind, len(value)) + value


def crc32c(text):
    crc = 0xffffffff
    for byte in text:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def v2(tlvs=b'', command=0x21, family=0x11, addresses=None):
    if addresses is None:
        addresses = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack('>HH', 56324, 443)
    body = addresses + tlvs
    return SIGNATURE + struct.pack('>BBH', command, family, len(body)) + body


V6 = socket.inet_pton(socket.AF_INET6, '2001:db8::1') + \
    socket.inet_pton(socket.AF_INET6, '2001:db8::2') + struct.pack('>HH', 1, 2)
UNIX = b'/run/a'.ljust(108, b'\0') + b'/run/b'.ljust(108, b'\0')


@pytest.fixture
def site(shared):
    """The first port is spoken to as ever, for the fixture; the second wants a header."""
    two = free_port()
    s = shared(servers='server { listen 127.0.0.1:PORT; listen 127.0.0.1:TWO proxy_protocol;'
               ' server_name a.test; root html; location /say { ' + SAY + ' }'
               ' location /tlv { return 200 "' + TLVS + '"; } }'
               'server { listen 127.0.0.1:TWO; server_name trusting; ' + TRUST + '127.0.0.1;'
               ' location /say { return 200 "$remote_addr:$remote_port '
               '$realip_remote_addr"; } location /deny { deny 192.0.2.1; } }'
               'server { listen 127.0.0.1:TWO; server_name wary; ' + TRUST + '10.0.0.0/8;'
               ' location /say { return 200 $remote_addr; } }', http='client_header_timeout 700ms;',
               start=False)
    if s.process is None:
        s.rewrite(s.conf.read_text().replace('TWO', str(two)))
        s.two = two
        s.start()
    return s


def open_to(s):
    """A client of the port that wants a header."""
    return type(s.connect())(('127.0.0.1', s.two))


def said(s, header, path='/say', host='a.test'):
    with open_to(s) as c:
        c.sock.sendall(header)
        return c.ask(path, host=host).text


@pytest.mark.parametrize('header, says', [
    (V1, TOLD),
    (b'PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n', '2001:db8::1:1 2001:db8::2:2 127.0.0.1'),
    (b'PROXY TCP4 192.0.2.1 198.51.100.2 0 443\r\n', '192.0.2.1: 198.51.100.2:443 127.0.0.1'),
    (b'PROXY UNKNOWN\r\n', UNTOLD),
    (b'PROXY UNKNOWN 1.2.3.4 anything 1\r\n', UNTOLD),
    (v2(), TOLD),
    (v2(family=0x21, addresses=V6), '2001:db8::1:1 2001:db8::2:2 127.0.0.1'),
    (v2(family=0x31, addresses=UNIX), UNTOLD),
    (v2(command=0x20, family=0, addresses=b''), UNTOLD),
    (v2(command=0x20), UNTOLD),
    (v2(family=0, addresses=b'anything'), UNTOLD),
    (v2(tlv(4, bytes(4000))), TOLD),
])
def test_headers(site, header, says):
    assert said(site, header) == says


@pytest.mark.parametrize('header', [V1, v2(tlv(2, b'a.test'))])
def test_byte_by_byte(site, header):
    with open_to(site) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            c.sock.sendall(bytes([byte]))
            time.sleep(0.002)
        assert c.ask('/say').text == TOLD


def test_in_two_everywhere(site):
    header = v2(tlv(5, b'id'))
    for at in range(1, len(header), 5):
        with open_to(site) as c:
            c.sock.sendall(header[:at])
            time.sleep(0.01)
            c.sock.sendall(header[at:])
            assert c.ask('/say').text == TOLD


@pytest.mark.parametrize('header', [V1, v2()])
def test_requests_in_the_same_packet_and_later_ones(site, header):
    with open_to(site) as c:
        c.sock.sendall(header + GET.format('a.test').encode() * 2)
        assert [c.answer().text for _ in range(2)] == [TOLD, TOLD]
        assert c.ask('/say').text == TOLD
        assert c.ask('/file.txt').text == '0123456789'


def checked(wrong=0):
    whole = v2(tlv(2, b'a.test') + tlv(3, bytes(4)))
    return whole[:-4] + struct.pack('>I', crc32c(whole) ^ wrong)


BROKEN = [
    b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n', b'\x16\x03\x01\x02\x00', b'\0', b'PROXY TCP4\r\n',
    b'PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n', V1.replace(b'\r', b''),
    b'PROXY UNKNOWN ' + b'x' * 200, v2(command=0x22), v2(command=0x11), v2(tlv(2, b'abc')[:-1]),
    v2(addresses=b'short'), SIGNATURE + b'\x21\x11\xff\xff', checked(wrong=1),
]


@pytest.mark.parametrize('text', BROKEN)
def test_what_is_no_header_is_not_answered(site, text):
    """reason: proxy_bad"""
    before = site.log().count('broken header')
    with open_to(site) as c:
        c.sock.sendall(text)
        assert c.rest() == b''
    end = time.monotonic() + 3
    while site.log().count('broken header') == before:
        assert time.monotonic() < end, site.log()
        time.sleep(0.02)
    line = [one for one in site.log().splitlines() if 'broken header' in one][-1]
    assert '[error]' in line and 'while reading PROXY protocol' in line
    assert 'client: 127.0.0.1' in line


def test_a_right_checksum(site):
    assert said(site, checked()) == TOLD


def test_other_listeners_want_no_header(site):
    assert site.get('/say').text == UNTOLD
    assert site.raw(V1.decode()).status == 400


def test_late_headers(site):
    for begin in (b'', b'PROXY TCP4 192', v2()[:20]):
        with open_to(site) as c:
            c.sock.sendall(begin)
            start = time.monotonic()
            assert c.rest() == b''
            assert 0.4 < time.monotonic() - start < 3


def test_clients_that_leave(site):
    for begin in (b'', b'PRO', v2()[:20]):
        with open_to(site) as c:
            c.sock.sendall(begin)
            c.sock.shutdown(socket.SHUT_WR)
            assert c.rest() == b''


def test_tlvs(site):
    inner = tlv(0x21, b'TLSv1.3') + tlv(0x22, b'me') + tlv(0x23, b'AES') + tlv(0x24, b'SHA') + \
        tlv(0x25, b'RSA2048')
    ssl = tlv(0x20, b'\7' + struct.pack('>I', 1) + inner)
    text = said(site, v2(tlv(1, b'h2') + tlv(2, b'b.test') + tlv(5, b'id') + tlv(0x30, b'net') +
                         tlv(0xe0, b'own') + ssl), '/tlv')
    assert text == 'h2|b.test|id|net|b.test|own|TLSv1.3|me|AES|SHA|RSA2048|1|TLSv1.3||'
    short = tlv(2, b'b.test') + tlv(0x20, b'\7')
    assert said(site, v2(short), '/tlv') == '|b.test|||b.test||||||||||'
    assert said(site, V1, '/tlv') == '|' * 14


def test_the_client_is_who_it_says(site):
    assert said(site, V1, host='trusting') == '192.0.2.1:56324 127.0.0.1'
    assert said(site, v2(family=0x21, addresses=V6), host='trusting') == '2001:db8::1:1 127.0.0.1'
    assert said(site, b'PROXY UNKNOWN\r\n', host='trusting').startswith('127.0.0.1:')
    assert said(site, v2(family=0x31, addresses=UNIX), host='trusting').startswith('127.0.0.1:')
    with open_to(site) as c:
        c.sock.sendall(V1)
        assert c.ask('/deny', host='trusting').status == 403


def test_only_if_it_is_trusted(site):
    assert said(site, V1, host='wary') == '127.0.0.1'


def test_reload_keeps_what_was_told(weir):
    two = free_port()
    s = weir(servers=f'server {{ listen 127.0.0.1:PORT; listen 127.0.0.1:{two} proxy_protocol;'
             f' server_name a.test; location /say {{ {SAY} }} }}')
    s.two = two
    with open_to(s) as told, open_to(s) as half:
        told.sock.sendall(V1)
        assert told.ask('/say').text == TOLD
        half.sock.sendall(V1[:20])
        s.rewrite(s.conf.read_text().replace('return 200 "', 'return 200 "new ')
                  .replace(' proxy_protocol;', ';'))
        s.signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while not s.get('/say').text.startswith('new'):
            assert time.monotonic() < end, s.log()
            time.sleep(0.02)
        assert told.ask('/say').text == 'new ' + TOLD
        half.sock.sendall(V1[20:])
        assert half.ask('/say').text == 'new ' + TOLD
        assert said(s, b'') == 'new ' + UNTOLD


def test_requests_inside_requests_know_it(weir):
    two = free_port()
    s = weir(servers=f'server {{ listen 127.0.0.1:PORT; listen 127.0.0.1:{two} proxy_protocol;'
             f' server_name a.test; root html; location /say {{ {SAY} }}'
             ' location = /index.html { add_after_body /say; mirror /mirrored; }'
             ' location = /mirrored { log_subrequest on; access_log access.log told; return 204; }'
             ' }', http="log_format told '$proxy_protocol_addr';")
    s.two = two
    assert said(s, V1, '/index.html') == '<h1>index</h1>\n' + TOLD
    s.stop()
    assert s.file('access.log') == '192.0.2.1\n'


def test_logged(weir):
    two = free_port()
    s = weir(servers=f'server {{ listen 127.0.0.1:PORT; listen 127.0.0.1:{two} proxy_protocol;'
             f' server_name a.test; location /say {{ {SAY} }}'
             " access_log access.log told; }",
             http="log_format told '$proxy_protocol_addr $proxy_protocol_port';")
    s.two = two
    said(s, V1)
    s.get('/say')
    s.stop()
    assert set(s.file('access.log').splitlines()) == {'192.0.2.1 56324', '- -'}


def test_quits_with_headers_half_read(weir):
    two = free_port()
    s = weir(servers='server { listen 127.0.0.1:PORT; root html; }'
             f'server {{ listen 127.0.0.1:{two} proxy_protocol; root html; }}')
    s.two = two
    with open_to(s) as silent, open_to(s) as half:
        half.sock.sendall(V1[:20])
        assert s.get('/file.txt').status == 200
        start = time.monotonic()
        s.signal(signal.SIGQUIT)
        assert silent.rest() == b''
        assert time.monotonic() - start < 5
        half.sock.sendall(V1[20:])
        assert half.ask('/file.txt').status == 200
