"""Plans: one experiment a file, in TOML; a mistake is refused with its line and what was expected.

docs/lab.md tells every key. read() gives a dict with every default filled in.
"""
import json
import pathlib
import re
import tomllib

from .metrics import METRICS

SIZE = re.compile(r'(\d+)([kKmM]?)$')
START_SECONDS = {'http': 0.8, 'program': 0.3}
HELD_SECONDS, TRACE_SECONDS = 0.0003, 1.5   # to open one idle connection; to count system calls
SCALES = ('linear', 'log')


class Mistake(Exception):
    """The text is 'FILE:LINE: what is wrong; what was expected'."""


def text(v):
    return isinstance(v, str) and v.strip() != ''


def whole(least, most):
    return lambda v: type(v) is int and least <= v <= most


def number(least, most):
    return lambda v: type(v) in (int, float) and least <= v <= most


def one_of(*words):
    return lambda v: v in words


def texts(v):
    return isinstance(v, list) and v != [] and all(map(text, v))


def size(v):
    return isinstance(v, str) and SIZE.match(v) is not None


def boolean(v):
    return type(v) is bool


def bytes_of(word):
    """'64k' is 65536; the word has passed size()."""
    count, unit = SIZE.match(word).groups()
    return int(count) << {'': 0, 'k': 10, 'm': 20}[unit.lower()]


NEEDED = object()
# key: (check, what is expected, default)
LOAD = {
    'kind': (one_of('bench', 'h2load'), '"bench" or "h2load"', 'bench'),
    'connections': (whole(0, 20000), 'a count from 0 to 20000', 64),
    'idle': (whole(0, 20000), 'a count from 0 to 20000', 0),
    'slow': (whole(0, 20000), 'a count of slow readers from 0 to 20000', 0),
    'slow_rate': (size, 'a size a second like "10k"', '10k'),
    'depth': (whole(1, 64), 'a count of requests sent at once, 1 to 64', 1),
    'size': (size, 'a size like "13", "64k" or "1m"', '13'),
    'keepalive': (boolean, 'true or false', True),
    'tls': (boolean, 'true or false: the servers speak TLS 1.3', False),
    'streams': (whole(0, 128), 'a count of HTTP/2 streams of a connection, 0 (HTTP/1.1) to 128', 0),
    'proxied': (boolean, 'true or false: the servers ask one back end', False),
    'model': (one_of('closed', 'open'), '"closed" or "open"', 'closed'),
    'percent': (number(1, 100), 'percents of the capacity, 1 to 100', 100),
}
# What cannot be one load: (is it so, the key that is wrong, why)
CLASHES = [
    (lambda one: one['tls'] and one['idle'] + one['slow'], 'tls',
     'connections that are only held speak no TLS'),
    (lambda one: one['streams'] and not one['tls'], 'streams', 'they need tls = true'),
    (lambda one: one['streams'] and not one['keepalive'], 'streams',
     'they need connections that stay'),
    (lambda one: one['streams'] and one['depth'] > 1, 'depth', 'only HTTP/1.1 is pipelined'),
    (lambda one: one['kind'] == 'h2load' and one['model'] == 'open', 'model',
     'h2load has no open loop'),
]
UNTOLD = ('p50_us', 'p90_us', 'p99_us', 'p999_us')   # by h2load
TOP = {
    'title': (text, 'a text', NEEDED),
    'question': (text, 'a text', NEEDED),
    'expect': (text, 'a text: what the literature lets one expect', ''),
    'kind': (one_of('http', 'program'), '"http" or "program"', 'http'),
    'seconds': (number(0.05, 60), 'seconds from 0.05 to 60', NEEDED),
    'warmup': (number(0, 60), 'seconds from 0 to 60', 0.5),
    'repetitions': (whole(1, 100), 'a count from 1 to 100', NEEDED),
    'reference': (text, 'the name of a subject', NEEDED),
    'metrics': (texts, 'a list of metrics', NEEDED),
    'x': (None, 'a table [x]', NEEDED),
    'panel': (None, 'a table [panel]', None),
    'order': (whole(1, 99), 'its place in the report, 1 to 99', 99),
    'load': (None, 'a table [load]', {}),
    'chart': (None, 'a table [chart]', {}),
    'subject': (None, 'tables [[subject]]', NEEDED),
}
AXIS = {
    'name': (text, 'a key of [load]', NEEDED),
    'label': (text, 'a text', NEEDED),
    'values': (lambda v: isinstance(v, list) and v != [], 'a list with at least one value', NEEDED),
}
CHART = {
    'metric': (lambda v: v in METRICS, 'one of the metrics of the plan', None),
    'x_scale': (one_of(*SCALES), '"linear" or "log"', 'linear'),
    'y_scale': (one_of(*SCALES), '"linear" or "log"', 'linear'),
    'note': (text, 'a text', ''),
}
SUBJECT = {
    'name': (text, 'a text', NEEDED),
    'kind': (one_of('weir', 'nginx', 'program', 'command'),
             '"weir", "nginx", "program" or "command"', 'weir'),
    'engine': (one_of('io_uring', 'epoll', 'poll', 'select', 'threads'),
               'io_uring, epoll, poll, select or threads', 'epoll'),
    'settings': (lambda v: isinstance(v, str), 'directives of the http block', ''),
    'config': (text, 'the text of a configuration file', ''),
    'command': (texts, 'a list: a program and its arguments', []),
    'answer': (text, 'what the server answers, if it serves no files', ''),
    'ends_at': (number(0, 1e9), 'the largest x it can do', None),
    'why': (text, 'why it ends there', ''),
}


