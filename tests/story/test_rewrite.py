"""set, if, rewrite and break: what they do to a request, alone and in the rule sets people use."""
import urllib.parse

import pytest

LOOK = 'return 200 "$uri|$args";'


def where(answer, host='a.test'):
    """Location without the scheme, host and port of this server."""
    to = answer['location']
    parts = urllib.parse.urlsplit(to)
    return to[to.index('/', 8):] if parts.hostname == host else to


# ---- rewrite --------------------------------------------------------------------------------

RULES = '''
    location / { return 200 "root|$uri|$args"; }
    location /plain/ { rewrite ^/plain/(.*)$ /to/$1; return 599; }
    location /last/ { rewrite ^/last/(.*)$ /to/$1 last; return 599; }
    location /break/ { rewrite ^/break/(.*)$ /to/$1 break; return 599; }
    location /stay/ { rewrite ^/stay/(.*)$ /to/$1; break; }
    location /two/ { rewrite ^/two/ /three/; rewrite ^/three/ /to/four; }
    location /args/ { rewrite ^/args/(.*)$ /to/x?name=$1 last; }
    location /drop/ { rewrite ^/drop/(.*)$ /to/x?name=$1? last; }
    location /none/ { rewrite ^/none/(.*)$ /to/$1? last; }
    location /no/ { rewrite ^/elsewhere /to/never last; return 200 unchanged; }
    location /302/ { rewrite ^/302/(.*)$ /new/$1 redirect; }
    location /301/ { rewrite ^/301/(.*)$ /new/$1 permanent; }
    location /301a/ { rewrite ^/301a/(.*)$ /new?q=$1 permanent; }
    location /301n/ { rewrite ^/301n/(.*)$ /new/$1? permanent; }
    location /http/ { rewrite ^/http/(.*)$ http://b.test/$1; }
    location /https/ { rewrite ^/https/(.*)$ https://b.test/$1 permanent; }
    location /scheme/ { rewrite ^/scheme/(.*)$ $scheme://b.test/$1; }
    location /case/ { rewrite "(?i)^/CASE/x{2}$" /to/case last; return 200 no; }
    location /named/ { rewrite ^/named/(?<who>[a-z]+)/(?<what>.+)$ /to/$what?$who last; }
    location /uri/ { rewrite ^ /to$uri last; }
    location /empty/ { rewrite ^ $arg_missing last; }
    location /hidden/ { rewrite ^/hidden/(.*)$ /internal/$1 last; }
    location /internal/ { internal; return 200 "internal|$uri"; }
    location /to/ { return 200 "to|$uri|$args|$request_uri"; }
'''


@pytest.mark.parametrize('path,expect', [
    ('/plain/a?x=1', 599), ('/last/a?x=1', 'to|/to/a|x=1|/last/a?x=1'),
    ('/last/', 'to|/to/||/last/'),
    ('/two/', 'to|/to/four||/two/'), ('/args/a', 'to|/to/x|name=a|/args/a'),
    ('/args/a?b=2', 'to|/to/x|name=a&b=2|/args/a?b=2'),
    ('/drop/a?b=2', 'to|/to/x|name=a|/drop/a?b=2'),
    ('/none/a?b=2', 'to|/to/a||/none/a?b=2'), ('/no/', 'unchanged'),
    ('/case/XX', 'to|/to/case||/case/XX'),
    ('/case/XXX', 'no'), ('/named/eve/do/it', 'to|/to/do/it|eve|/named/eve/do/it'),
    ('/uri/x%20y', 'to|/to/uri/x y||/uri/x%20y'), ('/empty/', 500), ('/internal/x', 404),
    ('/hidden/x', 'internal|/internal/x'),
    # arguments get what cannot stand there encoded, paths stay decoded
    ('/args/a%26b%3Dc', 'to|/to/x|name=a%26b=c|/args/a%26b%3Dc'),
    ('/args/a%20b%25', 'to|/to/x|name=a%20b%25|/args/a%20b%25'),
    ('/args/a+b', 'to|/to/x|name=a%2Bb|/args/a+b'),
    ('/last/a%2fb%3f', 'to|/to/a/b?||/last/a%2fb%3f'),
])
def test_rules(shared, path, expect):
    answer = shared(RULES).get(path)
    assert answer.status == expect if isinstance(expect, int) else answer.text == expect


def test_break_stays_in_the_location(weir):
    s = weir(RULES, files={'html/to/file': 'the file', 'html/to/other': 'the other'})
    assert s.get('/stay/file').text == 'the file'
    assert s.get('/break/other').text == 'the other'
    assert s.get('/break/missing').status == 404


