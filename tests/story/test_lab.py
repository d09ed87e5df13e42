"""The lab: its statistics, what it says to a wrong plan, its report, and one short real run."""
import html.parser
import json
import math
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from conftest import BINARY, ROOT

sys.path.insert(0, str(ROOT / 'lab'))
from weirlab import account, chart, load as loads, look  # noqa: E402
from weirlab import plan as plans, report, stats  # noqa: E402
from weirlab.metrics import METRICS  # noqa: E402
from weirlab.servers import Failed  # noqa: E402

BUSY_THREAD = '''
import threading, time
def burn():
    while time.thread_time() < 0.25:
        pass
input()
thread = threading.Thread(target=burn)
thread.start()
thread.join()
print("ended", flush=True)
input()
'''
PROGRAMS = pathlib.Path(BINARY).resolve().parent / 'lab'

# ---- statistics ----------------------------------------------------------------------------


def test_quantile_lies_between_its_neighbours():
    assert stats.quantile([1, 2, 3, 4, 5], 0.5) == 3
    assert stats.quantile([0, 10], 0.25) == 2.5
    assert stats.quantile([7], 0.9) == 7


def test_percentile_of_a_histogram():
    histogram = [(10, 90), (20, 9), (1000, 1)]
    assert stats.percentile(histogram, 0.5) == 10
    assert stats.percentile(histogram, 0.90) == 10
    assert stats.percentile(histogram, 0.91) == 20
    assert stats.percentile(histogram, 0.99) == 20
    assert stats.percentile(histogram, 1.0) == 1000
    assert stats.percentile([(10, 0)], 0.5) is None


def test_bootstrap_holds_the_true_median_about_as_often_as_it_says():
    draw, held = random.Random(7), 0
    for n in range(100):
        low, high = stats.bootstrap([draw.gauss(100, 10) for _ in range(21)], draws=300, seed=n)
        assert low <= high
        held += low <= 100 <= high
    assert 85 <= held <= 100


def test_bootstrap_needs_two_and_is_the_same_each_time():
    assert stats.bootstrap([5.0]) is None
    assert stats.bootstrap([1, 2, 3, 4]) == stats.bootstrap([1, 2, 3, 4])
    assert stats.bootstrap([3, 3, 3]) == (3, 3)


def test_a_ratio_is_formed_inside_a_block():
    found = stats.ratio([(20, 10), (200, 100), (2, 1)])
    assert found['ratio'] == pytest.approx(2) and found['low'] == pytest.approx(2)
    assert stats.ratio([]) is None and stats.ratio([(0, 1)]) is None


def made(figures, metric='cpu_us', bound=(), complete=True):
    """A result of {subject: {x: [figure of each block]}}; the reference is the first subject."""
    names = [n for n in figures if not n.endswith(stats.AGAIN)]
    xs = sorted({x for by_x in figures.values() for x in by_x})
    subjects = [{'name': n, 'kind': 'weir', 'engine': 'epoll', 'settings': '', 'config': '',
                 'command': [], 'answer': '', 'ends_at': None, 'why': ''} for n in names]
    plan = {'name': 'made', 'title': 'Made <up>', 'question': 'Is 1 < 2?', 'expect': 'Yes & no.',
            'kind': 'http', 'seconds': 1, 'warmup': 0, 'repetitions': 5, 'reference': names[0],
            'metrics': [metric], 'order': 1, 'panel': None, 'load': {}, 'subjects': subjects,
            'x': {'name': 'idle', 'label': 'idle connections', 'values': xs},
            'chart': {'metric': metric, 'x_scale': 'linear', 'y_scale': 'linear', 'note': ''}}
    cells = [{'subject': n, 'x': x, 'panel': None, 'block': b, 'values': {metric: v},
              'client_bound': n in bound, 'notes': []}
             for n, by_x in figures.items() for x, values in by_x.items()
             for b, v in enumerate(values)]
    result = {'name': 'made', 'plan': plan, 'machine': {'kernel': '6.0', 'cpu': 'A <CPU>'},
              'seed': 1, 'started': '2026-01-01T00:00:00+00:00', 'seconds': 1, 'repetitions': 5,
              'generator': 'wrk', 'complete': complete, 'cells': cells, 'missing': []}
    result['summary'] = stats.summary(result, METRICS)
    return result


