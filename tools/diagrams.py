#!/usr/bin/env python3
"""diagrams.py - draws the handbook's pictures from small tables of words.

  diagrams.py [--check] [NAME ...]     no NAME: all of docs/handbook/diagrams/*.toml

Each FILE.toml says `kind` (boxes, sequence, grid, timeline or bars), `title`, `desc` and what the
kind needs; FILE.svg is written beside it. --check writes nothing and fails if a picture is not what
its source says. A text that does not fit its box is an error. Only the standard library is used.
"""
import pathlib
import sys
import tomllib
from xml.sax.saxutils import escape

FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'docs' / 'handbook' / 'diagrams'
WIDTH = 760
SIZES = {'text': 14, 'small': 12, 'head': 15}
ROOM = {'text': 7.1, 'small': 6.1, 'head': 8.0, 'code': 7.9}     # of a character, generously
LINE = 18

STYLE = '''
svg { --ink: #16222c; --soft: #51626f; --paper: #fbfcfd; --line: #9fb2bf;
  --a: #d9edf5; --a-line: #0b7a99; --b: #fbe7cf; --b-line: #b96a12;
  --c: #dff0dc; --c-line: #3f7d36; --d: #ece4f5; --d-line: #74529c; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6eef3; --soft: #a9bac5; --paper: #10181e; --line: #50626f;
    --a: #123644; --a-line: #55c3e0; --b: #43301a; --b-line: #e2a050;
    --c: #1e3820; --c-line: #83c678; --d: #322644; --d-line: #b596dd; }
}
text { font: 14px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: var(--ink); }
.small { font-size: 12px; fill: var(--soft); }
.head { font-size: 15px; font-weight: 600; }
.code { font: 13px ui-monospace, Menlo, Consolas, monospace; }
.paper { fill: var(--paper); }
.plain { fill: var(--paper); stroke: var(--line); }
.a { fill: var(--a); stroke: var(--a-line); }
.b { fill: var(--b); stroke: var(--b-line); }
.c { fill: var(--c); stroke: var(--c-line); }
.d { fill: var(--d); stroke: var(--d-line); }
.group { fill: none; stroke: var(--line); stroke-dasharray: 5 4; }
.arrow { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.dash { stroke-dasharray: 5 4; }
.life { stroke: var(--line); stroke-dasharray: 2 4; }
.tip { fill: var(--ink); }
'''.strip()


class Picture:
    """Pieces of SVG, in the order in which they are painted."""

    def __init__(self, name, spec):
        self.name, self.spec, self.parts = name, spec, []

    def fail(self, why):
        raise SystemExit(f'diagrams.py: {self.name}.toml: {why}')

    def text(self, x, y, text, look='text', anchor='start', room=None):
        """One line. `back-ticked` text is set in a fixed width."""
        if text.startswith('`') and text.endswith('`'):
            text, look = text[1:-1], 'code'
        need = len(text) * ROOM[look]
        if room is not None and need > room:
            self.fail(f'"{text}" needs about {need:.0f} and has {room:.0f}')
        left = {'start': x, 'middle': x - need / 2, 'end': x - need}[anchor]
        if left < -8 or left + need > self.spec.get('width', WIDTH) + 8:
            self.fail(f'"{text}" leaves the picture')
        kind = '' if look == 'text' else f' class="{look}"'
        side = '' if anchor == 'start' else f' text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{kind}{side}>{escape(text)}</text>')

    def lines(self, x, y, text, look='text', anchor='start', room=None):
        for i, line in enumerate(text.split('\n')):
            self.text(x, y + i * LINE, line, look, anchor, room)

    def box(self, x, y, w, h, look):
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="6" '
                          f'class="{look}"/>')

    def line(self, points, look='arrow', tip=True):
        path = ' '.join(f'{x:g},{y:g}' for x, y in points)
        end = ' marker-end="url(#tip)"' if tip else ''
        self.parts.append(f'<polyline points="{path}" class="{look}"{end}/>')

    def svg(self, height):
        s = self.spec
        width = s.get('width', WIDTH)
        return '\n'.join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" '
            f'width="{width}" height="{height:g}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(s["title"])}</title>',
            f'<desc id="desc">{escape(" ".join(s["desc"].split()))}</desc>',
            f'<!-- drawn by tools/diagrams.py from {self.name}.toml -->',
            f'<style>\n{STYLE}\n</style>',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" class="tip"/>'
            '</marker></defs>',
            f'<rect width="{width}" height="{height:g}" class="paper"/>',
            *self.parts, '</svg>', ''])