@pytest.mark.parametrize('path,status,to', [
    ('/302/a?x=1', 302, '/new/a?x=1'), ('/301/a', 301, '/new/a'),
    ('/301a/a?x=1', 301, '/new?q=a&x=1'),
    ('/301n/a?x=1', 301, '/new/a'), ('/http/a?x', 302, 'http://b.test/a?x'),
    ('/https/a', 301, 'https://b.test/a'), ('/scheme/a', 302, 'http://b.test/a'),
    ('/302/a%20b%23%25c', 302, '/new/a%20b%23%25c'), ('/302/a&b;c', 302, '/new/a&b;c'),
    ('/302/%c3%a9', 302, '/new/%C3%A9'), ('/301a/a%20b%26c', 301, '/new?q=a%20b%26c'),
    ('/302/a%3Fb', 302, '/new/a%3Fb'),
])
def test_redirects(shared, path, status, to):
    answer = shared(RULES).get(path)
    assert (answer.status, where(answer)) == (status, to)


def test_hostile_paths_do_not_split_fields(weir):
    s = weir('''
        location /r/ { rewrite ^/r/(.*)$ http://b.test/$1 permanent; }
        location /n/ { rewrite ^/n/(?<rest>.*)$ http://b.test/$rest permanent; }
        location /u/ { rewrite ^ http://b.test$uri? permanent; }
        location /a/ { rewrite ^/a/(.*)$ /x?y=$1 redirect; }
        location /s/ { set $to $uri; rewrite ^ http://b.test/$to redirect; }
        location /i/ { if ($uri ~ ^/i/(.*)$) { set $x $1; } rewrite ^ /y/$x redirect; }
    ''')
    for place in 'rnuasi':
        for bad in ('%0d%0aSet-Cookie:%20evil=1', '%0aX:y', '%0d', 'x%00', '%7f', '%1b[2J'):
            answer = s.get(f'/{place}/{bad}')
            assert 'set-cookie' not in answer.headers and 'x' not in answer.headers
            if bad == 'x%00':
                assert answer.status == 400
                continue
            assert answer.status in (301, 302)
            assert all(0x20 < ord(c) < 0x7f for c in answer['location']), answer['location']


def test_server_level_rules_and_their_order(weir):
    s = weir('''
        rewrite ^/old/(.*)$ /new/$1;
        rewrite ^/new/(.*)$ /newer/$1;
        set $from server;
        if ($uri ~ ^/newer/stop) { break; }
        rewrite ^/newer/(.*)$ /newest/$1 last;
        rewrite ^/newest/ /never;
        location / { return 200 "$uri|$from"; }
        location /newest/ { set $from location; return 200 "$uri|$from"; }
    ''')
    assert s.get('/old/a').text == '/newest/a|location'
    assert s.get('/old/stop').text == '/newer/stop|server'
    assert s.get('/newest/a').text == '/never|server'


def test_a_loop_ends_with_500(weir):
    s = weir('''
        error_page 500 /sorry.html;
        location /loop { rewrite ^ /loop/x last; }
        location /ping { rewrite ^ /pong; }
        location /pong { rewrite ^ /ping; }
        location /count/ { rewrite "^/count/(x{1,9})x$" /count/$1 last; return 200 done; }
        location /countmore/ { rewrite "^/countmore/(x+)x$" /countmore/$1 last; return 200 done; }
        location /inner { try_files /nope /inner; }
        location /named { try_files /nope @named; }
        location @named { try_files /nope @named; }
    ''', files={'html/sorry.html': 'sorry'})
    for path in ('/loop', '/ping', '/inner', '/named'):
        answer = s.get(path)
        assert answer.status == 500 and 'sorry' not in answer.text, path
    assert s.get('/count/' + 'x' * 10).text == 'done'
    assert s.get('/countmore/' + 'x' * 11).text == 'done'       # ten times
    assert s.get('/countmore/' + 'x' * 12).status == 500        # one too many
    s.wait_log('rewrite or internal redirection cycle while processing "/loop/x"')
    s.wait_log('rewrite or internal redirection cycle while internally redirecting to "/inner"')
    s.wait_log('rewrite or internal redirection cycle while redirecting to named location "@named"')


