"""weir fmt: one form for configuration files, with nothing lost."""
import os
import pathlib
import random
import re
import stat
import subprocess

import pytest

from conftest import BINARY, ROOT

pytestmark = pytest.mark.one_engine

SAMPLES = os.environ.get('WEIR_CONF_SAMPLES')      # a folder of real configurations, if any


def fmt(*words, status=0, **kw):
    run = subprocess.run([BINARY, 'fmt', *map(str, words)], capture_output=True, timeout=60, **kw)
    assert run.returncode == status, run.stderr.decode()
    return run


def formatted(tmp_path, text):
    path = tmp_path / 'x.conf'
    path.write_text(text)
    return fmt('--stdout', path).stdout.decode()


# ---- a reader of its own, so that nothing of weir's decides what must stay ------------------

def lua_end(text, at):
    depth = 1
    while depth:
        c = text[at:at + 1]
        if m := re.match(rb'(?:--)?\[(=*)\[.*?\]\1\]', text[at:], re.S):
            at += m.end()
        elif m := re.match(rb'--[^\n]*', text[at:]):
            at += m.end()
        elif m := re.match(rb'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', text[at:], re.S):
            at += m.end()
        else:
            depth += {b'{': 1, b'}': -1}.get(c, 0)
            at += 1
    return at - 1


PIECE = re.compile(rb'\s+|(?P<comment>#[^\n]*)|(?P<mark>[;{}])|'
                   rb'(?P<word>"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|'
                   rb'(?:\\.|\$\{|[^\s;{\\])(?:\\.|(?<=\$)\{|[^\s;{\\])*)', re.S)


def tokens(text):
    at, found, name = 0, [], None
    while at < len(text):
        m = PIECE.match(text, at)
        assert m, text[at:at + 60]
        at = m.end()
        if m['comment']:
            found.append(m['comment'].rstrip(b' \t\r'))
        elif m['word']:
            found.append(m['word'])
            name = name or m['word']
        elif m['mark']:
            found.append(m['mark'])
            if m['mark'] == b'{' and name.endswith(b'_by_lua_block'):
                end = lua_end(text, at)
                found.append(text[at:end])
                at = end
            name = None
    return found


# ---- what it looks like ---------------------------------------------------------------------

MESSY = '''

# top
user   www;events{worker_connections 10;} # behind


http {
\tlog_format main  '$a "x"' # first
     '$b'
  "c\\n;{";   include   mime.types;
  map $uri $to { default 0; "~b{3}"   2; }
  server
  {
      # inside
      location ~ "\\.php$" { }
      if ($a = "b") { return 200 ${a}x; }
      content_by_lua_block {
   ngx.say("}") -- }
      }
      # last
  }
}
'''

NEAT = '''# top
user www;
events {
    worker_connections 10;
} # behind

http {
    log_format main '$a "x"' # first
        '$b'
        "c\\n;{";
    include mime.types;
    map $uri $to {
        default 0;
        "~b{3}" 2;
    }
    server {
        # inside
        location ~ "\\.php$" { }
        if ($a = "b") {
            return 200 ${a}x;
        }
        content_by_lua_block {
   ngx.say("}") -- }
      }
        # last
    }
}
'''


def test_one_form(tmp_path):
    assert formatted(tmp_path, MESSY) == NEAT
    assert formatted(tmp_path, NEAT) == NEAT


@pytest.mark.parametrize('text, wanted', [
    ('', ''),
    ('\n\n \n', ''),
    ('# only this', '# only this\n'),
    ('\ufeffa;', 'a;\n'),
    ('a;\r\nb c;  # d \r\n', 'a;\nb c; # d\n'),
    ('a b # one\n# two\n;', 'a b # one\n    # two\n    ;\n'),
    ('a # why\n{ b; }', 'a # why\n{\n    b;\n}\n'),
    ('a {\n\n\n# c\n\n\n}', 'a {\n\n    # c\n\n}\n'),
    ('a "x\n  y"\n\n z;', 'a "x\n  y"\n    z;\n'),
    ('a \\  b\\;c;', 'a \\  b\\;c;\n'),
    ('a{}b{}', 'a { }\nb { }\n'),
    ('a{ # c\n}', 'a { # c\n}\n'),
    ('a$ {b ${c}d$;}', 'a$ {\n    b ${c}d$;\n}\n'),
])
def test_small_texts(tmp_path, text, wanted):
    assert formatted(tmp_path, text) == wanted
    assert formatted(tmp_path, wanted) == wanted


def test_the_manual_is_in_the_form(tmp_path):
    text = (ROOT / 'docs' / 'fmt.md').read_text()
    (example,) = re.findall(r'^```nginx\n(.*?)^```', text, re.M | re.S)
    assert formatted(tmp_path, example) == example


# ---- files ----------------------------------------------------------------------------------

def test_check_names_what_would_change(tmp_path):
    good, bad = tmp_path / 'good', tmp_path / 'bad'
    good.write_text('a;\n')
    bad.write_text(' a;\n')
    run = fmt('--check', good, bad, status=1)
    assert run.stdout.decode().split() == [str(bad)]
    assert bad.read_text() == ' a;\n'
    assert fmt('--check', good).stdout == b''


def test_the_file_is_replaced_as_a_whole(tmp_path):
    real, link = tmp_path / 'real', tmp_path / 'link'
    real.write_text(' a;\n')
    real.chmod(0o640)
    link.symlink_to('real')
    before = real.stat()
    with open(real) as old:
        fmt(link)
        assert old.read() == ' a;\n'        # who had it open has the old text
    assert link.is_symlink() and real.read_text() == 'a;\n'
    after = real.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['link', 'real']