def boxes(p):
    """[[box]] at, text, look, top; [[arrow]] points, look, label, at; [[note]] at, text, look."""
    for b in p.spec.get('box', []):
        x, y, w, h = b['at']
        p.box(x, y, w, h, b.get('look', 'plain'))
        words = b.get('text', '').split('\n') if b.get('text') else []
        first = y + 20 if b.get('top') else y + (h - len(words) * LINE) / 2 + 14
        for i, words_line in enumerate(words):
            p.text(x + w / 2, first + i * LINE, words_line, b.get('size', 'text'), 'middle', w - 8)
    for a in p.spec.get('arrow', []):
        p.line(a['points'], 'arrow ' + a.get('look', ''), not a.get('blunt'))
        if 'label' in a:
            p.lines(*a['at'], a['label'], 'small', a.get('anchor', 'start'))
    for n in p.spec.get('note', []):
        p.lines(*n['at'], n['text'], n.get('look', 'text'), n.get('anchor', 'start'))
    return p.spec['height']


def sequence(p):
    """actors, looks; [[step]] from, to, text: a call; `back`: an answer; `on`: what one does;
    `gap`: time passes."""
    actors, looks = p.spec['actors'], p.spec.get('looks', [])
    step_x = WIDTH / len(actors)
    xs = [step_x * (i + 0.5) for i in range(len(actors))]
    y, later = 78, []
    head, p.parts = p.parts, []
    for s in p.spec['step']:
        if 'gap' in s:
            p.text(WIDTH / 2, y + 6, s['gap'], 'small', 'middle')
            y += 30
        elif 'on' in s:
            x, words = xs[s['on']], s['text'].split('\n')
            w = max(step_x - 16, max(len(t) * ROOM['text'] for t in words) + 16)
            h = len(words) * LINE + 12
            x = min(max(x, w / 2 + 4), WIDTH - w / 2 - 4)
            p.box(x - w / 2, y - 8, w, h, s.get('look', 'plain'))
            p.lines(x, y + 11, s['text'], 'text', 'middle', w - 4)
            y += h + 14
        else:
            a, b = xs[s['from']], xs[s['to']]
            words = s['text'].split('\n')
            y += (len(words) - 1) * LINE
            p.lines((a + b) / 2, y - (len(words) - 1) * LINE, s['text'], 'text', 'middle',
                    abs(a - b) - 8)
            p.line([(a, y + 8), (b, y + 8)], 'arrow dash' if s.get('back') else 'arrow')
            y += 36
    body, p.parts = p.parts, head
    for i, (x, name) in enumerate(zip(xs, actors)):
        p.line([(x, 50), (x, y - 6)], 'life', tip=False)
        later.append((x, name, looks[i] if i < len(looks) else 'plain'))
    for x, name, look in later:
        p.box(x - step_x / 2 + 8, 12, step_x - 16, 38, look)
        p.text(x, 36, name, 'head', 'middle', step_x - 20)
    p.parts += body
    return y


