#!/usr/bin/env python3
"""fuzz.py - runs each fuzz target of a build for some seconds: fuzz.py BUILD SECONDS.

Exit status 1 if one finds something; what it found stays in BUILD/found-TARGET-*.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    fuzz = build / 'tests' / 'fuzz'
    seeds = build / 'seeds'
    seeds.mkdir(exist_ok=True)
    subprocess.run([fuzz / 'wire_seeds', ROOT / 'tests' / 'corpus' / 'wire', seeds])
    bad = []
    for target in sorted(p for p in fuzz.glob('fuzz_*') if p.is_file()):
        own = build / 'corpus' / target.name
        own.mkdir(parents=True, exist_ok=True)
        near = seeds / target.name.replace('fuzz_', '')
        folders = [own] + ([near] if near.is_dir() else [])
        run = subprocess.run([target, f'-max_total_time={seconds}', '-timeout=10', '-verbosity=0',
                              f'-artifact_prefix={build}/found-{target.name}-', *folders],
                             stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
        print(f"{target.name}: {'ok' if run.returncode == 0 else 'FOUND SOMETHING'}", flush=True)
        if run.returncode != 0:
            print(run.stdout[-4000:])
            bad.append(target.name)
    print(f"{len(bad)} of the targets found something" if bad else 'no target found anything')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
