"""One cell: one subject at one place of the plan, measured once."""
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from . import account, load as loads
from .plan import bytes_of, stages
from .servers import SERVER_CPU, Failed, Server, end_group, find, started

TRACE_SECONDS = 0.5
STEAL_MAX = 0.01
BOUND = 0.95
SETTLE_SECONDS = 0.2
OPENING_SECONDS = 0.0003   # what the warm-up is longer for each connection


class Rig:
    """What all cells of a run share: where things are, and what has been found out."""

    def __init__(self, weir, programs, folder, seconds=None):
        self.weir, self.programs, self.folder, self.seconds = weir, programs, folder, seconds
        self.capacity = None   # the slowest subject's requests a second, for an open loop


def measure(rig, plan, subject, x, panel):
    """{'values': {metric: figure}, 'client_bound', 'notes'}; Failed if it cannot be measured."""
    load = stages(plan, x, panel)
    if plan['kind'] == 'program':
        return measure_program(rig, plan, subject, load)
    directory = pathlib.Path(tempfile.mkdtemp(prefix='weir-lab-'))
    directory.chmod(0o755)
    try:
        return measure_server(rig, plan, subject, load, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def measure_server(rig, plan, subject, load, directory):
    with Server(subject, load, directory, rig.weir, rig.programs,
                rig.folder) as server:
        try:
            return served(rig, plan, server, load)
        except Failed:
            time.sleep(SETTLE_SECONDS)
            server.check_alive()   # says more than the client can know
            raise


def served(rig, plan, server, load):
    """The cell of a server that has started."""
    time.sleep(SETTLE_SECONDS)
    empty = memory(server.pid) if wants(plan, 'user_bytes', 'kernel_bytes', 'stack_bytes') \
        else None
    with loads.held(server.port, server.path, load['idle'], load['slow'],
                    bytes_of(load['slow_rate'])) as still:
        cell = loaded(rig, plan, server, load)
        cell['values'].update(account.threads(server.pid))
        if empty is not None:
            per_connection(cell['values'], empty, server.pid, load)
        held = load['idle'] + load['slow']
        if (left := still()) < held:
            raise Failed(f'closed {held - left} of {held} connections that were only held')
        if wants(plan, 'syscalls') and load['connections']:
            cell['values']['syscalls'] = traced(rig, server, load)
    return cell


def wants(plan, *metrics):
    return any(m in plan['metrics'] for m in metrics)


def memory(pid):
    return {'user': account.user_memory(pid), **account.kernel_memory()}


def per_connection(values, before, pid, load):
    """Both ends of a loopback connection are in the kernel's share."""
    count = load['idle'] + load['slow'] + load['connections']
    if not load['idle'] + load['slow']:
        return
    time.sleep(SETTLE_SECONDS)
    now = memory(pid)
    for name in ('user', 'kernel', 'stack'):
        values[f'{name}_bytes'] = (now[name] - before[name]) / count


def loaded(rig, plan, server, load):
    """The load and what it cost; without active connections, what the others cost meanwhile."""
    seconds = rig.seconds or plan['seconds']
    rate = rate_of(rig, server, load)
    seen = {}

    def look(word):
        seen[word] = account.counts(server.pid), account.stolen(), time.monotonic()

    if load['connections']:
        warmup = plan['warmup'] + load['connections'] * OPENING_SECONDS
        found = loads.run(rig.weir, server.url, load, seconds, rate, warmup, look)
    else:
        look('begin')
        time.sleep(seconds)
        look('end')
        found = None
    if len(seen) < 2:
        raise Failed('the load generator did not say when it began and ended')
    (before, stolen, start), (after, stolen_after, end) = seen['begin'], seen['end']
    wall = end - start
    server.check_alive()
    user, system = account.spent(before, after)
    values = {'cpu_share': (user + system) / wall / 1e7}
    notes = steal_note(stolen, stolen_after)
    if found:
        n = found['requests']
        values.update({'cpu_us': (user + system) / 1000 / n, 'user_us': user / 1000 / n,
                       'system_us': system / 1000 / n, 'rps': found['rps']})
        if None not in (before['switches'], after['switches']):
            values['switches'] = max(0, after['switches'] - before['switches']) / n
        values.update({f'{k}_us': found['latency_us'][k] for k in loads.LATENCIES
                       if found['latency_us'].get(k) is not None})
        values['client_share'] = found['client_share'] * 100
    bound = bool(found) and rate is None and found['client_share'] >= BOUND
    return {'values': values, 'client_bound': bound, 'notes': notes}


def steal_note(before, after):
    ticks = after[1] - before[1]
    share = (after[0] - before[0]) / ticks if ticks else 0
    return [f'{share:.0%} of the CPU time was taken by other guests'] if share > STEAL_MAX else []


def rate_of(rig, server, load):
    """None in a closed loop, which has as many callers as the share of the capacity asks."""
    if load['model'] == 'closed':
        load['connections'] = math.ceil(load['connections'] * load['percent'] / 100)
        return None
    if rig.capacity is None:
        raise Failed(f'no capacity is known for {server.subject["name"]}')
    return rig.capacity * load['percent'] / 100


def traced(rig, server, load):
    """System calls per request, in a run of its own: strace slows the server down."""
    strace = shutil.which('strace')
    if strace is None:
        raise Failed('not installed: strace')
    out = server.directory / 'strace'
    pids = [a for pid in account.family(server.pid) for a in ('-p', str(pid))]
    child = started([strace, '-f', '-c', '-o', str(out), *pids], stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
    try:
        time.sleep(TRACE_SECONDS)
        found = loads.run(rig.weir, server.url, {**load, 'model': 'closed'}, TRACE_SECONDS)
    finally:
        child.send_signal(2)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            pass
        end_group(child)
    total = re.search(r'^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total', out.read_text(),
                      re.M)
    if not total:
        raise Failed('strace counted nothing')
    return int(total[1]) / found['requests']


def measure_program(rig, plan, subject, load):
    """Runs the subject's program on CPU 0; it prints its figures as JSON."""
    words = {**{k: str(v) for k, v in load.items()},
             'seconds': f'{rig.seconds or plan["seconds"]:g}'}
    argv = [re.sub(r'\$(\w+)', lambda m: words.get(m[1], m[0]), w) for w in subject['command']]
    path = find(argv[0], rig.programs)
    if path is None:
        raise Failed(f'not installed: {argv[0]}')
    child = started(['taskset', '-c', SERVER_CPU, path, *argv[1:]], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, cwd=os.environ.get('TMPDIR', '/var/tmp'))
    stolen = account.stolen()
    try:
        out, err = child.communicate(timeout=(rig.seconds or plan['seconds']) + 120)
    except subprocess.TimeoutExpired:
        raise Failed('does not end') from None
    finally:
        end_group(child)
    try:
        values = json.loads(out)
    except ValueError:
        last = (err + out).strip().splitlines()
        raise Failed(f'ended with {child.returncode}: '
                     f'{last[-1] if last else "it said nothing"}') from None
    return {'values': values, 'client_bound': False,
            'notes': steal_note(stolen, account.stolen())}
