"""Running a plan: blocks of cells in random order, results kept after every block."""
import datetime
import json
import math
import os
import pathlib
import random
import resource
import shutil
import statistics
import time

from . import stats
from .account import read
from .cell import Rig, measure
from .load import Cannot, generator, has_bench, has_http2
from .metrics import METRICS
from .plan import places, stages
from .servers import Failed, end_all, lay_out

SPARE = 200
LACKING = {'wrk': 'wrk, or a weir that knows `weir bench`', 'h2load': 'h2load (nghttp2-client)'}


class Unfit(Exception):
    """This machine cannot run the plan; the text says what is too small and what would do."""


def prepare(plan, weir, out=print):
    """Raises the soft limits; Unfit if the run cannot be right on this machine."""
    if os.cpu_count() < 2:
        raise Unfit('one CPU: server and client need one each')
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if plan['kind'] == 'program':
        return
    loads = [stages(plan, x, panel) for x, panel in places(plan)]
    most = max(one['connections'] + one['idle'] + one['slow'] for one in loads)
    if hard != resource.RLIM_INFINITY and most + SPARE > hard:
        raise Unfit(f'{most} connections need {most + SPARE} descriptors; the hard limit is {hard}'
                    f' (ulimit -Hn): raise it, or take at most {hard - SPARE} connections')
    low, high = map(int, read('/proc/sys/net/ipv4/ip_local_port_range').split())
    if most + SPARE > high - low:
        raise Unfit(f'{most} connections need {most + SPARE} ports; there are {high - low} '
                    '(/proc/sys/net/ipv4/ip_local_port_range)')
    if any(one['model'] == 'open' for one in loads) and not has_bench(weir):
        raise Unfit('an open loop needs a weir that knows `weir bench`; this one does not')
    used = generator(weir, plan['load'])
    if used != 'h2load' and any(one['tls'] for one in loads) and not has_http2(weir):
        raise Unfit('TLS and HTTP/2 need a weir whose `weir bench` has --http2 and --groups, or '
                    'kind = "h2load"')
    if used != 'weir bench' and shutil.which(used) is None:
        raise Unfit(f'no load generator: expected {LACKING[used]}')
    if not all(one['keepalive'] for one in loads) and \
            read('/proc/sys/net/ipv4/tcp_tw_reuse').strip() == '0':
        out('  note: tcp_tw_reuse is 0, ports may run out', flush=True)


class Run:
    def __init__(self, plan, rig, described, path, seed, repetitions, out=print):
        self.plan, self.rig, self.path, self.out = plan, rig, pathlib.Path(path), out
        self.draw = random.Random(seed)
        self.repetitions = repetitions or plan['repetitions']
        self.absent = set()
        self.result = {
            'name': plan['name'], 'plan': plan, 'machine': described, 'seed': seed,
            'started': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
            'seconds': rig.seconds or plan['seconds'], 'repetitions': self.repetitions,
            'generator': '', 'complete': False, 'cells': [], 'missing': []}

    def subjects(self):
        """All of them, and the reference once more: the A/A control."""
        found = [(s['name'], s) for s in self.plan['subjects']]
        again = next(s for name, s in found if name == self.plan['reference'])
        return found + [(self.plan['reference'] + stats.AGAIN, again)]

    def left_out(self, name, why, x, panel):
        known = {'subject': name, 'why': why, 'x': x, 'panel': panel}
        if known not in self.result['missing']:
            self.result['missing'].append(known)
            where = f' at {self.plan["x"]["name"]} {x}' if x is not None else ''
            self.out(f'  left out: {name}{where}: {why}', flush=True)

    def one(self, name, subject, x, panel, block):
        if name in self.absent:
            return
        if subject['ends_at'] is not None and x > subject['ends_at']:
            self.left_out(name, subject['why'], x, panel)
            return
        try:
            cell = measure(self.rig, self.plan, subject, x, panel)
        except (Failed, Cannot) as error:
            if str(error).startswith('not installed'):
                self.absent.add(name)
                self.left_out(name, str(error), None, None)
            else:
                self.left_out(name, str(error), x, panel)
            return
        self.result['cells'].append({'subject': name, 'x': x, 'panel': panel, 'block': block,
                                     **cell})

    def find_capacity(self):
        """The slowest subject's requests a second in a closed loop, for plans with an open one."""
        loads = [stages(self.plan, x, panel) for x, panel in places(self.plan)]
        if self.plan['kind'] == 'program' or all(one['model'] == 'closed' for one in loads):
            return
        closed = {**self.plan, 'panel': None, 'metrics': [],
                  'load': {**self.plan['load'], 'model': 'closed', 'percent': 100},
                  'x': {'name': 'percent', 'values': [100], 'label': ''}}
        found = {}
        for name, subject in self.subjects()[:-1]:
            try:
                rates = [measure(self.rig, closed, subject, 100, None)['values']['rps']
                         for _ in range(3)]
            except Failed as error:
                self.absent.add(name)
                self.left_out(name, str(error), None, None)
            else:
                found[name] = statistics.median(rates)
        if not found:
            raise Unfit('no subject could be measured in a closed loop')
        self.rig.capacity = min(found.values())
        self.result['capacity'] = found
        self.out(f'  capacity of the slowest: {self.rig.capacity:.0f} requests/s', flush=True)

    def go(self):
        """Runs all blocks; a Ctrl-C ends it with what was measured so far kept."""
        subjects = self.subjects()
        start = time.monotonic()
        if self.plan['kind'] == 'http':
            self.result['generator'] = generator(self.rig.weir, self.plan['load'])
            if self.result['generator'] == 'wrk':   # it knows whole seconds only
                self.result['seconds'] = math.ceil(self.result['seconds'])
            lay_out(self.rig.folder, [stages(self.plan, *place) for place in places(self.plan)])
        try:
            self.find_capacity()
            for block in range(self.repetitions):
                where = places(self.plan)
                self.draw.shuffle(where)
                for x, panel in where:
                    self.draw.shuffle(subjects)
                    for name, subject in subjects:
                        self.one(name, subject, x, panel, block)
                self.keep()
                self.out(f'  {self.plan["name"]}: {block + 1} of {self.repetitions} after '
                         f'{time.monotonic() - start:.0f} s', flush=True)
            self.result['complete'] = True
        finally:
            end_all()
            self.result['took_seconds'] = round(time.monotonic() - start, 1)
            self.keep()
        return self.result

    def keep(self):
        """The file is whole at any time."""
        self.result['summary'] = stats.summary(self.result, METRICS)
        fresh = self.path.with_suffix('.new')
        fresh.write_text(json.dumps(self.result, indent=1) + '\n')
        fresh.replace(self.path)
