"""Server side includes: every command, nested pages, errors, pieces, slow clients."""
import re

import pytest

ERROR = '[an error occurred while processing the directive]'


def page(weir, text, body='ssi on;', path='html/page.html', **more):
    files = {path: text, 'html/one.html': 'ONE', 'html/dir/two.html': 'TWO', 'html/empty.html': '',
             'html/inner.html': '(<!--# echo var="arg_x" -->|<!--# include virtual="one.html" -->)'}
    files.update(more.pop('files', {}))
    return weir(body, files=files, **more)


def shown(weir, text, query='', **kw):
    s = page(weir, text, **kw)
    return s.get('/page.html' + query).text


CASES = {
    'text alone': ('a < b <!-- c --> <!--x', 'a < b <!-- c --> <!--x'),
    'include virtual': ('[<!--# include virtual="/one.html" -->]', '[ONE]'),
    'include file': ('[<!--#include file="dir/two.html"-->]', '[TWO]'),
    'two': ('<!--# include virtual="/one.html" --><!--# include virtual="/dir/two.html" -->',
            'ONETWO'),
    'with arguments': ('<!--# include virtual="/inner.html?x=5" -->', '(5|ONE)'),
    'variables in the path': ('<!--# include virtual="/$arg_p.html" -->', 'ONE'),
    'an empty answer': ('[<!--# include virtual="/empty.html" -->]', '[]'),
    'dots': ('<!--# include virtual="/dir/../one.html" -->', 'ONE'),
    'above the root': ('<!--# include virtual="/../one.html" -->', ERROR),
    'both': ('<!--# include virtual="/a" file="b" -->', ERROR),
    'neither': ('<!--# include wait="yes" -->', ERROR),
    'echo': ('<!--# echo var="arg_p" -->,<!--# echo var="uri" -->', 'one,/page.html'),
    'echo nothing': ('<!--# echo var="nothing" -->,<!--# echo var="arg_none" default="d" -->',
                     '(none),d'),
    'echo escapes': ('<!--# echo var="arg_h" -->', '&lt;b&gt;'),
    'echo none': ('<!--# echo var="arg_h" encoding="none" -->', '<b>'),
    'echo url': ('<!--# set var="v" value="a b" --><!--# echo var="v" encoding="url" -->', 'a%20b'),
    'echo goes on as it was told':
        ('<!--# echo var="arg_h" encoding="none" --><!--# echo var="arg_h" -->', '<b><b>'),
    'echo badly': ('<!--# echo var="arg_h" encoding="rot13" -->', ERROR),
    'set': ('<!--# set var="V" value="x-$arg_p-${arg_p}y" --><!--# echo var="v" -->', 'x-one-oney'),
    'set escapes': (r'<!--# set var="v" value="\$arg_p\"" -->'
                    '<!--# echo var="v" encoding="none" -->',
                    '$arg_p"'),
    'quotes': ("<!--# set var='v' value='a \"b\" -->' --><!--# echo var='v' encoding='none' -->",
               'a "b" -->'),
    'if': ('<!--# if expr="$arg_p" -->yes<!--# endif -->,'
           '<!--# if expr="$arg_q" -->no<!--# endif -->', 'yes,'),
    'else': ('<!--# if expr="$arg_p = two" -->a<!--# elif expr="$arg_p=one" -->b<!--# else -->c'
             '<!--# endif -->', 'b'),
    'else alone': ('<!--# if expr="$arg_p != one" -->a<!--# else -->c<!--# endif -->', 'c'),
    'regex': ('<!--# if expr="$arg_p = /^o(?P<rest>.*)$/" --><!--# echo var="rest" -->'
              '<!--# echo var="0" --><!--# endif -->', 'neone'),
    'no regex': ('<!--# if expr="$arg_p != /x/" -->y<!--# endif -->', 'y'),
    'a wrong regex': ('<!--# if expr="$arg_p = /(/" -->y<!--# else -->n<!--# endif -->',
                      ERROR + 'n'),
    'nested': ('<!--# if expr="$arg_q" -->a'
               '<!--# if expr="$arg_p" -->b<!--# else -->c<!--# endif -->'
               'd<!--# else -->e<!--# endif -->', 'e'),
    'nothing is done in a branch left out':
        ('<!--# if expr="$arg_q" --><!--# include virtual="/one.html" --><!--# bad -->'
         '<!--# endif -->.',
         '.'),
    'no if': ('<!--# endif --><!--# else -->', ERROR * 2),
    'config': ('<!--# config errmsg="oops" --><!--# nonsense --><!--# config timefmt="%Y" -->'
               '<!--# if expr="$date_gmt = /^20[0-9][0-9]$/" -->year<!--# endif -->', 'oopsyear'),
    'a block is not shown': ('a<!--# block name="b" -->text<!--# endblock -->c', 'ac'),
    'a stub for what is missing':
        ('<!--# block name="b" -->[<!--# echo var="arg_p" -->]<!--# endblock -->'
         '<!--# include virtual="/none" stub="b" -->.', '[one].'),
    'a stub for what is empty':
        ('<!--# block name="b" -->S<!--# endblock -->'
         '<!--# include virtual="/empty.html" stub="b" -->'
         '<!--# include virtual="/one.html" stub="b" -->', 'SONE'),
    'no such block': ('<!--# include virtual="/one.html" stub="b" -->', ERROR),
    'set by an answer': ('<!--# include virtual="/one.html" set="a" -->[<!--# echo var="a" -->]',
                         '[ONE]'),
    'wait': ('<!--# include virtual="/one.html" wait="yes" -->,', 'ONE,'),
    'no command': ('<!--# -->', ERROR),
    'a parameter that is not its': ('<!--# echo var="uri" virtual="/" -->', ERROR),
    'a value without quotes': ('<!--# echo var=uri -->', ERROR),
    'too long': ('<!--# echo var="%s" -->' % ('x' * 300), ERROR),
    'much too long': ('<!--# echo var="%s" -->.' % ('x' * 20_000), ERROR + '.'),
    'unclosed': ('a<!--# echo var="uri"', 'a' + ERROR),
}


