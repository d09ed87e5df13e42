"""The rules of RFC 9113 and of HPACK, one by one: what breaks one gets the error that it says.

The cases are those that a conformance suite tries, in the order of the RFC's sections.
"""
import struct

import pytest

from h2 import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, Ended,
                FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, H2, HEADERS, NO_ERROR, PADDED, PING,
                PRIORITY, PRIORITY_UPDATE, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM,
                RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, WITH_PRIORITY, settings)


@pytest.fixture
def site(shared):
    return shared('''
        http2 on;
        location = /say { return 200 "$http_x|$http_cookie|$host|$args"; }
        location = /slow { limit_rate 1; return 200 "................................"; }
        ''', files={'html/big.bin': b'x' * 300_000})


@pytest.fixture
def c(site):
    with H2(site) as c:
        yield c


def get(c, **kw):
    return c.block(c.fields(**kw))


def connection_error(c, code):
    assert c.goaway() == code
    assert c.closed_by_server


def stream_error(c, stream, code=PROTOCOL_ERROR):
    """The stream is reset, and the connection goes on."""
    c.until(lambda: stream in c.streams and c.streams[stream].reset is not None)
    assert c.streams[stream].reset == code
    assert c.get(stream + 100, '/say').status == 200
    assert not c.goaways


# ---- 3: how it begins

def test_preface_of_something_else(site):
    with H2(site, begin=False) as c:
        c.send(b'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')
        assert c.goaway() is None and c.closed_by_server
    site.wait_log('"open"') if False else None


