#!/usr/bin/env python3
"""check.py - runs every kind of test of one build and closes with one line: N passed, N failed.

  check.py BUILD [--no-story] [--no-lint]

Counts each meson test and each story by itself. Exit status 1 if anything failed or was skipped.
"""
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as tree

ROOT = pathlib.Path(__file__).resolve().parent.parent
AGAIN_MAX = 25


def meson_tests(build, lint):
    command = ['meson', 'test', '-C', str(build), '--print-errorlogs']
    if not lint:
        command += ['--no-suite', 'lint']
    subprocess.run(command)
    passed, failed = 0, []
    for line in (build / 'meson-logs' / 'testlog.json').read_text().splitlines():
        test = json.loads(line)
        if test['result'] in ('OK', 'EXPECTEDFAIL'):
            passed += 1
        else:
            failed.append(f"{test['name']}: {test['result']}")
    return passed, failed


def pytest(build, report, *words):
    """Runs stories; the names of those that passed, and of those that did not."""
    report.unlink(missing_ok=True)
    env = dict(os.environ, WEIR=str(build.resolve() / 'weir'))
    subprocess.run(['/usr/bin/python3', '-m', 'pytest', '-q', f'--junitxml={report}',
                    '-o', f"cache_dir={build.resolve() / 'pytest'}", *words,
                    str(ROOT / 'tests' / 'story')], env=env)
    good, bad = set(), set()
    if not report.exists():
        return good, {'the stories did not run'}
    for case in tree.parse(report).getroot().iter('testcase'):
        wrong = [k.tag for k in case if k.tag in ('failure', 'error', 'skipped')]
        (bad if wrong else good).add(f"story {case.get('classname')}.{case.get('name')}")
    return good, bad


def stories(build):
    """Eight at a time, as they wait more than they work. One that fails beside others is told once
    more, alone, and then has to hold: what is wrong with the server fails both times, what a busy
    machine did does not."""
    good, bad = pytest(build, build / 'story.xml', '-n', '8')
    if 0 < len(bad) <= AGAIN_MAX and good:
        print('once more, alone:', *sorted(bad), sep='\n  ')
        more, bad = pytest(build, build / 'story-again.xml', '--last-failed')
        good |= more
    return len(good - bad), sorted(bad)


def main():
    build = pathlib.Path(sys.argv[1])
    passed, failed = meson_tests(build, '--no-lint' not in sys.argv)
    if '--no-story' not in sys.argv:
        more, bad = stories(build)
        passed += more
        failed += bad
    for name in failed:
        print('FAILED', name)
    print(f'{passed} passed, {len(failed)} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
