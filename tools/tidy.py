#!/usr/bin/env python3
"""tidy.py - the house rules that a machine can check; `make lint` runs it through meson.

  tidy.py [ROOT] [RULE ...]      no RULE: all of them. Prints a line per complaint, exits 1 if any.

A rule is a function here whose name is in RULES; it yields its complaints. STYLE.md says why each
of them exists.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

RANK = {'base': 0, 'io': 1, 'wire': 1, 'conf': 1, 'net': 2, 'http': 2,
        'proto': 3, 'filter': 3, 'handler': 3, 'bench': 3, 'upstream': 4,
        'server': 5, 'tool': 6, '': 7}
# values without I/O: an address, and what the kernel says of a socket
AGREED = {('http', 'net/addr.h'), ('http', 'net/tcp_info.h')}
BANNED_CALLS = {
    'strcpy': 'slice_copy', 'strcat': 'gather', 'sprintf': 'snprintf', 'vsprintf': 'vsnprintf',
    'gets': 'nothing', 'atoi': 'slice_to_u64', 'atol': 'slice_to_u64', 'strtok': 'slice_split',
    'alloca': 'arena_alloc', 'malloc': 'arena_alloc or slab_take', 'system': 'nothing',
    'rand': 'getrandom', 'localtime': 'clock', 'gmtime': 'clock', 'asctime': 'clock',
    'signal': 'sigaction', 'usleep': 'a timer',
}
MAY_MALLOC = ('src/base/', 'src/conf/', 'src/server/', 'src/io/')
KERNEL_HEADERS = {'sys/epoll.h', 'poll.h', 'liburing.h', 'sys/select.h'}
NO_IO = ('src/http/', 'src/wire/', 'src/conf/')
IO_HEADERS = {'sys/socket.h', 'pthread.h', 'sys/uio.h', 'sys/sendfile.h', 'threads.h'}
FEATURE_TESTS = ('src/base/', 'src/io/')
BANNED_NAMES = re.compile(r'\b(?:ctx|data|info|mgr|handle|process|do_\w+|tmp)\b'
                          r'|\b[a-z]\w*_(?:ctx|mgr)\b')
FUNCTION_MAX, FILE_MAX, LINE_MAX = 70, 600, 100

COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def sources(root, *folders):
    for folder in folders or ('src',):
        yield from sorted(p for p in (root / folder).rglob('*') if p.suffix in ('.c', '.h'))


def blank(match):
    """Comments and texts become blanks, so that lines and columns stay where they are."""
    return re.sub(r'[^\n]', ' ', match[0])


def name_of(root, path):
    return path.relative_to(root).as_posix()


def home_of(path, root):
    return path.parent.name if path.parent != root / 'src' else ''


# ---- the rules ------------------------------------------------------------------------------

def shape(root):
    """Files open with a comment and are short; so are lines."""
    for path in sources(root, 'src', 'tests'):
        name, text = name_of(root, path), path.read_text()
        lines = text.splitlines()
        if not text.startswith('/*'):
            yield f'{name}:1: a file opens with a comment that says what it is for'
        elif not lines[0].startswith(f'/* {path.name} '):
            yield f'{name}:1: the opening comment begins with the name of the file'
        if len(lines) > FILE_MAX and ' - made by tools/' not in lines[0]:
            yield f'{name}: {len(lines)} lines; {FILE_MAX} is the most'
        for n, line in enumerate(lines, 1):
            if len(line) > LINE_MAX:
                yield f'{name}:{n}: longer than {LINE_MAX} columns'
            if line != line.rstrip() or '\t' in line:
                yield f'{name}:{n}: a tab, or blanks at the end of the line'
            if re.search(r'\b(?:TODO|FIXME|XXX|HACK)\b', line):
                yield f'{name}:{n}: an open point belongs into an issue, not into the code'
    for path in sorted((root / 'tools').glob('*.py')) + sorted((root / 'tests').rglob('*.py')):
        for n, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > LINE_MAX:
                yield f'{name_of(root, path)}:{n}: longer than {LINE_MAX} columns'


def arrows(root):
    """A file includes its own folder and lower ones; the kernel's waiting is in io/ only."""
    for path in sources(root):
        name, home = name_of(root, path), home_of(path, root)
        for n, line in enumerate(path.read_text().splitlines(), 1):
            if m := re.match(r'\s*#\s*include\s+"((\w+)/[^"]+)"', line):
                if m[2] != home and RANK.get(m[2], 9) >= RANK[home] and (home, m[1]) not in AGREED:
                    yield f'{name}:{n}: {home or "main"} may not include {m[2]}: arrows point down'
            elif re.match(r'\s*#\s*include\s+"', line):
                yield f'{name}:{n}: an include names its folder'
            if m := re.match(r'\s*#\s*include\s+<([^>]+)>', line):
                if m[1] in KERNEL_HEADERS and not name.startswith('src/io/'):
                    yield f'{name}:{n}: only io/ includes <{m[1]}>'
                if m[1] in IO_HEADERS and name.startswith(NO_IO):
                    yield f'{name}:{n}: {home} does no I/O and knows no thread: <{m[1]}>'
            if re.match(r'\s*#\s*if(?:def|ndef)?\b', line) and not name.startswith(FEATURE_TESTS):
                if not (path.suffix == '.h' and re.match(r'#ifndef [A-Z0-9_]+_H$', line)):
                    yield f'{name}:{n}: #if belongs into base/ and io/; let meson choose a file'


