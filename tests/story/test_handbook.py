"""The handbook: what it links to exists, what it names is defined, what it shows is up to date, and
its web pages are built and served."""
import getpass
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as tree

import pytest

from conftest import BINARY, ROOT

sys.path.insert(0, str(ROOT / 'tools'))
import diagrams         # noqa: E402
import handbook         # noqa: E402

BOOK = ROOT / 'docs' / 'handbook'
PAGES = sorted(BOOK.glob('*.md'))
CHAPTERS = [p for p in PAGES if p.name[0].isdigit()]
SITE = pathlib.Path(BINARY).resolve().parent / 'docs' / 'handbook'
SVG = '{http://www.w3.org/2000/svg}'


def prose(page):
    """A page without its code."""
    return re.sub(r'```.*?```|`[^`\n]*`', '', page.read_text(), flags=re.S)


def links(page):
    text = re.sub(r'```.*?```', '', page.read_text(), flags=re.S)
    return [m for m in re.findall(r'(!?)\[((?:`[^`\n]*`|[^\]\[])*)\]\(([^)\s]+)\)', text)
            if not re.match('[a-z]+:', m[2])]


# ---- the Markdown --------------------------------------------------------------------------------

def test_there_are_fifteen_chapters_and_the_contents_name_them_in_order():
    assert [p.name[:2] for p in CHAPTERS] == [f'{n:02}' for n in range(1, 16)]
    named = [t for _, _, t in links(BOOK / 'README.md') if re.match(r'\d\d-', t)]
    first = list(dict.fromkeys(named))
    assert first == [p.name for p in CHAPTERS]
    for n, page in enumerate(CHAPTERS, 1):
        assert page.read_text().startswith(f'# {n} · '), page.name


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for _, text, target in links(page):
        assert (page.parent / target.split('#')[0]).exists(), f'[{text}]({target})'


def tags(path):
    """Every name that a C file defines or announces: as ctags sees it, and functions in column 1,
    some of which it does not see."""
    run = subprocess.run(['ctags', '--kinds-C=+p', '--output-format=json', '-f-', str(path)],
                         capture_output=True, text=True, check=True)
    return {json.loads(line)['name'] for line in run.stdout.splitlines()} | \
        set(re.findall(r'^[a-z][\w *]*?\b(\w+)\(', path.read_text(), re.M))


def test_names_are_defined_where_the_link_says():
    wanted = {}
    for page in PAGES:
        for _, text, target in links(page):
            name = re.fullmatch(r'`(\w+)`', text)
            if name and target.endswith(('.c', '.h')):
                wanted.setdefault((page.parent / target).resolve(), set()).add(name[1])
    assert sum(map(len, wanted.values())) > 50
    for path, names in wanted.items():
        assert names <= tags(path), f'{path.name}: {sorted(names - tags(path))}'


