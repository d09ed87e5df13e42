"""Files: what a browser, curl and a cache ask a static site for."""
import email.utils
import os
import re
import time

import pytest

AUTOINDEX = {'html/pub/b.txt': 'bee', 'html/pub/A&B <1>.txt': 'x', 'html/pub/sub/.keep': ''}


def test_file(weir):
    s = weir()
    a = s.get('/file.txt')
    assert (a.status, a.reason, a.body) == (200, 'OK', b'0123456789')
    assert a['content-type'] == 'text/plain'
    assert a['content-length'] == '10'
    assert a['accept-ranges'] == 'bytes'
    assert a['server'].startswith('weir')
    assert re.fullmatch(r'"[0-9a-f]+-a"', a['etag'])
    assert email.utils.parsedate_to_datetime(a['date']).timestamp() == pytest.approx(
        time.time(), abs=5)
    modified = email.utils.parsedate_to_datetime(a['last-modified']).timestamp()
    assert modified == int((s.dir / 'html/file.txt').stat().st_mtime)


def test_head_has_the_same_head_and_no_body(weir):
    s = weir()
    with s.connect() as c:
        got = c.ask('/file.txt')
        head = c.ask('/file.txt', method='HEAD')
        again = c.ask('/file.txt')
    assert head.status == 200 and head['content-length'] == '10' and head['etag'] == got['etag']
    assert again.body == got.body


def test_missing(weir):
    s = weir()
    a = s.get('/missing')
    assert a.status == 404 and a['content-type'] == 'text/html' and b'404 Not Found' in a.body
    s.wait_log('missing" failed (2: No such file or directory)')


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
def test_files_are_only_read(weir, method):
    a = weir().get('/file.txt', method=method)
    assert a.status == 405 and {m.strip() for m in a['allow'].split(',')} == {'GET', 'HEAD'}


def test_empty_file(weir):
    a = weir(files={'html/empty': ''}).get('/empty')
    assert (a.status, a['content-length'], a.body) == (200, '0', b'')
    assert a['content-type'] == 'application/octet-stream'


def test_names_are_decoded_once(weir):
    s = weir(files={'html/a b.txt': 'blank', 'html/100%.txt': 'percent', 'html/ä.txt': 'umlaut',
                    'html/%41.txt': 'escape'})
    assert s.get('/a%20b.txt').body == b'blank'
    assert s.get('/100%25.txt').body == b'percent'
    assert s.get('/%c3%a4.txt').body == b'umlaut'
    assert s.get('/%2541.txt').body == b'escape'
    assert s.get('/file.txt%00').status == 400


@pytest.mark.parametrize('path,status', [
    ('/../etc/passwd', 400), ('/a/../../etc/passwd', 400), ('/sub/../file.txt', 200),
    ('/./file.txt', 200), ('//file.txt', 200), ('/%2e%2e/file.txt', 400),
    ('/sub/%2e%2e/file.txt', 200), ('/..%2ffile.txt', 400), ('/file.txt/', 404),
    ('/file.txt/x', 404),
])
def test_paths_stay_inside_the_root(weir, path, status):
    s = weir(files={'html/sub/x': ''})
    assert s.get(path).status == status


def test_directory_redirect(weir):
    s = weir(files={'html/sub/index.html': 'sub'})
    a = s.get('/sub')
    assert a.status == 301 and a['location'] == f'http://a.test:{s.port}/sub/'
    assert s.get('/sub?x=1&y').all('location') == [f'http://a.test:{s.port}/sub/?x=1&y']
    assert s.get('/sub/').body == b'sub'


@pytest.mark.parametrize('setting,location', [
    ('absolute_redirect off;', '/sub/'),
    ('port_in_redirect off;', 'http://a.test/sub/'),
    ('server_name_in_redirect on;', 'http://a.test:PORT/sub/'),
])
def test_how_redirects_are_written(weir, setting, location):
    s = weir(setting, files={'html/sub/index.html': ''})
    a = s.get('/sub', host='other.test' if 'name' in setting else 'a.test')
    assert a['location'] == location.replace('PORT', str(s.port))


