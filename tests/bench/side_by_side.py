#!/usr/bin/python3
"""side_by_side.py - server CPU time per request of weir's engines, nginx and two bare loops.

  side_by_side.py [--weir BIN] [--engines io_uring,epoll] [--connections 64] [--seconds 2]
                  [--rounds 5] [--idle 5000] [--scenarios static,4k,64k,big,return,rules,gzip]

The server is kept on CPU 0 and wrk on CPU 1, all servers run all the time, and the rounds go
through them forwards and backwards, so that what disturbs one disturbs all. CPU time is what the
kernel's scheduler counted for every thread of the server (/proc/PID/task/*/schedstat) over one
round, divided by the requests that wrk got answered. nginx runs twice: with the settings that are
best for it in the scenario, and as Debian ships it. The bare loops parse nothing: they are the
floor of what these system calls cost on this machine. Figures are medians over the rounds; "x" is
the median of the ratios of one round to nginx in the same round.
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
FILES = {'static': ('hello.txt', b'Hello, world!'), '4k': ('4k.bin', os.urandom(4096)),
         '64k': ('64k.bin', os.urandom(65536)), 'big': ('big.bin', os.urandom(10 << 20)),
         'return': ('say', b'Hello, world!'), 'rules': ('shop/7/hello.txt', b'Hello, world!'),
         'gzip': ('page.html', (HERE.parents[1] / 'docs/lab.md').read_bytes() * 20)}
FILES['gzip'] = ('page.html', FILES['gzip'][1][:65536])
MADE = ('return',)      # answers that are no files
ASKED = {'gzip': ['-H', 'Accept-Encoding: gzip']}
CONF = '''{user} worker_processes 1; daemon off; error_log {dir}/{name}.log; pid {dir}/{name}.pid;
events {{ worker_connections 16384; use {use}; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; {settings}
    types {{ text/plain txt; }} default_type application/octet-stream; {temporary}
    {http}
    server {{ listen 127.0.0.1:{port}; root {dir}/www; {server}
              location = /say {{ return 200 "Hello, world!"; }} }}
}}
'''
# What a scenario needs beyond a root: the same for every server.
HTTP = {'rules': '''
    limit_req_zone $binary_remote_addr zone=z:1m rate=500000r/s;
    log_format js escape=json '{"time":"$time_iso8601","client":"$remote_addr","uri":"$uri",'
                              '"status":$status,"bytes":$body_bytes_sent,'
                              '"agent":"$http_user_agent"}';
    map $http_user_agent $robot { default 0; ~*bot 1; curl 1; }
    map $uri $kind { default page; ~^/api/ api; /shop/ shop; }''',
        'gzip': '''
    types { text/html html; text/plain txt; } gzip on; gzip_comp_level 1; gzip_min_length 1000;'''}
SERVER = {'rules': '''
    location ~ \\.php$ { return 404; }
    location ~ ^/user/(\\w+)/$ { return 404; }
    location ~ ^/shop/(?<item>\\d+)/ {
        if ($robot) { return 403; }
        limit_req zone=z burst=100000 nodelay;
        add_header X-Frame-Options DENY; add_header X-Kind $kind; add_header X-Item $item;
        add_header Referrer-Policy same-origin; add_header X-Content-Type-Options nosniff always;
        access_log access.log js;
    }'''}
BEST = {'static': 'sendfile off; open_file_cache max=1000;',
        '4k': 'sendfile off; open_file_cache max=1000;',
        '64k': 'sendfile on; tcp_nopush on; open_file_cache max=1000;',
        'rules': 'sendfile off; open_file_cache max=1000;', 'gzip': 'open_file_cache max=1000;',
        'big': 'sendfile on; tcp_nopush on; open_file_cache max=1000;', 'return': ''}
TEMPORARY = ''.join(f'{x}_temp_path {{dir}}/{x};' for x in
                    ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))


def task_files(pid, name):
    """The text of one file of each thread; threads may end meanwhile."""
    for path in pathlib.Path(f'/proc/{pid}/task').glob(f'*/{name}'):
        try:
            yield path.read_text()
        except OSError:
            pass


def with_ended_threads_ns(pid):
    """Coarser, in clock ticks, but it remembers the threads that have ended."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf('SC_CLK_TCK')


