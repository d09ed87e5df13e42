"""The API: how the server and its upstreams are doing, and servers added, changed and removed."""
import json
import re

import pytest

from conftest import ROOT
from upstreams import Upstream, reply

HTTP = '''upstream one { zone one; server 127.0.0.1:PA weight=2;
                         server 127.0.0.1:PB backup max_conns=7; }
          upstream fixed { server 127.0.0.1:PA; }
          upstream even { zone even; hash $uri consistent; server 127.0.0.1:PA; }'''
BODY = '''location /api/ { api write=on; } location /look { api; }
          location / { proxy_pass http://one; status_zone all; }
          location /even/ { proxy_pass http://even; }
          status_zone site;'''


@pytest.fixture
def two():
    apps = [Upstream(reply(name)) for name in ('one', 'two')]
    yield apps
    for app in apps:
        app.close()


def port(app):
    return app.at.rpartition(':')[2]


@pytest.fixture
def s(weir, two):
    http = HTTP.replace('PA', port(two[0])).replace('PB', port(two[1]))
    return weir(BODY, http=http, servers=None)


def ask(s, path, method='GET', body=None, status=200, root='/api/9/'):
    text = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    a = s.get(root + path, method=method, body=text or b'')
    assert a.status == status, (a.status, a.body)
    if not a.body:
        return None
    assert a['content-type'] == 'application/json' and a['cache-control'] == 'no-store'
    return json.loads(a.body)


def error(s, path, method='GET', body=None, status=404, root='/api/9/'):
    a = ask(s, path, method, body, status, root)
    assert a['error']['status'] == status and a['error']['text']
    assert re.fullmatch('[0-9a-f]{32}', a['request_id']) and a['href'].startswith('https://')
    return a['error']['code']


SERVERS = 'http/upstreams/one/servers'


def test_the_server(s):
    assert json.loads(s.get('/api/').body) == [9] == json.loads(s.get('/look').body)
    assert ask(s, '') == ['nginx', 'processes', 'connections', 'http']
    assert ask(s, 'http/') == ['requests', 'server_zones', 'location_zones', 'upstreams']
    about = ask(s, 'nginx')
    assert about['generation'] == 1 and about['pid'] == s.worker()
    assert about['ppid'] == s.process.pid and about['address'] == '127.0.0.1'
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', about['load_timestamp'])
    assert ask(s, 'nginx?fields=version,pid').keys() == {'version', 'pid'}
    assert ask(s, 'processes') == {'respawned': 0}
    connections = ask(s, 'connections')
    assert connections['active'] >= 1 and connections['accepted'] >= 7
    assert connections['dropped'] == 0
    requests = ask(s, 'http/requests')
    assert requests['current'] >= 1 and requests['total'] >= 9