def test_large_captures(weir):
    s = weir('''
        location /l/ { rewrite ^/l/(.*)$ /to/$1$1$1?$1 last; }
        location /to/ { return 200 $uri; }
        location /r/ { rewrite ^/r/(.*)$ http://b.test/$1$1 redirect; }
        location /big/ { set $a $uri$uri$uri$uri; set $a $a$a$a$a; set $a $a$a$a$a; return 200 $a; }
    ''')
    long = 'a' * 6000
    assert s.get('/l/' + long).text == '/to/' + long * 3
    assert s.get('/r/' + long)['location'] == 'http://b.test/' + long * 2
    assert s.get('/big/' + long).status == 500
    s.wait_log('the value is too long')
    many = '%26' * 2500
    assert s.get('/l/' + many).text == '/to/' + '&' * 7500
    assert s.get('/l/x').text == '/to/xxx'


def test_rewrite_log(weir):
    s = weir('''
        location / {
            rewrite_log on;
            rewrite ^/a/(.*)$ /b/$1?x=$1 last;
            rewrite ^/c http://b.test/;
        }
        location /b/ { rewrite ^ /quiet; break; }
    ''')
    s.get('/a/1')
    s.get('/c')
    s.wait_log('"^/a/(.*)$" matches "/a/1"')
    s.wait_log('rewritten data: "/b/1", args: "x=1"')
    s.wait_log('"^/a/(.*)$" does not match "/c"')
    s.wait_log('rewritten redirect: "http://b.test/"')
    assert '[notice]' in s.log() and 'data: "/quiet"' not in s.log()


def test_a_pattern_that_runs_away(weir):
    s = weir('''
        location /r/ { rewrite "^/r/(a+)+$" /x; return 200 ok; }
        location /i/ { if ($args ~ "^(a+)+$") { return 200 yes; } return 200 no; }
    ''')
    assert s.get('/r/' + 'a' * 40 + '!').status == 500
    assert s.get('/i/?' + 'a' * 40 + '!').status == 500
    s.wait_log('the regular expression took too long')
    assert s.get('/r/').text == 'ok' and s.get('/i/?aaa').text == 'yes'


# ---- set ------------------------------------------------------------------------------------

def test_set(weir):
    s = weir('''
        set $one 1; set $two "$one and $uri"; set $Mixed case;
        location / { set $one changed; return 200 "$one|$two|$mixed|$MIXED"; }
        location /args {
            set $args "$args&more=1";
            return 200 "$args|$is_args|$arg_more|$query_string";
        }
        location /noargs { set $args ""; return 200 "[$args$is_args]"; }
        location /old { set $args x=1; rewrite ^ /new last; }
        location /new { return 200 "$uri?$args|$request_uri"; }
        location /self { set $n x; set $n $n$n$n; return 200 $n; }
    ''')
    assert s.get('/').text == 'changed|1 and /|case|case'
    assert s.get('/args?a=b').text == 'a=b&more=1|?|1|a=b&more=1'
    assert s.get('/noargs?a=b').text == '[]'
    assert s.get('/old?y').text == '/new?x=1|/old?y'
    assert s.get('/self').text == 'xxx'


def test_values_live_as_long_as_the_request(weir):
    s = weir('''
        set $n 0$arg_n;
        error_page 404 /page;
        location /a { set $kept yes; try_files /nope /b; }
        location /b { return 200 "$kept|$n"; }
        location /err { set $kept err; return 404; }
        location /page { return 200 "$kept|$n"; }
        location /name { set $kept name; try_files /nope @n; }
        location @n { return 200 "$kept|$n"; }
    ''')
    with s.connect() as c:
        assert c.ask('/a?n=1').text == 'yes|0'          # the server's set ran again, without args
        assert c.ask('/b?n=1').text == '|01'
        assert c.ask('/err?n=1').text == 'err|0'
        assert c.ask('/name?n=1').text == 'name|01'     # a named location: it did not
        assert c.ask('/b').text == '|0'


def test_uninitialized_variables(weir):
    s = weir('''
        location / { return 200 "[$never$never]"; }
        location /quiet { uninitialized_variable_warn off; return 200 "[$other]"; }
        location /set { set $never 1; set $other 1; return 200 ok; }
    ''')
    assert s.get('/').text == '[]' and s.get('/quiet').text == '[]'
    s.wait_log('using uninitialized "never" variable')
    assert 'other' not in s.log() and s.log().count('uninitialized') == 1