def control(values):
    return {0: values}


def verdict(result):
    return result['summary']['verdicts'][0]


QUIET = [10.0, 10.1, 9.9, 10.0, 10.1]


def test_a_clear_difference_names_a_winner():
    result = made({'epoll': control(QUIET), 'epoll (again)': control(QUIET[::-1]),
                   'poll': control([v * 1.5 for v in QUIET])})
    assert verdict(result)['best'] == 'epoll'
    rows = {r['subject']: r for r in result['summary']['rows']}
    assert rows['poll']['to_reference']['ratio'] == pytest.approx(1.5, rel=0.01)
    assert set(rows) == {'epoll', 'poll'}


def test_inside_the_noise_nobody_wins():
    # The control differs by a fifth from itself: a tenth is nothing here, however steady.
    result = made({'epoll': control(QUIET), 'epoll (again)': control([v * 1.2 for v in QUIET]),
                   'poll': control([v * 1.1 for v in QUIET])})
    assert verdict(result)['best'] is None
    assert verdict(result)['tied'] == ['epoll', 'poll']


def test_an_interval_that_holds_one_names_nobody():
    result = made({'epoll': control(QUIET), 'epoll (again)': control(QUIET),
                   'poll': control([5, 25, 9, 14, 8])})
    assert verdict(result)['best'] is None


def test_one_repetition_names_nobody():
    result = made({'epoll': control([10]), 'epoll (again)': control([10]), 'poll': control([99])})
    assert verdict(result)['best'] is None and 'too few' in verdict(result)['why']


def test_a_client_bound_cell_ranks_nobody_by_requests_but_by_cpu():
    figures = {'epoll': control(QUIET), 'epoll (again)': control(QUIET),
               'poll': control([v * 2 for v in QUIET])}
    rps = verdict(made(figures, 'rps', bound=('poll',)))
    assert rps['best'] is None and 'client' in rps['why']
    assert verdict(made(figures, 'cpu_us', bound=('poll',)))['best'] == 'epoll'


def test_more_is_better_for_requests():
    result = made({'epoll': control(QUIET), 'epoll (again)': control(QUIET),
                   'poll': control([v * 2 for v in QUIET])}, 'rps')
    assert verdict(result)['best'] == 'poll'


def test_noise_is_that_of_the_control():
    result = made({'epoll': control(QUIET), 'epoll (again)': control([v * 1.1 for v in QUIET])})
    assert result['summary']['noise']['cpu_us'] == pytest.approx(math.log(1.1), rel=0.05)


# ---- accounts ------------------------------------------------------------------------------