def test_errors(s):
    assert error(s, 'nonsense') == 'PathNotFound'
    assert error(s, 'http/upstreams/one/nonsense') == 'PathNotFound'
    assert error(s, '', root='/api/8/') == 'UnknownVersion'
    assert error(s, 'http/upstreams/none') == 'UpstreamNotFound'
    assert error(s, 'http/upstreams/none/servers', 'POST', {}) == 'UpstreamNotFound'
    assert error(s, 'http/upstreams/fixed/servers', status=400) == 'UpstreamStatic'
    assert error(s, SERVERS + '/77') == 'UpstreamServerNotFound'
    assert error(s, SERVERS + '/x', status=400) == 'UpstreamBadServerId'
    assert error(s, SERVERS, 'POST', {'server': '127.0.0.1:1'}, 405, '/look/9/') == \
        'MethodDisabled'
    assert error(s, 'nginx', 'DELETE', status=405) == 'MethodDisabled'
    assert error(s, SERVERS, 'POST', b'{nonsense', 415) == 'JsonError'
    assert error(s, SERVERS, 'POST', b'', 415) == 'JsonError'
    assert error(s, SERVERS, 'POST', [], 400) == 'UpstreamConfFormatError'
    assert error(s, SERVERS, 'POST', {'weight': 1}, 400) == 'UpstreamConfFormatError'
    assert error(s, SERVERS, 'POST', b'x' * 100000, 413) == 'BodyReadError'
    assert error(s, 'http/upstreams/even/servers', 'POST',
                 {'server': '127.0.0.1:1', 'backup': True}, 400) == 'UpstreamNoBackup'
    for wrong, code in (({'server': ''}, 'UpstreamBadAddress'),
                        ({'server': 7}, 'UpstreamBadAddress'),
                        ({'server': 'a b'}, 'UpstreamBadAddress'),
                        ({'server': '127.0.0.1:1;'}, 'UpstreamBadAddress'),
                        ({'weight': 0}, 'UpstreamBadWeight'),
                        ({'weight': '1'}, 'UpstreamBadWeight'),
                        ({'max_conns': -1}, 'UpstreamBadMaxConns'),
                        ({'max_fails': 1.5}, 'UpstreamBadMaxFails'),
                        ({'fail_timeout': 'soon'}, 'UpstreamBadFailTimeout'),
                        ({'slow_start': []}, 'UpstreamConfFormatError'),
                        ({'slow_start': 'x'}, 'UpstreamBadSlowStart'),
                        ({'route': 'x' * 65}, 'UpstreamBadRoute'),
                        ({'route': 'a;b'}, 'UpstreamBadRoute'),
                        ({'service': ''}, 'UpstreamBadService'),
                        ({'down': 1}, 'UpstreamConfFormatError'),
                        ({'wieght': 1}, 'UpstreamConfFormatError'),
                        ({'service': 'http'}, 'UpstreamBadAddress')):
        body = dict({'server': '127.0.0.1:1'}, **wrong)
        assert error(s, SERVERS, 'POST', body, 400) == code, wrong
    assert error(s, SERVERS + '/0', 'PATCH', {'backup': True}, 400) == 'UpstreamConfFormatError'
    assert len(ask(s, SERVERS)) == 2


def test_an_upstream(s, two):
    for _ in range(3):
        assert s.get('/').text == 'one'
    up = ask(s, 'http/upstreams/one')
    assert up['zone'] == 'one' and up['zombies'] == 0
    first, second = up['peers']
    assert first['id'] == 0 and second['id'] == 1
    assert first['server'] == first['name'] == two[0].at and second['server'] == two[1].at
    assert first['weight'] == 2 and second['backup'] and second['max_conns'] == 7
    assert first['state'] == 'up' and first['active'] == 0 and first['requests'] == 3
    assert first['responses'] == {'1xx': 0, '2xx': 3, '3xx': 0, '4xx': 0, '5xx': 0, 'total': 3}
    assert first['received'] == 3 * len(reply('one'))
    assert first['sent'] == 3 * len('GET / HTTP/1.1\r\nHost: one\r\n\r\n')
    assert first['selected'] and 'selected' not in second
    assert first['health_checks'] == {'checks': 0, 'fails': 0, 'unhealthy': 0}
    assert list(ask(s, 'http/upstreams')) == ['one', 'fixed', 'even']
    assert ask(s, 'http/upstreams?fields=') == ['one', 'fixed', 'even']
    assert ask(s, 'http/upstreams?fields=zone') == {'one': {'zone': 'one'}, 'fixed': {},
                                                    'even': {'zone': 'even'}}
    assert ask(s, 'http/upstreams/one?fields=zombies') == {'zombies': 0}
    s.command('-s', 'reload')
    assert ask(s, 'http/upstreams/one')['peers'][0]['requests'] == 3    # counts go on
    assert ask(s, 'http/upstreams/one', 'DELETE', status=204) is None
    assert ask(s, 'http/upstreams/one')['peers'][0]['requests'] == 0


def test_a_server_that_fails(s, two):
    two[0].close()
    assert s.get('/').text == 'two'
    first = ask(s, 'http/upstreams/one')['peers'][0]
    assert first['state'] == 'unavail' and first['fails'] == 1 and first['unavail'] == 1
    assert first['downstart'] and first['responses']['total'] == 0