def test_sources_exist_and_each_is_cited():
    numbers = [int(n) for n in re.findall(r'^(\d+)\. ', (BOOK / 'sources.md').read_text(), re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    cited = set()
    for page in CHAPTERS:
        here = {int(n) for n in re.findall(r'\[(\d+)\](?!\()', prose(page))}
        assert here <= set(numbers), f'{page.name}: {sorted(here - set(numbers))}'
        cited |= here
    assert cited == set(numbers), f'never cited: {sorted(set(numbers) - cited)}'


@pytest.mark.parametrize('page', CHAPTERS, ids=lambda p: p.name)
def test_a_chapter_has_a_picture(page):
    pictures = [t for mark, _, t in links(page) if mark]
    assert pictures and all(t.startswith(('diagrams/', '../lab/')) for t in pictures)


def test_the_laboratory_is_named_in_one_table():
    """Its charts are made elsewhere: the table that ends the last chapter has their names, and the
    plans' own questions."""
    last = CHAPTERS[-1].read_text().split("## The laboratory's plans")
    assert len(last) == 2 and len(re.findall(r'^\| `[a-z0-9-]+` \| .*\? \|$', last[1], re.M)) == 15
    plans = set(re.findall(r'^\| `([a-z0-9-]+)` \|', last[1], re.M))
    for page in CHAPTERS:
        for name in re.findall(r'plans? `([a-z0-9-]+)`', page.read_text()):
            assert name in plans, f'{page.name}: {name}'
    for plan in (ROOT / 'lab' / 'plans').glob('*.toml'):
        question = tomllib.loads(plan.read_text())['question']
        assert f'| `{plan.stem}` | {question} |' in last[1], plan.stem


# ---- the pictures --------------------------------------------------------------------------------

def test_pictures_are_what_their_sources_say():
    run = subprocess.run([sys.executable, str(ROOT / 'tools' / 'diagrams.py'), '--check'],
                         capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, ''), run.stdout + run.stderr
    drawn = {p.stem for p in (BOOK / 'diagrams').glob('*.svg')}
    assert drawn == {p.stem for p in (BOOK / 'diagrams').glob('*.toml')}
    shown = {t for page in PAGES for mark, _, t in links(page) if mark}
    assert {f'diagrams/{n}.svg' for n in drawn} == {t for t in shown if t.startswith('diag')}
    charts = {f'../lab/{p.name}' for p in (ROOT / 'docs' / 'lab').glob('*.svg')}
    assert charts == {t for t in shown if not t.startswith('diag')}


def test_pictures_say_what_they_show_and_know_the_dark():
    for path in sorted((BOOK / 'diagrams').glob('*.svg')):
        root = tree.parse(path).getroot()
        assert root.find(SVG + 'title').text and len(root.find(SVG + 'desc').text) > 60, path.name
        assert 'prefers-color-scheme: dark' in root.find(SVG + 'style').text
        for text in root.iter(SVG + 'text'):
            assert 0 <= float(text.get('x')) <= 760, f'{path.name}: {text.text}'


def test_a_text_that_does_not_fit_is_refused(tmp_path):
    source = tmp_path / 'wide.toml'
    source.write_text('kind = "boxes"\ntitle = "t"\ndesc = "d"\nheight = 50\n'
                      '[[box]]\nat = [0, 0, 60, 30]\ntext = "far too long for sixty"\n')
    with pytest.raises(SystemExit, match='needs about'):
        diagrams.draw(source)


def test_charts_show_what_was_measured():
    measured = (ROOT / 'docs' / 'measurements.md').read_text() + \
        (BOOK / 'observations.md').read_text()
    for name in ('cpu-per-request', 'idle-memory'):
        values = [t.text for t in tree.parse(BOOK / 'diagrams' / f'{name}.svg').iter(SVG + 'text')
                  if re.fullmatch(r'[\d.,]+', t.text)]
        assert len(values) > 4
        for value in values:
            assert re.search(rf'(?<![\d.,]){re.escape(value)}(?![\d,]|\.\d)', measured), value


# ---- the tool ------------------------------------------------------------------------------------

@pytest.mark.parametrize('text, complaint', [
    ('see [there](02-nowhere.md)', 'leads nowhere'),
    ('as is known [7]', r'no source \[7\]'),
    ('[`no_such_name`](code.c)', 'does not define no_such_name'),
    ('![a picture](diagrams/none.svg)', 'no picture'),
    ('[a source](sources.md), [1]', None),
])
def test_the_tool_refuses_what_is_not_so(tmp_path, monkeypatch, text, complaint):
    (tmp_path / 'book').mkdir()
    for name in ('README.md', 'observations.md'):
        (tmp_path / 'book' / name).write_text('# Page\n')
    (tmp_path / 'book' / 'sources.md').write_text('# Sources\n\n1. *A page*.\n')
    (tmp_path / 'book' / '01-one.md').write_text(f'# One\n\n{text}\n')
    (tmp_path / 'book' / 'handbook.css').write_text('')
    (tmp_path / 'book' / 'code.c').write_text('static int some_name(void)\n{\n}\n')
    monkeypatch.setattr(handbook, 'ROOT', tmp_path)
    monkeypatch.setattr(handbook, 'BOOK', tmp_path / 'book')
    monkeypatch.setattr(handbook, 'foreign', lambda: [tmp_path / 'book' / 'code.c'])
    if complaint is None:
        handbook.build(tmp_path)
        assert 'href="sources.html#s1"' in (tmp_path / '01-one.html').read_text()
    else:
        with pytest.raises(handbook.Wrong, match=complaint):
            handbook.build(tmp_path)


# ---- the web pages -------------------------------------------------------------------------------

class Page(html.parser.HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.resources, self.ids, self.rel, self.tags = [], [], set(), {}, set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.tags.add(tag)
        if 'id' in a:
            assert a['id'] not in self.ids, f'id {a["id"]} twice'
            self.ids.add(a['id'])
        if tag == 'a':
            self.targets.append(a['href'])
            if 'rel' in a:
                self.rel.setdefault(a['rel'], a['href'])
        if tag in ('img', 'script', 'link'):
            self.resources.append(a.get('src') or a.get('href'))


@pytest.fixture
def served(weir):
    """The example configuration that `make run` uses, on a free port."""
    conf = (ROOT / 'conf' / 'examples' / 'handbook.conf').read_text()
    for old, new in (('127.0.0.1:8080', '127.0.0.1:PORT'), ('handbook.pid', 'weir.pid'),
                     ('root ../demo', f'root {ROOT}/demo'), ('docs/handbook/', f'{SITE}/'),
                     ('../mime.types', f'{ROOT}/conf/mime.types'), ('/dev/stdout', 'off'),
                     ('events {', 'events { use ENGINE;')):
        assert old in conf, f'the example has no {old}'
        conf = conf.replace(old, new)
    return weir(user_conf=f'user {getpass.getuser()};\n{conf}')


@pytest.mark.one_engine
def test_the_welcome_page_leads_to_every_page(served):
    assert '/handbook/' in Page(served.get('/').text).targets
    assert served.get('/handbook').status == 301
    seen, todo, anchors = {}, ['index.html'], []
    with served.connect() as c:
        while todo:
            name = todo.pop()
            answer = c.ask(f'/handbook/{name}')
            assert answer.status == 200 and answer['content-type'] == 'text/html', name
            page = seen[name] = Page(answer.text)
            assert 'script' not in page.tags
            for resource in page.resources:
                assert re.fullmatch(r'[\w.-]+\.(css|svg)', resource), f'{name}: {resource}'
                if resource not in seen:
                    seen[resource] = c.ask(f'/handbook/{resource}')
                    assert seen[resource].status == 200, resource
            for target in page.targets:
                if re.match('https?:', target):
                    continue
                path, _, anchor = target.partition('#')
                anchors.append((name, path or name, anchor))
                if path and path not in seen and path not in todo:
                    todo.append(path)
    for name, path, anchor in anchors:
        assert not anchor or anchor in seen[path].ids, f'{name}: {path}#{anchor}'
    assert set(handbook.outputs()) == set(seen)


@pytest.mark.one_engine
def test_next_and_previous_go_through_the_chapters(served):
    name, way = 'index.html', []
    while name:
        page = Page(served.get(f'/handbook/{name}').text)
        assert page.rel.get('prev') == (way[-1] if way else None), name
        way.append(name)
        name = page.rel.get('next')
    assert way[1:16] == [p.with_suffix('.html').name for p in CHAPTERS]
    assert way[16:] == ['sources.html', 'observations.html']


@pytest.mark.one_engine
def test_source_pages_have_the_line_that_is_named(served):
    text = served.get('/handbook/src-io-epoll.c.html').text
    line = re.search(r'<span class="line" id="epoll_watch" data-n="(\d+)">(.*?)</span>', text)
    assert line[2].startswith('static int epoll_watch(')
    lines = (ROOT / 'src' / 'io' / 'epoll.c').read_text().splitlines()
    assert lines[int(line[1]) - 1].startswith('static int epoll_watch(')
