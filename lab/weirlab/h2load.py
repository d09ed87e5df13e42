"""h2load (Debian: nghttp2-client): HTTPS and HTTP/2, also from somebody else's hand.

It says when it begins to count and when it ends. Where each request has a connection of its own it
can only be told a number of requests: TRIAL of them are asked first, and tell how many are enough.
"""
import re

from .servers import Failed

SIGNS = {b'Main benchmark duration is started': 'begin', b'Main benchmark duration is over': 'end'}
# One cipher for all servers: they would not all choose the same.
SAME = ('--groups=X25519', '--tls13-ciphers=TLS_AES_128_GCM_SHA256',
        '--ciphers=ECDHE-ECDSA-AES128-GCM-SHA256')
UNITS = {'us': 1, 'ms': 1000, 's': 1000000}


def argv(url, load, *amount):
    """`amount` is of lasting() or of counted()."""
    way = ('-m', str(load['streams'])) if load['streams'] else ('--h1', '-m', str(load['depth']))
    close = () if load['keepalive'] else ('-H', 'connection: close')
    return ['h2load', '-c', str(load['connections']), *way, *close, *SAME, *amount, url]


def lasting(seconds, warmup):
    return '-D', f'{seconds * 1000:.0f}ms', '--warm-up-time', f'{warmup * 1000:.0f}ms'


def counted(requests, load):
    """h2load refuses fewer requests than connections."""
    return '-n', str(max(round(requests), load['connections']))


def protocol(load):
    return 'h2' if load['streams'] else 'http/1.1'


def figures(out, load):
    """What load.run() gives, of h2load's output; Failed if it is not what was asked for."""
    text = out.decode(errors='replace')
    end = re.search(r'finished in ([\d.]+)(us|ms|s), ([\d.]+) req/s', text)
    done = re.search(r'(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored', text)
    if not end or not done:
        return None
    spoken = re.search(r'Application protocol: (\S+)', text)
    if load['tls'] and (not spoken or spoken[1] != protocol(load)):
        raise Failed(f'speaks {spoken[1] if spoken else "another protocol"}; '
                     f'expected {protocol(load)}')
    if load['tls'] and 'TLS Protocol: TLSv1.3' not in text:
        raise Failed('speaks another version of TLS; expected 1.3')
    requests, good, *wrong = map(int, done.groups())
    longest = re.search(r'time for request: +\S+ +([\d.]+)(us|ms|s)', text)
    return {'requests': requests, 'rps': float(end[3]), 'errors': max(requests - good, sum(wrong)),
            'seconds': float(end[1]) * UNITS[end[2]] / 1e6,
            'latency_us': {'max': float(longest[1]) * UNITS[longest[2]]} if longest else {}}