def test_first_frame_is_not_settings(site):
    with H2(site, begin=False) as c:
        c.send(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').frame(PING, payload=b'12345678')
        connection_error(c, PROTOCOL_ERROR)


def test_settings_of_ours(c):
    c.started()
    assert c.settings[3] == 128 and c.settings[4] == 65536 and c.settings[8] == 1
    assert c.settings[6] == 32768


# ---- 4: frames, header blocks

def test_unknown_frames_are_passed_over(c):
    c.frame(0x4a, 0xff, 0, b'anything').frame(0x4b, 0, 77, b'')
    assert c.get(1, '/say').status == 200


def test_unknown_flags_and_the_reserved_bit(c):
    c.send(c.pack(PING, 0x16, 0, b'12345678'))
    c.until(lambda: c.pongs == [b'12345678'])
    c.send(c.pack(PING, 0, 0x80000000, b'12345679'))
    c.until(lambda: len(c.pongs) == 2)


@pytest.mark.parametrize('kind', [DATA, HEADERS, SETTINGS, PING, 0x4a])
def test_frames_above_our_maximum(c, kind):
    c.frame(kind, 0, 0 if kind in (SETTINGS, PING) else 1, b'\0' * 16385)
    connection_error(c, FRAME_SIZE_ERROR)


def test_the_largest_frame(c):
    c.frame(0x4a, 0, 0, b'\0' * 16384)
    c.headers(1, c.fields('/say'), end=False).frame(DATA, END_STREAM, 1, b'x' * 16384)
    assert c.answer(1).status == 200


def test_a_block_that_cannot_be_decoded(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, b'\xff\xff\xff\xff\xff\xff\xff\xff')
    connection_error(c, COMPRESSION_ERROR)


def test_a_block_that_ends_too_early(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, get(c)[:-3])
    connection_error(c, COMPRESSION_ERROR)


@pytest.mark.parametrize('between', [PRIORITY, PING, HEADERS, DATA, 0x4a])
def test_a_frame_inside_a_block(c, between):
    c.frame(HEADERS, END_STREAM, 1, get(c)[:5])
    size = {PRIORITY: 5, PING: 8}.get(between, 3)
    c.frame(between, 0, 0 if between == PING else 3, b'\0' * size)
    connection_error(c, PROTOCOL_ERROR)


def test_continuation_on_another_stream(c):
    block = get(c)
    c.frame(HEADERS, END_STREAM, 1, block[:5]).frame(CONTINUATION, END_HEADERS, 3, block[5:])
    connection_error(c, PROTOCOL_ERROR)


def test_continuations(c):
    block = get(c, path='/say?continued')
    c.frame(HEADERS, END_STREAM, 1, block[:1])
    for i in range(1, 8):
        c.frame(CONTINUATION, 0, 1, block[i:i + 1])
    c.frame(CONTINUATION, END_HEADERS, 1, block[8:])
    assert c.answer(1).body == b'||a.test|continued'


# ---- 5: streams

def test_even_streams_are_not_a_clients(c):
    c.ask(2, '/say')
    connection_error(c, PROTOCOL_ERROR)


def test_a_smaller_number(c):
    c.get(5, '/say')
    c.ask(3, '/say')
    connection_error(c, PROTOCOL_ERROR)


@pytest.mark.parametrize('kind,payload', [(DATA, b'x'), (RST_STREAM, b'\0\0\0\x08'),
                                          (WINDOW_UPDATE, b'\0\0\0\x64'),
                                          (CONTINUATION, b'')])
def test_frames_of_a_stream_that_was_never_begun(c, kind, payload):
    c.frame(kind, 0, 1, payload)
    connection_error(c, PROTOCOL_ERROR)


def test_priority_of_a_stream_that_was_never_begun(c):
    c.frame(PRIORITY, 0, 1, b'\0\0\0\0\x10')
    assert c.get(1, '/say').status == 200


def test_data_on_a_half_closed_stream(c):
    c.ask(1, '/slow').frame(DATA, END_STREAM, 1, b'x')
    stream_error(c, 1, STREAM_CLOSED)


def test_headers_on_a_half_closed_stream(c):
    c.ask(1, '/slow').headers(1, [('x', 'y')])
    stream_error(c, 1, STREAM_CLOSED)


def test_data_on_a_closed_stream(c):
    c.get(1, '/say')
    c.streams.pop(1)
    c.frame(DATA, END_STREAM, 1, b'x')
    stream_error(c, 1, STREAM_CLOSED)


def test_headers_on_a_closed_stream(c):
    c.get(1, '/say')
    c.ask(1, '/say')
    connection_error(c, STREAM_CLOSED)


def test_frames_behind_our_reset_are_ignored(c):
    c.headers(1, c.fields('/slow', headers=[('content-length', '1')]), end=False)
    c.frame(DATA, 0, 1, b'xx').frame(DATA, 0, 1, b'yy').headers(1, [('x', 'y')])
    c.window(1, 100).rst(1)
    stream_error(c, 1, PROTOCOL_ERROR)
    assert sum(f.kind == RST_STREAM for f in c.frames) == 1


def test_frames_behind_their_reset(c):
    c.ask(1, '/slow').rst(1).window(1, 100).rst(1)
    assert c.get(3, '/say').status == 200
    c.frame(DATA, 0, 1, b'x')
    stream_error(c, 1, STREAM_CLOSED)


def test_more_streams_than_allowed(shared):
    s = shared('http2 on; http2_max_concurrent_streams 3; limit_rate 1; return 200 "..........";')
    with H2(s) as c:
        c.started()
        assert c.settings[3] == 3
        for i in range(4):
            c.ask(2 * i + 1)
        c.until(lambda: 7 in c.streams and c.streams[7].reset is not None)
        assert c.streams[7].reset == REFUSED_STREAM
        c.rst(1)
        c.ask(9).until(lambda: 9 in c.streams)
        assert c.streams[9].status == 200


# ---- 6.1 DATA

@pytest.mark.parametrize('kind,payload', [(DATA, b'x'), (HEADERS, b'\x82'), (RST_STREAM, b'\0' * 4),
                                          (PRIORITY, b'\0' * 5), (CONTINUATION, b'')])
def test_frames_that_need_a_stream(c, kind, payload):
    c.frame(kind, 0, 0, payload)
    connection_error(c, PROTOCOL_ERROR)


@pytest.mark.parametrize('kind,size', [(SETTINGS, 0), (PING, 8), (GOAWAY, 8),
                                       (PRIORITY_UPDATE, 4)])
def test_frames_that_have_no_stream(c, kind, size):
    c.frame(kind, 0, 1, b'\0' * size)
    connection_error(c, PROTOCOL_ERROR)


def test_padding_of_data(c):
    c.headers(1, c.fields('/say', headers=[('content-length', '3')]), end=False)
    c.frame(DATA, PADDED | END_STREAM, 1, b'\x05abc' + b'\0' * 5)
    assert c.answer(1).status == 200


@pytest.mark.parametrize('payload', [b'\x04abc', b'\xff', b'\x01'])
def test_padding_of_data_that_is_too_long(c, payload):
    c.headers(1, c.fields('/say'), end=False).frame(DATA, PADDED, 1, payload)
    connection_error(c, PROTOCOL_ERROR)


def test_padded_data_without_anything(c):
    c.headers(1, c.fields('/slow'), end=False).frame(DATA, PADDED, 1, b'')
    connection_error(c, FRAME_SIZE_ERROR)


# ---- 6.2 HEADERS

def test_padding_and_priority_of_headers(c):
    block = get(c, path='/say?padded')
    c.frame(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 1,
            b'\x03' + b'\0\0\0\0\x20' + block + b'\0\0\0')
    assert c.answer(1).body == b'||a.test|padded'


def test_padding_of_headers_that_is_too_long(c):
    block = get(c)
    c.frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, bytes([len(block) + 1]) + block)
    connection_error(c, PROTOCOL_ERROR)


