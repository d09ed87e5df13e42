"""early_hints: read, checked and inherited; what it decides is looked at by its unit test."""
import pytest


@pytest.mark.parametrize('line', ['early_hints $http_sec_fetch_mode;',
                                  'early_hints "$arg_a$arg_b" 1; location /x { early_hints 0; }'])
def test_it_changes_no_answer_of_ours(weir, line):
    s = weir(line)
    assert s.get('/file.txt', headers={'Sec-Fetch-Mode': 'navigate'}).status == 200


@pytest.mark.one_engine
@pytest.mark.parametrize('line, says', [
    ('early_hints;', 'early_hints'),
    ('early_hints $no_such;', 'no_such'),
    ('early_hints 1; early_hints 0;', 'early_hints'),
    ('if ($arg_a) { early_hints 1; }', 'early_hints')])
def test_mistakes(weir, line, says):
    run = weir(line, start=False).command('-t')
    assert run.returncode == 1 and says in run.stderr, run.stderr