def test_ended_threads_are_in_the_account():
    child = subprocess.Popen([sys.executable, '-c', BUSY_THREAD], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    before = account.counts(child.pid)
    child.stdin.write(b'\n')
    child.stdin.flush()
    child.stdout.readline()
    after = account.counts(child.pid)
    child.communicate(b'\n')
    user, system = account.spent(before, after)
    assert 0.2e9 < user + system < 2e9
    assert after['switches'] >= before['switches']


def test_time_is_split_as_the_ticks_say():
    before = {'cpu_ns': 100, 'user_ticks': 0, 'system_ticks': 0}
    after = {'cpu_ns': 500, 'user_ticks': 1, 'system_ticks': 3}
    assert account.spent(before, after) == (100, 300)
    assert account.spent(before, {**before, 'cpu_ns': 150}) == (0, 50)


# ---- load ------------------------------------------------------------------------------------

def test_both_generators_are_read():
    bench = b'''{"config": {"warmup_s": 0.000}, "seconds": 1.0, "requests": 9, "rps": 9.0,
        "errors": {"total": 2, "status": 1, "connect": 1},
        "latency_us": {"mean": 1.0, "p50": 2.0, "p90": 3, "p99": 4, "p999": 5, "max": 6}}'''
    assert loads.parsed(bench, b'', 0)['errors'] == 2
    assert loads.parsed(bench, b'', 0)['latency_us']['p999'] == 5
    wrk = b'Running 1s test\n  9 requests in 1.00s\n{"requests":9,"rps":9.0,"errors":0}\n'
    assert loads.parsed(wrk, b'', 0)['rps'] == 9
    with pytest.raises(Failed, match='ended with 1: unable to connect'):
        loads.parsed(b'', b'unable to connect\n', 1)


def test_an_open_loop_is_asked_of_weir_bench_and_not_of_wrk(monkeypatch):
    load = {'connections': 8, 'depth': 2, 'keepalive': False, 'tls': False, 'streams': 0}
    monkeypatch.setattr(loads, 'bench_help', lambda weir: '--gaps --marks')
    argv = loads.bench_argv('weir', 'http://127.0.0.1:1/', load, 0.5, 1000, 0.3)
    assert ' '.join(argv) == 'weir bench http://127.0.0.1:1/ -c 8 -p 2 -d 0.5 --json - ' \
        '--warmup 0.3 --marks --no-keepalive -r 1000 --gaps exponential'
    with pytest.raises(loads.Cannot, match='wrk has no open loop'):
        loads.wrk_argv('http://127.0.0.1:1/', load, 1, 1000)


# ---- plans ----------------------------------------------------------------------------------

GOOD = '''title = "T"
question = "Q?"
seconds = 1
repetitions = 2
reference = "a"
metrics = ["cpu_us"]

[x]
name = "idle"
label = "idle"
values = [0, 10]

[load]
connections = 4

[[subject]]
name = "a"

[[subject]]
name = "b"
engine = "poll"
'''
WRONG = [
    ('seconds = 1', 'seconds = "long"', 3, "\"seconds\" is 'long'; expected seconds from 0.05"),
    ('seconds = 1', 'secnds = 1', 3, 'unknown key "secnds"; expected one of'),
    ('repetitions = 2\n', '', 1, '"repetitions" is missing; expected a count from 1'),
    ('"cpu_us"', '"speed"', 6, 'no metric "speed"; expected some of cpu_us'),
    ('reference = "a"', 'reference = "z"', 5, 'no subject "z"; expected one of a, b'),
    ('name = "idle"', 'name = "colour"', 9, '"colour" cannot be varied; expected one of'),
    ('[0, 10]', '[0, -1]', 11, '-1 is no value of idle; expected a count from 0'),
    ('connections = 4', 'connections = 4.5', 14, '"connections" is 4.5; expected a count'),
    ('connections = 4', 'size = "big"', 14, '"size" is \'big\'; expected a size like'),
    ('engine = "poll"', 'engine = "kqueue"', 21, '"engine" is \'kqueue\'; expected io_uring'),
    ('engine = "poll"', 'ends_at = 5', 21, '"why" is missing; expected why it ends there'),
    ('engine = "poll"', 'kind = "command"', 21, '"command" is missing; expected the program'),
    ('name = "b"', 'name = "a"', 20, '"a" is there twice; expected a name of its own'),
    ('[load]', '[load', 13, 'not TOML'),
    ('connections = 4', 'tls = true', 14, '"tls" is true: connections that are only held speak no'),
    ('connections = 4', 'kind = "h2load"\ntls = true', 15, 'only held speak no TLS'),
    ('connections = 4', 'streams = 4', 14, '"streams" is 4: they need tls = true'),
    ('connections = 4', 'kind = "h2load"\nstreams = 4', 15, '"streams" is 4: they need tls = true'),
    ('connections = 4', 'kind = "h2load"\nmodel = "open"', 15, '"model" is "open": h2load has no'),
    ('connections = 4', 'kind = "siege"', 14, '"kind" is \'siege\'; expected "bench" or "h2load"'),
    ('name = "idle"', 'name = "kind"', 9, '"kind" cannot be varied'),
    ('[[subject]]\nname = "a"\n\n', '', 5, 'no subject "a"; expected one of b'),
]


@pytest.mark.parametrize('old,new,line,says', WRONG, ids=[w[1] or 'missing' for w in WRONG])
def test_a_wrong_plan_is_refused_with_its_line(tmp_path, old, new, line, says):
    assert old in GOOD
    path = tmp_path / 'p.toml'
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(plans.Mistake) as error:
        plans.read(path)
    assert str(error.value).startswith(f'{path}:{line}: '), str(error.value)
    assert says in str(error.value)


def test_a_good_plan_has_its_defaults(tmp_path):
    path = tmp_path / 'p.toml'
    path.write_text(GOOD)
    plan = plans.read(path)
    assert plan['name'] == 'p' and plan['chart']['metric'] == 'cpu_us'
    assert plan['load']['connections'] == 4 and plan['load']['keepalive'] is True
    assert [s['engine'] for s in plan['subjects']] == ['epoll', 'poll']


def test_the_plans_are_good_and_take_about_an_hour():
    read = [plans.read(p) for p in sorted((ROOT / 'lab' / 'plans').glob('*.toml'))]
    assert len(read) >= 12
    assert len({p['order'] for p in read}) == len(read)
    assert sum(map(plans.minutes, read)) < 60


# ---- charts and the report -----------------------------------------------------------------

class Page(html.parser.HTMLParser):
    """Complains of tags that do not close; collects attributes and text."""

    VOID = {'meta', 'br', 'link', 'img'}

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, k, v) for k, v in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, k, v) for k, v in attributes]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f'</{tag}> closes {self.open[-3:]}'
        self.open.pop()

    def handle_data(self, text):
        self.words.append(text)