def test_redirect_encodes_the_path(weir):
    s = weir('absolute_redirect off;', files={'html/a b/index.html': '', 'html/c\u00e4/x': ''})
    assert s.get('/a%20b')['location'] == '/a%20b/'
    assert s.get('/c%c3%a4')['location'] in ('/c%C3%A4/', '/c%c3%a4/', '/c\u00c3\u00a4/')


def test_index(weir):
    s = weir('''index first.html second.html /fallback.txt;
        location /none/ { }
        location /list/ { index nothing; }
        location /first/ { index /fallback.txt; }''',
             files={'html/one/second.html': '2', 'html/two/first.html': '1',
                    'html/two/second.html': '2', 'html/none/x': '', 'html/fallback.txt': 'fall',
                    'html/list/x': ''})
    assert s.get('/one/').body == b'2'
    assert s.get('/two/').body == b'1'
    assert s.get('/none/').body == b'fall'
    assert s.get('/no/such/').status == 404 and s.get('/file.txt/').status == 404
    s.wait_log('such/" failed (2: No such file or directory)')
    assert s.get('/first/any/').body == b'fall'     # nothing was tried before it
    assert s.get('/list/').status == 403
    s.wait_log('directory index of')


def test_index_is_an_internal_redirect(weir):
    s = weir('location = /sub/index.html { return 200 "found again"; }',
             files={'html/sub/index.html': 'file'})
    assert s.get('/sub/').body == b'found again'


def test_autoindex_html(weir):
    s = weir('autoindex on;', files=AUTOINDEX)
    a = s.get('/pub/')
    assert a.status == 200 and a['content-type'] == 'text/html'
    assert '<title>Index of /pub/</title>' in a.text
    assert '<a href="../">' in a.text and '<a href="sub/">sub/</a>' in a.text
    assert '<a href="b.txt">b.txt</a>' in a.text
    assert 'A&amp;B &lt;1&gt;.txt</a>' in a.text and '<1>' not in a.text
    assert '.keep' not in s.get('/pub/sub/').text


def test_autoindex_json(weir):
    a = weir('autoindex on; autoindex_format json;', files=AUTOINDEX).get('/pub/')
    assert a['content-type'].startswith('application/json')
    import json
    rows = {r['name']: r for r in json.loads(a.body)}
    assert rows['b.txt']['type'] == 'file' and rows['b.txt']['size'] == 3
    assert rows['sub']['type'] == 'directory' and 'mtime' in rows['sub']
    assert 'A&B <1>.txt' in rows


def test_autoindex_jsonp(weir):
    s = weir('autoindex on; autoindex_format jsonp;', files=AUTOINDEX)
    assert '\nshow([' in '\n' + s.get('/pub/?callback=show').text
    assert s.get('/pub/').text.lstrip().startswith('[')
    assert 'alert(1)(' not in s.get('/pub/?callback=alert(1)').text


def test_autoindex_xml(weir):
    import xml.etree.ElementTree as tree
    a = weir('autoindex on; autoindex_format xml;', files=AUTOINDEX).get('/pub/')
    assert 'xml' in a['content-type']
    names = {(e.tag, e.text): e for e in tree.fromstring(a.body)}
    assert names[('file', 'b.txt')].get('size') == '3'
    assert ('directory', 'sub') in names and ('file', 'A&B <1>.txt') in names


def test_autoindex_sizes(weir):
    s = weir('autoindex on; autoindex_exact_size off;', files={'html/d/big': b'x' * 20480})
    assert re.search(r'\b20K\b', s.get('/d/').text)


# ---- ranges ---------------------------------------------------------------------------------

