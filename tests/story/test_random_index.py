"""random_index: a file of the directory, whichever chance picks."""
FILES = {f'html/r/{n}.txt': f'file {n}' for n in 'abcd'} | {
    'html/r/.hidden': 'hidden', 'html/r/sub/x': 'x', 'html/none/sub/x': '',
    'html/none/.hidden': '', 'html/index/index.html': 'the index', 'html/index/other.txt': ''}
SITE = '''location /r/ { random_index on; } location /none/ { random_index on; }
    location /off/ { random_index off; alias html/index/; }'''


def test_every_file_and_nothing_else(shared):
    s = shared(SITE, files=FILES)
    with s.connect() as c:
        seen = {c.ask('/r/').text for _ in range(150)}
    assert seen == {f'file {n}' for n in 'abcd'}
    a = s.get('/r/', method='HEAD')
    assert a['content-type'] == 'text/plain' and a['content-length'] == '6'


def test_without_files_index_is_next(shared):
    s = shared(SITE, files=FILES)
    assert s.get('/none/').status == 403
    assert s.get('/off/').text == 'the index'
    assert s.get('/r/missing/').status == 404


def test_the_file_is_found_as_if_asked_for(weir):
    s = weir(SITE + 'location ~ txt$ { return 200 "$uri $args"; }', files=FILES)
    a = s.get('/r/?q=1')
    assert a.text[:3] == '/r/' and a.text[4:] == '.txt q=1'