def test_set_limit_rate(weir):
    s = weir('''
        location / { set $limit_rate 30k; }
        location /show { set $limit_rate 4k; return 200 $limit_rate; }
        location /bad { set $limit_rate much; return 200 $limit_rate; }
        location /if { if ($arg_slow) { set $limit_rate 1k; } return 200 $limit_rate; }
    ''', files={'html/big': b'x' * 60000})
    import time
    begin = time.monotonic()
    assert len(s.get('/big').body) == 60000
    assert time.monotonic() - begin > 0.6
    assert s.get('/show').text == '4096' and s.get('/bad').text == '0'
    assert s.get('/if').text == '0' and s.get('/if?slow=1').text == '1024'
    s.wait_log('$limit_rate cannot be "much"')


def test_access_log_has_the_values(weir):
    s = weir('''
        set $kind none;
        access_log access.log f;
        location / { set $kind page; return 200 ok; }
        location /odd { if ($arg_quiet) { access_log off; } return 200 ok; }
    ''', http='log_format f "$kind $uri";')
    s.get('/odd?quiet=1')
    s.get('/a')
    assert s.file('access.log', contains='page /a') == 'page /a\n'


# ---- if: conditions ---------------------------------------------------------------------------

CONDITIONS = [
    ('($arg_a)', '/?a=1', '/?a=0'), ('($arg_a)', '/?a=00', '/'), ('( $arg_a )', '/?a=x', '/?a='),
    ('($arg_a = b)', '/?a=b', '/?a=B'), ('($arg_a != b)', '/', '/?a=b'),
    ('($arg_a = "")', '/', '/?a=1'), ("( $arg_a = 'x' )", '/?a=x', '/?a=xx'),
    ('($arg_a = $arg_b)', '/?a=1&b=1', '/?a=1&b=2'),
    ('(${arg_a} = "$arg_b$arg_b")', '/?a=11&b=1', '/?b=1'),
    ('($uri ~ ^/a)', '/a', '/A'), ('($uri ~* ^/a)', '/A', '/b'), ('($uri !~ ^/a)', '/b', '/a'),
    ('($uri !~* ^/a)', '/b', '/A'), ('($uri ~ "^/(a|b)$")', '/b', '/c'),
    ('($uri ~ ^/(a|b)$)', '/b', '/c'),
    ('($uri ~ "^/x{2}$")', '/xx', '/x'), ('( $uri ~ (a|b) )', '/b', '/c'),
    ('($http_user_agent ~* "(a b|c)")', None, '/'), ('($uri ~ \\.(php|cgi)$)', '/x.php', '/xphp'),
    ('($request_method ~ ^(GET|HEAD)$)', '/', None),
    ('(-f $request_filename)', '/file.txt', '/nope'),
    ('(!-f $request_filename)', '/nope', '/file.txt'),
    ('(-d $document_root$uri)', '/', '/file.txt'), ('(!-d $request_filename)', '/file.txt', '/'),
    ('(-e $request_filename)', '/file.txt', '/x/y/z'), ('( !-e "$request_filename" )', '/x', '/'),
    ('(-x $document_root/run)', '/', None), ('(!-x $document_root/file.txt)', '/', None),
    ('(-f html/file.txt)', '/', None), ('(-f "$document_root/with blank")', '/', None),
    ('(-f $arg_no$arg_path)', None, '/'), ('(-f $document_root/$arg_p)', '/?p=file.txt', '/?p=%00'),
    ('(!-f /no/such$uri)', '/' + 'x' * 5000, None), ('(-f /dev/null)', None, '/'),
    ('(-e /dev/null)', '/', None), ('(-f $document_root/dangling)', None, '/'),
]


@pytest.mark.parametrize('place', ['server', 'location'])
def test_conditions(weir, place):
    rules = ''.join(f'if {c} {{ set $yes "$yes,{i}"; }}\n'
                    for i, (c, _, _) in enumerate(CONDITIONS))
    body = f'set $yes ""; {rules} return 200 "$yes,";' if place == 'server' else \
        f'location / {{ set $yes ""; {rules} return 200 "$yes,"; }}'
    s = weir(body, files={'html/run': '#!/bin/sh\n', 'html/with blank': ''})
    (s.dir / 'html/run').chmod(0o755)
    (s.dir / 'html/dangling').symlink_to('nowhere')
    for i, (condition, true, false) in enumerate(CONDITIONS):
        if true:
            assert f',{i},' in s.get(true).text, condition
        if false:
            assert f',{i},' not in s.get(false).text, condition
    assert ',17,' in s.get('/', headers={'User-Agent': 'An A B'}).text