def test_commands(weir):
    names = {case: f'c{n}.html' for n, case in enumerate(CASES)}
    s = page(weir, '', files={f'html/{names[c]}': CASES[c][0] for c in CASES})
    with s.connect() as c:
        for case, (_, expected) in CASES.items():
            got = c.ask(f'/{names[case]}?p=one&h=<b>').text
            assert got == expected.replace('/page.html', '/' + names[case]), case


def test_the_head(weir):
    s = page(weir, '<!--# echo var="uri" -->')
    a = s.get('/page.html')
    assert a['last-modified'] is None and a['etag'] is None and a['content-length'] is None
    assert a['accept-ranges'] is None
    assert s.get('/page.html', method='HEAD').status == 200
    assert s.get('/file.txt')['etag']
    s = page(weir, '<!--# echo var="uri" -->', 'ssi on; ssi_last_modified on;')
    a = s.get('/page.html')
    assert a['last-modified'] and a['etag'].startswith('W/')


def test_types_and_silence(weir):
    s = page(weir, '<!--# nonsense -->.', 'ssi on; ssi_silent_errors on; ssi_types text/plain;',
             files={'html/a.txt': '<!--# echo var="uri" -->', 'html/a.css': '<!--# x -->'})
    assert s.get('/page.html').text == '.'
    assert s.get('/a.txt').text == '/a.txt'
    assert s.get('/a.css').text == '<!--# x -->'
    s.wait_log('there is no command "nonsense"')


def test_commands_across_pieces(weir):
    """Commands wherever pieces of 16 KiB begin and end."""
    for shift in (0, 1, 3, 5, 9, 20, 33):
        filler = 'x' * (16 * 1024 - shift)
        text = filler + '<!--# echo var="uri" -->' + filler + '<!-' + filler + \
            '<!--# include virtual="/one.html" -->'
        for sendfile in ('on', 'off'):
            s = page(weir, text, f'ssi on; sendfile {sendfile};')
            expected = filler + '/page.html' + filler + '<!-' + filler + 'ONE'
            assert s.get('/page.html').text == expected


def test_large_includes(weir):
    large = 'line of text\n' * 100_000
    s = page(weir, 'a<!--# include virtual="/l.txt" -->b<!--# include virtual="/l.txt" -->c',
             files={'html/l.txt': large})
    with s.connect() as c:
        for _ in range(3):
            assert c.ask('/page.html').text == f'a{large}b{large}c'
            assert c.ask('/file.txt').text == '0123456789'


def test_hundreds_of_includes(weir):
    s = page(weir, '<!--# include virtual="/inner.html?x=1" -->' * 700)
    assert s.get('/page.html').text == '(1|ONE)' * 700


def test_what_includes_itself_ends(weir):
    s = page(weir, '.<!--# include virtual="/page.html" -->')
    text = s.get('/page.html').text
    assert text == '.' * 51 + ERROR
    s.wait_log('sub-requests cycle')


def test_too_many_are_not_made(weir):
    s = page(weir, '.' + '<!--# include virtual="/page.html" -->' * 3)
    text = s.get('/page.html').text
    assert ERROR in text and text.count('.') <= 10_001
    s.wait_log('more than 10000 sub-requests')
    assert s.get('/one.html').text == 'ONE'


def test_variables_are_shared_with_what_is_included(weir):
    s = page(weir, '<!--# set var="a" value="1" --><!--# include virtual="/in.html" wait="yes" -->'
                   '<!--# echo var="b" -->',
             files={'html/in.html': '<!--# echo var="a" --><!--# set var="b" value="2" -->'})
    assert s.get('/page.html').text == '12'


def test_each_location_its_own(weir):
    s = page(weir, '<!--# include virtual="/raw/page.html" -->',
             'ssi on; location /raw/ { ssi off; alias html/; }')
    assert s.get('/page.html').text == '<!--# include virtual="/raw/page.html" -->'


def test_errors_of_what_is_included(weir):
    s = page(weir, '<!--# include virtual="/none" -->.', 'ssi on; error_page 404 /one.html;')
    assert s.get('/page.html').text == 'ONE.'
    s = page(weir, '<!--# include virtual="/none" -->.')
    assert '404 Not Found' in s.get('/page.html').text


def test_with_compression(weir):
    import gzip
    s = page(weir, '<!--# include virtual="/one.html" -->', 'ssi on; gzip on; gzip_min_length 0;')
    a = s.get('/page.html', headers={'Accept-Encoding': 'gzip'})
    assert gzip.decompress(a.body) == b'ONE'


def test_slow_and_leaving_clients(weir):
    s = page(weir, '<!--# include virtual="/l.txt" -->' * 20, files={'html/l.txt': 'y' * 300_000})
    for n in range(20):
        c = s.connect()
        c.send('GET /page.html HTTP/1.1\r\nHost: a.test\r\n\r\n')
        c.sock.recv(100 * n + 1)
        c.close()
    with s.connect() as c:
        assert c.ask('/page.html').text == 'y' * 300_000 * 20


def test_dates(weir):
    text = shown(weir, '<!--# echo var="date_gmt" -->|<!--# config timefmt="%s" -->'
                       '<!--# echo var="date_local" -->')
    assert re.fullmatch(r'\w+, \d\d-\w\w\w-\d{4} \d\d:\d\d:\d\d GMT\|\d{10}', text)