@pytest.mark.parametrize('spec,status,body,content_range', [
    ('bytes=0-4', 206, b'01234', 'bytes 0-4/10'),
    ('bytes=5-', 206, b'56789', 'bytes 5-9/10'),
    ('bytes=-3', 206, b'789', 'bytes 7-9/10'),
    ('bytes=-30', 206, b'0123456789', 'bytes 0-9/10'),
    ('bytes=2-100', 206, b'23456789', 'bytes 2-9/10'),
    ('bytes=9-9', 206, b'9', 'bytes 9-9/10'),
    ('bytes=10-', 416, None, 'bytes */10'),
    ('items=0-4', 200, b'0123456789', None),
])
def test_one_range(weir, spec, status, body, content_range):
    a = weir().get('/file.txt', headers={'Range': spec})
    assert a.status == status and a['content-range'] == content_range
    assert body is None or a.body == body


def test_range_of_head(weir):
    with weir().connect() as c:
        a = c.ask('/file.txt', method='HEAD', headers={'Range': 'bytes=0-4'})
        assert a.status == 206 and a['content-length'] == '5'
        assert c.ask('/file.txt').body == b'0123456789'


def test_several_ranges(weir):
    a = weir().get('/file.txt', headers={'Range': 'bytes=0-1,4-5,-1'})
    assert a.status == 206
    mark = re.fullmatch(r'multipart/byteranges; boundary=(\S+)', a['content-type'])[1].encode()
    assert len(a.body) == int(a['content-length'])
    parts = a.body.split(b'--' + mark)
    assert parts[-1] in (b'--\r\n', b'--')
    pieces = [p.partition(b'\r\n\r\n') for p in parts[1:-1]]
    assert [p[2].removesuffix(b'\r\n') for p in pieces] == [b'01', b'45', b'9']
    assert b'Content-Range: bytes 4-5/10' in pieces[1][0]
    assert b'Content-Type: text/plain' in pieces[1][0]


def test_several_ranges_with_one_outside(weir):
    a = weir().get('/file.txt', headers={'Range': 'bytes=0-1,90-'})
    assert a.status == 206 and a.body == b'01'


def test_too_many_ranges_give_the_whole_file(weir):
    a = weir().get('/file.txt', headers={'Range': 'bytes=' + ','.join(['0-'] * 200)})
    assert a.status == 200 and a.body == b'0123456789'


def test_max_ranges(weir):
    s = weir('location / { max_ranges 1; } location /no/ { alias html/; max_ranges 0; }')
    assert s.get('/file.txt', headers={'Range': 'bytes=0-0,2-2'}).status == 200
    assert s.get('/file.txt', headers={'Range': 'bytes=0-0'}).status == 206
    a = s.get('/no/file.txt', headers={'Range': 'bytes=0-0'})
    assert a.status == 200 and a['accept-ranges'] is None


def test_if_range(weir):
    s = weir()
    with s.connect() as c:
        whole = c.ask('/file.txt')
        for value, status in ((whole['etag'], 206), ('"other"', 200), ('W/' + whole['etag'], 200),
                              (whole['last-modified'], 206),
                              ('Mon, 01 Jan 2001 00:00:00 GMT', 200)):
            a = c.ask('/file.txt', headers={'Range': 'bytes=0-0', 'If-Range': value})
            assert a.status == status, value


def test_ranges_of_a_big_file(weir):
    big = os.urandom(3 << 20)
    s = weir(files={'html/big': big})
    with s.connect() as c:
        for first, last in ((0, 0), (1 << 20, (2 << 20) - 1), (65535, 65537), (len(big) - 1,) * 2):
            a = c.ask('/big', headers={'Range': f'bytes={first}-{last}'})
            assert a.status == 206 and a.body == big[first:last + 1]


# ---- conditions -----------------------------------------------------------------------------

def test_not_modified(weir):
    s = weir()
    with s.connect() as c:
        a = c.ask('/file.txt')
        tag, date = a['etag'], a['last-modified']
        for headers, status in [
                ({'If-None-Match': tag}, 304), ({'If-None-Match': 'W/' + tag}, 304),
                ({'If-None-Match': '*'}, 304), ({'If-None-Match': f'"x", {tag}'}, 304),
                ({'If-None-Match': '"x"'}, 200), ({'If-Modified-Since': date}, 304),
                ({'If-Modified-Since': 'Mon, 01 Jan 2001 00:00:00 GMT'}, 200),
                ({'If-Modified-Since': 'not a date'}, 200),
                ({'If-None-Match': '"x"', 'If-Modified-Since': date}, 200),
                ({'If-Match': tag}, 200), ({'If-Match': '"x"'}, 412), ({'If-Match': '*'}, 200),
                ({'If-Unmodified-Since': date}, 200),
                ({'If-Unmodified-Since': 'Mon, 01 Jan 2001 00:00:00 GMT'}, 412)]:
            got = c.ask('/file.txt', headers=headers)
            assert got.status == status, headers
            if status == 304:
                assert got['etag'] == tag and got['content-length'] is None
                assert got['content-type'] is None