def test_servers(s, two):
    plain = {'id': 0, 'server': two[0].at, 'weight': 2, 'max_conns': 0, 'max_fails': 1,
             'fail_timeout': '10s', 'slow_start': '0s', 'route': '', 'backup': False, 'down': False}
    assert ask(s, SERVERS)[0] == ask(s, SERVERS + '/0') == plain
    made = ask(s, SERVERS, 'POST', {'server': '127.0.0.1:9', 'weight': 5, 'fail_timeout': '1500ms',
                                    'slow_start': 30, 'down': True}, 201)
    assert made == dict(plain, id=2, server='127.0.0.1:9', weight=5, fail_timeout='1500ms',
                        slow_start='30s', down=True)
    assert error(s, SERVERS, 'POST', {'server': '127.0.0.1:9'}, 409) == 'EntryExists'
    a = s.get('/api/9/' + SERVERS, method='POST', body=b'{"server":"127.0.0.1:8"}')
    assert a.status == 201 and a['location'].endswith('/api/9/http/upstreams/one/servers/3/')
    left = ask(s, SERVERS + '/2', 'DELETE')
    assert [x['id'] for x in left] == [0, 1, 3]
    assert error(s, SERVERS + '/2', 'DELETE') == 'UpstreamServerNotFound'
    assert ask(s, SERVERS, 'POST', {'server': '127.0.0.1:9'}, 201)['id'] == 4   # never twice


def test_who_is_asked(s, two):
    both = {two[0].at: 'one', two[1].at: 'two'}
    third = Upstream(reply('three'))
    assert s.get('/').text == 'one'
    made = ask(s, SERVERS, 'POST', {'server': third.at, 'weight': 2}, 201)
    assert [s.get('/').text for _ in range(4)].count('three') == 2
    assert ask(s, SERVERS + '/0', 'PATCH', {'down': True})['down'] is True
    assert {s.get('/').text for _ in range(4)} == {'three'}
    assert ask(s, 'http/upstreams/one')['peers'][0]['state'] == 'down'
    assert ask(s, f'{SERVERS}/{made["id"]}', 'PATCH', {'drain': True})['drain'] is True
    assert {s.get('/').text for _ in range(4)} == {'two'}       # the backup
    assert ask(s, SERVERS + '/0', 'PATCH', {'down': False})['down'] is False
    assert {s.get('/').text for _ in range(4)} == {'one'}
    for number in (0, 1, made['id']):
        ask(s, f'{SERVERS}/{number}', 'DELETE')
    assert s.get('/').status == 502
    ask(s, SERVERS, 'POST', {'server': two[1].at}, 201)
    assert s.get('/').text == both[two[1].at]
    moved = ask(s, SERVERS, 'GET')[0]['id']
    assert ask(s, f'{SERVERS}/{moved}', 'PATCH', {'server': two[0].at, 'route': 'r'}) == \
        dict(ask(s, f'{SERVERS}/{moved}'), server=two[0].at, route='r')
    assert s.get('/').text == 'one'
    third.close()


def test_a_ring_follows(s, two):
    servers = 'http/upstreams/even/servers'
    paths = [f'/even/{i}' for i in range(40)]
    assert {s.get(p).text for p in paths} == {'one'}
    made = ask(s, servers, 'POST', {'server': two[1].at}, 201)
    before = {p: s.get(p).text for p in paths}
    assert 8 < list(before.values()).count('two') < 32
    ask(s, f'{servers}/{made["id"]}', 'PATCH', {'weight': 10})
    after = {p: s.get(p).text for p in paths}
    assert list(after.values()).count('two') > 30
    assert all(after[p] == 'two' for p in paths if before[p] == 'two')
    ask(s, f'{servers}/{made["id"]}', 'DELETE')
    assert {s.get(p).text for p in paths} == {'one'}


def test_a_request_in_flight(weir):
    def slow(peer, asked):
        import time
        time.sleep(1)
        peer.send(reply('slow'))
    app = Upstream(slow)
    s = weir('location /api/ { api write=on; } location / { proxy_pass http://one; }',
             http=f'upstream one {{ zone one; server {app.at}; server 127.0.0.1:1 down; }}')
    with s.connect() as c:
        c.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        while not ask(s, 'http/upstreams/one')['peers'][0]['active']:
            pass
        ask(s, SERVERS + '/0', 'DELETE')
        up = ask(s, 'http/upstreams/one')
        assert up['zombies'] == 1 and [p['id'] for p in up['peers']] == [1]
        assert c.answer().text == 'slow'
    assert ask(s, 'http/upstreams/one')['zombies'] == 0
    app.close()


