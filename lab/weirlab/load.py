"""The load: one function, three generators (h2load if the plan says so, else `weir bench` if the
binary has it, else wrk), and the connections that are only held.
"""
import contextlib
import functools
import json
import math
import os
import pathlib
import select
import subprocess
import sys
import time

from . import h2load, interrupt
from .servers import Failed, end_group, started

CLIENT_CPU = '1'
HERE = pathlib.Path(__file__).resolve().parent
LATENCIES = ('p50', 'p90', 'p99', 'p999', 'max')
BENCH_SIGNS = {b'begin': 'begin', b'end': 'end'}
BENCH_SAME = ('--tls', '1.3', '--ciphers', 'TLS_AES_128_GCM_SHA256', '--groups', 'X25519')
LAST_SECONDS = 5   # to end in, after what is counted
TRIAL = 200   # requests that tell how many are made in a second


class Hung(Failed):
    """The generator did not end."""


class Cannot(Exception):
    """The generator that is here cannot make this load."""


@functools.cache
def bench_help(weir):
    """What `weir bench --help` prints; '' if this binary does not know it."""
    run = subprocess.run([weir, 'bench', '--help'], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=10)
    return run.stdout + run.stderr if run.returncode == 0 else ''


def has_bench(weir):
    return '--gaps' in bench_help(weir)


def has_http2(weir):
    return '--http2' in bench_help(weir) and '--groups' in bench_help(weir)


def bench_argv(weir, url, load, seconds, rate, warmup):
    way = ['--http2', '-m', str(load['streams'])] if load['streams'] else \
        ['-p', str(load['depth'])]
    argv = [weir, 'bench', url, '-c', str(load['connections']), *way, '-d', f'{seconds:g}',
            '--json', '-']
    if load['tls']:
        argv += BENCH_SAME
    if warmup:
        argv += ['--warmup', f'{warmup:g}', '--marks']
    if not load['keepalive']:
        argv.append('--no-keepalive')
    if rate:
        argv += ['-r', f'{rate:.0f}', '--gaps', 'exponential']
    return argv


def wrk_argv(url, load, seconds, rate):
    if load['tls']:
        raise Cannot('wrk has no part in TLS here: expected a weir that knows `weir bench`')
    if rate:
        raise Cannot('wrk has no open loop: this load needs a weir that knows `weir bench`')
    return ['wrk', '-t1', f'-c{load["connections"]}', f'-d{math.ceil(seconds)}s',
            '-s', str(HERE / 'wrk.lua'), url, '--', str(load['depth']),
            'keep' if load['keepalive'] else 'close']


def generator(weir, load):
    """'h2load', 'weir bench' or 'wrk'."""
    if load['kind'] == 'h2load':
        return 'h2load'
    return 'weir bench' if has_bench(weir) else 'wrk'


def run(weir, url, load, seconds, rate=None, warmup=0, mark=lambda word: None):
    """Makes the load on CPU 1 and waits for its end.

    mark('begin') and mark('end') are called around what is counted; a generator that cannot say
    when that is warms up in a run before and is counted whole.
    Gives rps, requests, errors, seconds, latency_us {p50, p90, p99, p999, max}, client_share.
    `rate` asks for an open loop. Failed if nothing was answered or answers were wrong; Cannot.
    """
    make = GENERATORS[generator(weir, load)]
    return make(weir, url, load, seconds, rate, warmup, mark)


def by_bench(weir, url, load, seconds, rate, warmup, mark):
    tells = '--marks' in bench_help(weir)
    if warmup and not tells:
        by_bench(weir, url, load, warmup, rate, 0, lambda word: None)
    warmup = warmup if tells else 0
    argv = bench_argv(weir, url, load, seconds, rate, warmup)
    return driven(argv, parsed, seconds + warmup, mark, 'stderr', BENCH_SIGNS if warmup else {})


def by_wrk(weir, url, load, seconds, rate, warmup, mark):
    if warmup:
        by_wrk(weir, url, load, warmup, rate, 0, lambda word: None)
    return driven(wrk_argv(url, load, seconds, rate), parsed, seconds, mark)