def test_if_modified_since_setting(weir):
    s = weir('''location /exact/ { alias html/; }
                location /before/ { alias html/; if_modified_since before; }
                location /off/ { alias html/; if_modified_since off; }
                location /noetag/ { alias html/; etag off; }''')
    later = {'If-Modified-Since': 'Fri, 01 Jan 2038 00:00:00 GMT'}
    assert s.get('/exact/file.txt', headers=later).status == 200
    assert s.get('/before/file.txt', headers=later).status == 304
    date = s.get('/off/file.txt')['last-modified']
    assert s.get('/off/file.txt', headers={'If-Modified-Since': date}).status == 200
    assert s.get('/noetag/file.txt')['etag'] is None


def test_a_changed_file_is_seen_at_once(weir):
    s = weir()
    with s.connect() as c:
        for n in range(5):
            (s.dir / 'html/file.txt').write_text(f'version {n}')
            assert c.ask('/file.txt').text == f'version {n}'
        os.replace(s.dir / 'html/index.html', s.dir / 'html/file.txt')
        assert c.ask('/file.txt').text == '<h1>index</h1>\n'
        os.unlink(s.dir / 'html/file.txt')
        assert c.ask('/file.txt').status == 404


def test_every_change_is_seen_by_the_next_request(weir):
    """Same size, same second, and with rename the same times: only a look at the file tells."""
    s = weir()
    file, new = s.dir / 'html/file.txt', s.dir / 'new'
    with s.connect() as c:
        for n in range(0, 150, 3):
            new.write_text(f'{n:06}')
            os.utime(new, (10 ** 9, 10 ** 9))
            os.replace(new, file)
            assert c.ask('/file.txt').text == f'{n:06}', 'renamed over it'
            file.write_text(f'{n + 1:06}')
            assert c.ask('/file.txt').text == f'{n + 1:06}', 'emptied and written'
            with open(file, 'r+') as f:
                f.write(f'{n + 2:06}')
            assert c.ask('/file.txt').text == f'{n + 2:06}', 'written over'
            assert s.get('/file.txt', headers={'If-None-Match': '"gone"'}).text == f'{n + 2:06}'


def test_a_directory_becomes_a_file_and_back(weir):
    s = weir()
    place = s.dir / 'html/place'
    with s.connect() as c:
        for _ in range(5):
            place.write_text('file')
            assert c.ask('/place').body == b'file'
            place.unlink()
            assert c.ask('/place').status == 404
            place.mkdir()
            assert c.ask('/place').status == 301 and c.ask('/place/').status == 403
            (place / 'index.html').write_text('listed')
            assert c.ask('/place/').body == b'listed'
            (place / 'index.html').unlink()
            place.rmdir()


@pytest.mark.parametrize('size', [1, 4096, 65536, 1 << 20, (8 << 20) + 13])
def test_sizes(weir, size):
    body = os.urandom(size)
    s = weir(files={'html/f': body})
    with s.connect() as c:
        assert c.ask('/f').body == body
        assert c.ask('/f').body == body


def test_special_files(weir):
    s = weir()
    os.mkfifo(s.dir / 'html/fifo')
    os.symlink('/dev/zero', s.dir / 'html/zero')
    os.symlink('/etc/hostname', s.dir / 'html/outside')
    os.symlink('file.txt', s.dir / 'html/inside')
    start = time.monotonic()
    assert s.get('/fifo').status in (403, 404)
    assert s.get('/zero').status in (403, 404)
    assert s.get('/outside').status == 403
    assert s.get('/inside').body == b'0123456789'
    assert time.monotonic() - start < 3