def test_captures_of_conditions(weir):
    s = weir('''
        location ~ ^/(?<app>[a-z]+)/(.*)$ {
            set $before $2;
            if ($args ~ "v=(\\d+)(x?)") { set $version $1; set $tail $2; }
            if ($args !~ "w=(\\d+)") { set $none $1; }
            return 200 "$app|$before|$version|$tail|$none|$1";
        }
        location / {
            if ($http_cookie ~* "id=([^;]+)(?:;|$)") { return 200 "id $1"; }
            if ($arg_who ~ ^(?<who>\\w+)$) { rewrite ^/?(.?) /hello/$who/[$1] last; }
            return 200 $who;
        }
        location ^~ /hello/ { return 200 "$uri|$who"; }
    ''')
    assert s.get('/app/rest?v=12x').text == 'app|rest|12|x|12|12'
    assert s.get('/app/rest').text == 'app|rest|||app|app'
    assert s.get('/app/rest?w=7').text == 'app|rest||||7'
    assert s.get('/', headers={'Cookie': 'a=b; ID=42; c=d'}).text == 'id 42'
    assert s.get('/?who=eve').text == '/hello/eve/[]|eve'
    assert s.get('/?who=').text == ''


def test_captures_of_server_names(weir):
    s = weir(servers='''server {
        listen 127.0.0.1:PORT default_server; server_name other; return 200 other; }
    server {
        listen 127.0.0.1:PORT; server_name ~^(?<sub>\\w+)\\.(\\w+)\\.test$;
        set $first "$1 $2";
        location / { return 200 "$sub|$first|$1"; }
        location ~ ^/x/(?<rest>.*) { if ($args ~ "^(.)") { } return 200 "$sub|$rest|$first|$1"; }
    }''')
    assert s.get('/', host='www.a.test').text == 'www|www a|www'
    assert s.get('/x/y?z', host='www.a.test').text == 'www|y|www a|z'


# ---- if: its block as a location ---------------------------------------------------------------

def test_the_block_is_in_force(weir):
    s = weir('''
        add_header X-From server;
        location / {
            add_header X-From location;
            if ($arg_a) { add_header X-From a; }
            if ($arg_b) { add_header X-From b; expires 1h; }
            if ($arg_root) { root other; }
            if ($arg_gone) { return 410; }
            error_page 410 /gone.html;
            if ($arg_page) { error_page 410 /other.html; return 410; }
        }
        location /tried { try_files /file.txt =404; if ($arg_a) { set $x 1; } }
        location /alias/ { alias html/; if ($arg_a) { add_header X-From alias; } }
        location = /gone.html { }
        location = /other.html { }
    ''', files={'other/file.txt': 'other', 'html/gone.html': 'gone', 'html/other.html': 'page'})
    assert s.get('/file.txt')['x-from'] == 'location'
    assert s.get('/file.txt?a=1')['x-from'] == 'a'
    both = s.get('/file.txt?a=1&b=1')
    assert both.all('x-from') == ['b'] and both['cache-control'] == 'max-age=3600'
    assert s.get('/file.txt?root=1').text == 'other'
    moved = s.get('/file.txt?a=1&root=1')
    assert moved.text == 'other' and moved['x-from'] == 'location'
    assert s.get('/file.txt?gone=1').text == 'gone'
    assert s.get('/file.txt?page=1').text == 'page'
    assert s.get('/tried?a=1').text == s.get('/tried').text == '0123456789'
    alias = s.get('/alias/file.txt?a=1')
    assert alias.text == '0123456789' and alias['x-from'] == 'alias'


def test_access_rules_hold_in_the_block(weir):
    s = weir('''
        location /deny { deny all; if ($arg_a) { set $x 1; } }
        location /except { limit_except GET { deny all; } if ($arg_a) { set $x 1; } return 204; }
        location /form {
            limit_except GET { deny all; }
            if ($arg_a) { add_header X-A 1; }
        }
        location /internal { internal; if ($arg_a) { set $x 1; } }
    ''', files={'html/form': 'form'})
    assert s.get('/deny?a=1').status == 403 and s.get('/internal?a=1').status == 404
    assert s.get('/form?a=1', method='POST').status == 403
    assert s.get('/form?a=1')['x-a'] == '1'


