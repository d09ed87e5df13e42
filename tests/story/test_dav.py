"""PUT, DELETE, MKCOL, COPY and MOVE: statuses, trees, links, hostile destinations."""
import os

import pytest

DAV = 'dav_methods PUT DELETE MKCOL COPY MOVE; '


@pytest.fixture
def dav(weir):
    def make(more='', **kw):
        s = weir(DAV + more, **kw)
        os.chmod(s.dir, 0o777)
        for folder, names, _ in os.walk(s.dir / 'html'):
            os.chmod(folder, 0o777)
        return s
    return make


def ask(s, method, path, body=b'', **fields):
    with s.connect() as c:
        return c.ask(path, method=method, body=body,
                     headers={k.replace('_', '-'): v for k, v in fields.items()}).status


def test_put(dav):
    s = dav()
    assert ask(s, 'PUT', '/new', b'one') == 201
    assert ask(s, 'PUT', '/new', b'two') == 204
    assert (s.dir / 'html/new').read_bytes() == b'two'
    assert (s.dir / 'html/new').stat().st_mode & 0o777 == 0o600
    assert ask(s, 'PUT', '/x/', b'') == 409
    assert ask(s, 'PUT', '/no/way', b'x') == 409
    assert ask(s, 'PUT', '/part', b'x', Content_Range='bytes 0-0/2') == 400
    assert not [n for n in os.listdir(s.dir / 'html') if n.startswith('.weir-')]


def test_put_makes_the_way(dav):
    s = dav('create_full_put_path on; dav_access group:rw all:r;')
    assert ask(s, 'PUT', '/a/b/c/d', b'x') == 201
    assert (s.dir / 'html/a/b/c/d').stat().st_mode & 0o777 == 0o664
    assert ask(s, 'PUT', '/a/b', b'x') == 409


def test_off(weir):
    s = weir()
    assert ask(s, 'PUT', '/new', b'x') == 405
    assert ask(s, 'DELETE', '/file.txt') == 405


def test_mkcol(dav):
    s = dav()
    assert ask(s, 'MKCOL', '/m/') == 201 and (s.dir / 'html/m').is_dir()
    assert ask(s, 'MKCOL', '/m/') == 405
    assert ask(s, 'MKCOL', '/m') == 409
    assert ask(s, 'MKCOL', '/n/o/') == 409
    assert ask(s, 'MKCOL', '/p/', b'body') == 415


def test_delete(dav):
    s = dav(files={f'html/t/{i}/{k}': 'x' for i in range(5) for k in range(5)})
    assert ask(s, 'DELETE', '/gone') == 404
    assert ask(s, 'DELETE', '/t') == 409
    assert ask(s, 'DELETE', '/t/', Depth='0') == 400
    assert ask(s, 'DELETE', '/t/', Depth='1') == 400
    assert ask(s, 'DELETE', '/t/', b'body') == 415
    assert ask(s, 'DELETE', '/t/1/1', Depth='0') == 204
    assert ask(s, 'DELETE', '/t/') == 204 and not (s.dir / 'html/t').exists()
    assert ask(s, 'DELETE', '/') == 403


def test_min_delete_depth(dav):
    s = dav('min_delete_depth 2;', files={'html/a/b': 'x'})
    assert ask(s, 'DELETE', '/a/') == 409
    assert ask(s, 'DELETE', '/a/b') == 204


@pytest.mark.parametrize('method', ['COPY', 'MOVE'])
def test_copy_and_move(dav, method):
    s = dav(files={'html/f': 'file', 'html/g': 'other', 'html/t/u/v': 'deep', 'html/o/p': 'old'})
    html = s.dir / 'html'
    assert ask(s, method, '/f') == 400
    assert ask(s, method, '/f', Destination='/g', Overwrite='F') == 412
    assert ask(s, method, '/f', Destination='/g', Overwrite='X') == 400
    assert ask(s, method, '/f', Destination='/h/') == 409
    assert ask(s, method, '/f', Destination='/no/h') == 409
    assert ask(s, method, '/f', Destination='/f') == 403
    assert ask(s, method, '/gone', Destination='/h') == 404
    assert ask(s, method, '/f', Destination='http://a.test/h') == 201
    assert (html / 'h').read_text() == 'file' and (html / 'f').exists() == (method == 'COPY')
    assert ask(s, method, '/h', Destination='/g') == 204
    assert (html / 'g').read_text() == 'file'
    assert ask(s, method, '/t/', Destination='/t/u/w/') == 403
    assert ask(s, method, '/t/', Destination='/o/') == 204
    assert (html / 'o/u/v').read_text() == 'deep' and not (html / 'o/p').exists()
    assert (html / 't').exists() == (method == 'COPY')


def test_copy_depth_0(dav):
    s = dav(files={'html/t/u': 'x'})
    assert ask(s, 'COPY', '/t/', Destination='/w/', Depth='0') == 201
    assert os.listdir(s.dir / 'html/w') == []
    assert ask(s, 'MOVE', '/t/', Destination='/x/', Depth='0') == 400


@pytest.mark.parametrize('destination,status', [
    ('http://other.test/x', 502), ('ftp://a.test/x', 502), ('http://a.test:1/x', 502),
    ('x', 400), ('http:///x', 400), ('/%00x', 400), ('/../x', 400), ('/%2e%2e/x', 400),
    ('/..%2f..%2fx', 400), ('/x%zz', 400), ('http://u@a.test/x', 400), ('/deny/x', 403),
])
def test_hostile_destinations(dav, destination, status):
    s = dav('location /deny/ { deny all; }', files={'html/f': 'file', 'html/deny/y': ''})
    assert ask(s, 'MOVE', '/f', Destination=destination) == status
    assert (s.dir / 'html/f').read_text() == 'file'


def test_links_do_not_lead_out(dav):
    s = dav(files={'html/f': 'file', 'html/t/u': 'x', 'outside/secret': 's'})
    os.chmod(s.dir / 'outside', 0o777)
    os.symlink(s.dir / 'outside', s.dir / 'html/t/link')
    assert ask(s, 'PUT', '/t/link/new', b'x') == 403
    assert ask(s, 'COPY', '/f', Destination='/t/link/f') == 403
    assert ask(s, 'DELETE', '/t/link/secret') == 403
    assert ask(s, 'DELETE', '/t/') == 204
    assert os.listdir(s.dir / 'outside') == ['secret']
