"""Scripted servers of HTTP/2 behind weir: frames are made one by one, so that they can be wrong."""
import socket
import threading

import hpack
from hyperframe import frame as hf

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'


class Gone(Exception):
    """weir has closed the connection."""


class Peer:
    """One connection of weir's."""

    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.frames, self.bodies, self.ended, self.heads = [], {}, set(), {}
        self.settings = {}

    def take(self, size):
        data = b''
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise Gone
            data += piece
        return data

    def greet(self, settings=None):
        if self.take(len(PREFACE)) != PREFACE:
            raise Gone
        self.send(hf.SettingsFrame(0, settings=settings or {}))

    def read(self):
        """The next frame, whatever it is; what it means for requests is noted."""
        f, size = hf.Frame.parse_frame_header(memoryview(self.take(9)))
        f.parse_body(memoryview(self.take(size)))
        self.frames.append(f)
        if isinstance(f, hf.SettingsFrame) and 'ACK' not in f.flags:
            self.settings.update(f.settings)
            self.send(hf.SettingsFrame(0, flags=['ACK']))
        if isinstance(f, (hf.HeadersFrame, hf.ContinuationFrame)):
            self.heads[f.stream_id] = self.heads.get(f.stream_id, b'') + f.data
        if isinstance(f, hf.DataFrame):
            self.bodies[f.stream_id] = self.bodies.get(f.stream_id, b'') + f.data
        if 'END_STREAM' in f.flags:
            self.ended.add(f.stream_id)
        return f

    def until(self, kind, stream=None):
        while True:
            f = self.read()
            if isinstance(f, kind) and stream in (None, f.stream_id):
                return f

    def request(self, whole=True):
        """Stream and fields of the next request, when all of it is there."""
        f = self.until(hf.HeadersFrame)
        while 'END_HEADERS' not in f.flags:
            f = self.read()
        stream = f.stream_id
        while whole and stream not in self.ended:
            self.read()
        return stream, dict(self.decoder.decode(self.heads[stream]))

    def send(self, *frames):
        self.sock.sendall(b''.join(f if isinstance(f, bytes) else f.serialize() for f in frames))

    def block(self, fields):
        return self.encoder.encode(fields)

    def head(self, stream, fields=(), status='200', end=False, **kw):
        flags = ['END_HEADERS'] + ['END_STREAM'] * end
        return hf.HeadersFrame(stream, self.block([(':status', status), *fields]), flags=flags,
                               **kw)

    def trailers(self, stream, fields):
        return hf.HeadersFrame(stream, self.block(fields), flags=['END_HEADERS', 'END_STREAM'])

    def data(self, stream, data=b'', end=False, pad=0):
        flags = ['END_STREAM'] * end + ['PADDED'] * bool(pad)
        return hf.DataFrame(stream, data, pad_length=pad, flags=flags)

    def answer(self, stream, body=b'hello', fields=(), **kw):
        self.send(self.head(stream, fields, **kw), self.data(stream, body, end=True))

    def drain(self):
        """Reads until weir closes."""
        try:
            while True:
                self.read()
        except (Gone, OSError):
            pass


class H2Upstream:
    """`script(peer)` has each connection, behind the preface; without one, "hello" is answered."""

    def __init__(self, script=None, tls=None, settings=None):
        self.script, self.tls, self.settings = script or self.hello, tls, settings
        self.peers, self.faults, self.threads = [], [], []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.at = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.main = threading.Thread(target=self.accept, daemon=True)
        self.main.start()

    @staticmethod
    def hello(peer):
        while True:
            stream, fields = peer.request()
            peer.answer(stream, b'hello ' + fields[':path'].encode())

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            t = threading.Thread(target=self.serve, args=(sock,), daemon=True)
            t.start()
            self.threads.append(t)

    def serve(self, sock):
        try:
            with sock:
                sock.settimeout(20)
                if self.tls:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                peer = Peer(sock, len(self.peers))
                self.peers.append(peer)
                peer.greet(self.settings)
                self.script(peer)
        except (Gone, OSError):
            pass
        except Exception as e:      # noqa: BLE001 - the story's own mistake, shown at its end
            self.faults.append(e)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        assert not self.faults, self.faults