def test_body_limits_survive_a_rewrite(weir):
    s = weir('''
        rewrite ^/in/(.*)$ /small/$1 last;
        location /small/ { client_max_body_size 10; return 200 ok; }
        location /wide/ { client_max_body_size 100; rewrite ^ /small/ last; }
        location /page { client_max_body_size 10; error_page 413 /sorry; return 200 ok; }
        location /sorry { client_max_body_size 1; return 200 sorry; }
    ''')
    assert s.get('/in/', method='POST', body=b'x' * 20).status == 413
    assert s.get('/wide/', method='POST', body=b'x' * 20).status == 413
    assert s.get('/wide/', method='POST', body=b'x' * 5).text == 'ok'
    page = s.raw('POST /page HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9000000\r\n\r\n')
    assert (page.status, page.text) == (413, 'sorry')


def test_return_in_a_block(weir):
    s = weir('''
        if ($arg_server) { return 403 server; }
        location / {
            if ($arg_text) { return 200 "text $arg_text"; }
            if ($arg_to) { return 302 /to/$arg_to; }
            if ($arg_close) { return 444; }
            return 200 end;
        }
    ''')
    assert s.get('/?server=1').text == 'server'
    assert s.get('/?text=x').text == 'text x'
    assert where(s.get('/?to=x')) == '/to/x'
    assert s.get('/').text == 'end'
    with s.connect() as c:
        c.send('GET /?close=1 HTTP/1.1\r\nHost: a.test\r\n\r\n')
        assert c.closed()


# ---- where requests begin again -----------------------------------------------------------------

def test_internal_redirects_begin_at_the_server(weir):
    s = weir('''
        set $runs "${runs}s";
        error_page 404 /page;
        error_page 403 @named;
        location /direct { return 200 $runs; }
        location /last { rewrite ^ /direct last; }
        location /tried { try_files /nope /direct; }
        location /err { return 404; }
        location /page { return 200 $runs; }
        location /forbidden { return 403; }
        location @named { set $runs "${runs}n"; rewrite ^ /direct last; }
        location /dir/ { index shown; }
        location /dir/shown { return 200 "$uri $runs"; }
    ''', main='', http='uninitialized_variable_warn off;', files={'html/dir/shown': ''})
    assert s.get('/direct').text == 's'
    assert s.get('/last').text == 's'
    assert s.get('/tried').text == 'ss'
    assert s.get('/err').text == 'ss'
    assert s.get('/forbidden').text == 'sn'
    assert s.get('/dir/').text == '/dir/shown ss'


def test_the_server_answers_its_own_error_page(weir):
    """return 503 in the server meets the page's uri again, so that only a named location helps."""
    s = weir('''
        error_page 503 /down.html;
        if (-f $document_root/down) { return 503; }
        location / { return 200 up; }
    ''', files={'html/down.html': 'we are down'})
    assert s.get('/').text == 'up'
    (s.dir / 'html/down').touch()
    answer = s.get('/')
    assert answer.status == 503 and 'we are down' not in answer.text


# ---- rule sets that people use -----------------------------------------------------------------

def test_wordpress(weir):
    s = weir('''
        location / {
            if (-f $request_filename) { break; }
            if (-d $request_filename) { break; }
            rewrite ^(.+)$ /index.php?q=$1 last;
        }
        rewrite /wp-admin$ $scheme://$host$uri/ permanent;
        rewrite ^/([_0-9a-zA-Z-]+/)?files/(.+) /wp-includes/ms-files.php?file=$2 last;
        if (!-e $request_filename) {
            rewrite ^/[_0-9a-zA-Z-]+(/wp-(content|admin|includes).*) $1 last;
        }
        location ~ \\.php$ { return 200 "php $uri $args"; }
    ''', files={'html/wp-content/x.css': 'css', 'html/a/b.txt': 'b'})
    assert s.get('/2026/hello/').text == 'php /index.php q=/2026/hello/'
    assert s.get('/2026/hello/?p=1').text == 'php /index.php q=/2026/hello/&p=1'
    assert s.get('/wp-content/x.css').text == 'css' and s.get('/a/b.txt').text == 'b'
    assert s.get('/site/wp-content/x.css').text == 'css'
    assert s.get('/wp-admin')['location'] == 'http://a.test/wp-admin/'
    assert s.get('/blog/files/2026/a.jpg').text == 'php /wp-includes/ms-files.php file=2026/a.jpg'


