"""weir lab: runs plans, draws charts, writes the report."""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

from . import interrupt, plan as plans
from .cell import Rig
from .servers import Failed, new_certificate

HERE = pathlib.Path(__file__).resolve().parent.parent
EPILOGUE = """A plan is the name of one in the lab's plans, or a path of a .toml file.
Results are kept as JSON in the results directory, the report beside them, charts in charts/."""


def arguments(argv):
    parser = argparse.ArgumentParser(prog='weir lab', epilog=EPILOGUE, description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    words = {'list': 'the plans and their questions', 'check': 'read plans, run nothing',
             'run': 'run plans (all of them without a name), draw charts, write the report',
             'chart': 'draw the charts of results again', 'report': 'write report.html again'}
    for word, says in words.items():
        one = commands.add_parser(word, help=says, description=says)
        if word != 'list':
            one.add_argument('plans', nargs='*', metavar='PLAN')
        if word in ('run', 'chart', 'report'):
            one.add_argument('--results', default=os.environ.get('WEIR_LAB_RESULTS', 'lab-results'),
                             metavar='DIR', help='where results are kept (lab-results)')
        if word == 'run':
            one.add_argument('--weir', default=os.environ.get('WEIR', 'weir'), metavar='BIN')
            one.add_argument('--programs', metavar='DIR',
                             default=os.environ.get('WEIR_LAB_PROGRAMS', str(HERE)),
                             help="where the lab's small programs are")
            one.add_argument('--seconds', type=float, help='instead of what the plans say')
            one.add_argument('--repetitions', type=int, help='instead of what the plans say')
            one.add_argument('--seed', type=int, help='of the random order (a new one each time)')
            one.add_argument('--subjects', help='only these, separated by commas')
    return parser.parse_args(argv)


def plan_paths(names):
    if not names:
        return sorted((HERE / 'plans').glob('*.toml'))
    return [pathlib.Path(n) if n.endswith('.toml') else HERE / 'plans' / f'{n}.toml'
            for n in names]


def chosen(plan, words):
    """The plan with only some subjects; the reference becomes the first if it is not among them."""
    if not words:
        return plan
    names = words.split(',')
    known = [s['name'] for s in plan['subjects']]
    if wrong := [n for n in names if n not in known]:
        raise plans.Mistake(f'{plan["name"]}: no subject "{wrong[0]}"; expected some of '
                            + ', '.join(known))
    plan['subjects'] = [s for s in plan['subjects'] if s['name'] in names]
    if plan['reference'] not in names:
        plan['reference'] = plan['subjects'][0]['name']
    return plan


@contextlib.contextmanager
def kept(weir):
    """A copy of the binary for the length of a run: a build meanwhile cannot change what is measured."""
    path = shutil.which(weir)
    if path is None:
        raise plans.Mistake(f'{weir}: no such program; expected weir (--weir BIN)')
    with tempfile.TemporaryDirectory(prefix='weir-lab-binary-') as folder:
        os.chmod(folder, 0o755)
        yield shutil.copy(path, folder)


def run(o):
    from . import machine
    read = [chosen(plans.read(p), o.subjects) for p in plan_paths(o.plans)]
    folder = pathlib.Path(o.results)
    folder.mkdir(parents=True, exist_ok=True)
    o.programs = str(pathlib.Path(o.programs).resolve())
    interrupt.listen()
    with kept(o.weir) as weir:
        described = machine.describe(weir, o.programs)
        place = pathlib.Path(weir).parent
        certify(read, place)
        status = measured(o, read, folder, Rig(weir, o.programs, place, o.seconds), described)
    drawn(folder, [p['name'] for p in read])
    written(folder)
    return status


def certify(read, folder):
    """One certificate for all servers of the run, if a plan asks for TLS."""
    loads = [plans.stages(p, *place) for p in read if p['kind'] == 'http'
             for place in plans.places(p)]
    if any(one['tls'] for one in loads):
        new_certificate(folder)


def measured(o, read, folder, rig, described):
    """Runs the plans in turn; the exit code."""
    from . import runner
    status = 0
    for plan in read:
        print(f'{plan["name"]}: {plan["question"]}', flush=True)
        path = folder / f'{plan["name"]}.json'
        seed = o.seed if o.seed is not None else random.SystemRandom().randrange(1 << 32)
        try:
            runner.prepare(plan, rig.weir)
            result = runner.Run(plan, rig, described, path, seed, o.repetitions).go()
        except runner.Unfit as error:
            print(f'  not run: {error}', file=sys.stderr, flush=True)
            status = 1
            continue
        except KeyboardInterrupt:
            print(f'\ninterrupted: {path} holds what was measured', file=sys.stderr)
            return 130
        tell(result)
    return status


def tell(result):
    """The chart's metric as a table on the terminal."""
    from .look import figure, place
    plan, metric = result['plan'], result['plan']['chart']['metric']
    rows = [r for r in result['summary']['rows'] if r['metric'] == metric]
    print(f'  {metric}', *(f'{str(x):>10}' for x in plan['x']['values']))
    panels = plan['panel']['values'] if plan['panel'] else [None]
    for panel in panels:
        for subject in plan['subjects']:
            cells = {r['x']: figure(r['median']) for r in rows
                     if (r['subject'], r['panel']) == (subject['name'], panel)}
            label = subject['name'] if panel is None else \
                f'{subject["name"]}, {place(plan, panel)}'
            print(f'  {label:24}', *(f'{cells.get(x, "-"):>10}' for x in plan['x']['values']))
    if result['missing']:
        print(f'  {len(result["missing"])} left out, see the report')


def results(folder):
    """All results in a folder, in the order of their plans; a file that is none is said."""
    found = []
    for path in pathlib.Path(folder).glob('*.json'):
        try:
            result = json.loads(path.read_text())
            found.append((result['plan']['order'], result['name'], result))
        except (ValueError, KeyError, TypeError):
            print(f'{path}: not a result of this lab, passed over', file=sys.stderr)
    return [result for _, _, result in sorted(found, key=lambda f: f[:2])]


def drawn(folder, names):
    from . import chart
    charts = pathlib.Path(folder) / 'charts'
    charts.mkdir(parents=True, exist_ok=True)
    for result in results(folder):
        if not names or result['name'] in names:
            for metric in result['plan']['metrics']:
                for path in chart.draw(result, charts, metric):
                    if path.suffix == '.svg' and metric == result['plan']['chart']['metric']:
                        print(f'  {path}')


def written(folder):
    from . import report
    path = pathlib.Path(folder) / 'report.html'
    found = results(folder)
    if not found:
        print(f'{folder} has no results: run one first', file=sys.stderr)
        return 1
    path.write_text(report.page(found))
    print(f'  {path}')
    return 0


def main(argv):
    o = arguments(argv)
    try:
        if o.command == 'list':
            for path in plan_paths([]):
                print(f'{path.stem:24} {plans.read(path)["question"]}')
            return 0
        if o.command == 'check':
            for path in plan_paths(o.plans):
                plan = plans.read(path)
                print(f'{path.stem}: {len(plan["subjects"])} subjects, about '
                      f'{plans.minutes(plan):.0f} min')
            return 0
        if o.command == 'run':
            return run(o)
        if o.command == 'chart':
            return drawn(o.results, o.plans) or 0
        return written(o.results)
    except plans.Mistake as error:
        print(error, file=sys.stderr)
        return 2
    except Failed as error:
        print(f'not run: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ninterrupted: nothing was being measured', file=sys.stderr)
        return 130