def two_engines():
    result = made({'epoll': {0: QUIET, 100: QUIET}, 'epoll (again)': {0: QUIET, 100: QUIET},
                   'select': {0: [v * 3 for v in QUIET]}})
    result['plan']['subjects'][1].update(ends_at=50, why='select <ends>')
    result['missing'] = [{'subject': 'select', 'why': 'select <ends>', 'x': 100, 'panel': None}]
    return result


def test_the_report_is_one_whole_file_that_opens_from_disk():
    text = report.page([two_engines()])
    page = Page(text)
    words = ' '.join(page.words)
    for part in ('Made <up>', 'Is 1 < 2?', 'A <CPU>', 'Threats to validity', 'The method',
                 'select <ends>', 'epoll is best'):
        assert part in words, part
    assert not [a for a in page.attributes if a[1] in ('src', 'href') and not a[2].startswith('#')]
    assert 'url(' not in text and '@import' not in text
    assert 'prefers-color-scheme' in text
    assert [a for a in page.attributes if a[1] == 'data-tip' and 'epoll\t10' in a[2]]


def test_what_was_left_out_is_not_drawn():
    lines = re.findall(r'<polyline points="([^"]*)"', report.page([two_engines()]))
    assert [len(points.split()) for points in lines] == [2, 1]
    assert '<td class="none">–</td>' in report.page([two_engines()])


def test_every_kind_of_chart_is_in_the_report():
    many = made({f'e{n}': {0: QUIET} for n in range(9)} | {'e0 (again)': {0: QUIET}})
    words = made({'epoll': {'4k': QUIET, '64k': QUIET}})
    logarithmic = made({'epoll': {0: QUIET, 10: QUIET, 1000: [v * 900 for v in QUIET]}})
    logarithmic['plan']['chart'].update(x_scale='log', y_scale='log')
    for n, result in enumerate((many, words, logarithmic)):
        result['name'] = f'made-{n}'
    text = report.page([many, words, logarithmic])
    Page(text)
    assert 'NaN' not in text and 'nan' not in re.findall(r'points="([^"]*)"', text)
    assert text.count('class="bar"') == 9 + 2


