"""flv: Flash video from a given byte on."""
import pytest

HEADER = b'FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00'
VIDEO = HEADER + bytes(range(256)) * 2000


@pytest.fixture
def site(shared):
    return shared('location ~ \\.flv$ { flv; } location /slow/ { alias html/; sendfile off; '
                  'location ~ /slow/(.*) { flv; sendfile off; alias html/$1; } }',
                  files={'html/v.flv': VIDEO, 'html/v.bin': VIDEO, 'html/small.flv': b'0123456789',
                         'html/empty.flv': b'', 'html/dir.flv/x': ''})


@pytest.mark.parametrize('path', ['/v.flv', '/slow/v.flv'])
@pytest.mark.parametrize('start', [1, 13, 100, 4096, 300001, len(VIDEO) - 1])
def test_from_a_byte_on(site, path, start):
    a = site.get(f'{path}?start={start}')
    assert a.status == 200 and a.body == HEADER + VIDEO[start:]
    assert a['content-length'] == str(13 + len(VIDEO) - start) and a['accept-ranges'] is None
    assert a['last-modified'] and a['etag']
    head = site.get(f'{path}?start={start}', method='HEAD')
    assert head['content-length'] == a['content-length']


@pytest.mark.parametrize('args', [
    '', '?start=0', '?start=', '?start', '?start=x', '?start=-5', '?start=1.5', '?other=7',
    f'?start={len(VIDEO)}', '?start=99999999999999999999999', '?restart=5'])
def test_the_whole_file(site, args):
    a = site.get('/v.flv' + args)
    assert a.status == 200 and a.body == VIDEO and a['accept-ranges'] == 'bytes'


def test_among_other_arguments_and_small(site):
    assert site.get('/v.flv?a=1&START=20&start=30&b').body == HEADER + VIDEO[20:]
    assert site.get('/small.flv?start=7').body == HEADER + b'789'
    assert site.get('/empty.flv?start=7').body == b''


def test_only_where_it_is_said(site):
    assert site.get('/v.bin?start=20').body == VIDEO
    assert site.get('/missing.flv?start=20').status == 404
    assert site.get('/dir.flv?start=20').status == 301
    assert site.get('/v.flv?start=20', method='POST').status == 405


def test_conditions_and_ranges(site):
    a = site.get('/v.flv?start=20')
    assert site.get('/v.flv?start=20', headers={'If-None-Match': a['etag']}).status == 304
    a = site.get('/v.flv?start=20', headers={'Range': 'bytes=0-4'})
    assert a.status == 200 and len(a.body) == 13 + len(VIDEO) - 20
    assert site.get('/v.flv', headers={'Range': 'bytes=0-4'}).body == VIDEO[:5]


def test_one_connection(site):
    with site.connect() as c:
        for start in (5, 500, 50000):
            assert c.ask(f'/v.flv?start={start}').body == HEADER + VIDEO[start:]


@pytest.mark.one_engine
def test_two_handlers(weir):
    s = weir('location / { flv; stub_status; }', start=False)
    answer = s.command('-t')
    assert answer.returncode == 1 and 'another directive answers' in answer.stderr