@pytest.mark.skipif(os.geteuid() != 0, reason='only root gives files away')
def test_the_owner_stays(tmp_path):
    path = tmp_path / 'x'
    path.write_text(' a;\n')
    os.chown(path, 12345, 23456)
    path.chmod(0o4751)
    fmt(path)
    st = path.stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (12345, 23456, 0o4751)


def test_a_file_in_its_form_is_not_touched(tmp_path):
    path = tmp_path / 'x'
    path.write_text('a;\n')
    before = path.stat()
    fmt(path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_broken_file_stays_and_the_others_are_done(tmp_path):
    broken, other = tmp_path / 'broken', tmp_path / 'other'
    text = 'events {\n  a "b;\n}\nhttp {'
    broken.write_text(text)
    other.write_text(' a;\n')
    run = fmt(broken, other, tmp_path / 'absent', status=2)
    said = run.stderr.decode()
    assert f'{broken}:2:5: error: this quote is not closed' in said
    assert f'{broken}:4:1: error: the block of `http` is not closed' in said
    assert 'absent' in said and 'No such file' in said
    assert broken.read_text() == text and other.read_text() == 'a;\n'
    test = subprocess.run([BINARY, '-t', '-c', broken], capture_output=True, text=True).stderr
    assert all(line in test for line in said.splitlines() if f'{broken}:' in line)


def test_includes_are_not_followed(tmp_path):
    inner = tmp_path / 'inner'
    inner.write_text(' a;\n')
    outer = tmp_path / 'outer'
    outer.write_text(f' include   {inner};include absent.conf;')
    fmt(outer)
    assert outer.read_text() == f'include {inner};\ninclude absent.conf;\n'
    assert inner.read_text() == ' a;\n'


def test_the_command_line(tmp_path):
    assert b'--check' in fmt('--help').stdout
    assert b'no option "--nonsense"' in fmt('--nonsense', status=2).stderr
    assert b'needs the name' in fmt(status=2).stderr
    assert b'exclude' in fmt('--check', '--stdout', 'x', status=2).stderr


def test_relative_names(tmp_path):
    (tmp_path / 'x').write_text(' a;\n')
    fmt('x', cwd=tmp_path)
    assert (tmp_path / 'x').read_text() == 'a;\n'


# ---- properties -----------------------------------------------------------------------------

class Maker:
    """Random texts of the language, ugly ones."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def blank(self, least=0):
        text = ''.join(self.r.choice([' ', '  ', '\t', '\n', '\n\n\n', '\r\n', ' # x;{}"\' \n',
                                      '\n#y\t\n']) for _ in range(self.r.choice([0, 0, 1, 1, 2])))
        return text or ' ' * least

    def word(self):
        r = self.r
        plain = ['a', 'Z9', '/', '.', '\\;', '\\ ', '\\"', '${v}', '$v', "'", '"', '}', '#', '=',
                 '\\{', '~', '^', '|', 'é', '\\n']
        if r.random() < .3:
            quote = r.choice('"\'')
            inside = ['a', ' ', ';', '{', '}', '#', '\n', '\\' + quote, '\\\\', '$v', '${v}',
                      "'" if quote == '"' else '"']
            return quote + ''.join(r.choice(inside) for _ in range(r.randint(0, 6))) + quote
        return r.choice('ab/$~') + ''.join(r.choice(plain) for _ in range(r.randint(0, 6)))

    def statement(self, depth):
        r = self.r
        text = self.blank() + f'w{r.randint(0, 99)}'
        for _ in range(r.randint(0, 4)):
            text += self.blank(1) + self.word()
            text = text[:-1] if text.endswith('$') else text
        kind = r.random()
        if depth < 4 and kind < .3:
            return text + self.blank(1) + '{' + self.statements(depth + 1) + self.blank() + '}'
        if kind < .35:
            return f'{self.blank()}x_by_lua_block{self.blank(1)}{{\n  f("}}") --[[ }} ]] {{ }} ' \
                   f'-- }}\n }}'
        return text + self.blank() + ';'

    def statements(self, depth=0):
        return ''.join(self.statement(depth) for _ in range(self.r.randint(0, 5))) + self.blank()


def hold(paths):
    """The properties, for files: formatting twice is formatting once, and no token is lost."""
    before = {p: p.read_bytes() for p in paths}
    fmt(*paths)
    for p in paths:
        after = p.read_bytes()
        assert tokens(after) == tokens(before[p].removeprefix(b'\xef\xbb\xbf')), p
    assert fmt('--check', *paths).stdout == b''


@pytest.mark.parametrize('seed', range(4))
def test_random_texts(tmp_path, seed):
    paths = []
    for n in range(150):
        path = tmp_path / f'{n}.conf'
        path.write_bytes(Maker(seed * 1000 + n).statements().encode())
        paths.append(path)
    hold(paths)


def test_own_and_real_configurations(tmp_path):
    found = [*(ROOT / 'conf').rglob('*'), *(ROOT / 'tests/story/configs').rglob('*.conf'),
             *(pathlib.Path(SAMPLES).rglob('*') if SAMPLES else [])]
    paths = []
    for n, path in enumerate(p for p in found if p.is_file()):
        copy = tmp_path / f'{n}-{path.name}'
        copy.write_bytes(path.read_bytes())
        if subprocess.run([BINARY, 'fmt', '--stdout', copy], capture_output=True).returncode == 0:
            paths.append(copy)
    assert len(paths) >= 6
    hold(paths)