def test_a_stream_that_depends_on_itself(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, b'\0\0\0\x01\x20' + get(c))
    stream_error(c, 1)


# ---- 6.3 … 6.9: the others

@pytest.mark.parametrize('kind,size,stream', [
    (PRIORITY, 4, 1), (PRIORITY, 6, 1), (RST_STREAM, 3, 1), (RST_STREAM, 5, 1), (SETTINGS, 5, 0),
    (SETTINGS, 7, 0), (PING, 7, 0), (PING, 9, 0), (GOAWAY, 7, 0), (WINDOW_UPDATE, 3, 0),
    (WINDOW_UPDATE, 5, 0), (WINDOW_UPDATE, 3, 1), (PRIORITY_UPDATE, 3, 0)])
def test_wrong_sizes(c, kind, size, stream):
    c.ask(1, '/slow')
    c.frame(kind, 0, stream, b'\0' * size)
    connection_error(c, FRAME_SIZE_ERROR)


def test_settings_acknowledged_with_something(c):
    c.frame(SETTINGS, ACK, 0, settings(ENABLE_PUSH=0))
    connection_error(c, FRAME_SIZE_ERROR)


@pytest.mark.parametrize('value,code', [
    (settings(ENABLE_PUSH=2), PROTOCOL_ERROR),
    (settings(INITIAL_WINDOW_SIZE=1 << 31), FLOW_CONTROL_ERROR),
    (settings(MAX_FRAME_SIZE=16383), PROTOCOL_ERROR),
    (settings(MAX_FRAME_SIZE=1 << 24), PROTOCOL_ERROR),
    (settings(ENABLE_CONNECT_PROTOCOL=2), PROTOCOL_ERROR)])
def test_settings_that_may_not_be(c, value, code):
    c.frame(SETTINGS, 0, 0, value)
    connection_error(c, code)


def test_settings_are_acknowledged_and_unknown_ones_ignored(c):
    c.started()
    c.frame(SETTINGS, 0, 0, struct.pack('>HI', 0x4a4a, 1) + settings(ENABLE_PUSH=0) * 3)
    c.until(lambda: c.acks == 2)


def test_push_promise(c):
    c.frame(PUSH_PROMISE, END_HEADERS, 1, b'\0\0\0\x02' + get(c))
    connection_error(c, PROTOCOL_ERROR)


def test_ping(c):
    c.frame(PING, 0, 0, b'\0\1\2\3\4\5\6\7')
    c.until(lambda: c.pongs == [b'\0\1\2\3\4\5\6\7'])
    c.frame(PING, ACK, 0, b'nobodyhe')            # an answer to nothing gets none
    assert c.get(1, '/say').status == 200 and len(c.pongs) == 1