LINKS = ('file.txt', 'inside', 'sub/up', 'outside', 'outdir/secret', 'away/secret')


@pytest.mark.parametrize('order', [1, -1])
def test_disable_symlinks(weir, order):
    """Every place keeps its own rule, whatever another one has opened before under its own."""
    s = weir('''location /plain/ { alias html/; }
        location /off/ { alias html/; disable_symlinks off; }
        location /on/ { alias html/; disable_symlinks on; }''', files={'other/secret': 'secret'})
    os.mkdir(s.dir / 'html/sub')
    for name, target in (('inside', 'file.txt'), ('sub/up', '../file.txt'),
                         ('outside', '../other/secret'), ('outdir', '../other'),
                         ('away', s.dir / 'other'), ('loop', 'loop'), ('gone', 'nowhere')):
        os.symlink(target, s.dir / 'html' / name)
    expect = {'plain': [200, 200, 200, 403, 403, 403], 'off': [200] * 6,
              'on': [200, 403, 403, 403, 403, 403]}
    for place in sorted(expect)[::order] * 2:
        got = [s.get(f'/{place}/{name}').status for name in LINKS]
        assert got == expect[place], place
        assert s.get(f'/{place}/gone').status == (403 if place == 'on' else 404)
        assert s.get(f'/{place}/loop').status == 403
    assert s.get('/off/outside').body == b'secret'


def test_one_file_below_two_roots(weir):
    """A link may lead out of the inner root, not out of the outer one."""
    s = weir('location /in/ { } location /alias/ { alias html/in/; }', files={'html/in/x': 'x'})
    os.symlink('../file.txt', s.dir / 'html/in/link')
    for _ in range(3):
        assert s.get('/in/link').body == b'0123456789'
        assert s.get('/alias/link').status == 403
        assert s.get('/alias/x').status == s.get('/in/x').status == 200


def test_a_link_that_is_turned_outwards(weir):
    s = weir(files={'other/secret': 'secret', 'html/real/secret': 'public'})
    os.symlink('real', s.dir / 'html/place')
    with s.connect() as c:
        for _ in range(10):
            assert c.ask('/place/secret').body == b'public'
            os.symlink('../other', s.dir / 'html/new')
            os.replace(s.dir / 'html/new', s.dir / 'html/place')
            assert c.ask('/place/secret').status == 403
            os.symlink('real', s.dir / 'html/new')
            os.replace(s.dir / 'html/new', s.dir / 'html/place')


def test_file_that_may_not_be_read(weir):
    s = weir()
    os.chmod(s.dir / 'html/file.txt', 0)
    assert s.get('/file.txt').status == 403
    s.wait_log('(13: Permission denied)')


def test_types(weir):
    s = weir('''location /own/ { alias html/; types { text/x-own txt; } default_type text/x-any; }
                location /none/ { alias html/; types { } default_type ""; }''',
             files={'html/x.HTML': '', 'html/x.unknown': '', 'html/x': '', 'html/a.b/x': ''})
    assert s.get('/x.HTML')['content-type'] == 'text/html'
    assert s.get('/x.unknown')['content-type'] == 'application/octet-stream'
    assert s.get('/a.b/x')['content-type'] == 'application/octet-stream'
    assert s.get('/own/file.txt')['content-type'] == 'text/x-own'
    assert s.get('/own/x')['content-type'] == 'text/x-any'
    assert s.get('/none/x')['content-type'] in (None, '')


def test_charset_is_not_invented(weir):
    assert weir().get('/')['content-type'] == 'text/html'


def test_open_file_cache(weir):
    s = weir('open_file_cache max=10 inactive=10s; open_file_cache_valid 1s; '
             'open_file_cache_errors on;')
    with s.connect() as c:
        assert [c.ask('/file.txt').status for _ in range(5)] == [200] * 5
        assert [c.ask('/missing').status for _ in range(5)] == [404] * 5
