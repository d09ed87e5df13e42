"""Writes small databases in MaxMind's format: a binary tree over addresses, and entries."""
import ipaddress
import struct

U16, U64 = 5, 9


def control(kind, size):
    extra = b''
    if size >= 285:
        extra, size = struct.pack('>H', size - 285), 30
    elif size >= 29:
        extra, size = bytes([size - 29]), 29
    return (bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])) + extra


def encode(value):
    if isinstance(value, bool):
        return control(14, int(value))
    if isinstance(value, str):
        data = value.encode()
        return control(2, len(data)) + data
    if isinstance(value, float):
        return control(3, 8) + struct.pack('>d', value)
    if isinstance(value, int) and value < 0:
        return control(8, 4) + struct.pack('>i', value)
    if isinstance(value, int):
        data = value.to_bytes(8, 'big').lstrip(b'\0')
        return control(9 if len(data) > 4 else 6, len(data)) + data
    if isinstance(value, tuple):
        kind, number = value
        data = number.to_bytes(8, 'big').lstrip(b'\0')
        return control(kind, len(data)) + data
    if isinstance(value, dict):
        return control(7, len(value)) + b''.join(encode(k) + encode(v) for k, v in value.items())
    if isinstance(value, list):
        return control(11, len(value)) + b''.join(map(encode, value))
    raise TypeError(value)


def database(entries, built=1700000000):
    """entries: {net: value}; IPv4 nets are below ::/96, as in the databases that are sold."""
    tree, data = [[None, None]], b''
    for net, value in entries.items():
        net = ipaddress.ip_network(net)
        shift = 96 if net.version == 4 else 0
        bits = f'{int(net.network_address):0128b}'[:net.prefixlen + shift]
        node = 0
        for bit in bits[:-1]:
            if tree[node][int(bit)] is None:
                tree.append([None, None])
                tree[node][int(bit)] = len(tree) - 1
            node = tree[node][int(bit)]
        tree[node][int(bits[-1])] = ('data', len(data))
        data += encode(value)

    def record(r):
        count = len(tree)
        number = count if r is None else r if isinstance(r, int) else count + 16 + r[1]
        return struct.pack('>I', number)
    nodes = b''.join(record(left) + record(right) for left, right in tree)
    about = {'node_count': len(tree), 'record_size': (U16, 32), 'ip_version': (U16, 6),
             'languages': ['en'], 'database_type': 'Test', 'build_epoch': (U64, built),
             'binary_format_major_version': (U16, 2), 'binary_format_minor_version': (U16, 0),
             'description': {'en': 'for a story'}}
    return nodes + bytes(16) + data + b'\xab\xcd\xefMaxMind.com' + encode(about)