def test_goaway_of_the_client(c):
    """It will not begin more; what it has begun is answered."""
    c.ask(1, '/big.bin').frame(GOAWAY, 0, 0, b'\0' * 8 + b'bye')
    assert len(c.answer(1).body) == 300_000


def test_window_of_nothing(c):
    c.ask(1, '/slow').window(1, 0)
    stream_error(c, 1)
    c.window(0, 0)
    connection_error(c, PROTOCOL_ERROR)


def test_windows_that_grow_too_much(c):
    c.ask(1, '/slow').window(1, 0x7fffffff)
    stream_error(c, 1, FLOW_CONTROL_ERROR)
    c.window(0, 0x7fffffff)
    connection_error(c, FLOW_CONTROL_ERROR)


def test_a_setting_that_makes_a_window_too_large(site):
    with H2(site, windows=False) as c:
        c.ask(1, '/big.bin').window(1, 0x7fffffff - 65535)
        c.frame(SETTINGS, 0, 0, settings(INITIAL_WINDOW_SIZE=0x7fffffff))
        connection_error(c, FLOW_CONTROL_ERROR)


def test_more_data_than_the_windows_allow(weir):
    """Nobody reads the second request's body while it is delayed."""
    s = weir('http2 on; http2_body_preread_size 1k; limit_req zone=z burst=5;',
             http='limit_req_zone $host zone=z:1m rate=20r/m;')
    with H2(s) as c:
        c.started().ping().get(1, '/file.txt')
        c.headers(3, c.fields(), end=False).frame(DATA, 0, 3, b'x' * 1024)
        c.ping()
        assert 3 not in c.streams
        c.frame(DATA, 0, 3, b'x').until(lambda: 3 in c.streams)
        assert c.streams[3].reset == FLOW_CONTROL_ERROR
        c.frame(DATA, 0, 3, b'x')                       # the connection's counts, ignored or not
        c.ping()
        assert not c.goaways


def test_more_data_than_the_connection_allows(weir):
    s = weir('http2 on; http2_body_preread_size 1m; limit_req zone=z burst=5;',
             http='limit_req_zone $host zone=z:1m rate=20r/m;')
    with H2(s, timeout=20) as c:
        c.started().ping().get(1, '/file.txt')
        c.headers(3, c.fields(), end=False).headers(5, c.fields(), end=False)
        for stream in (3, 5):
            for _ in range(40):
                c.frame(DATA, 0, stream, b'x' * 16384)
            if stream == 3:
                c.ping()
                assert not c.goaways
        connection_error(c, FLOW_CONTROL_ERROR)


# ---- 8: requests

BAD_FIELDS = {
    'upper case': ('X-Upper', 'x'), 'empty name': ('', 'x'), 'space in a name': ('x y', 'x'),
    'colon in a name': ('x:y', 'x'), 'lf in a value': ('x', 'a\nb'), 'cr in a value': ('x', 'a\rb'),
    'nul in a value': ('x', 'a\0b'), 'blank before': ('x', ' a'), 'blank behind': ('x', 'a\t'),
    'delete': ('x', 'a\x7f'), 'high name': ('x\xe4', 'a'), 'connection': ('connection', 'close'),
    'keep-alive': ('keep-alive', '5'), 'proxy-connection': ('proxy-connection', 'close'),
    'transfer-encoding': ('transfer-encoding', 'chunked'), 'upgrade': ('upgrade', 'h2c'),
    'te': ('te', 'gzip'), 'te list': ('te', 'trailers, deflate'),
    'late pseudo': (':path', '/'), 'unknown pseudo': (':what', 'x'),
    'another host': ('host', 'b.test'), 'bad length': ('content-length', '1x'),
    'length without a body': ('content-length', '1'),
}


@pytest.mark.parametrize('what', BAD_FIELDS)
def test_bad_fields(c, what):
    c.headers(1, c.fields('/say', headers=[BAD_FIELDS[what]]))
    stream_error(c, 1)