def test_an_interrupted_result_says_so(tmp_path):
    result = made({'epoll': control(QUIET)}, complete=False)
    assert 'Interrupted' in report.page([result])
    svg, png = chart.draw(result, tmp_path)
    assert 'INTERRUPTED' in svg.read_text()
    assert png.read_bytes().startswith(b'\x89PNG')


def test_charts_are_drawn_from_data_alone(tmp_path):
    svg = chart.draw(two_engines(), tmp_path)[0].read_text()
    assert 'select &lt;ends&gt;' in svg and 'Made &lt;up&gt;' in svg
    assert chart.draw(made({'epoll': control(QUIET)}), tmp_path, 'rps') == []


def test_an_engine_has_one_colour_everywhere():
    both = look.colours(['io_uring', 'epoll'])
    assert look.colours(['epoll', 'nginx', 'io_uring'])['io_uring'] == both['io_uring']
    assert look.colours(['weir epoll'])['weir epoll'] == both['epoll']
    many = look.colours(['nginx', 'nginx, sendfile', 'x', 'y'])
    assert len(set(many.values())) == 4


# ---- real runs -------------------------------------------------------------------------------

DIES = '''import os, socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for n in range(4):
    c = s.accept()[0]
    if c.recv(1000):
        c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n" + sys.argv[2].encode())
    c.close()
print("out of breath", flush=True)
os._exit(3)
'''


def lab(tmp_path, *words, plan=None, **more):
    if plan is not None:
        (tmp_path / 'p.toml').write_text(plan)
    env = dict(os.environ, WEIR=str(pathlib.Path(BINARY).resolve()),
               WEIR_LAB_PROGRAMS=str(PROGRAMS), WEIR_LAB=str(ROOT / 'lab'),
               TMPDIR=str(tmp_path))
    return subprocess.Popen([env['WEIR'], 'lab', *words], stdout=subprocess.PIPE, env=env,
                            stderr=subprocess.PIPE, text=True, cwd=tmp_path, **more)


def result_of(tmp_path):
    return json.loads((tmp_path / 'lab-results' / 'p.json').read_text())


def left_behind(tmp_path):
    """Processes of this run that are still there: they know its directory."""
    return [p for p in pathlib.Path('/proc').glob('[0-9]*')
            if str(tmp_path).encode() in account.read(p / 'environ').encode()]


def test_a_short_real_run(tmp_path):
    plan = GOOD.replace('metrics = ["cpu_us"]', 'metrics = ["cpu_us", "rps", "p99_us"]')
    run = lab(tmp_path, 'run', 'p.toml', '--seconds', '0.2', '--repetitions', '1', '--seed', '7',
              plan=plan)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, out + err
    result = result_of(tmp_path)
    assert result['complete'] and result['seed'] == 7 and result['missing'] == []
    assert len(result['cells']) == 2 * 3
    for cell in result['cells']:
        v = cell['values']
        assert v['rps'] > 0 and 0.5 < v['cpu_us'] < 10000
        assert v['cpu_us'] == pytest.approx(v['user_us'] + v['system_us'])
    assert result['machine']['syscall_ns'] > 0 and 'weir' in result['machine']['versions']['weir']
    Page((tmp_path / 'lab-results' / 'report.html').read_text())
    assert (tmp_path / 'lab-results' / 'charts' / 'p.svg').exists()


