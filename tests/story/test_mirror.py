"""mirror: a copy of each request goes elsewhere; its answer is nobody's."""
import pytest

LOG = 'log_format m "$uri $request_method $args $content_length $http_x_a $status";'
COPY = '''location = /copy { internal; log_subrequest on; access_log copy.log m;
                            return 200 "no"; }'''


def lines(s, count):
    import time
    end = time.monotonic() + 5
    while len(got := s.file('copy.log').splitlines()) < count:
        assert time.monotonic() < end, got
        time.sleep(0.02)
    return got


def test_a_copy(weir):
    s = weir('mirror /copy; ' + COPY, http=LOG)
    a = s.get('/file.txt?a=1', headers={'X-A': 'b'})
    assert (a.status, a.text) == (200, '0123456789')
    assert lines(s, 1) == ['/copy GET a=1 - b 200']


def test_several_and_off(weir):
    s = weir('mirror /copy; mirror /copy; location /quiet { mirror off; return 204; } ' + COPY,
             http=LOG)
    with s.connect() as c:
        for n in range(10):
            assert c.ask(f'/file.txt?{n}').status == 200
            assert c.ask('/quiet').status == 204
    assert len(lines(s, 20)) == 20


def test_once_for_each_request(weir):
    s = weir('location / { mirror /copy; } ' + COPY, http=LOG)
    assert s.get('/').text == '<h1>index</h1>\n'       # redirected to /index.html
    assert len(lines(s, 1)) == 1


@pytest.mark.parametrize('size', [0, 10, 100_000])
def test_with_its_body(weir, size):
    s = weir('dav_methods PUT; client_body_buffer_size 1k; location / { mirror /copied; } '
             'location = /copied { dav_methods PUT; }')
    (s.dir / 'html').chmod(0o777)
    body = bytes(range(256)) * (size // 256) + b'x' * (size % 256)
    with s.connect() as c:
        assert c.ask('/new', method='PUT', body=body).status == 201
        assert c.ask('/file.txt').text == '0123456789'
    assert (s.dir / 'html/new').read_bytes() == body
    import time
    end = time.monotonic() + 5
    copied = s.dir / 'html/copied'
    while not copied.exists() or copied.read_bytes() != body:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_without_its_body(weir):
    s = weir('location / { dav_methods PUT; mirror /copied; mirror_request_body off; } '
             'location = /copied { dav_methods PUT; access_log copy.log m; log_subrequest on; }',
             http=LOG)
    (s.dir / 'html').chmod(0o777)
    with s.connect() as c:
        assert c.ask('/new', method='PUT', body=b'12345').status == 201
    assert (s.dir / 'html/new').read_bytes() == b'12345'
    lines(s, 1)
    assert (s.dir / 'html/copied').read_bytes() == b''


def test_a_client_that_goes_away(weir):
    s = weir('mirror /large; location = /large { }', files={'html/large': b'x' * 1_000_000})
    for _ in range(20):
        c = s.connect()
        c.send('GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.close()
    assert s.get('/file.txt').status == 200


@pytest.mark.one_engine
def test_mistakes(weir):
    s = weir('mirror copy;', start=False)
    assert 'this is not a path of this server' in s.command('-t').stderr
    s.rewrite(s.conf.read_text().replace('mirror copy;', 'mirror /a; mirror off;'))
    assert 'requests are mirrored here already' in s.command('-t').stderr