BAD_PSEUDO = {
    'no method': [(':scheme', 'http'), (':path', '/'), (':authority', 'a.test')],
    'no scheme': [(':method', 'GET'), (':path', '/'), (':authority', 'a.test')],
    'no path': [(':method', 'GET'), (':scheme', 'http'), (':authority', 'a.test')],
    'empty path': [(':method', 'GET'), (':scheme', 'http'), (':path', ''), (':authority', 'a')],
    'two methods': [(':method', 'GET'), (':method', 'GET'), (':scheme', 'http'), (':path', '/')],
    'two paths': [(':method', 'GET'), (':scheme', 'http'), (':path', '/'), (':path', '/')],
    'pseudo behind a field': [(':method', 'GET'), (':scheme', 'http'), ('x', 'y'), (':path', '/')],
    'status': [(':status', '200'), (':method', 'GET'), (':scheme', 'http'), (':path', '/')],
    'space in the method': [(':method', 'GET /'), (':scheme', 'http'), (':path', '/')],
    'lf in the method': [(':method', 'GET\n'), (':scheme', 'http'), (':path', '/')],
    'space in the path': [(':method', 'GET'), (':scheme', 'http'), (':path', '/a b')],
    'crlf in the path': [(':method', 'GET'), (':scheme', 'http'), (':path', '/a\r\nX: y')],
    'fragment': [(':method', 'GET'), (':scheme', 'http'), (':path', '/a#b')],
    'no slash': [(':method', 'GET'), (':scheme', 'http'), (':path', 'a')],
    'absolute': [(':method', 'GET'), (':scheme', 'http'), (':path', 'http://a.test/')],
    'asterisk': [(':method', 'GET'), (':scheme', 'http'), (':path', '*'), (':authority', 'a')],
    'scheme': [(':method', 'GET'), (':scheme', 'ftp'), (':path', '/'), (':authority', 'a')],
    'long scheme': [(':method', 'GET'), (':scheme', 'https://x'), (':path', '/')],
    'connect with a path': [(':method', 'CONNECT'), (':scheme', 'http'), (':path', '/'),
                            (':authority', 'a.test:80')],
    'connect without a port': [(':method', 'CONNECT'), (':authority', 'a.test')],
    'protocol of a get': [(':method', 'GET'), (':scheme', 'http'), (':path', '/'),
                          (':authority', 'a.test'), (':protocol', 'websocket')],
}


@pytest.mark.parametrize('what', BAD_PSEUDO)
def test_bad_pseudo_fields(c, what):
    c.headers(1, BAD_PSEUDO[what])
    stream_error(c, 1)


def test_what_is_answered_with_a_status(c):
    c.headers(1, c.fields(headers=[('te', 'trailers')]))
    assert c.answer(1).status == 200
    c.headers(3, [(':method', 'GET'), (':scheme', 'http'), (':path', '/')])     # no host
    assert c.answer(3).status == 400
    assert c.get(5, host='a b').status == 400
    assert c.get(7, host='user@a.test').status == 400
    assert c.get(9, '/%zz').status == 400
    c.headers(11, [(':method', 'CONNECT'), (':authority', 'a.test:80')])
    assert c.answer(11).status == 405
    assert c.get(13, method='BREW').status == 405
    assert c.get(15, headers=[('authorization', 'a'), ('authorization', 'b')]).status == 400
    assert c.get(17, headers=[('expect', 'wonders')]).status == 417
    assert not c.goaways


def test_host_alone_and_equal(c):
    c.headers(1, [(':method', 'GET'), (':scheme', 'http'), (':path', '/say'), ('host', 'a.test')])
    assert c.answer(1).body == b'||a.test|'
    c.headers(3, c.fields('/say', headers=[('host', 'A.test')]))
    assert c.answer(3).body == b'||a.test|'


def test_crumbs(c):
    a = c.get(1, '/say', headers=[('cookie', 'a=1'), ('x', 'y'), ('cookie', 'b=2'),
                                  ('cookie', 'c=3; d=4')])
    assert a.body == b'y|a=1; b=2; c=3; d=4|a.test|'


