"""num_map: values that depend on how large a number is."""
import subprocess

import pytest

from conftest import BINARY

MAPS = '''
num_map $arg_n $size { <-10 far-below; <0 below; 0 zero; 0.5 half; <=10 small; 20-30 twenties;
                       >=100000000000 huge; >100 large; default other; }
num_map $arg_n $only { 7 seven; }
num_map $arg_n $value { >5 "more than $arg_n"; default $size; }
num_map $status $bad { >=400 yes; default no; }
num_map $arg_n $each { volatile; default "$arg_n"; }
'''


@pytest.fixture
def site(shared):
    return shared('''
        location /say { return 200 "$size|$only|$value|$each"; }
        location /bad { add_header X-Bad $bad always; return 404; }
        location /good { add_header X-Bad $bad always; return 200 ok; }''', http=MAPS)


@pytest.mark.parametrize('n, size', [
    ('-11', 'far-below'), ('-10', 'below'), ('-0.000001', 'below'), ('0', 'zero'), ('-0', 'zero'),
    ('0.0', 'zero'), ('000', 'zero'), ('0.5', 'half'), ('0.50', 'half'), ('.5', 'half'),
    ('0.51', 'small'), ('10', 'small'), ('10.000001', 'other'), ('20', 'twenties'),
    ('25.5', 'twenties'), ('30', 'twenties'), ('30.1', 'other'), ('100', 'other'),
    ('100.1', 'large'), ('99999999999', 'large'),
    ('999999999999', 'huge'), ('9999999999999', 'other'), ('', 'other'),
    ('x', 'other'), ('5x', 'other'), ('-', 'other'), ('5.', 'other'), ('.', 'other'),
    ('1e3', 'other'), ('0x10', 'other')])
def test_numbers(site, n, size):
    assert site.get(f'/say?n={n}').text.split('|')[0] == size


def test_values(site):
    assert site.get('/say?n=7').text == 'small|seven|more than 7|7'
    assert site.get('/say?n=3').text == 'small||small|3'
    assert site.get('/bad')['x-bad'] == 'yes' and site.get('/good')['x-bad'] == 'no'


@pytest.mark.one_engine
@pytest.mark.parametrize('text, says', [
    ('num_map $arg_n $x { many 1; }', '"many" is not what a number is compared with'),
    ('num_map $arg_n $x { 5-3 1; }', '"5-3" is not what'),
    ('num_map $arg_n $x { >5-7 1; }', '">5-7" is not what'),
    ('num_map $arg_n $x { 1234567890123 1; }', 'is not what a number'),
    ('num_map $arg_n $x { 5; }', '"5" needs one value'),
    ('num_map $arg_n $x { default 1; default 2; }', 'default has a value already'),
    ('num_map $arg_n x { }', '"x"'),
    ('num_map $arg_n $host { }', '$host'),
])
def test_mistakes(engine, tmp_path, text, says):
    (tmp_path / 'weir.conf').write_text(f'events {{ }} http {{ {text} }}')
    run = subprocess.run([BINARY, '-t', '-p', f'{tmp_path}/', '-c', f'{tmp_path}/weir.conf'],
                         capture_output=True, text=True)
    assert run.returncode == 1 and says in run.stderr, run.stderr
