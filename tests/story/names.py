"""A scripted name server on 127.0.0.1, UDP and TCP on one port."""
import socket
import struct
import threading

A, CNAME, AAAA, SRV, OPT = 1, 5, 28, 33, 41
OK, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def wire_name(name):
    parts = [p.encode() for p in name.split('.') if p]
    return b''.join(bytes([len(p)]) + p for p in parts) + b'\0'


def read_name(data, at):
    labels = []
    while data[at]:
        size = data[at]
        labels.append(data[at + 1:at + 1 + size].decode())
        at += 1 + size
    return '.'.join(labels), at + 1


def record(name, kind, value, ttl=60):
    """value: an address; a name for CNAME; (priority, weight, port, name) for SRV."""
    if kind == A:
        data = socket.inet_aton(value)
    elif kind == AAAA:
        data = socket.inet_pton(socket.AF_INET6, value)
    elif kind == CNAME:
        data = wire_name(value)
    else:
        data = struct.pack('>HHH', *value[:3]) + wire_name(value[3])
    return wire_name(name) + struct.pack('>HHIH', kind, 1, ttl, len(data)) + data


class Names:
    """zone: {(name, type): [values]}; a name with other types only has no data, one that is not
    there does not exist. behave(server, question) may answer instead: a list of datagrams, or
    None for the zone's answer."""

    def __init__(self, zone=None, behave=None, ttl=60):
        self.zone, self.behave, self.ttl = zone or {}, behave, ttl
        self.asked, self.ports, self.ids = [], set(), set()
        while True:  # the same port for both
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(('127.0.0.1', 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind(('127.0.0.1', self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(64)
        self.at = f'127.0.0.1:{self.port}'
        for run in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=run, daemon=True).start()

    def count(self, name, kind=A):
        return self.asked.count((name, kind))

    def answer(self, query, records=(), rcode=OK, truncated=False, ident=None):
        """An answer to the query, with records as record() makes them."""
        _, end = read_name(query, 12)
        flags = 0x8180 | rcode | (0x200 if truncated else 0)
        ident = query[:2] if ident is None else ident
        return (ident + struct.pack('>HHHHH', flags, 1, len(records), 0, 0) +
                query[12:end + 4] + b''.join(records))

    def of_zone(self, query, name, kind):
        records, seen = [], name
        while (seen, CNAME) in self.zone and kind != CNAME:
            target = self.zone[seen, CNAME][0]
            records.append(record(seen, CNAME, target, self.ttl))
            seen = target
        records += [record(seen, kind, v, self.ttl) for v in self.zone.get((seen, kind), ())]
        known = any(n == seen for n, _ in self.zone)
        return self.answer(query, records, OK if known else NXDOMAIN)

    def answers(self, query, tcp):
        name, end = read_name(query, 12)
        kind = struct.unpack('>H', query[end:end + 2])[0]
        self.asked.append((name, kind))
        self.ids.add(query[:2])
        given = self.behave(self, (query, name, kind, tcp)) if self.behave else None
        return [self.of_zone(query, name, kind)] if given is None else given

    def serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if peer is None:  # shut down
                return
            self.ports.add(peer[1])
            for data in self.answers(query, False):
                self.udp.sendto(data, peer)

    def serve_tcp(self):
        while True:
            try:
                c, _ = self.tcp.accept()
            except OSError:
                return
            with c:
                size = struct.unpack('>H', c.recv(2, socket.MSG_WAITALL))[0]
                for data in self.answers(c.recv(size, socket.MSG_WAITALL), True):
                    framed = struct.pack('>H', len(data)) + data
                    c.sendall(framed[:1])  # in pieces, as it may come
                    c.sendall(framed[1:7])
                    c.sendall(framed[7:])

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
