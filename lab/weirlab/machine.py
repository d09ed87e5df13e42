"""The machine a result was measured on."""
import glob
import json
import os
import pathlib
import platform
import re
import subprocess

from .account import read
from .servers import find

VERSIONS = {'nginx': ['-v'], 'h2o': ['--version'], 'lighttpd': ['-v'], 'apache2': ['-v'],
            'haproxy': ['-v'], 'caddy': ['version'], 'wrk': ['-v'], 'h2load': ['--version']}


def said(argv, line=0):
    """One line of what a program prints; '' if it cannot be run."""
    try:
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    lines = (run.stdout + run.stderr).strip().splitlines()
    return lines[line].strip() if len(lines) > line else ''


def package(name):
    return said(['dpkg-query', '-W', '-f', '${Version}', name])


def describe(weir, programs):
    """A dict of texts and figures; what cannot be found out is left out."""
    cpu = re.search(r'^model name\s*: (.*)$', read('/proc/cpuinfo'), re.M)
    memory = re.search(r'^MemTotal:\s+(\d+)', read('/proc/meminfo'), re.M)
    out = {
        'kernel': platform.release(), 'architecture': platform.machine(),
        'cpu': cpu[1] if cpu else '', 'cpus': os.cpu_count(),
        'memory_mib': int(memory[1]) // 1024 if memory else 0,
        'command_line': read('/proc/cmdline').strip(),
        'clock': read('/sys/devices/system/clocksource/clocksource0/current_clocksource').strip(),
        'mitigations': {os.path.basename(p): read(p).strip() for p in
                        sorted(glob.glob('/sys/devices/system/cpu/vulnerabilities/*'))},
        'versions': {'weir': said([weir, '-v']), 'liburing': package('liburing2'),
                     'libc': package('libc6'), 'python': platform.python_version()},
    }
    for name, arguments in VERSIONS.items():
        if path := find(name, programs):
            out['versions'][name] = said([path, *arguments])
    if path := find('lab-machine', programs):
        try:
            out.update(json.loads(said([path])))
        except ValueError:
            pass
    root = pathlib.Path(__file__).resolve().parents[2]
    if (root / '.git').exists():
        out['commit'] = said(['git', '-C', str(root), 'describe', '--always', '--dirty'])
    return out
