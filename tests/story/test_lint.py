"""weir lint: each rule with a file that has what it looks for and one that has not."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from conftest import BINARY, ROOT

pytestmark = pytest.mark.one_engine


def lint(tmp_path, text, *words, status=None):
    conf = tmp_path / 'weir.conf'
    conf.write_text(text)
    run = subprocess.run([BINARY, 'lint', '-c', conf, *words], capture_output=True, text=True,
                         timeout=20)
    assert status is None or run.returncode == status, run.stdout + run.stderr
    return run


def findings(tmp_path, text, *words):
    run = lint(tmp_path, text, '--format', 'json', *words)
    assert run.stderr == '', run.stderr
    return json.loads(run.stdout)


def server(body):
    return f'http {{ server {{ listen 80; root /srv/www;\n{body}\n}} }}'


def two(first, second):
    return f'http {{ server {{ {first} }}\nserver {{ {second} }} }}'


# rule, severity, with, without, what the message or help must say
RULES = [
    ('access-order', 'warning', server('deny all; allow 10.0.0.0/8;'),
     server('allow 10.0.0.0/8; deny all;'), 'never asked'),
    ('add-header-dropped', 'warning',
     server('add_header X-A 1; add_header X-B 2; location / { add_header x-a 3; }'),
     server('add_header X-A 1; location / { add_header X-A 2; add_header X-C 3; }'), 'X-B'),
    ('add-header-dropped', 'warning',
     'http { add_header X-A 1; server { location / { if ($a) { add_header B 1; } } } }',
     'http { add_header X-A 1; server { add_header_inherit merge; add_header B 1; } }', 'X-A'),
    ('alias-slash', 'error', server('location /i { alias /data/i/; }'),
     server('location /i/ { alias /data/i/; } location /j { alias /data/j; }'), '/i../'),
    ('alias-slash', 'error', server('location ^~ /i/ { alias /data/i; }'),
     server('location ~ ^/i/(.*)$ { alias /data/i/$1; } location = /k { alias /k; }'),
     'alias /data/i/;'),
    ('autoindex-root', 'warning', server('location / { autoindex on; }'),
     server('location / { autoindex off; } location /files/ { autoindex on; }'), 'listed'),
    ('dead-location', 'warning', server('location ~ \\.a$ { } location ~ \\.a$ { }'),
     server('location ~ \\.a$ { } location ~* \\.a$ { } location /a { }'), 'never reached'),
    ('dead-location', 'warning', server('location /a { } location ~ ^/ { }'),
     server('location ^~ /a { } location = /b { } location /c { location ~ c$ { } } '
            'location ~ ^/ { }'), 'catches all'),
    ('dead-location', 'warning', server('location ~ .* { } location ~ \\.b$ { }'),
     server('location ~ \\.b$ { } location ~ .* { }'), 'catches all'),
    ('dead-location', 'warning', server('location ^~ /a/ { } location ~ ^/a/b\\.php$ { }'),
     server('location ^~ /a/ { } location ~ ^/a?/b\\.php$ { } location ~ ^/(a|b)/ { } '
            'location ~ /a/x { }'), '/a/'),
    ('dead-location', 'warning', server('location ^~ / { } location ~ x$ { }'),
     server('location ^~ / { } location /y/ { } location ~ x$ { }'), 'never reached'),
    ('dead-location', 'warning', server('return 301 /x; location /a { }'),
     server('if ($a) { return 301 /x; } location /a { }'), 'return'),
    ('dead-location', 'warning', server('set $a 1; location /a { } return 301 /x;'),
     server('rewrite ^/a /b last; return 301 /x; location /b { }'), 'answers before'),
    ('dead-rewrite', 'warning', server('location / { return 204; set $a 1; }'),
     server('location / { set $a 1; return 204; }'), 'never run'),
    ('default-server', 'note', two('listen 80;', 'listen *:80; server_name b;'),
     two('listen 80;', 'listen 0.0.0.0:80 default_server;'), 'first'),
    ('default-server', 'note', two('', 'listen 80; server_name b;'),
     two('listen 80;', 'listen 81;'), '2 servers are on *:80'),
    ('host-header', 'warning', server('proxy_set_header host $http_host;'),
     server('proxy_set_header Host $host; proxy_set_header X-Host $http_host;'), '$host'),
    ('if-file', 'warning', server('location / { if (!-f $request_filename) { return 404; } }'),
     server('location / { if (-f /srv/closed) { return 503; } }'), 'try_files'),
    ('if-host', 'warning', server('if ($host = www.a.test) { return 301 https://a.test; }'),
     server('if ($request_method = POST) { return 405; }'), 'server_name'),
    ('if-trap', 'warning', server('location / { if ($a) { proxy_pass http://b; } }'),
     server('location / { if ($a) { set $b 1; return 204; } }'), '`proxy_pass`'),
    ('line-feed', 'error', server('return 301 https://a.test$uri;'),
     server('return 301 https://a.test$request_uri; location /b { return 200 $uri; }'),
     '$request_uri'),
    ('line-feed', 'error', server('rewrite ^ https://a.test${document_uri}? permanent;'),
     server('rewrite ^ /x$uri last; set $uri_x 1; add_header X $uri_x;'), 'decoded path'),
    ('line-feed', 'error', server('location ~ ^/a/([^/]*)$ { return 302 http://a.test/$1; }'),
     server('location ~ ^/a/([^/\\s]*)$ { return 302 http://a.test/$1; } '
            'location ~ ^/b/(.*)$ { return 302 /$1; }'), '$1'),
    ('line-feed', 'error', server('location ~ "^/(?<x>[^/]{2})$" { add_header Location /$x; }'),
     server('location ~ "^/(?<x>\\w{2})$" { add_header Location /$x; }'), '$x'),
    ('line-feed', 'error', server('location / { proxy_pass http://b$uri; }'),
     server('location / { proxy_pass http://b$request_uri; }'), 'proxy_pass'),
    ('line-feed', 'error', server('if ($uri ~ ^/(\\S\\s+)) { return 301 /x/$1; }'),
     server('if ($request_uri ~ ^/([^/]+)) { return 301 /x/$1; }'), 'line feed'),
    ('api-open', 'error', server('location /api/ { api write=on; }'),
     server('location /api/ { api write=on; allow 127.0.0.1; deny all; } '
            'location /look/ { api; }'), 'everybody can change'),
    ('merge-slashes-off', 'warning', server('merge_slashes off;'), server('merge_slashes on;'),
     '//admin'),
    ('php-any-file', 'warning', server('location ~ \\.php$ { fastcgi_pass p; }'),
     server('location ~ \\.php$ { try_files $uri =404; fastcgi_pass p; } '
            'location ~ ^/index\\.php(/|$) { fastcgi_pass p; } '
            'location ~ \\.php5$ { if (!-f $document_root$fastcgi_script_name) { return 404; } '
            'fastcgi_pass p; }'), 'try_files'),
    ('referer-none', 'note', server('valid_referers none server_names;'),
     server('valid_referers blocked server_names;'), 'Referer'),
    ('regex-dot', 'warning', server('location ~ .php$ { }'), server('location ~ \\.php$ { }'),
     '\\.php$'),
    ('regex-dot', 'warning', server('location ~* /a.(?:jpg|png)$ { }'),
     server('location ~* ^/(.+)$ { } location ~ [.]js$ { } location ~ /.*\\.css$ { }'),
     '\\.(?:jpg|png)$'),
    ('regex-dot', 'warning', server('server_name ~^www\\.a.test$;'),
     server('server_name ~^(.+)\\.a\\.test$ ~^.*b$ a.b.test;'), 'a\\.test'),
    ('regex-risky', 'warning', server('location ~ ^/(a+)+$ { }'),
     server('location ~ ^/(a+/)+$ { } location ~ ^/(a+b)*c+$ { }'), '(a+)+'),
    ('regex-risky', 'warning', server('rewrite ^/((?:.*)*)x /y;'),
     server('rewrite ^/(.*)/(.*)$ /y;'), '(?:.*)*'),
    ('regex-risky', 'warning', server('if ($http_a ~* "^(\\w|[a-c])*$") { return 400; }'),
     server('if ($http_a ~* "^(\\d|[a-c])*$") { return 400; }'), '(\\w|[a-c])*'),
    ('regex-risky', 'warning', 'http { map $a $b { ~*^(x*y*)*$ 1; } }',
     'http { map $a $b { ~^(?>x+)*$ 1; ~^(x++)*$ 2; } }', '(x*y*)*'),
    ('regex-risky', 'warning', server('server_name ~^([a-z]+\\.?)+$;'),
     server('server_name "~^([a-z]+\\.)+[a-z]{2,}$";'), 'many ways'),
    ('resolver-public', 'warning', server('resolver 192.168.0.1 8.8.8.8:53 valid=30s;'),
     server('resolver 127.0.0.1 10.0.0.1:53 172.20.0.1 [::1] [fd00::1]:53 dns.a ipv6=off;'),
     '8.8.8.8'),
    ('resolver-public', 'warning', server('resolver [2001:4860::8888];'),
     server('resolver 100.64.0.1 169.254.0.1;'), '2001:4860::8888'),
    ('root-location', 'note',
     'http { server { location / { root /a; } location /b { index b; } } }',
     'http { server { location / { root /a; } location /b { proxy_pass http://b; } } }',
     'built-in'),
    ('root-location', 'note', 'http { server { location / { try_files $uri =404; } } }',
     'http { root /srv; server { location / { try_files $uri =404; } } }', 'root /srv/www;'),
    ('root-system', 'error', server('location /a/ { root /; }'),
     server('location /a/ { root /srv/a; }'), 'passwords'),
    ('root-system', 'error', server('location /a/ { alias /etc/; }'),
     server('location /a/ { alias /etc/a/; }'), '/etc/'),
    ('server-name-twice', 'warning',
     two('listen 80; server_name a.test;', 'listen *:80; server_name b.test A.test;'),
     two('listen 80; server_name a.test;', 'listen 81; server_name a.test;'), '`A.test`'),
    ('server-tokens', 'note', server('server_tokens on;'), server('server_tokens off;'),
     'version'),
    ('weak-tls', 'warning', server('ssl_protocols TLSv1.2 TLSv1.1;'),
     server('ssl_protocols TLSv1.2 TLSv1.3;'), 'TLSv1.1'),
]


@pytest.mark.parametrize('case', range(len(RULES)))
def test_rule(tmp_path, case):
    rule, severity, bad, good, said = RULES[case]
    found = [f for f in findings(tmp_path, bad) if f['rule'] == rule]
    assert len(found) == 1, found
    assert found[0]['severity'] == severity
    assert said in found[0]['message'] + found[0]['help'] + found[0]['source']
    assert [f for f in findings(tmp_path, good) if f['rule'] == rule] == []
    assert findings(tmp_path, bad, '--rule', rule) == found
    assert rule not in [f['rule'] for f in findings(tmp_path, bad, '--no-rule', rule)]


def table():
    out = subprocess.run([BINARY, 'lint', '--rules'], capture_output=True, text=True).stdout
    return [line.split(None, 2) for line in out.splitlines()]


def test_every_rule_has_a_case():
    assert {name for name, _, _ in table()} == {case[0] for case in RULES}
    assert {(name, level) for name, level, _ in table()} == {case[:2] for case in RULES}


def test_the_manual_has_the_table():
    text = (ROOT / 'docs' / 'lint.md').read_text()
    written = re.findall(r'^### (\S+)\n\n\*(\w+)\.\* (.*)$', text, re.M)
    assert [list(row) for row in written] == table()


EXAMPLE = re.compile(r'^### (\S+)\n.*?^# not\n(.*?)\n\n# but\n(.*?)\n```', re.M | re.S)


def test_the_manual_has_good_examples(tmp_path):
    examples = EXAMPLE.findall((ROOT / 'docs' / 'lint.md').read_text())
    assert len(examples) == len(table())
    for rule, bad, good in examples:
        wrap = server if 'server {' not in bad else 'http {{\n{}\n}}'.format
        assert findings(tmp_path, wrap(bad), '--rule', rule) != [], rule
        wrap = server if 'server {' not in good else 'http {{\n{}\n}}'.format
        assert findings(tmp_path, wrap(good), '--rule', rule) == [], rule


# ---- how it is told --------------------------------------------------------------------------

BAD = '''http {
    server {
        # ä
        server_tokens on;
        location /i {
            alias "/data/ä/"  ;
        }
        merge_slashes  off;
    }
}
'''


def test_text_shows_the_place(tmp_path):
    run = lint(tmp_path, BAD, '--no-rule', 'root-location', status=1)
    assert run.stdout.splitlines()[4:8] == [
        f'{tmp_path}/weir.conf:6:19: error: the location `/i` has no slash at its end but its '
        f'alias has: /i../ is the folder above "/data/ä/" [alias-slash]',
        '    6 |             alias "/data/ä/"  ;',
        '      |                   ^~~~~~~~~~',
        '      = help: location /i/ { alias /data/ä/; }']
    assert run.stdout.endswith('1 errors, 1 warnings, 1 notes\n')


@pytest.mark.parametrize('text, status', [
    (server(''), 0),
    (server('server_tokens on;'), 0),
    (server('merge_slashes off;'), 1),
    (server('merge_slashes off'), 2),
    (server('include absent.conf;'), 2),
])
def test_the_exit_status(tmp_path, text, status):
    lint(tmp_path, text, status=status)


def test_a_broken_file_is_told_and_searched(tmp_path):
    run = lint(tmp_path, server('merge_slashes off;\ninclude absent.conf;'), status=2)
    assert 'merge-slashes-off' in run.stdout
    assert 'weir.conf:3:9: error: cannot read' in run.stderr


def test_unknown_directives_are_no_matter(tmp_path):
    assert findings(tmp_path, server('no_such_thing { at all; } proxy_pass x;')) == []


def test_includes(tmp_path):
    (tmp_path / 'sites').mkdir()
    (tmp_path / 'sites' / 'a.conf').write_text('\nserver_tokens on;\n')
    run = lint(tmp_path, 'http { server { include sites/*.conf; }\n'
                         'server { listen 81; include sites/a.conf; } }', status=0)
    assert run.stdout.count('[server-tokens]') == 1
    assert f'{tmp_path}/sites/a.conf:2:15: note: ' in run.stdout
    assert f'= note: included from {tmp_path}/weir.conf:1' in run.stdout


def test_json(tmp_path):
    found = findings(tmp_path, BAD, '--rule', 'alias-slash')
    assert [(f['file'], f['line'], f['column']) for f in found] == \
        [(f'{tmp_path}/weir.conf', 6, 19)]
    assert found[0]['source'] == '            alias "/data/ä/"  ;'
    assert findings(tmp_path, server('')) == []


def test_json_of_bytes_that_are_no_text(tmp_path):
    text = b'http { server { merge_slashes off; } # \xff \xc3( "\\\t\n}'
    (tmp_path / 'weir.conf').write_bytes(text)
    run = subprocess.run([BINARY, 'lint', '-c', tmp_path / 'weir.conf', '--format', 'json'],
                         capture_output=True)
    assert json.loads(run.stdout.decode())[0]['source'].endswith('# \ufffd \ufffd( "\\\t')


def test_sarif(tmp_path):
    run = lint(tmp_path, BAD.replace('alias', '"ä" {} alias'), '--format', 'sarif', status=1)
    sarif = json.loads(run.stdout)
    assert sarif['version'] == '2.1.0' and sarif['$schema'].endswith('sarif-2.1.0.json')
    (only,) = sarif['runs']
    rules = only['tool']['driver']['rules']
    assert [r['id'] for r in rules] == [name for name, _, _ in table()]
    assert all(r['shortDescription']['text'] and
               r['defaultConfiguration']['level'] in ('note', 'warning', 'error') for r in rules)
    assert only['columnKind'] == 'unicodeCodePoints'
    results = {r['ruleId']: r for r in only['results']}
    assert set(results) >= {'alias-slash', 'merge-slashes-off', 'server-tokens'}
    for rule, result in results.items():
        assert rules[result['ruleIndex']]['id'] == rule and result['message']['text']
        assert result['level'] == rules[result['ruleIndex']]['defaultConfiguration']['level']
    place = results['alias-slash']['locations'][0]['physicalLocation']
    assert place['artifactLocation']['uri'] == f'file://{tmp_path}/weir.conf'
    line = BAD.replace('alias', '"ä" {} alias').splitlines()[5]
    assert place['region'] == {'startLine': 6, 'startColumn': line.index('"/data') + 1}
    assert json.loads(lint(tmp_path, server(''), '--format', 'sarif').stdout)['runs'][0][
        'results'] == []


# ---- what the file wants unsaid ---------------------------------------------------------------

@pytest.mark.parametrize('text, count', [
    ('merge_slashes off;', 1),
    ('merge_slashes off; # weir-lint: off merge-slashes-off', 0),
    ('merge_slashes off; # weir-lint: off server-tokens, merge-slashes-off', 0),
    ('merge_slashes off; # weir-lint: off server-tokens', 1),
    ('# weir-lint: off merge-slashes-off\nmerge_slashes off;', 0),
    ('# weir-lint: off merge-slashes-off\n\nmerge_slashes off;', 1),
    ('gzip on; # weir-lint: off merge-slashes-off\nmerge_slashes off;', 1),
    ('# weir-lint: off merge-slashes-off\nmerge_slashes\n  off;', 0),
    ('merge_slashes off; # weir-lint: off merge', 1),
])
def test_suppression(tmp_path, text, count):
    assert len(findings(tmp_path, server(text))) == count


# ---- the command line --------------------------------------------------------------------------

@pytest.mark.parametrize('words, said', [
    (['--nonsense'], 'no option "--nonsense"'),
    (['--format'], 'missing behind "--format"'),
    (['--format', 'xml'], 'text, json and sarif, not "xml"'),
    (['--rule', 'nothing'], 'no rule (see weir lint --rules) "nothing"'),
])
def test_a_wrong_command_line(words, said):
    run = subprocess.run([BINARY, 'lint', *words], capture_output=True, text=True)
    assert run.returncode == 2 and said in run.stderr and 'usage' in run.stderr


def test_several_rules(tmp_path):
    found = findings(tmp_path, BAD, '--rule', 'alias-slash', '--rule', 'server-tokens')
    assert [f['rule'] for f in found] == ['server-tokens', 'alias-slash']


def test_a_relative_file(tmp_path):
    (tmp_path / 'x.conf').write_text(server('merge_slashes off; include y.conf;'))
    (tmp_path / 'y.conf').write_text('server_tokens on;')
    run = subprocess.run([BINARY, 'lint', '-c', 'x.conf'], capture_output=True, text=True,
                         cwd=tmp_path)
    assert 'x.conf:2:15' in run.stdout and 'y.conf:1:15' in run.stdout


def test_whole_configurations():
    """Ours, and those of others if there are any (WEIR_CONF_SAMPLES: whole ones, parts, templates):
    each can be searched, and the report is JSON."""
    folders = [ROOT / 'conf', pathlib.Path(os.environ.get('WEIR_CONF_SAMPLES', ROOT / 'demo'))]
    for path in sorted(p for f in folders for p in f.rglob('*.conf')):
        run = subprocess.run([BINARY, 'lint', '-c', path, '--format', 'json'],
                             capture_output=True, text=True, timeout=20)
        assert run.returncode in (0, 1, 2), run.stderr
        levels = {f['severity'] for f in json.loads(run.stdout)}
        assert run.returncode == 2 or run.returncode == (levels - {'note'} != set()), path
        assert (run.stderr != '') == (run.returncode == 2), path


def test_own_configurations_have_no_errors():
    for path in [ROOT / 'conf/weir.conf', *sorted(pathlib.Path(ROOT / 'conf/examples').iterdir())]:
        run = subprocess.run([BINARY, 'lint', '-c', path], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