def test_laravel(weir):
    s = weir('''
        if (!-d $request_filename) { rewrite ^/(.+)/$ /$1 permanent; }
        location / {
            if (!-e $request_filename) { rewrite ^/(.*)$ /index.php?/$1 last; break; }
        }
        location ~ \\.php$ { return 200 "php $uri $args"; }
    ''', files={'html/app.js': 'js', 'html/build/x': ''})
    assert s.get('/users/7').text == 'php /index.php /users/7'
    assert s.get('/users/7?tab=1').text == 'php /index.php /users/7&tab=1'
    assert s.get('/app.js').text == 'js'
    assert where(s.get('/users/7/')) == '/users/7'
    assert s.get('/build/').status == 403


def test_drupal(weir):
    s = weir('''
        location / { try_files $uri @rewrite; }
        location @rewrite { rewrite ^/(.*)$ /index.php?q=$1; }
        location ~ ^/sites/.*/private/ { return 403; }
        location ~ (^|/)\\. { return 403; }
        location ~ /vendor/.*\\.php$ { deny all; return 404; }
        location ~ '\\.php$|^/update.php' { return 200 "php $uri $args"; }
        location ~ ^/sites/.*/files/styles/ { try_files $uri @rewrite; }
    ''', files={'html/a.css': 'css'})
    assert s.get('/node/1?x=y').text == 'php /index.php q=node/1&x=y'
    assert s.get('/a.css').text == 'css'
    assert s.get('/.git/config').status == 403
    assert s.get('/sites/default/private/x').status == 403
    style = 'sites/d/files/styles/a.png'
    assert s.get('/' + style).text == 'php /index.php q=' + style


def test_hosts_and_schemes(weir):
    s = weir(servers='''server {
        listen 127.0.0.1:PORT;
        server_name example.test www.example.test old.test;
        if ($host ~* ^www\\.(.+)$) {
            set $bare $1;
            rewrite ^ $scheme://$bare$request_uri? permanent;
        }
        if ($host = old.test) { rewrite ^/(.*)$ https://new.test/$1 permanent; }
        if ($http_x_forwarded_proto = http) { return 301 https://$host$request_uri; }
        if ($scheme = https) { return 200 secure; }
        return 200 plain;
    }''')
    www = s.get('/a%20b?c=d', host='www.example.test')
    assert www['location'] == 'http://example.test/a%20b?c=d'
    assert s.get('/a?c=d', host='old.test')['location'] == 'https://new.test/a?c=d'
    forwarded = s.get('/a?c', host='example.test', headers={'X-Forwarded-Proto': 'http'})
    assert forwarded['location'] == 'https://example.test/a?c'
    assert s.get('/', host='example.test').text == 'plain'


def test_maintenance(weir):
    s = weir('''
        set $down 0;
        if (-f $document_root/maintenance.on) { set $down 1; }
        if ($remote_addr = 127.0.0.9) { set $down 0; }
        if ($uri = /health) { set $down 0; }
        if ($down) { return 503; }
        error_page 503 @maintenance;
        location @maintenance {
            rewrite ^ /maintenance.html break;
            add_header Retry-After 60 always;
        }
        location / { return 200 up; }
    ''', files={'html/maintenance.html': 'back soon'})
    assert s.get('/').text == 'up'
    (s.dir / 'html/maintenance.on').touch()
    answer = s.get('/shop?x')
    assert (answer.status, answer.text, answer['retry-after']) == (503, 'back soon', '60')
    assert s.get('/health').text == 'up'
    with s.connect(source='127.0.0.9') as c:
        assert c.ask('/').text == 'up'
    (s.dir / 'html/maintenance.on').unlink()
    assert s.get('/').text == 'up'


def test_hotlinks_and_robots(weir):
    s = weir('''
        location ~* \\.(png|jpe?g)$ {
            set $ours 1;
            if ($http_referer) { set $ours 0; }
            if ($http_referer ~* ^https?://([^/]*\\.)?a\\.test/) { set $ours 1; }
            if ($ours = 0) { return 403; }
            if ($http_user_agent ~* (badbot|wget)) { return 444; }
        }
    ''', files={'html/a.png': 'png'})
    assert s.get('/a.png').text == 'png'
    assert s.get('/a.png', headers={'Referer': 'http://www.a.test/x'}).text == 'png'
    assert s.get('/a.png', headers={'Referer': 'http://evil.test/a.test/'}).status == 403
    with s.connect() as c:
        c.send('GET /a.png HTTP/1.1\r\nHost: a.test\r\nUser-Agent: BadBot/1\r\n\r\n')
        assert c.closed()