def line_of(source, table, key, nth=0):
    """The line of `key` in `table` ('' is the top), the table's own line, or 1."""
    here, count, found = '', -1, 1
    for n, line in enumerate(source.splitlines(), 1):
        if m := re.match(r'\s*\[\[?\s*([\w.-]+)\s*\]\]?', line):
            here = m[1]
            count += here == table
            if here == table and max(count, 0) == nth:
                found = n
        elif here == table and (table == '' or max(count, 0) == nth):
            if key and re.match(rf'\s*["\']?{re.escape(key)}["\']?\s*=', line):
                return n
    return found


class Reader:
    def __init__(self, path, source):
        self.path, self.source = path, source

    def fail(self, table, key, nth, message):
        raise Mistake(f'{self.path}:{line_of(self.source, table, key, nth)}: {message}')

    def table(self, given, rows, table, nth=0, free=False):
        if not isinstance(given, dict):
            self.fail('', table, 0, f'"{table}" is not a table; expected {TOP[table][1]}')
        out = {}
        for key in given:
            if key not in rows and not free:
                self.fail(table, key, nth, f'unknown key "{key}"; expected one of '
                          + ', '.join(sorted(rows)))
        for key, (good, expected, default) in rows.items():
            if key not in given:
                if default is NEEDED:
                    self.fail(table, '', nth, f'"{key}" is missing; expected {expected}')
                out[key] = default
                continue
            if good is not None and not good(given[key]):
                self.fail(table, key, nth,
                          f'"{key}" is {given[key]!r}; expected {expected}')
            out[key] = given[key]
        if free:
            out.update({k: v for k, v in given.items() if k not in rows})
        return out

    def axis(self, given, name, load, program):
        axis = self.table(given, AXIS, name)
        if program:
            return axis
        if axis['name'] not in LOAD or axis['name'] == 'kind':
            self.fail(name, 'name', 0, f'"{axis["name"]}" cannot be varied; expected one of '
                      + ', '.join(sorted(LOAD.keys() - {'kind'})))
        good, expected, _ = LOAD[axis['name']]
        for v in axis['values']:
            if not good(v):
                self.fail(name, 'values', 0, f'{v!r} is no value of {axis["name"]}; '
                          f'expected {expected}')
        return axis

    def clashes(self, plan):
        for x, panel in places(plan):
            one = stages(plan, x, panel)
            for so, key, why in CLASHES:
                if so(one):
                    self.fail('load', key, 0, f'"{key}" is {json.dumps(one[key])}: {why}')

    def subjects(self, given):
        if not isinstance(given, list):
            self.fail('', 'subject', 0, '"subject" is one table; expected [[subject]]')
        out = []
        for n, one in enumerate(given):
            s = self.table(one, SUBJECT, 'subject', n)
            if s['name'] in [o['name'] for o in out]:
                self.fail('subject', 'name', n, f'"{s["name"]}" is there twice; '
                          'expected a name of its own')
            if s['kind'] in ('program', 'command') and not s['command']:
                self.fail('subject', 'kind', n, f'"command" is missing; expected the program '
                          f'and arguments of this {s["kind"]}')
            if s['ends_at'] is not None and not s['why']:
                self.fail('subject', 'ends_at', n, '"why" is missing; expected why it ends there')
            out.append(s)
        return out

    def whole(self, given):
        plan = self.table(given, TOP, '')
        program = plan['kind'] == 'program'
        plan['subjects'] = self.subjects(plan.pop('subject'))
        plan['load'] = self.table(plan['load'], {} if program else LOAD, 'load', free=program)
        plan['x'] = self.axis(plan['x'], 'x', plan['load'], program)
        if plan['panel'] is not None:
            plan['panel'] = self.axis(plan['panel'], 'panel', plan['load'], program)
        if not program:
            self.clashes(plan)
        plan['chart'] = self.table(plan['chart'], CHART, 'chart')
        for m in plan['metrics']:
            if m not in METRICS:
                self.fail('', 'metrics', 0, f'no metric "{m}"; expected some of '
                          + ', '.join(METRICS))
            if m in UNTOLD and not program and plan['load']['kind'] == 'h2load':
                self.fail('', 'metrics', 0, f'h2load does not tell "{m}"; expected some without '
                          + ', '.join(UNTOLD))
        plan['chart']['metric'] = plan['chart']['metric'] or plan['metrics'][0]
        if plan['chart']['metric'] not in plan['metrics']:
            self.fail('chart', 'metric', 0, f'"{plan["chart"]["metric"]}" is not measured; '
                      'expected one of ' + ', '.join(plan['metrics']))
        names = [s['name'] for s in plan['subjects']]
        if plan['reference'] not in names:
            self.fail('', 'reference', 0, f'no subject "{plan["reference"]}"; expected one of '
                      + ', '.join(names))
        return plan


