#!/usr/bin/python3
"""CPU of TLS and HTTP/2: weir, nginx and h2o, each with the same certificate (P-256).

    tests/bench/tls.py --weir build/weir [--scenarios https,big,full,resumed,h2] [--rounds 5]
                       [--seconds 2] [--servers io_uring,epoll,nginx,h2o]

    https    a file of 1 KiB, 64 connections that stay (wrk); microseconds a request
    big      a file of 10 MiB (wrk, 8 connections); microseconds a MiB
    full     a handshake of TLS 1.3 and one request (h2load, HTTP/1.1); microseconds each
    resumed  sessions taken up (openssl s_time, TLS 1.2); microseconds each
    h2       HTTP/2: 1 KiB, 16 connections of 32 streams (h2load); microseconds a request

The server that is measured runs on CPU 0, the client on CPU 1; servers take turns in random order;
ratios are medians over rounds, to nginx (for h2: to h2o, if it is there). Servers that are not
installed are left out.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from proxy import MANY, NGINX_PATHS, spent, start

SITE = '''daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}.log;
events {{ {use} worker_connections 4096; }}
http {{ access_log off; keepalive_requests {many}; {paths} sendfile on; {cache}
    ssl_certificate {dir}/crt; ssl_certificate_key {dir}/key; ssl_session_cache shared:S:1m;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{ listen 127.0.0.1:{port} ssl{h2listen}; {h2on} root {dir}/html; }} }}
'''
H2O = '''
listen:
  host: 127.0.0.1
  port: {port}
  ssl: {{ certificate-file: {dir}/crt, key-file: {dir}/key }}
num-threads: 1
user: root
http2-max-concurrent-requests-per-connection: 256
hosts: {{ default: {{ paths: {{ "/": {{ file.dir: {dir}/html }} }} }} }}
'''


def server(weir, directory, name, port):
    if name == 'h2o':
        path = directory / 'h2o.yaml'
        path.write_text(H2O.format(port=port, dir=directory))
        return start(0, 'h2o', '-c', str(path))
    nginx = name == 'nginx'
    path = directory / f'{name}.conf'
    path.write_text(SITE.format(
        dir=directory, name=name, port=port, many=MANY, use='' if nginx else f'use {name};',
        h2listen=' http2' if nginx else '', h2on='' if nginx else 'http2 on;',
        cache='open_file_cache max=100; open_file_cache_valid 1h;' if nginx else '',
        paths=' '.join(f'{p}_temp_path {directory}/{p};' for p in NGINX_PATHS) if nginx else ''))
    program = 'nginx' if nginx else weir
    return start(0, program, '-p', f'{directory}/', '-c', str(path))


def run(*words):
    return subprocess.run(['taskset', '-c', '1', *words], capture_output=True, text=True).stdout


def wrk(port, seconds, path, connections):
    out = run('wrk', '-t1', f'-c{connections}', f'-d{seconds}s', f'https://127.0.0.1:{port}/{path}')
    if 'Non-2xx' in out or 'Socket errors' in out:
        raise SystemExit(f'wrong answers:\n{out}')
    return int(re.search(r'(\d+) requests in', out)[1])


def h2load(*words):
    out = run('h2load', *words)
    done = re.search(r'(\d+) succeeded, (\d+) failed', out)
    if done is None or int(done[2]) > 0 or int(done[1]) == 0:
        raise SystemExit(f'wrong answers:\n{out}')
    return int(done[1])


def https(port, seconds):
    return wrk(port, seconds, 'file', 64)


def big(port, seconds):
    return wrk(port, seconds, 'big', 8) * 10


def full(port, seconds):
    return h2load('--h1', '-n', '1000', '-c', '1000', '-r', '500', f'https://127.0.0.1:{port}/file')


def resumed(port, seconds):
    out = run('openssl', 's_time', '-connect', f'127.0.0.1:{port}', '-reuse', '-tls1_2', '-time',
              str(seconds), '-www', '/file')
    return int(re.findall(r'(\d+) connections in', out)[0])


def h2(port, seconds):
    return h2load('-c16', '-m32', '-n', str(20000 * seconds), f'https://127.0.0.1:{port}/file')


SCENARIOS = {f.__name__: f for f in (https, big, full, resumed, h2)}


def measure(arguments, directory):
    (directory / 'html').mkdir()
    (directory / 'html/file').write_bytes(b'x' * 1024)
    (directory / 'html/big').write_bytes(os.urandom(10 << 20))
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-days', '9', '-subj', '/CN=localhost',
                    '-keyout', str(directory / 'key'), '-out', str(directory / 'crt')],
                   check=True, capture_output=True)
    port, servers = 18300, {}
    try:
        for name in arguments.servers.split(','):
            if name in ('nginx', 'h2o') and not shutil.which(name, path='/usr/sbin:/usr/bin'):
                continue
            servers[name] = server(arguments.weir, directory, name, port), port
            port += 1
        time.sleep(1.5)
        for scenario in arguments.scenarios.split(','):
            figures = {name: [] for name in servers}
            for turn in range(arguments.rounds + 1):   # the first one warms up
                for name in random.sample(list(servers), len(servers)):
                    process, where = servers[name]
                    before = spent(process.pid)
                    done = SCENARIOS[scenario](where, arguments.seconds)
                    if turn > 0:
                        figures[name].append((spent(process.pid) - before) / 1000 / done)
            show(scenario, figures)
    finally:
        for process, _ in servers.values():
            process.terminate()


def show(scenario, figures):
    base = figures.get('h2o' if scenario == 'h2' else 'nginx') or next(iter(figures.values()))
    for name, all_of in figures.items():
        ratio = statistics.median(a / b for a, b in zip(all_of, base))
        print(f'{scenario:8} {name:10} {statistics.median(all_of):9.2f} us   {ratio:.2f} '
              f'({min(all_of):.1f} to {max(all_of):.1f})', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--weir', default='build/weir', type=os.path.abspath)
    parser.add_argument('--rounds', default=5, type=int)
    parser.add_argument('--seconds', default=2, type=int)
    parser.add_argument('--scenarios', default='https,big,full,resumed,h2')
    parser.add_argument('--servers', default='io_uring,epoll,nginx,h2o')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='weir-bench-') as name:
        os.chmod(name, 0o755)
        measure(arguments, pathlib.Path(name))


if __name__ == '__main__':
    main()
