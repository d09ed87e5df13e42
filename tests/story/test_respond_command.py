"""weir respond: the same answer to all requests, without a configuration file."""
import subprocess
import time

import pytest

from conftest import BINARY, free_port


def run(*words):
    return subprocess.run([BINARY, 'respond', *map(str, words)], capture_output=True, text=True,
                          timeout=20)


@pytest.mark.one_engine
@pytest.mark.parametrize('words, says', [
    ([], 'usage: weir respond'), (['x'], 'not an address'), (['80', '--nonsense'], 'usage: weir'),
    (['80', '--status', '301'], 'expected 200 to 299'), (['80', '--fail', '101%'], '0% to 100%'),
    (['80', '--fail', '5'], '0% to 100%'), (['80', '--header', 'x'], "expected 'Name: value'"),
    (['80', '--size', 'big'], 'such as 64k'), (['80', '--delay', 'soon'], 'such as 20ms'),
    (['80', '--size', '1k', '--body', 'x'], 'neither --body nor --status'),
    (['80', '--body', '$x'], 'has a "$"'), (['80', '--fail', '60%', '--reset', '60%'], 'together'),
])
def test_mistakes(words, says):
    bad = run(*words)
    assert bad.returncode == 1 and says in bad.stderr


@pytest.mark.one_engine
def test_its_configuration():
    shown = run('81', '--fail', '0.25%', '--reset', '10%', '--print-config').stdout
    assert '0.25% fail;' in shown and '10.00% reset;' in shown and '* answer;' in shown


@pytest.mark.parametrize('words, says', [
    (['--body', 'say "a"', '--header', 'X-A: b c', '--status', '201'], 'say "a"|201|b c'),
    (['--size', '5', '--delay', '10ms'], 'weir |200|'),
    (['--fail', '100%', '--fail-status', '503'], '|503|'), (['--reset', '100%'], '|000|'),
])
def test_it_answers(engine, tmp_path, words, says):
    port = free_port()
    process = subprocess.Popen([BINARY, 'respond', f'127.0.0.1:{port}', '--engine', engine, *words],
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 15
        while True:
            got = subprocess.run(['curl', '-s', '-w', '|%{http_code}|%header{x-a}',
                                  f'http://127.0.0.1:{port}/'], capture_output=True, text=True)
            if got.returncode != 7 or time.monotonic() > end:
                break
            time.sleep(0.05)
        assert got.returncode == (52 if '--reset' in words else 0)
        assert got.stdout.endswith(says)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