def test_mobile_and_trials(weir):
    s = weir('''
        set $mobile "";
        if ($http_user_agent ~* "(android|iphone|ipod)") { set $mobile M; }
        if ($http_cookie ~ "full=1") { set $mobile "${mobile}F"; }
        if ($uri ~ ^/static/) { set $mobile "${mobile}S"; }
        if ($mobile = M) { rewrite ^/(.*)$ http://m.a.test/$1 redirect; }
        location / {
            root html/a;
            if ($args ~ (^|&)variant=b(&|$)) { root html/b; add_header X-Variant b; }
            if ($cookie_variant = b) { root html/b; add_header X-Variant b; }
        }
    ''', files={'html/a/x': 'A', 'html/b/x': 'B'})
    phone = {'User-Agent': 'Mozilla (iPhone; x)'}
    assert s.get('/x?y', headers=phone)['location'] == 'http://m.a.test/x?y'
    assert s.get('/x', headers=dict(phone, Cookie='full=1')).text == 'A'
    assert s.get('/static/x', headers=phone).status == 404
    assert s.get('/x').text == 'A' and 'x-variant' not in s.get('/x').headers
    for answer in (s.get('/x?a=1&variant=b'), s.get('/x', headers={'Cookie': 'variant=b'})):
        assert (answer.text, answer['x-variant']) == ('B', 'b')
    assert s.get('/x?variant=bb').text == 'A'


def test_front_controllers_and_clean_addresses(weir):
    s = weir('''
        rewrite ^/(.*)/+$ /$1 permanent;
        if ($request_uri ~ ^/(.*)\\.html(\\?|$)) { return 301 /$1$is_args$args; }
        location / { if (-f $request_filename.html) { rewrite ^(.*)$ $1.html break; } }
        location /api/ { rewrite ^/api/(v\\d+)/(.*)$ /$2?api=$1 break; return 200 "$uri $args"; }
        location /api2/ { rewrite ^/api2/(v\\d+)/(.*)$ /api2x/$2?api=$1 last; }
        location /api2x/ { return 200 "$uri $args"; }
    ''', files={'html/about.html': 'about'})
    assert s.get('/about').text == 'about'
    assert where(s.get('/about.html?x=1')) == '/about?x=1'
    assert where(s.get('/about///')) == '/about'
    assert s.get('/api2/v2/users?id=1').text == '/api2x/users api=v2&id=1'


def test_answers_to_other_origins(weir):
    s = weir('''
        location / {
            set $origin "";
            if ($http_origin ~* ^https?://([a-z0-9-]+\\.)?a\\.test$) { set $origin $http_origin; }
            add_header Access-Control-Allow-Origin $origin always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $origin;
                add_header Access-Control-Allow-Methods "GET, POST";
                return 204;
            }
        }
    ''')
    asked = s.get('/x', method='OPTIONS', headers={'Origin': 'https://app.a.test'})
    assert asked.status == 204 and asked['access-control-allow-methods'] == 'GET, POST'
    assert asked['access-control-allow-origin'] == 'https://app.a.test'
    got = s.get('/file.txt', headers={'Origin': 'http://a.test'})
    assert got['access-control-allow-origin'] == 'http://a.test'
    assert 'access-control-allow-methods' not in got.headers
    evil = s.get('/file.txt', headers={'Origin': 'http://a.test.evil'})
    assert 'access-control-allow-origin' not in evil.headers


def test_a_status_as_a_way_to_a_named_location(weir):
    s = weir('''
        set $site one;
        error_page 418 = @other;
        recursive_error_pages on;
        location / {
            root html/$site;
            if ($request_method = POST) { return 418; }
            if ($cookie_site) { set $site $cookie_site; }
        }
        location @other { set $site two; return 200 "other $uri $args $site"; }
    ''', files={'html/one/x': '1', 'html/two/x': '2'})
    assert s.get('/x').text == '1'
    assert s.get('/x', headers={'Cookie': 'site=two'}).text == '2'
    assert s.get('/x', headers={'Cookie': 'site=../one'}).status == 404
    other = s.get('/x?y', method='POST', body=b'z')
    assert (other.status, other.text) == (200, 'other /x y two')


# ---- what is wrong ----------------------------------------------------------------------------

@pytest.mark.one_engine
def test_mistakes_are_told(weir):
    s = weir('location / { if ($a == b) { } set $uri x; }', start=False)
    r = s.command('-t')
    assert r.returncode == 1
    assert '"==" is not an operator of a condition' in r.stderr and 'did you mean `=`?' in r.stderr
    assert '`$uri` cannot be set' in r.stderr and 'rewrite ^ /new/path;' in r.stderr
