#!/usr/bin/env python3
"""gen_sources.py - writes src/<layer>/meson.build from what is in the folder; run it after adding
or removing a file. `--check` says which lists are out of date and exits 1."""
import pathlib
import sys

LAYERS = ['base', 'io', 'wire', 'conf', 'net', 'http', 'proto', 'filter', 'handler', 'bench',
          'upstream', 'server', 'tool']
TEST_ONLY = {'io/sim'}


def listing(folder):
    files = sorted(p.name for p in folder.glob('*.c'))
    only = [f for f in files if any(f'{folder.name}/{f}'.startswith(t) for t in TEST_ONLY)]
    text = '# Made by tools/gen_sources.py.\nsources += files(\n'
    text += ''.join(f"    '{f}',\n" for f in files if f not in only) + ')\n'
    if only:
        text += 'test_sources += files(\n' + ''.join(f"    '{f}',\n" for f in only) + ')\n'
    return text


def main():
    root = pathlib.Path(__file__).resolve().parent.parent / 'src'
    stale = []
    for layer in LAYERS:
        path, text = root / layer / 'meson.build', listing(root / layer)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path))
        if '--check' not in sys.argv:
            path.write_text(text)
    if '--check' in sys.argv and stale:
        print('out of date (run tools/gen_sources.py):', *stale)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