class Server:
    def __init__(self, name, argv, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(['taskset', '-c', '0', *map(str, argv)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def pids(self):
        """The process and everything below it."""
        found, ahead = [], [self.process.pid]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            for text in task_files(pid, 'children'):
                ahead += map(int, text.split())
        return found

    def cpu_ns(self):
        total = 0
        for pid in self.pids():
            living = sum(int(text.split()[0]) for text in task_files(pid, 'schedstat'))
            total += max(living, with_ended_threads_ns(pid))
        return total

    def memory(self):
        total = 0
        for pid in self.pids():
            text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
            total += int(re.search(r'Pss:\s+(\d+)', text)[1]) * 1024
        return total

    def body(self, path):
        with socket.create_connection(('127.0.0.1', self.port), timeout=5) as s:
            s.sendall(f'GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'.encode())
            whole = b''
            while b'\r\n\r\n' not in whole:
                whole += s.recv(65536)
            head, _, body = whole.partition(b'\r\n\r\n')
            size = int(re.search(rb'content-length: *(\d+)', head.lower())[1])
            while len(body) < size:
                body += s.recv(1 << 20)
            return body

    def up(self):
        for _ in range(100):
            try:
                socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
                return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def configured(directory, scenario, name, binary, use, settings, temporary=''):
    port = free_port()
    file = name.replace(' ', '-')
    conf = directory / f'{file}.conf'
    conf.write_text(CONF.format(user='user root;' if os.getuid() == 0 else '', dir=directory,
                                name=file, use=use, settings=settings, port=port,
                                http=HTTP.get(scenario, ''),
                                server=SERVER.get(scenario, '').replace('access.log',
                                                                        f'{file}.access'),
                                temporary=temporary.format(dir=directory)))
    return Server(name, [binary, '-p', f'{directory}/', '-c', conf, '-e', directory / 'start.log'],
                  port)


def start_all(o, directory, scenario):
    servers = [configured(directory, scenario, f'weir {e}', o.weir, e, '')
               for e in o.engines.split(',')]
    if shutil.which('nginx'):
        servers.append(configured(directory, scenario, 'nginx', 'nginx', 'epoll', BEST[scenario],
                                  TEMPORARY))
        servers.append(configured(directory, scenario, 'nginx as shipped', 'nginx', 'epoll',
                                  'sendfile on; tcp_nopush on;', TEMPORARY))
    if scenario in ('static', 'return'):
        for name, libraries in (('epoll', []), ('uring', ['-luring'])):
            program = directory / f'limit_{name}'
            if subprocess.run(['cc', '-O2', '-D_GNU_SOURCE', '-o', program,
                               HERE / f'limit_{name}.c', *libraries]).returncode == 0:
                port = free_port()
                servers.append(Server(f'bare loop {name}', [program, port], port))
    return servers


def measure(server, path, o, asked):
    before = server.cpu_ns()
    start = time.monotonic()
    out = subprocess.run(['taskset', '-c', '1', 'wrk', '-t1', f'-c{o.connections}',
                          f'-d{o.seconds}s', *asked, f'http://127.0.0.1:{server.port}/{path}'],
                         capture_output=True, text=True).stdout
    spent, seconds = server.cpu_ns() - before, time.monotonic() - start
    count = int(re.search(r'(\d+) requests in', out)[1])
    if 'Non-2xx' in out or 'Socket errors' in out or not count:
        print(f'{server.name}: {out}', file=sys.stderr)
        return None
    return spent / 1000 / count, count / seconds


def scenario_rows(o, directory, scenario):
    path, body = FILES[scenario]
    if scenario not in MADE:
        (directory / 'www' / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / 'www' / path).write_bytes(body)
    servers = start_all(o, directory, scenario)
    try:
        servers = [s for s in servers if s.up() or print(f'{s.name} does not start')]
        for s in servers:
            assert s.body(path) == body, f'{s.name} sends something else'
        rounds = {s.name: [] for s in servers}
        for n in range(o.rounds):
            for s in servers[::-1 if n % 2 else 1]:
                rounds[s.name].append(measure(s, path, o, ASKED.get(scenario, [])))
        return rounds
    finally:
        for s in servers:
            s.stop()


def table(scenario, rounds):
    print(f'\n{scenario:20} {"CPU us/request":>14} {"requests/s":>12} {"x nginx":>9}'
          '  (least, most)')
    middle = {}
    for name, results in rounds.items():
        good = [r for r in results if r]
        if not good:
            continue
        middle[name] = statistics.median(r[0] for r in good)
        line = f'{name:20} {middle[name]:14.2f} {statistics.median(r[1] for r in good):12.0f}'
        if 'nginx' in rounds:
            ratios = [a[0] / b[0] for a, b in zip(results, rounds['nginx']) if a and b]
            line += f' {statistics.median(ratios):9.2f}  ({min(ratios):.2f}, {max(ratios):.2f})'
        print(line, flush=True)
    ours = [v for k, v in middle.items() if k.startswith('weir')]
    for label, start in (('nginx', 'nginx'), ('bare loop', 'bare loop')):
        theirs = [v for k, v in middle.items() if k.startswith(start)]
        if ours and theirs:
            print(f'best weir / best {label}: {min(ours) / min(theirs):.2f}')


def idle_cost(server, path, count):
    """Bytes of user memory that an idle keep-alive connection costs."""
    def connections(n):
        held = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(n)]
        for s in held:
            s.sendall(f'GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n'.encode())
        for s in held:
            s.recv(65536)
        return held

    warm = connections(200)
    time.sleep(0.5)
    before = server.memory()
    held = connections(count)
    time.sleep(1)
    cost = (server.memory() - before) / count
    for s in warm + held:
        s.close()
    return cost


def idle_table(o, directory):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(o.idle, hard - 1000)
    print(f'\nmemory of an idle connection (bytes, {count} held)')
    for s in start_all(o, directory, '4k'):
        try:
            if s.up():
                (directory / 'www' / '4k.bin').write_bytes(FILES['4k'][1])
                print(f'{s.name:20} {idle_cost(s, "4k.bin", count):14.0f}', flush=True)
        except OSError as error:
            print(f'{s.name:20} cannot hold as many: {error}')
        finally:
            s.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--weir', default='build/weir')
    parser.add_argument('--engines', default='io_uring,epoll')
    parser.add_argument('--scenarios', default='static,4k,64k,big,return,rules,gzip')
    parser.add_argument('--connections', type=int, default=64)
    parser.add_argument('--seconds', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--idle', type=int, default=5000)
    o = parser.parse_args()
    o.weir = pathlib.Path(o.weir).resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix='weir-bench-'))
    (directory / 'www').mkdir()
    directory.chmod(0o755)
    try:
        for scenario in o.scenarios.split(','):
            table(scenario, scenario_rows(o, directory, scenario))
        if o.idle:
            idle_table(o, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    main()
