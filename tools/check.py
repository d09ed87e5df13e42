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


def stories(build):
    report = build / 'story.xml'
    report.unlink(missing_ok=True)
    env = dict(os.environ, WEIR=str(build.resolve() / 'weir'))
    subprocess.run(['/usr/bin/python3', '-m', 'pytest', '-q', '-n', '4', '-p', 'no:cacheprovider',
                    f'--junitxml={report}', str(ROOT / 'tests' / 'story')], env=env)
    if not report.exists():
        return 0, ['the stories did not run']
    passed, failed = 0, []
    for case in tree.parse(report).getroot().iter('testcase'):
        bad = [child.tag for child in case if child.tag in ('failure', 'error', 'skipped')]
        if bad:
            failed.append(f"story {case.get('classname')}.{case.get('name')}: {bad[0]}")
        else:
            passed += 1
    return passed, failed


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