def grid(p):
    """columns, rows, [[cell]] in reading order: title, text, look."""
    columns, rows, cells = p.spec['columns'], p.spec['rows'], iter(p.spec['cell'])
    left, top, tall = p.spec.get('left', 130), 34, p.spec.get('tall', 130)
    wide = (WIDTH - left) / len(columns)
    for i, name in enumerate(columns):
        p.text(left + (i + 0.5) * wide, 22, name, 'head', 'middle', wide)
    for j, name in enumerate(rows):
        words = name.split('\n')
        middle = top + (j + 0.5) * tall - (len(words) - 1) * LINE / 2
        for k, word in enumerate(words):
            p.text(left - 12, middle + 5 + k * LINE, word, 'head' if k == 0 else 'small', 'end',
                   left - 14)
        for i in range(len(columns)):
            c = next(cells)
            x, y = left + i * wide + 4, top + j * tall + 4
            p.box(x, y, wide - 8, tall - 8, c.get('look', 'plain'))
            p.text(x + wide / 2 - 4, y + 26, c['title'], 'head', 'middle', wide - 16)
            p.lines(x + wide / 2 - 4, y + 50, c['text'], 'text', 'middle', wide - 16)
    return top + len(rows) * tall + 8


def timeline(p):
    """lanes: name and look; [[entry]] when, text, lane; `break`: the axis begins, or a gap."""
    lanes, y = p.spec['lanes'], 64
    for i, (name, look) in enumerate(lanes):
        x = 16 + i * (WIDTH - 32) / len(lanes)
        p.box(x, 12, 16, 16, look)
        p.text(x + 24, 25, name, 'small')
    axis, top = 170, y - 20
    for e in p.spec['entry']:
        if 'break' in e:
            p.text(axis + 20, y + 4, e['break'], 'small')
            y += 28
            continue
        look = lanes[e['lane']][1]
        p.text(axis - 18, y + 5, e['when'], 'text', 'end', axis - 20)
        p.parts.append(f'<circle cx="{axis}" cy="{y}" r="6" class="{look}"/>')
        p.text(axis + 20, y + 5, e['text'], 'text', room=WIDTH - axis - 24)
        y += 24
    p.parts.insert(0, f'<line x1="{axis}" y1="{top}" x2="{axis}" y2="{y - 10}" '
                      'style="stroke:var(--line)"/>')
    return y


def bars(p):
    """[[bar]] label, value, look; unit; from zero, so that lengths may be compared."""
    left, room, y = p.spec.get('left', 220), 90, 22
    most = max(b['value'] for b in p.spec['bar'])
    scale = (WIDTH - left - room) / most
    for b in p.spec['bar']:
        p.text(left - 12, y + 15, b['label'], 'text', 'end', left - 14)
        p.box(left, y, max(b['value'] * scale, 1), 22, b.get('look', 'a'))
        p.text(left + b['value'] * scale + 8, y + 16, f'{b["value"]:,}', 'text')
        y += 32
    p.text(12, y + 12, p.spec['unit'], 'small')
    return y + 28


KINDS = {f.__name__: f for f in (boxes, sequence, grid, timeline, bars)}


def draw(source):
    """The picture that a .toml describes, as text."""
    with open(source, 'rb') as file:
        spec = tomllib.load(file)
    picture = Picture(source.stem, spec)
    for word in ('kind', 'title', 'desc'):
        if word not in spec:
            picture.fail(f'"{word}" is missing')
    if spec['kind'] not in KINDS:
        picture.fail(f'"{spec["kind"]}" is none of {", ".join(KINDS)}')
    return picture.svg(KINDS[spec['kind']](picture))


def main():
    names = [w for w in sys.argv[1:] if not w.startswith('-')]
    check, stale = '--check' in sys.argv, 0
    sources = sorted(FOLDER.glob('*.toml'))
    unknown = set(names) - {s.stem for s in sources}
    if unknown:
        raise SystemExit(f'diagrams.py: there is no {", ".join(sorted(unknown))} in {FOLDER}')
    for source in sources:
        if names and source.stem not in names:
            continue
        target, text = source.with_suffix('.svg'), draw(source)
        if not check:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            print(f'{target.name} is not what {source.name} says: run tools/diagrams.py')
            stale += 1
    return 1 if stale else 0


if __name__ == '__main__':
    sys.exit(main())