def calls(root):
    """Calls that cannot be used well."""
    for path in sources(root):
        name = name_of(root, path)
        text = COMMENT_OR_TEXT.sub(blank, path.read_text())
        for n, line in enumerate(text.splitlines(), 1):
            for m in re.finditer(r'(?<![\w.>])(\w+)\(', line):
                if m[1] not in BANNED_CALLS:
                    continue
                if m[1] == 'malloc' and name.startswith(MAY_MALLOC):
                    continue
                yield f'{name}:{n}: {m[1]} is banned; use {BANNED_CALLS[m[1]]}'


def names(root):
    """Words that say nothing do not name a variable, a function or a type."""
    for path in sources(root):
        text = COMMENT_OR_TEXT.sub(blank, path.read_text())
        for n, line in enumerate(text.splitlines(), 1):
            if re.match(r'\s*#', line):
                continue
            for m in BANNED_NAMES.finditer(line):
                before = line[:m.start()]
                if before.endswith(('.', '->')):
                    continue                    # a member of a structure that is not ours
                yield f'{name_of(root, path)}:{n}: "{m[0]}" says nothing about what it is'


def length(root):
    """A function is at most 70 lines."""
    files = [str(p) for p in sources(root, 'src', 'tests') if p.suffix == '.c']
    if not shutil.which('ctags'):
        yield 'ctags is missing: make deps-dev'
        return
    out = subprocess.run(['ctags', '--kinds-C=f', '--fields=+ne', '--output-format=json', '-f-',
                          *files], capture_output=True, text=True).stdout
    for tag in map(json.loads, out.splitlines()):
        lines = tag.get('end', 0) - tag['line'] + 1
        if lines > FUNCTION_MAX:
            place = name_of(root, pathlib.Path(tag['path']))
            yield (f"{place}:{tag['line']}: {tag['name']} has {lines} lines; "
                   f"{FUNCTION_MAX} is the most")


def headers(root):
    """Every header compiles alone."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    all_headers = [p for p in sources(root) if p.suffix == '.h']

    def one(path):
        with tempfile.NamedTemporaryFile('w', suffix='.c') as source:
            source.write(f'#include "{path.relative_to(root / "src").as_posix()}"\n')
            source.flush()
            r = subprocess.run([compiler, '-std=gnu17', '-D_GNU_SOURCE', '-fsyntax-only',
                                '-I', str(root / 'src'), source.name],
                               capture_output=True, text=True)
        return path, r.stderr.splitlines()[:3] if r.returncode else []

    with ThreadPoolExecutor(2) as pool:
        for path, errors in pool.map(one, all_headers):
            if errors:
                yield f'{name_of(root, path)}: does not compile alone: ' + ' | '.join(errors)


def guards(root):
    """A header's guard is FOLDER_FILE_H."""
    for path in sources(root):
        if path.suffix != '.h' or path.name.endswith('_rows.h'):
            continue
        want = re.sub(r'\W', '_', f'{home_of(path, root)}_{path.stem}_H').upper()
        if f'#ifndef {want}\n#define {want}\n' not in path.read_text():
            yield f'{name_of(root, path)}: the guard should be {want}'


