#!/usr/bin/python3
"""testssl.py - what testssl.sh (Debian's package) finds in weir's default settings, on each engine.

    tests/bench/testssl.py --weir build/weir [--engines epoll,threads]

Prints what it finds above LOW and exits 1 if there is anything. What depends on the certificate
made for the test (nobody signed it) or on a site's own fields is left out.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CONF = '''daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/log;
events {{ use {engine}; }}
http {{ access_log off; ssl_certificate {dir}/crt; ssl_certificate_key {dir}/key;
    add_header Strict-Transport-Security "max-age=63072000" always;
    server {{ listen 127.0.0.1:{port} ssl; http2 on; root {dir}; }} }}
'''
NOT_OURS = ('cert_', 'DNS_CAA', 'security_headers', 'engine_problem', 'HSTS', 'OCSP')
FINE = ('OK', 'INFO', 'LOW', 'DEBUG', 'WARN')


def look(weir, engine, directory, port):
    conf = directory / f'{engine}.conf'
    conf.write_text(CONF.format(dir=directory, engine=engine, port=port))
    server = subprocess.Popen([weir, '-p', f'{directory}/', '-c', str(conf)])
    try:
        time.sleep(1)
        found = directory / f'{engine}.json'
        subprocess.run(['testssl', '--quiet', '--color', '0', '--warnings', 'off', '--jsonfile',
                        str(found), f'127.0.0.1:{port}'], stdout=subprocess.DEVNULL)
        rows = json.loads(found.read_text())
    finally:
        server.terminate()
        server.wait()
    bad = [r for r in rows if r['severity'] not in FINE and not r['id'].startswith(NOT_OURS)]
    print(f'{engine}: {len(rows)} findings, {len(bad)} above LOW')
    for r in bad:
        print(f"  {r['severity']} {r['id']}: {r['finding']}")
    return not bad and len(rows) > 50


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--weir', default='build/weir', type=os.path.abspath)
    parser.add_argument('--engines', default='io_uring,epoll,poll,select,threads')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='weir-testssl-') as name:
        directory = pathlib.Path(name)
        os.chmod(name, 0o755)
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '90', '-subj',
                        '/CN=localhost', '-keyout', str(directory / 'key'), '-out',
                        str(directory / 'crt')],
                       check=True, capture_output=True)
        good = [look(arguments.weir, e, directory, 18400 + i)
                for i, e in enumerate(arguments.engines.split(','))]
    sys.exit(0 if all(good) else 1)


if __name__ == '__main__':
    main()
