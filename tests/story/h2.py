"""h2.py - a client that speaks HTTP/2 frame by frame, so that it can also break every rule.

    with H2(s) as c:
        c.ask(1, '/')                       GET: HEADERS with END_STREAM
        a = c.answer(1)                     .status, .headers, .body, .trailers; or .reset
        c.frame(PING, payload=b'12345678')
        assert c.goaway() == PROTOCOL_ERROR

What comes is read only while something is waited for. Windows are opened unless `windows` is off.
"""
import socket
import struct

import hpack

(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)
PRIORITY_UPDATE = 16
ACK = END_STREAM = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED,
 FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR,
 ENHANCE_YOUR_CALM) = range(12)
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8


class Ended(Exception):
    """The server closed, or said goodbye, before what was waited for came."""


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def __repr__(self):
        return f'Frame({self.kind}, {self.flags:#x}, {self.stream}, {self.payload[:40]!r})'


class Stream:
    def __init__(self):
        self.status, self.headers, self.body, self.trailers = None, [], b'', None
        self.ended, self.reset, self.interim, self.pieces = False, None, [], []

    def __getitem__(self, name):
        return dict(self.headers).get(name)


def settings(**values):
    """settings(INITIAL_WINDOW_SIZE=0): a payload."""
    return b''.join(struct.pack('>HI', globals()[k], v) for k, v in values.items())


class H2:
    def __init__(self, server, begin=True, windows=True, timeout=5, payload=b''):
        self.sock = socket.create_connection(server.address)
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer, self.windows, self.auto = b'', windows, True
        self.streams, self.frames, self.settings = {}, [], {}
        self.goaways, self.closed_by_server, self.acks, self.pongs = [], False, 0, []
        self.order = []                 # (stream, size, ended) of the DATA frames, as they came
        if begin:
            self.send(PREFACE)
            self.frame(SETTINGS, payload=payload)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # ---- sending

    def send(self, data):
        self.sock.sendall(data)
        return self

    @staticmethod
    def pack(kind, flags=0, stream=0, payload=b''):
        return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + \
            struct.pack('>I', stream) + payload

    def frame(self, kind, flags=0, stream=0, payload=b''):
        return self.send(self.pack(kind, flags, stream, payload))

    def block(self, fields):
        return self.encoder.encode(list(fields), huffman=False)

    def fields(self, path='/', method='GET', headers=(), host='a.test', scheme='http'):
        return [(':method', method), (':scheme', scheme), (':path', path),
                (':authority', host), *headers]

    def headers(self, stream, fields, end=True, flags=0):
        return self.frame(HEADERS, END_HEADERS | flags | (END_STREAM if end else 0), stream,
                          self.block(fields))

    def ask(self, stream, path='/', method='GET', headers=(), body=None, end=True, **kw):
        self.headers(stream, self.fields(path, method, headers, **kw), end and body is None)
        if body is not None:
            self.body(stream, body, end)
        return self

    def body(self, stream, data, end=True, size=16384):
        pieces = [data[i:i + size] for i in range(0, len(data), size)] or [b'']
        for i, piece in enumerate(pieces):
            self.frame(DATA, END_STREAM if end and i == len(pieces) - 1 else 0, stream, piece)
        return self

    def window(self, stream, size):
        return self.frame(WINDOW_UPDATE, 0, stream, struct.pack('>I', size))

    def rst(self, stream, code=CANCEL):
        return self.frame(RST_STREAM, 0, stream, struct.pack('>I', code))

    # ---- receiving

    def read(self):
        """The next frame, also taken note of; Ended when there is none."""
        while len(self.buffer) < 9 or \
                len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], 'big'):
            try:
                piece = self.sock.recv(1 << 18)
            except ConnectionResetError:
                piece = b''
            if not piece:
                self.closed_by_server = True
                raise Ended(f'closed; goaways {self.goaways}, {len(self.frames)} frames')
            self.buffer += piece
        size = int.from_bytes(self.buffer[:3], 'big')
        f = Frame(self.buffer[3], self.buffer[4],
                  int.from_bytes(self.buffer[5:9], 'big'), self.buffer[9:9 + size])
        self.buffer = self.buffer[9 + size:]
        self.frames.append(f)
        self.note(f)
        return f

    def note(self, f):
        s = self.streams.setdefault(f.stream, Stream()) if f.stream else None
        if f.kind == SETTINGS and f.flags & ACK:
            self.acks += 1
        elif f.kind == SETTINGS:
            self.settings.update(struct.unpack_from('>HI', f.payload, i)
                                 for i in range(0, len(f.payload), 6))
            if self.auto:
                self.frame(SETTINGS, ACK)
        elif f.kind == PING and not f.flags & ACK and self.auto:
            self.frame(PING, ACK, 0, f.payload)
        elif f.kind == PING:
            self.pongs.append(f.payload)
        elif f.kind == GOAWAY:
            self.goaways.append(struct.unpack('>II', f.payload[:8]) + (f.payload[8:],))
        elif f.kind == RST_STREAM:
            s.reset = struct.unpack('>I', f.payload)[0]
        elif f.kind in (HEADERS, CONTINUATION):
            self.note_block(s, f)
        elif f.kind == DATA:
            s.body += f.payload
            s.pieces.append(len(f.payload))
            s.ended |= bool(f.flags & END_STREAM)
            self.order.append((f.stream, len(f.payload), s.ended))
            if self.windows and f.payload:
                self.window(0, len(f.payload))
                if not s.ended:
                    self.window(f.stream, len(f.payload))

    def note_block(self, s, f):
        self.pending = (b'' if f.kind == HEADERS else self.pending) + f.payload
        if f.kind == HEADERS:
            self.ends = bool(f.flags & END_STREAM)
        if not f.flags & END_HEADERS:
            return
        fields = [(n if isinstance(n, str) else n.decode('latin1'),
                   v if isinstance(v, str) else v.decode('latin1'))
                  for n, v in self.decoder.decode(self.pending, raw=True)]
        status = dict(fields).get(':status')
        if status and status.startswith('1'):
            s.interim.append((int(status), fields[1:]))
        elif s.status is None:
            s.status, s.headers = int(status), fields[1:]
        else:
            s.trailers = fields
        s.ended |= self.ends

    def until(self, true):
        while not true():
            self.read()
        return self

    def answer(self, stream):
        s = self.streams.setdefault(stream, Stream())
        self.until(lambda: s.ended or s.reset is not None)
        return s

    def get(self, stream, path='/', **kw):
        return self.ask(stream, path, **kw).answer(stream)

    def started(self):
        """Both sides' settings have been seen and acknowledged."""
        return self.until(lambda: self.settings and self.acks)

    def ping(self):
        """Everything before it has been obeyed, and what that gave has come."""
        count = len(self.pongs)
        self.frame(PING, payload=b'h2helper')
        return self.until(lambda: len(self.pongs) > count)

    def goaway(self, connection=True):
        """The error code of the last GOAWAY, once the server has closed; None: there was none."""
        try:
            while True:
                self.read()
        except Ended:
            pass
        return self.goaways[-1][1] if self.goaways else None

    def silent(self, seconds):
        """Nothing comes for so long."""
        self.sock.settimeout(seconds)
        try:
            self.read()
            return False
        except socket.timeout:
            return True
        finally:
            self.sock.settimeout(5)