def test_trailers_of_a_request(c):
    c.headers(1, c.fields('/say', method='POST', headers=[('content-length', '3')]), end=False)
    c.frame(DATA, 0, 1, b'abc').headers(1, [('x-end', 'y')])
    assert c.answer(1).status in (200, 405)


@pytest.mark.parametrize('fields,end', [([('x', 'y')], False), ([(':path', '/')], True),
                                        ([('X', 'y')], True), ([('connection', 'x')], True)])
def test_bad_trailers(c, fields, end):
    c.headers(1, c.fields('/slow', method='POST'), end=False).headers(1, fields, end=end)
    stream_error(c, 1)


@pytest.mark.parametrize('length,pieces', [('1', [b'abc']), ('4', [b'abc']), ('4', [b'ab', b'c']),
                                           ('1', [b'']), ('5', [b'abc', None])])
def test_lengths_that_are_not_kept(c, length, pieces):
    """In the last DATA, in an empty one, and in front of trailers."""
    c.headers(1, c.fields('/slow', headers=[('content-length', length)]), end=False)
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        if piece is None:
            c.headers(1, [('x', 'y')])
        else:
            c.frame(DATA, END_STREAM if last else 0, 1, piece)
    stream_error(c, 1)


# ---- HPACK

def literal(name, value):
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def test_an_index_that_is_not_there(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, get(c) + b'\xc6')
    connection_error(c, COMPRESSION_ERROR)


def test_index_zero(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, get(c) + b'\x80')
    connection_error(c, COMPRESSION_ERROR)


def test_a_table_larger_than_allowed(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, b'\x3f\xe2\x1f' + get(c))     # 4097
    connection_error(c, COMPRESSION_ERROR)


def test_a_table_that_is_changed_too_late(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, get(c) + b'\x20')
    connection_error(c, COMPRESSION_ERROR)


@pytest.mark.parametrize('value', [b'\x84\x49\x50\x9f\xff', b'\x83\xff\xff\xff',
                                   b'\x81\x00'])
def test_huffman_that_is_none(c, value):
    """Padding of more than seven bits, the end mark itself, padding that is not ones."""
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, get(c) + b'\x00\x01x' + value)
    connection_error(c, COMPRESSION_ERROR)


def test_a_number_too_large(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, get(c) + b'\x00\x7f' + b'\xff' * 9)
    connection_error(c, COMPRESSION_ERROR)


def test_literals_of_all_kinds(c):
    block = c.block(c.fields('/say')) + b'\x40\x01x\x01y'            # into the table
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
    assert c.answer(1).body == b'y||a.test|'
    c.encoder = type(c.encoder)()
    block = b'\x82\x86\x04\x04/say\x01\x06a.test' + b'\x10\x01x\x01z'      # never indexed
    c.frame(HEADERS, END_HEADERS | END_STREAM, 3, block)
    assert c.answer(3).body == b'z||a.test|'
    c.frame(HEADERS, END_HEADERS | END_STREAM, 5, b'\x82\x86\x04\x04/say\x01\x06a.test\xbe')
    assert c.answer(5).body == b'y||a.test|'                          # from the table
    c.frame(HEADERS, END_HEADERS | END_STREAM, 7,
            b'\x20\x82\x86\x04\x04/say\x01\x06a.test\xbe')            # … which is empty now
    connection_error(c, COMPRESSION_ERROR)


def test_a_client_without_a_table(site):
    """Our first block says that we have none."""
    with H2(site, payload=settings(HEADER_TABLE_SIZE=0)) as c:
        c.decoder.max_allowed_table_size = 0
        assert c.get(1, '/say').status == 200 and c.get(3, '/say').status == 200


def test_a_malformed_block_still_fills_the_table(c):
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1,
            b'\x82\x86\x84\x01\x06a.test' + b'\x40\x01X\x01y' + b'\x40\x01x\x01w')
    stream_error(c, 1)
    c.encoder = None
    c.frame(HEADERS, END_HEADERS | END_STREAM, 201,
            b'\x82\x86\x04\x04/say\x01\x06a.test' + bytes([0x80 | 62]))
    c.until(lambda: 201 in c.streams and (c.streams[201].ended or c.streams[201].reset))
