"""geoip2: what a database knows of an address."""
import os
import subprocess
import time

import pytest

from conftest import BINARY
from mmdb import database

CITY = {'country': {'iso_code': 'DE', 'names': {'en': 'Germany', 'de': 'Deutschland'}},
        'location': {'latitude': 52.5, 'accuracy_radius': 100}, 'big': 1 << 40, 'eu': True,
        'below': -7, 'subdivisions': [{'iso_code': 'BE'}]}
ENTRIES = {'127.0.0.0/8': CITY, '203.0.113.0/24': {'country': {'iso_code': 'FR'}},
           '2001:db8::/32': {'country': {'iso_code': 'IS'}}}

VALUES = '''$iso default=XX country iso_code; $name country names de; $lat location latitude;
    $radius location accuracy_radius; $big big; $eu eu; $below below; $part subdivisions 0 iso_code;
    $given default=? source=$arg_ip country iso_code; $whole country; $none country nothing;
    $built metadata build_epoch; $changed metadata last_change;'''



@pytest.fixture
def site(weir):
    def make(more='', values=VALUES, entries=None):
        s = weir(start=False, http='GEO', servers='SERVER')
        (s.dir / 'city.mmdb').write_bytes(database(entries or ENTRIES))
        s.rewrite(s.conf.read_text().replace('GEO', f'geoip2 city.mmdb {{ {values} }} {more}')
                  .replace('SERVER', f'''server {{ listen 127.0.0.1:{s.port};
            location /all {{ return 200
                "$iso|$name|$lat|$radius|$big|$eu|$below|$part|$whole|$none|$built"; }}
            location /ip {{ return 200 "$given"; }} location /iso {{ return 200 "$iso"; }} }}'''))
        s.start()
        return s
    return make


def test_values(site):
    s = site()
    assert s.get('/all').text == \
        'DE|Deutschland|52.50000|100|1099511627776|1|-7|BE|||1700000000'


@pytest.mark.parametrize('ip, said', [
    ('127.1.2.3', 'DE'), ('203.0.113.255', 'FR'), ('203.0.114.0', '?'), ('2001:db8::1', 'IS'),
    ('2001:db9::1', '?'), ('::ffff:203.0.113.1', 'FR'), ('', '?'), ('nonsense', '?'),
    ('1.2.3', '?')])
def test_addresses(site, ip, said):
    assert site().get(f'/ip?ip={ip}').text == said


def test_behind_proxies(site):
    s = site('geoip2_proxy 127.0.0.0/8; geoip2_proxy_recursive on;')
    assert s.get('/iso').text == 'DE'
    assert s.get('/iso', headers={'X-Forwarded-For': '203.0.113.9, 127.0.0.5'}).text == 'FR'
    assert s.get('/iso', headers={'X-Forwarded-For': '198.51.100.1'}).text == 'XX'
    s = site()
    assert s.get('/iso', headers={'X-Forwarded-For': '203.0.113.9'}).text == 'DE'


def replace(s, content):
    (s.dir / 'next').write_bytes(content)
    os.rename(s.dir / 'next', s.dir / 'city.mmdb')


def becomes(s, said):
    end = time.time() + 10
    while s.get('/iso').text != said:
        assert time.time() < end
        time.sleep(0.02)


def test_a_file_that_is_replaced(site):
    s = site(values='auto_reload 50ms; ' + VALUES)
    assert s.get('/iso').text == 'DE'
    replace(s, database({'127.0.0.0/8': {'country': {'iso_code': 'AT'}}}))
    becomes(s, 'AT')
    replace(s, b'no database')
    end = time.time() + 10
    while 'the new file is no database; the old one stays' not in s.file('error.log', contains=''):
        assert time.time() < end
        assert s.get('/iso').text == 'AT'
        time.sleep(0.02)
    replace(s, database({'127.0.0.0/8': {'country': {'iso_code': 'CH'}}}))
    becomes(s, 'CH')


def test_without_auto_reload_a_reload_does_it(site):
    s = site()
    assert s.get('/iso').text == 'DE'
    replace(s, database({'127.0.0.0/8': {'country': {'iso_code': 'AT'}}}))
    assert s.command('-s', 'reload').returncode == 0
    assert s.get('/iso').text == 'AT'


@pytest.mark.one_engine
@pytest.mark.parametrize('text, says', [
    ('geoip2 none.mmdb { }', 'cannot be opened as a database: No such file or directory'),
    ('geoip2 weir.conf { }', 'cannot be opened as a database: '),
    ('geoip2 good.mmdb { country iso_code; }', '"country" is no variable'),
    ('geoip2 good.mmdb { $x; }', 'it does not say what of an entry the variable is'),
    ('geoip2 good.mmdb { $x metadata colour; }', 'nothing that is known of a database'),
    ('geoip2 good.mmdb { auto_reload never; }', 'this is no interval'),
    ('geoip2 good.mmdb { $host country; }', '$host'),
])
def test_mistakes(engine, tmp_path, text, says):
    (tmp_path / 'good.mmdb').write_bytes(database(ENTRIES))
    (tmp_path / 'weir.conf').write_text(f'events {{ }} http {{ {text} }}')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', f'{tmp_path}/weir.conf'],
                         capture_output=True, text=True)
    assert run.returncode == 1 and says in run.stderr, run.stderr