def test_zones(s, two):
    s.get('/')
    s.get('/')
    s.get('/even/')
    zone = ask(s, 'http/location_zones/all')
    assert zone['requests'] == 2 and zone['responses']['2xx'] == 2 and zone['discarded'] == 0
    assert zone['responses']['codes'] == {'200': 2} and zone['sent'] > 100 and zone['received'] > 40
    site = ask(s, 'http/server_zones')['site']
    assert site['requests'] == 4 and site['processing'] == 1
    assert ask(s, 'http/server_zones?fields=') == ['site']
    assert error(s, 'http/server_zones/all') == 'ServerZoneNotFound'
    assert error(s, 'http/location_zones/site') == 'LocationZoneNotFound'
    s.command('-s', 'reload')
    assert ask(s, 'http/location_zones/all')['requests'] == 2
    assert ask(s, 'http/location_zones/all', 'DELETE', status=204) is None
    assert ask(s, 'http/location_zones/all')['requests'] == 0


@pytest.mark.one_engine
def test_words(weir):
    s = weir('location /api { api write=maybe; }', start=False)
    r = s.command('-t')
    assert r.returncode == 1 and 'write=on or write=off' in r.stderr


@pytest.mark.one_engine
def test_the_most_servers(s):
    c = s.connect()
    for i in range(998):
        if i == 500:
            c = s.connect()
        a = c.ask('/api/9/' + SERVERS, method='POST',
                  body=b'{"server":"127.0.1.%d:%d","down":true}' % (i % 250, i + 1))
        assert a.status == 201, a.body
    assert error(s, SERVERS, 'POST', {'server': '127.0.0.1:1'}, 500) == 'UpstreamOutOfMemory'
    assert len(ask(s, 'http/upstreams/one')['peers']) == 1000
    assert s.get('/').text == 'one'
    ask(s, SERVERS + '/500', 'DELETE')
    assert ask(s, SERVERS, 'POST', {'server': '127.0.0.1:1'}, 201)['id'] == 1000


# ---- docs/openapi.json ---------------------------------------------------------------------

DOC = json.loads((ROOT / 'docs' / 'openapi.json').read_text())
TYPES = {'integer': int, 'string': str, 'boolean': bool, 'object': dict, 'array': list}


def fits(value, schema, at='answer'):
    """The part of JSON schema that the document uses."""
    if '$ref' in schema:
        schema = DOC['components']['schemas'][schema['$ref'].rpartition('/')[2]]
    assert type(value) is TYPES[schema['type']], (at, value, schema['type'])
    assert value in schema.get('enum', [value]), (at, value)
    for i, one in enumerate(value if isinstance(value, list) else ()):
        fits(one, schema['items'], f'{at}[{i}]')
    if not isinstance(value, dict):
        return
    assert set(schema.get('required', ())) <= set(value), (at, value)
    for name, one in value.items():
        more = schema.get('properties', {}).get(name, schema.get('additionalProperties'))
        assert more, f'{at}.{name} is not in the document'
        fits(one, more, f'{at}.{name}')


def test_the_document(s, two):
    two[0].close()
    s.get('/')
    seen, bodies = set(), {'post': {'server': '127.0.0.1:9', 'drain': True}, 'patch': {'weight': 2}}
    for path, methods in DOC['paths'].items():
        for method in ('get', 'post', 'patch', 'delete'):
            if method not in methods:
                continue
            zone = 'site' if 'server_zones' in path else 'all'
            for names in ({'zone': zone, 'upstream': 'one', 'id': '1'},
                          {'zone': 'no', 'upstream': 'no', 'id': '99'}):
                url = '/api' + path.format(**names)
                a = s.get(url, method=method.upper(),
                          body=json.dumps(bodies[method]).encode() if method in bodies else b'')
                said = methods[method]['responses'][str(a.status)]
                seen.add((path, method, a.status))
                if a.status == 204:
                    assert not a.body and 'content' not in said
                    continue
                fits(json.loads(a.body), said['content']['application/json']['schema'], url)
    assert len({(p, m) for p, m, status in seen if status < 300}) == \
        sum(m in ('get', 'post', 'patch', 'delete') for p in DOC['paths'].values() for m in p)
