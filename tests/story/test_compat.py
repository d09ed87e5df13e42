"""weir compat: what of nginx configurations weir has."""
import json
import subprocess

from conftest import BINARY

SITE = '''server {
    listen 80; root /srv; image_filter size; image_filter test;
    types_hash_max_size 2048;
    map $a $b { proxy_cache 1; }
    location / { proxy_pass http://x; made_up on; }
}
stream { server { listen 1; proxy_pass y; } }
'''


def run(*args):
    return subprocess.run([BINARY, 'compat', *map(str, args)], capture_output=True, text=True,
                          timeout=20)


def test_a_folder(tmp_path):
    (tmp_path / 'sites-enabled').mkdir()
    (tmp_path / 'sites-enabled' / 'shop').write_text(SITE)
    (tmp_path / 'nginx.conf').write_text('http { include sites-enabled/*; sendfile on; }\n')
    (tmp_path / 'notes.txt').write_text('not a configuration')
    r = run(tmp_path)
    shop = tmp_path / 'sites-enabled' / 'shop'
    assert r.returncode == 1 and r.stderr == ''
    lines = r.stdout.splitlines()
    assert lines[0].split() == ['unknown', '1', 'made_up'] and lines[1].strip() == f'{shop}:5'
    assert 'missing      2  image_filter  ngx_http_image_filter_module' in lines
    assert lines.count(f'                {shop}:2') == 2
    assert any(line.split()[:3] == ['missing', '1', 'proxy_pass'] for line in lines)    # in stream
    assert any(line.split() == ['notice', '1', 'types_hash_max_size'] for line in lines)
    assert 'proxy_cache' not in r.stdout
    assert lines[-1].startswith('2 files, 17 directives: ')


def test_json(tmp_path):
    (tmp_path / 'a.conf').write_text(SITE)
    found = json.loads(run('--json', tmp_path / 'a.conf').stdout)
    rows = {(u['name'], u['weir']): u for u in found['list']}
    assert rows['image_filter', 'missing']['places'] == [
        {'file': str(tmp_path / 'a.conf'), 'line': 2}] * 2
    assert rows['proxy_pass', 'same']['count'] == rows['proxy_pass', 'missing']['count'] == 1
    assert sum(found[w] for w in ('same', 'notice', 'missing', 'unknown')) == found['directives']


def test_all_is_there(tmp_path):
    (tmp_path / 'a.conf').write_text('events {} http { server { listen 80; } }')
    r = run(tmp_path / 'a.conf')
    assert (r.returncode, r.stdout) == (
        0, '1 files, 4 directives: 100.0 % the same, 0 ignored with a notice, 0 missing, '
           '0 unknown\n')


def test_broken_files_count_as_far_as_they_go(tmp_path):
    (tmp_path / 'a.conf').write_text('http { server { listen 80; "\n')
    assert run(tmp_path / 'a.conf').returncode in (0, 1)


def test_wrong_paths_and_words(tmp_path):
    assert run().returncode == 2 and run('--yaml').returncode == 2
    r = run(tmp_path / 'none')
    assert r.returncode == 2 and 'No such file' in r.stderr
    assert run(tmp_path).returncode == 2            # nothing in it
    assert run('--help').returncode == 0
