#!/usr/bin/python3
"""CPU per forwarded request: weir, nginx and HAProxy in front of one weir that serves a file.

    tests/bench/proxy.py --weir build/weir [--size 1024] [--rounds 7] [--seconds 2]
                         [--servers io_uring,epoll,nginx,haproxy] [--tls [--new]] [--streams N]

--streams: clients speak HTTP/2, without TLS: h2load, 16 connections with N streams each.
epoll+h2, io_uring+h2, haproxy+h2: it is HTTP/2 that is spoken with the server behind, too.
--tls: the server behind speaks TLS 1.3. --new: a connection to it for each request, with sessions
taken up.

The server that is measured runs on CPU 0, the one behind it and wrk (64 connections) on CPU 1. They
take turns in random order; ratios are medians over rounds, to nginx or to the first server that is
named. nginx and HAProxy are left out if they are not installed. All keep connections to the server
behind them. epoll@/path/to/weir is another build of weir.
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

MANY = 1_000_000_000
NGINX_PATHS = ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
FORWARD = '''upstream back {{ server 127.0.0.1:{back}; keepalive 1024; keepalive_requests {many}; }}
    server {{ listen 127.0.0.1:{port}{front}; location / {{ proxy_pass {scheme}://back; {ssl}
        proxy_http_version {version}; proxy_set_header Connection "{close}"; }} }}'''
SSL = 'proxy_ssl_verify off; proxy_ssl_protocols TLSv1.3;'
COMMON = '''daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}.log;
events {{ {use} worker_connections 4096; }}
http {{ access_log off; keepalive_requests {many}; {paths}
    {rest} }}'''
HAPROXY = '''global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout client 1h
    timeout server 1h
    timeout connect 5s
    http-reuse always
frontend f
    bind 127.0.0.1:{port}{front}
    default_backend b
backend b
    server s 127.0.0.1:{back}{ssl}{behind}
'''


def start(cpu, *argv):
    return subprocess.Popen(['taskset', '-c', str(cpu), *argv])


def configuration(directory, name, rest, use='', paths=''):
    path = directory / f'{name}.conf'
    path.write_text(COMMON.format(dir=directory, name=name, use=use, paths=paths, many=MANY,
                                  rest=rest))
    return str(path)


def server(arguments, directory, name, port, back):
    tls, streams, h2 = arguments.tls, arguments.streams, name.endswith('+h2')
    name = name.removesuffix('+h2')
    forward = FORWARD.format(port=port, back=back, many=MANY, scheme='https' if tls else 'http',
                             ssl=SSL if tls else '', close='close' if arguments.new else '',
                             version='2' if h2 else '1.1',
                             front='' if not streams else
                             ' http2' if name == 'nginx' else '; http2 on')
    label = name.replace('/', '_') + '-h2' * h2
    if name == 'haproxy':
        path = directory / f'{label}.cfg'
        path.write_text(HAPROXY.format(port=port, back=back, front=' proto h2' * bool(streams),
                                       ssl=' ssl verify none' * tls, behind=' proto h2' * h2))
        return start(0, 'haproxy', '-f', str(path))
    if name == 'nginx':
        paths = ' '.join(f'{p}_temp_path {directory}/{p};' for p in NGINX_PATHS)
        return start(0, 'nginx', '-p', f'{directory}/', '-c',
                     configuration(directory, label, forward, paths=paths))
    engine, _, other = name.partition('@')
    return start(0, other or arguments.weir, '-p', f'{directory}/', '-c',
                 configuration(directory, label, forward, use=f'use {engine};'))


def family(pid):
    children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return [pid] + [p for child in children for p in family(int(child))]


def spent(pid):
    """Nanoseconds of CPU of a process and those below it: clock_getcpuclockid(3)."""
    return sum(time.clock_gettime_ns((~p << 3) | 2) for p in family(pid))


def ask(port, seconds, streams):
    """How many were answered."""
    url = f'http://127.0.0.1:{port}/file'
    command = ['h2load', '-c16', f'-m{streams}', f'-D{seconds}', url] if streams else \
              ['wrk', '-t1', '-c64', f'-d{seconds}s', url]
    out = subprocess.run(['taskset', '-c', '1', *command], capture_output=True, text=True).stdout
    wrong = re.search(r' [1-9]\d* (failed|[345]xx)', out) if streams else \
        'Non-2xx' in out or 'Socket errors' in out
    if wrong:
        raise SystemExit(f'wrong answers:\n{out}')
    return int(re.search(r'(\d+) (?:requests in|2xx)', out)[1])


def load(process, port, arguments):
    """Microseconds of CPU a request."""
    before = spent(process.pid)
    answered = ask(port, arguments.seconds, arguments.streams)
    return (spent(process.pid) - before) / 1000 / answered


def measure(arguments, directory):
    (directory / 'html').mkdir()
    (directory / 'html/file').write_bytes(b'x' * arguments.size)
    back, port = 18200, 18201
    site = f'server {{ listen 127.0.0.1:{back}; http2 on; root html; }}'
    if arguments.tls:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '9', '-subj', '/CN=back',
                        '-keyout', str(directory / 'key'), '-out', str(directory / 'crt')],
                       check=True, capture_output=True)
        site = (f'server {{ listen 127.0.0.1:{back} ssl; root html; ssl_certificate crt; '
                'ssl_certificate_key key; }')
    running = [start(1, arguments.weir, '-p', f'{directory}/', '-c',
                     configuration(directory, 'back', site, use='use epoll;'))]
    servers = {}
    try:
        for name in arguments.servers.split(','):
            if name[:5] in ('nginx', 'hapro') and \
                    not shutil.which(name.removesuffix('+h2'), path='/usr/sbin:/usr/bin'):
                continue
            servers[name] = server(arguments, directory, name, port, back), port
            running.append(servers[name][0])
            port += 1
        time.sleep(1.5)
        figures = {name: [] for name in servers}
        for turn in range(arguments.rounds + 1):   # the first one warms up
            for name in random.sample(list(servers), len(servers)):
                figure = load(*servers[name], arguments)
                if turn > 0:
                    figures[name].append(figure)
    finally:
        for process in running:
            process.terminate()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--weir', default='build/weir', type=os.path.abspath)
    parser.add_argument('--size', default=1024, type=int)
    parser.add_argument('--rounds', default=7, type=int)
    parser.add_argument('--seconds', default=2, type=int)
    parser.add_argument('--servers', default='io_uring,epoll,nginx,haproxy')
    parser.add_argument('--tls', action='store_true')
    parser.add_argument('--new', action='store_true')
    parser.add_argument('--streams', default=0, type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='weir-bench-') as name:
        os.chmod(name, 0o755)
        figures = measure(arguments, pathlib.Path(name))
    base = figures.get('nginx') or next(iter(figures.values()))
    for name, all_of in figures.items():
        ratio = statistics.median(a / b for a, b in zip(all_of, base))
        print(f'{name[:24]:12} {statistics.median(all_of):9.2f} us   {ratio:.2f} '
              f'({min(all_of):.1f} to {max(all_of):.1f})')


if __name__ == '__main__':
    main()
