"""${ENV:NAME:-default}: the environment in arguments."""
import os
import signal
import time

import pytest

ENV = {'WEIR_STORY_TEXT': 'from outside', 'WEIR_STORY_EMPTY': '', 'WEIR_STORY_NAME': 'b.test',
       'WEIR_STORY_DOLLAR': 'uri'}


def test_values(weir):
    s = weir('server_name ${ENV:WEIR_STORY_NAME}; '
             'location = /a { return 200 "[${ENV:WEIR_STORY_TEXT}]"; } '
             'location = /b { return 200 "${ENV:WEIR_STORY_NONE:-default text},$uri"; } '
             'location = /c { return 200 [${ENV:WEIR_STORY_EMPTY:-}${ENV:WEIR_STORY_EMPTY:-x}]; } '
             'location = /d { return 200 "$${ENV:WEIR_STORY_DOLLAR}"; } '
             'location = /${ENV:WEIR_STORY_DOLLAR} { return 204; }', env=ENV)
    assert s.get('/a').text == '[from outside]'
    assert s.get('/b').text == 'default text,/b'
    assert s.get('/c').text == '[x]'
    assert s.get('/d').text == '/d'
    assert s.get('/uri', host='b.test').status == 204


def test_reload_and_a_new_worker(weir):
    """The worker has no environment of its own; the master tells it."""
    s = weir('location = /a { return 200 "${ENV:WEIR_STORY_TEXT} 1"; }', env=ENV)
    s.rewrite(s.conf.read_text().replace('} 1"', '} 2"'))
    s.signal(signal.SIGHUP)
    s.wait_log('the new configuration is in force')     # a worker killed before has the old one
    assert s.get('/a').text == 'from outside 2'

    os.kill(s.worker(), signal.SIGKILL)
    end = time.monotonic() + 5
    while True:
        try:
            assert s.get('/a').text == 'from outside 2'
            break
        except (OSError, EOFError):
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.one_engine
@pytest.mark.parametrize('text, says', [
    ('${ENV:WEIR_STORY_NONE}', 'the environment has no WEIR_STORY_NONE'),
    ('x${ENV:WEIR_STORY_NONE}', 'the environment has no WEIR_STORY_NONE'),
    ('${ENV:}', 'this is no name'), ('${ENV:1X}', 'this is no name: 1X')])
def test_mistakes(weir, text, says):
    s = weir(f'add_header X-A "{text}";', start=False, env=ENV)
    run = s.command('-t')
    assert run.returncode == 1 and says in run.stderr, run.stderr
    assert '${ENV:NAME:-default}' in run.stderr
