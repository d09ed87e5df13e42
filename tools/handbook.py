#!/usr/bin/env python3
"""handbook.py - makes web pages of docs/handbook: plain HTML, one style sheet, no script.

  handbook.py --list          the names of everything it makes, one a line (for meson)
  handbook.py --inputs        the files it makes them from
  handbook.py OUTPUT_FOLDER   makes them

Chapters are docs/handbook/*.md. What else of the repository they link to becomes a page as well:
other Markdown, and source files with an anchor at each definition that a chapter names. A link that
leads nowhere, a name that is not defined where the link says, and a source number that does not
exist are errors. Needs python3-markdown.
"""
import html
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOOK = ROOT / 'docs' / 'handbook'
LAB = BOOK.parent / 'lab'   # its charts
CODE = re.compile(r'```.*?```|`[^`\n]*`', re.S)
LINK = re.compile(r'(?<!!)\[((?:`[^`\n]*`|[^\]\[])+)\]\(([^)\s]+)\)')
PICTURE = re.compile(r'!\[([^\]]*)\]\(([^)\s]+)\)')
REFERENCE = re.compile(r'\[(\d+)\](?!\()')
PAGE = '''<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · weir</title>
<link rel="stylesheet" href="handbook.css">
</head>
<body>
<nav aria-label="pages">{nav}</nav>
<main{kind}>
{body}
</main>
<nav aria-label="pages, again">{nav}</nav>
</body>
</html>
'''


class Wrong(Exception):
    """The handbook says something that is not so."""


# ---- what there is ---------------------------------------------------------------------------

def chapters():
    return sorted(BOOK.glob('[0-9][0-9]-*.md'))


def own_pages():
    """The handbook's own pages, in reading order."""
    return [BOOK / 'README.md', *chapters(), BOOK / 'sources.md', BOOK / 'observations.md']


def links(page):
    """Every local link of a Markdown page: its text and the file it leads to."""
    prose = re.sub(r'```.*?```', '', page.read_text(), flags=re.S)
    for text, target in LINK.findall(prose):
        if not re.match(r'[a-z]+:', target):
            yield text, (page.parent / target.split('#')[0]).resolve()


def foreign():
    """Files outside the handbook that it links to."""
    found = {f for page in own_pages() for _, f in links(page)}
    return sorted(f for f in found if f.is_file() and f.parent != BOOK)


def page_name(path):
    """The web page's name for a file of the repository."""
    if path == BOOK / 'README.md':
        return 'index.html'
    if path.parent == BOOK:
        return path.with_suffix('.html').name
    name = path.relative_to(ROOT).as_posix().replace('/', '-')
    return (name.removesuffix('.md') if name.endswith('.md') else name) + '.html'


def pictures():
    """The book's own, and the laboratory's charts."""
    return sorted((BOOK / 'diagrams').glob('*.svg')) + sorted(LAB.glob('*.svg'))


def picture_name(path):
    return f'lab-{path.name}' if path.parent == LAB else path.name


def outputs():
    return ['handbook.css', *(page_name(p) for p in own_pages() + foreign()),
            *map(picture_name, pictures())]


def inputs():
    return [*own_pages(), *foreign(), BOOK / 'handbook.css', *pictures()]


def source_count():
    """How many sources there are; they are numbered 1, 2, 3 …"""
    numbers = [int(n) for n in re.findall(r'^(\d+)\. ', (BOOK / 'sources.md').read_text(), re.M)]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Wrong('sources.md: the numbers are not 1, 2, 3 … in order')
    return len(numbers)


# ---- definitions -----------------------------------------------------------------------------

def definition(path, name):
    """The number of the line that defines `name` in a source file; None if none does."""
    lines = path.read_text().splitlines()
    word = re.escape(name)
    shapes = [
        rf'^[^\s#/*}}].*\b{word}\((?!.*;\s*$)',             # a function, not only announced
        rf'^(?:typedef )?(?:struct|enum|union) {word} \{{',
        rf'^(?:static )?[^\s#/*(]*[^(]*\b{word}(?:\[\w*\])? = ',
        rf'^}} {word}\[\w*\] = ',                           # the table behind its type
        rf'\b{word}\b = [^,;]+[,;}} ]',                     # a constant of an enumeration
        rf'^[^\s#/*}}].*\b{word}\(',                        # announced
    ]
    for shape in shapes:
        for n, line in enumerate(lines, 1):
            if re.search(shape, line):
                return n
    return None


def named():
    """File -> the names of which a page says that it defines them."""
    found = {}
    for page in own_pages():
        for text, target in links(page):
            m = re.fullmatch(r'`(\w+)`', text)
            if m and target.suffix in ('.c', '.h') and m[1] != target.name:
                found.setdefault(target, set()).add(m[1])
    return found


# ---- pages -----------------------------------------------------------------------------------

def outside_code(text, change):
    """Applies change() to what is neither code nor a link."""
    parts = re.split(r'(<pre>.*?</pre>|<code>.*?</code>|<a .*?</a>|<[^>]+>)', text, flags=re.S)
    return ''.join(part if i % 2 else change(part) for i, part in enumerate(parts))