def places(plan):
    """All (x, panel) of a plan."""
    panels = plan['panel']['values'] if plan['panel'] else [None]
    return [(x, panel) for panel in panels for x in plan['x']['values']]


def stages(plan, x, panel):
    """The load of one place."""
    load = dict(plan['load'])
    load[plan['x']['name']] = x
    if plan['panel']:
        load[plan['panel']['name']] = panel
    return load


def minutes(plan):
    """About how long a run of the plan takes."""
    per_cell = plan['seconds'] + START_SECONDS[plan['kind']]
    if plan['kind'] == 'http' and plan['load']['connections']:
        per_cell += plan['warmup'] + (TRACE_SECONDS if 'syscalls' in plan['metrics'] else 0)
    total = 0
    for x, _ in places(plan):
        cells = 1 + sum(s['ends_at'] is None or x <= s['ends_at'] for s in plan['subjects'])
        held = x if plan['x']['name'] == 'idle' else 0
        total += cells * (per_cell + held * HELD_SECONDS)
    return total * plan['repetitions'] / 60


def read(path):
    """The plan in `path`, with defaults; Mistake if it cannot be one."""
    path = pathlib.Path(path)
    try:
        source = path.read_text()
    except OSError as error:
        raise Mistake(f'{path}: cannot be read: {error.strerror}; expected a plan') from None
    try:
        given = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r'at line (\d+)', str(error))
        at = line[1] if line else len(source.splitlines())
        raise Mistake(f'{path}:{at}: not TOML: {error}; expected lines like key = value') from None
    plan = Reader(path, source).whole(given)
    plan['name'] = path.stem
    return plan
