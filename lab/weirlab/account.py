"""What the kernel counted for a server: CPU, switches, memory, threads - and for the whole machine."""
import pathlib
import re
import time

THREADS_READ = 1024   # reading each of more would take as long as what is measured
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
    """The process and everything below it that main threads started."""
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        found.append(one)
        ahead += map(int, read(f'/proc/{one}/task/{one}/children').split())
    return found


def counts(pid):
    """Sums over the family: cpu_ns, user_ticks, system_ticks (each with threads that ended), and
    switches, None if there are more threads than can be read in passing."""
    out = {'cpu_ns': 0, 'user_ticks': 0, 'system_ticks': 0, 'switches': 0}
    for one in family(pid):
        try:
            out['cpu_ns'] += time.clock_gettime_ns(clock_of(one))
        except OSError:
            continue   # ended meanwhile
        fields = read(f'/proc/{one}/stat').rpartition(')')[2].split()
        if len(fields) <= 17:
            continue
        out['user_ticks'] += int(fields[11])
        out['system_ticks'] += int(fields[12])
        if int(fields[17]) > THREADS_READ:
            out['switches'] = None
        elif out['switches'] is not None:
            out['switches'] += sum(sum(map(int, re.findall(r'ctxt_switches:\s+(\d+)', text)))
                                   for _, text in tasks(one, 'status'))
    return out


def clock_of(pid):
    """The clock of a process's CPU time, exact, ended threads included: clock_getcpuclockid(3)."""
    return (~pid << 3) | 2


def spent(before, after):
    """(user ns, system ns) between two counts(). Their sum is exact, the split is estimated from
    the kernel's ticks."""
    total = after['cpu_ns'] - before['cpu_ns']
    user = after['user_ticks'] - before['user_ticks']
    system = after['system_ticks'] - before['system_ticks']
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