def test_a_server_that_fails_is_reported_and_left_out(tmp_path):
    (tmp_path / 'dies.py').write_text(DIES)
    one = '[[subject]]\nname = "{}"\nkind = "command"\nanswer = "right"\ncommand = [{}]\n'
    python = f'"{sys.executable}", "{tmp_path}/dies.py", "$port"'
    commands = {'dies': python + ', "right"', 'lies': python + ', "wrong"',
                'absent': '"no-such-server"', 'silent': '"false"'}
    plan = GOOD.replace('[0, 10]', '[0]') + ''.join(
        one.format(name, command) for name, command in commands.items())
    run = lab(tmp_path, 'run', 'p.toml', '--seconds', '0.2', '--repetitions', '1', plan=plan)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, out + err
    missing = {m['subject']: m['why'] for m in result_of(tmp_path)['missing']}
    assert missing['dies'].startswith('died with status 3: out of breath')
    assert missing['lies'].startswith("answers wrongly: 5 bytes beginning b'wrong'")
    assert missing['absent'] == 'not installed: no-such-server'
    assert missing['silent'].startswith('does not start (status 1)')
    assert {c['subject'] for c in result_of(tmp_path)['cells']} == {'a', 'b', 'a (again)'}


def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(tmp_path):
    run = lab(tmp_path, 'run', 'p.toml', '--seconds', '0.2', '--repetitions', '50',
              plan=GOOD.replace('[0, 10]', '[0]'))
    end = time.monotonic() + 90
    while time.monotonic() < end and run.poll() is None:
        line = run.stdout.readline()
        if '1 of 50' in line:
            break
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, out + err
    result = result_of(tmp_path)
    assert not result['complete'] and len(result['cells']) >= 3
    assert 'Interrupted' in (tmp_path / 'lab-results' / 'report.html').read_text()
    assert left_behind(tmp_path) == []


def test_too_few_descriptors_is_said_before_the_run(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    run = lab(tmp_path, 'run', 'p.toml', plan=GOOD.replace('[0, 10]', '[0, 500]'), preexec_fn=limit)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert '504 connections need 704 descriptors; the hard limit is 256' in err
    assert not (tmp_path / 'lab-results' / 'p.json').exists()


@pytest.mark.parametrize('argv', [('lab-pipes', 'epoll', '20', 'all', '0.05'),
                                  ('lab-pipes', 'select', '20', '1', '0.05'),
                                  ('lab-disk', 'pool', 'cached', '4', '0.05'),
                                  ('lab-disk', 'io_uring', 'cached', '4', '0.05'),
                                  ('lab-disk', 'native-aio', 'cached', '4', '0.05'),
                                  ('lab-disk', 'posix-aio', 'cached', '4', '0.05')],
                         ids=lambda a: ' '.join(a[:2]))
def test_the_small_programs_print_figures(tmp_path, argv):
    run = subprocess.run([PROGRAMS / argv[0], *argv[1:]], cwd=tmp_path, capture_output=True,
                         text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert all(v > 0 and k in METRICS for k, v in json.loads(run.stdout).items())
    assert list(tmp_path.iterdir()) == []


def test_select_says_what_it_cannot_watch(tmp_path):
    run = subprocess.run([PROGRAMS / 'lab-pipes', 'select', '1500', '1', '0.1'], timeout=60,
                         capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1 and 'cannot watch as many' in run.stderr


def test_weir_lab_says_where_it_looked(tmp_path):
    run = subprocess.run([BINARY, 'lab', 'list'], capture_output=True, text=True, timeout=60,
                         env={'WEIR_LAB': str(tmp_path / 'nowhere')})
    assert run.returncode == 1
    assert f'{tmp_path}/nowhere: No such file or directory; expected the' in run.stderr


def test_the_manual_tells_every_key_and_metric():
    manual = (ROOT / 'docs' / 'lab.md').read_text()
    keys = [k for rows in
            (plans.TOP, plans.LOAD, plans.CHART, plans.SUBJECT, plans.AXIS) for k in rows]
    for word in [*keys, *METRICS]:
        assert re.search(rf'`[^`]*\b{word}\b[^`]*`', manual), word
