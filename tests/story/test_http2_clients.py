"""Other people's clients of HTTP/2 over TLS: nghttp, openssl s_client, httpx (on python's h2). curl
and h2load are in test_http2_tls.py, Chromium in test_browser_h2.py."""
import hashlib
import json
import subprocess
from collections import Counter

import pytest

from test_http2_tls import BIG, server
from upstreams import Upstream, reply

HTTPX = '''
import asyncio, hashlib, json, sys
import httpx

async def main(base):
    async with httpx.AsyncClient(http2=True, verify=False, timeout=20) as c:
        pages = await asyncio.gather(*(c.get(f'{base}/file.txt?{i}') for i in range(100)))
        big = await c.get(f'{base}/big.bin')
        part = await c.get(f'{base}/big.bin', headers={'Range': 'bytes=100-199'})
        posted = await c.post(f'{base}/app', content=b'x' * 300_000)
        missing = await c.get(f'{base}/none')
        return {'versions': sorted({p.http_version for p in pages}),
                'texts': sorted({p.text for p in pages}),
                'big': hashlib.sha256(big.content).hexdigest(),
                'part': [part.status_code, part.content == big.content[100:200]],
                'posted': posted.text, 'missing': missing.status_code}

print(json.dumps(asyncio.run(main(sys.argv[1]))))
'''


@pytest.fixture
def app():
    made = Upstream(lambda peer, asked: peer.send(reply(str(len(asked.body)))))
    yield made
    made.close()


def run(*words, **kw):
    return subprocess.run(words, capture_output=True, timeout=40, **kw)


def test_nghttp(weir):
    s = server(weir, '')
    urls = [f'https://127.0.0.1:{s.port}/{name}' for name in ('file.txt', 'big.bin', 'none')]
    told = run('nghttp', '--no-verify-peer', '--stat', '--null-out', *urls, text=True)
    assert told.returncode == 0, told.stderr
    lines = [line.split() for line in told.stdout.splitlines() if line.rstrip().endswith(
        ('/file.txt', '/big.bin', '/none'))]
    assert sorted((line[-3], line[-1]) for line in lines) == [
        ('200', '/big.bin'), ('200', '/file.txt'), ('404', '/none')]
    many = run('nghttp', '--no-verify-peer', '--multiply=5', urls[1])
    assert Counter(many.stdout) == Counter(BIG * 5)     # they come mixed
    both = run('nghttp', '--no-verify-peer', '--no-dep', '-v', urls[0], text=True)
    assert 'END_STREAM' in both.stdout and 'error_code=NO_ERROR' in both.stdout


def test_s_client(weir):
    s = server(weir, '')
    words = ('openssl', 's_client', '-connect', f'127.0.0.1:{s.port}', '-servername', 'a.test')
    assert b'ALPN protocol: h2' in run(*words, '-alpn', 'h2,http/1.1', input=b'').stdout
    for more in (['-tls1_2'], ['-tls1_3'], ['-alpn', 'http/1.1']):
        told = run(*words, *more, '-quiet',
                   input=b'GET /file.txt HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
        assert b'HTTP/1.1 200 OK' in told.stdout and told.stdout.endswith(b'0123456789')
    assert b'ALPN protocol' not in run(*words, '-alpn', 'spdy/1', input=b'').stdout


def test_httpx(weir, app, tmp_path):
    """Isolated, as this folder has a module h2 of its own."""
    s = server(weir, f'location /app {{ client_max_body_size 1m; proxy_pass http://{app.at}; }}')
    told = run('/usr/bin/python3', '-I', '-W', 'ignore', '-c', HTTPX,
               f'https://127.0.0.1:{s.port}', cwd=tmp_path, text=True)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {
        'versions': ['HTTP/2'], 'texts': ['0123456789'],
        'big': hashlib.sha256(BIG).hexdigest(), 'part': [206, True], 'posted': '300000',
        'missing': 404}
