"""map: variables that are looked up, as configurations use them."""
import subprocess

import pytest

from conftest import BINARY

MAPS = r'''
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
map $http_user_agent $is_bot { default 0; ~*(bot|spider|crawl) 1; "~^curl/" 2; }
map $uri $new_uri {
    /old /new;
    "/with space" /space;
    ~^/articles/(?<year>\d+)/(\w+)$ /posts/$year-$2;
    ~^/CASE /sensitive;
    ~*^/any /insensitive;
}
map $host $site {
    hostnames;
    default other;
    example.com exact;
    .dotted.com dotted;
    *.example.com star;
    *.deep.example.com deep;
    www.example.* tail;
    ~^api\d regex;
}
map $request_method $writes { POST yes; PUT yes; default no; }
map "$writes:$is_bot" $mixed { yes:0 person; default $connection_upgrade; }
map $arg_x $escaped { default none; \default word; \~tilde tilde; }
map $status $loggable { ~^[23] 0; default 1; }
map $arg_n $each { volatile; default "$arg_n-$connection_upgrade"; }
map $loop_b $loop_a { default $loop_b; }
map $loop_a $loop_b { default $loop_a; }
map $arg_e $empty { yes value; }
'''


@pytest.fixture
def site(shared):
    return shared(r'''
        location /say { return 200 "$connection_upgrade|$is_bot|$site|$writes|$mixed|$escaped"; }
        location /each { set $first $each; return 200 "$first $each"; }
        location /loop { return 200 "[$loop_a]"; }
        location /empty { add_header X-Empty $empty; return 200 ok; }
        location / { if ($new_uri) { return 301 $new_uri; } return 200 $uri; }
        ''', http=MAPS)


def say(site, query='', **headers):
    host = headers.pop('Host', 'a.test')
    a = site.get('/say' + query, host=host,
                 headers={k.replace('_', '-'): v for k, v in headers.items()})
    names = ('upgrade', 'bot', 'site', 'writes', 'mixed', 'escaped')
    return dict(zip(names, a.text.split('|')))


def test_keys_and_defaults(site):
    said = say(site)
    assert said['upgrade'] == 'close' and said['bot'] == '0' and said['writes'] == 'no'
    assert say(site, Upgrade='websocket')['upgrade'] == 'upgrade'
    assert said['mixed'] == 'close' and say(site, Upgrade='h')['mixed'] == 'upgrade'


@pytest.mark.parametrize('agent, bot', [('Mozilla', '0'), ('GoogleBot/2', '1'), ('curl/8', '2'),
                                        ('libcurl/8', '0'), ('xCRAWLx', '1')])
def test_regular_expressions_in_order(site, agent, bot):
    assert say(site, User_Agent=agent)['bot'] == bot


@pytest.mark.parametrize('host, is_site', [
    ('example.com', 'exact'), ('EXAMPLE.com', 'exact'), ('example.com.', 'exact'),
    ('a.example.com', 'star'), ('a.b.example.com', 'star'), ('x.deep.example.com', 'deep'),
    ('dotted.com', 'dotted'), ('a.dotted.com', 'dotted'), ('www.example.org', 'tail'),
    ('api7', 'regex'), ('elsewhere', 'other')])
def test_hostnames(site, host, is_site):
    assert say(site, Host=host)['site'] == is_site


@pytest.mark.parametrize('path, to', [
    ('/old', '/new'), ('/OLD', '/new'), ('/with%20space', '/space'),
    ('/articles/2021/title', '/posts/2021-title'), ('/CASE', '/sensitive'),
    ('/ANYthing', '/insensitive'), ('/case', None), ('/older', None)])
def test_redirects_from_a_list(site, path, to):
    a = site.get(path)
    if to is None:
        assert a.status == 200
    else:
        assert a.status == 301 and a['location'].endswith(to)


def test_escaped_keys(site):
    assert [say(site, f'?x={x}')['escaped'] for x in ('default', '~tilde', 'other')] == \
        ['word', 'tilde', 'none']


def test_made_of_maps_and_made_each_time(site):
    assert site.get('/each?n=7').text == '7-close 7-close'


def test_a_map_of_itself_ends(site):
    a = site.get('/loop')
    assert a.status == 500 and site.get('/say').status == 200


def test_an_empty_value_adds_no_field(site):
    assert site.get('/empty')['x-empty'] is None
    assert site.get('/empty?e=yes')['x-empty'] == 'value'


def test_conditional_log(weir):
    s = weir('access_log access.log combined if=$loggable; location /no { return 404; }',
             http='map $status $loggable { ~^[23] 0; default 1; }')
    s.get('/file.txt')
    s.get('/no')
    s.stop()
    lines = s.file('access.log').splitlines()
    assert len(lines) == 1 and '"GET /no' in lines[0]


def test_a_large_map_loads_and_is_included(weir):
    keys = ''.join(f'/k{n} v{n};\n' for n in range(20000))
    s = weir('return 200 "$v";', http='map $uri $v { include many.map; default none; }',
             files={'many.map': keys})
    assert s.get('/k19999').text == 'v19999' and s.get('/other').text == 'none'


MISTAKES = [
    ('map $a { x y; }', 'map'),
    ('map $uri v { x y; }', 'is not a variable'),
    ('map $uri $uri { x y; }', 'has a meaning of its own'),
    ('map $uri $v { x y; x z; }', 'has a value already'),
    ('map $uri $v { default y; default z; }', 'has a value already'),
    ('map $uri $v { x; }', 'has no value'),
    ('map $uri $v { ~( y; }', 'regular expression is wrong'),
    ('map $uri $v { x y z; }', 'argument'),
]


@pytest.mark.parametrize('text, says', MISTAKES)
def test_mistakes(tmp_path, text, says):
    text = f'events {{}}\nhttp {{ {text} server {{ listen 8080; }} }}\n'
    (tmp_path / 'weir.conf').write_text(text)
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', 'weir.conf'],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and says in run.stderr, run.stderr