def web_target(page, target, text, known):
    """What a link becomes."""
    if re.match(r'[a-z]+:|#', target):
        return target
    path, _, part = target.partition('#')
    file = (page.parent / path).resolve()
    if file not in known:
        return None
    name = re.fullmatch(r'<code>(\w+)</code>', text)
    if not part and name and file.suffix in ('.c', '.h'):
        part = name[1]
    return page_name(file) + (f'#{part}' if part else '')


def render(page, known, sources):
    """A Markdown page as the inside of <main>, and its title."""
    import markdown
    body = markdown.markdown(page.read_text(), output_format='html',
                             extensions=['tables', 'fenced_code', 'sane_lists', 'toc'])

    def link(m):
        target = web_target(page, html.unescape(m[1]), m[2], known)
        if target is None and page.parent == BOOK:
            raise Wrong(f'{page.name}: the link to {m[1]} leads nowhere')
        return f'<a href="{html.escape(target)}">{m[2]}</a>' if target else m[2]

    def reference(m):
        if int(m[1]) > sources or int(m[1]) == 0:
            raise Wrong(f'{page.name}: there is no source [{m[1]}]')
        return f'<a class="ref" href="sources.html#s{m[1]}">[{m[1]}]</a>'

    def picture(m):
        path = (page.parent / m[2]).resolve()
        if not path.is_file():
            raise Wrong(f'{page.name}: there is no picture {m[2]}')
        return f'<figure><img src="{picture_name(path)}" alt="{m[1]}"></figure>'

    body = re.sub(r'<a href="([^"]*)">(.*?)</a>', link, body, flags=re.S)
    body = re.sub(r'<p><img alt="([^"]*)" src="([^"]*)">\s*</p>', picture, body)
    body = re.sub(r'<table>.*?</table>', r'<div class="scroll">\g<0></div>', body, flags=re.S)
    if page.parent == BOOK:
        body = outside_code(body, lambda part: REFERENCE.sub(reference, part))
    if page == BOOK / 'sources.md':
        number = iter(range(1, sources + 1))
        body = re.sub(r'<ol(?: start="\d+")?>.*?</ol>', lambda ol: re.sub(
            r'<li>', lambda _: f'<li id="s{next(number)}">', ol[0]), body, flags=re.S)
    title = re.search(r'<h1[^>]*>(.*?)</h1>', body, re.S)
    return body, re.sub(r'<[^>]+>', '', title[1]) if title else page.stem


def listing(path, names):
    """A source file as the inside of <main>: a line of HTML for each line."""
    anchors = {}
    for name in sorted(names):
        line = definition(path, name)
        if line is None:
            raise Wrong(f'{path.relative_to(ROOT)} does not define {name}')
        anchors.setdefault(line, []).append(name)
    rows = []
    for n, line in enumerate(path.read_text().splitlines(), 1):
        first, *rest = anchors.get(n, [f'L{n}'])
        rows.append(f'<span class="line" id="{first}" data-n="{n}">' +
                    ''.join(f'<span id="{name}"></span>' for name in rest) +
                    html.escape(line, quote=False) + '</span>')
    name = path.relative_to(ROOT).as_posix()
    return f'<h1>{name}</h1>\n<pre>{"".join(rows)}</pre>', name


def title_of(page):
    return page.read_text().splitlines()[0].removeprefix('# ')


def navigation(page):
    """Previous, contents, next; other pages have the contents only."""
    pages = own_pages()
    parts = ['<a href="index.html">Contents</a>']
    if page in pages:
        at = pages.index(page)
        if at > 0:
            parts.insert(0, f'<a rel="prev" href="{page_name(pages[at - 1])}">← '
                            f'{html.escape(title_of(pages[at - 1]))}</a>')
        if at + 1 < len(pages):
            parts.append(f'<a rel="next" href="{page_name(pages[at + 1])}">'
                         f'{html.escape(title_of(pages[at + 1]))} →</a>')
    return ' '.join(parts)


def build(folder):
    known, sources, names = set(own_pages() + foreign()), source_count(), named()
    for page in own_pages() + foreign():
        markdown_page = page.suffix == '.md'
        body, title = render(page, known, sources) if markdown_page \
            else listing(page, names.get(page, ()))
        (folder / page_name(page)).write_text(PAGE.format(
            title=html.escape(title, quote=False), nav=navigation(page), body=body,
            kind='' if markdown_page else ' class="source"'))
    (folder / 'handbook.css').write_bytes((BOOK / 'handbook.css').read_bytes())
    for file in pictures():
        (folder / picture_name(file)).write_bytes(file.read_bytes())


def main():
    if sys.argv[1:] == ['--list']:
        print('\n'.join(outputs()))
        return 0
    if sys.argv[1:] == ['--inputs']:
        print('\n'.join(str(p) for p in inputs()))
        return 0
    if len(sys.argv) != 2:
        print(__doc__.strip())
        return 2
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        build(folder)
    except Wrong as wrong:
        print(f'handbook.py: {wrong}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