def reasons(root):
    """Every close reason has a test that names it."""
    table = (root / 'src/http/reasons.h').read_text()
    tests = ''.join(p.read_text() for folder in ('story', 'sim')
                    for p in sorted((root / 'tests' / folder).rglob('*'))
                    if p.suffix in ('.py', '.c', '.h'))
    for reason in re.findall(r'^\s*X\((\w+),', table, re.M):
        if not re.search(rf'\b(?:CLOSE_)?{reason}\b', tests):
            yield f'src/http/reasons.h: no test in tests/story or tests/sim names {reason}'


def architecture(root):
    """Every `folder/file.c: function` in ARCHITECTURE.md exists."""
    text = (root / 'ARCHITECTURE.md').read_text()
    found = re.findall(r'`((?:src/)?\w+/\w+\.[ch]|main\.c):\s+(\w+)`', text)
    if len(found) < 10:
        yield 'ARCHITECTURE.md: the life of a request names its functions as `file.c: function`'
    for file, function in found:
        path = root / 'src' / file.removeprefix('src/')
        if not path.exists():
            yield f'ARCHITECTURE.md: {file} does not exist'
        elif not re.search(rf'^[^\s#/].*\b{function}\b(?:\(|\[| =|$)', path.read_text(), re.M):
            yield f'ARCHITECTURE.md: there is no {function} in {file}'
    for file in re.findall(r'`(\w+/\w+\.[ch])`', text):
        if not (root / 'src' / file).exists():
            yield f'ARCHITECTURE.md: {file} does not exist'
    for page in sorted((root / 'docs').rglob('*.md')) + sorted(root.glob('*.md')):
        for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', page.read_text()):
            if not (page.parent / link).exists():
                yield f'{name_of(root, page)}: the link to {link} leads nowhere'


def layout(root):
    """clang-format has nothing to change."""
    tool = shutil.which('clang-format-14') or shutil.which('clang-format')
    if tool is None:
        yield 'clang-format is missing: make deps-dev'
        return
    files = [str(p) for p in sources(root, 'src', 'tests')]
    r = subprocess.run([tool, '--dry-run', '--ferror-limit=1', *files], capture_output=True,
                       text=True)
    seen = set()
    for m in re.finditer(r'^(\S+?):(\d+):\d+: warning: code should be clang-formatted', r.stderr,
                         re.M):
        if m[1] not in seen:
            seen.add(m[1])
            yield f'{name_of(root, pathlib.Path(m[1]))}:{m[2]}: not formatted: make fmt'


def places(root):
    """Nothing in the tree depends on where somebody keeps it."""
    listed = subprocess.run(['git', '-C', str(root), 'ls-files'], capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        path = root / name
        if not path.is_file() or name == 'tools/tidy.py':
            continue
        for n, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
            if re.search(r'(?<![\w.])/work/|\.\./shared\b', line):
                yield f'{name}:{n}: a path of one machine'


RULES = [shape, arrows, calls, names, length, guards, headers, reasons, architecture, layout,
         places]


def main():
    words = sys.argv[1:]
    wanted = [w for w in words if w in {r.__name__ for r in RULES}]
    root = pathlib.Path(next((w for w in words if w not in wanted), '.')).resolve()
    complaints = []
    for rule in RULES:
        if not wanted or rule.__name__ in wanted:
            complaints += rule(root)
    print('\n'.join(complaints) if complaints else 'tidy')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
