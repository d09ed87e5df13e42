"""What the kernel counted for a server: CPU, switches, memory, threads - and for the whole machine."""
import os
import pathlib
import re

TICK_NS = 1_000_000_000 // os.sysconf('SC_CLK_TCK')
COARSE_NS = 3 * TICK_NS
WORKERS = ('iou-wrk', 'iou-sqp')
KERNEL_MEMORY = ('Slab', 'KernelStack', 'PageTables', 'Percpu')


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ''


def tasks(pid, name):
    """(thread, text) of one file of each thread; threads may end meanwhile."""
    for path in pathlib.Path(f'/proc/{pid}/task').glob(f'*/{name}'):
        if found := read(path):
            yield int(path.parent.name), found


def family(pid):
    """The process and everything below it."""
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        found.append(one)
        for _, text in tasks(one, 'children'):
            ahead += map(int, text.split())
    return found


def counts(pid):
    """Sums over the family: living_ns, all_user_ns, all_system_ns (ended threads too), switches."""
    out = {'living_ns': 0, 'user_ns': 0, 'system_ns': 0, 'switches': 0}
    for one in family(pid):
        out['living_ns'] += sum(int(t.split()[0]) for _, t in tasks(one, 'schedstat'))
        fields = read(f'/proc/{one}/stat').rpartition(')')[2].split()
        if len(fields) > 12:
            out['user_ns'] += int(fields[11]) * TICK_NS
            out['system_ns'] += int(fields[12]) * TICK_NS
        for _, text in tasks(one, 'status'):
            out['switches'] += sum(map(int, re.findall(r'ctxt_switches:\s+(\d+)', text)))
    return out


def spent(before, after):
    """(user ns, system ns) between two counts().

    The scheduler's account is exact and forgets threads that ended; the process's own remembers
    them and counts in ticks. The exact one is taken unless the other shows that threads are missing
    from it. The split in user and system is the kernel's estimate.
    """
    exact = after['living_ns'] - before['living_ns']
    user = after['user_ns'] - before['user_ns']
    system = after['system_ns'] - before['system_ns']
    total = exact if user + system <= exact + COARSE_NS else user + system
    share = user / (user + system) if user + system else 0.0
    return total * share, total * (1 - share)


def threads(pid):
    """{'threads', 'io_workers'} of the family."""
    names = [text.strip() for one in family(pid) for _, text in tasks(one, 'comm')]
    workers = sum(name.startswith(WORKERS) for name in names)
    return {'threads': len(names) - workers, 'io_workers': workers}


def user_memory(pid):
    """Bytes: the family's proportional set size."""
    return sum(int(m) * 1024 for one in family(pid)
               for m in re.findall(r'^Pss:\s+(\d+)', read(f'/proc/{one}/smaps_rollup'), re.M))


def kernel_memory():
    """{'kernel', 'stack'} in bytes, of the whole machine."""
    rows = dict(re.findall(r'^(\w+):\s+(\d+) kB', read('/proc/meminfo'), re.M))
    return {'kernel': sum(int(rows.get(k, 0)) for k in KERNEL_MEMORY) * 1024,
            'stack': int(rows.get('KernelStack', 0)) * 1024}


def stolen():
    """(ticks another guest took, all ticks) of the machine so far."""
    fields = list(map(int, read('/proc/stat').splitlines()[0].split()[1:]))
    return (fields[7] if len(fields) > 7 else 0), sum(fields[:8])