def by_h2load(weir, url, load, seconds, rate, warmup, mark):
    if rate:
        raise Cannot('h2load has no open loop')

    def read(out, err, status):
        return h2load.figures(out, load) or complain(out, err, status)

    if load['keepalive']:
        argv = h2load.argv(url, load, *h2load.lasting(seconds, warmup))
        try:
            return driven(argv, read, seconds + warmup, mark, 'stdout', h2load.SIGNS)
        except Hung:   # it may, in its last moment, on a machine that is very busy
            return driven(argv, read, seconds + warmup, mark, 'stdout', h2load.SIGNS)
    trial = driven(h2load.argv(url, load, *h2load.counted(TRIAL, load)), read, seconds)
    argv = h2load.argv(url, load, *h2load.counted(trial['rps'] * seconds, load))
    return driven(argv, read, seconds, mark)


GENERATORS = {'h2load': by_h2load, 'weir bench': by_bench, 'wrk': by_wrk}


def driven(argv, read, seconds, mark=lambda word: None, stream='stdout', signs=None):
    """Runs a generator on CPU 1; `read` makes figures of (stdout, stderr, exit status).

    Each of `signs` that is seen in `stream` calls mark() with its word; without any, the run is
    marked as a whole.
    """
    if not signs:
        mark('begin')
    start = time.monotonic()
    child = started(['taskset', '-c', CLIENT_CPU, *argv], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    try:
        out, err = drained(child, seconds, mark, getattr(child, stream).fileno(), signs or {})
        with interrupt.waits():
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        end_group(child)
    wall = time.monotonic() - start
    if not signs:
        mark('end')
    found = read(out, err, child.returncode)
    found['client_share'] = (used.ru_utime + used.ru_stime) / wall
    if not found['requests']:
        raise Failed('answered nothing')
    if found['errors']:
        raise Failed(f'{found["errors"]} of {found["requests"]} answers were errors')
    return found


def drained(child, seconds, mark, where, signs):
    """Both outputs; the generator is stopped when it takes far longer than it was told."""
    end = time.monotonic() + seconds + 30
    found = {child.stdout.fileno(): b'', child.stderr.fileno(): b''}
    out, err = found
    ahead = dict(signs)
    watch = select.poll()
    for fd in found:
        watch.register(fd)
    with child.stdout, child.stderr:
        while time.monotonic() < end:
            for fd, _ in watch.poll(1000):
                piece = os.read(fd, 1 << 16)
                if not piece:
                    watch.unregister(fd)
                    if fd == out:
                        return found[out], found[err]
                found[fd] += piece
                for sign in [s for s in ahead if fd == where and s in found[fd]]:
                    mark(ahead.pop(sign))
                    end = time.monotonic() + LAST_SECONDS if not ahead else end
    raise Hung('the load generator does not end')


def complain(out, err, status):
    last = (err + out).decode(errors='replace').strip().splitlines()
    raise Failed(f'the load generator ended with {status}: '
                 f'{last[-1] if last else "it said nothing"}')


def parsed(out, err, status):
    text = out.decode(errors='replace')
    try:
        found = json.loads(text[text.index('{'):])
    except ValueError:
        complain(out, err, status)
    errors = found.get('errors', 0)
    if isinstance(errors, dict):
        errors = errors.get('total', sum(errors.values()))
    found['errors'] = errors
    return found


@contextlib.contextmanager
def held(port, path, count, slow=0, rate=0):
    """Holds `count` idle connections, or `slow` readers of `rate` bytes a second, meanwhile.

    Failed if they cannot be had. Gives a function that says how many are still open.
    """
    if not count and not slow:
        yield lambda: 0
        return
    child = started(['taskset', '-c', CLIENT_CPU, sys.executable, str(HERE / 'hold.py'),
                     str(port), path, str(count), str(slow), str(rate)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def still():
        child.stdin.write('count\n')
        child.stdin.flush()
        return int(child.stdout.readline() or 0)

    try:
        said = child.stdout.readline().strip()
        if said != 'ready':
            raise Failed(f'cannot hold {count or slow} connections: {said or "the holder died"}')
        yield still
    finally:
        child.stdin.close()
        end_group(child)
        child.stdout.close()
