"""Scripted servers behind weir: each story says what they answer, and sees what they were asked."""
import socket
import socketserver
import threading


class Asked:
    """One request as the server got it."""

    def __init__(self, line, fields, body, connection):
        self.line, self.fields, self.body, self.connection = line, fields, body, connection
        self.method, self.target, self.version = line.split(' ')

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def __getitem__(self, name):
        found = self.all(name)
        return found[0] if found else None


class Peer:
    """One connection of weir's, as a script sees it."""

    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.file = sock.makefile('rb')

    def line(self):
        return self.file.readline(65536).decode('latin-1')

    def read(self):
        """The next request, or None at the end."""
        line = self.line().rstrip('\r\n')
        if not line:
            return None
        fields = []
        while (text := self.line()) not in ('\r\n', ''):
            name, _, value = text.rstrip('\r\n').partition(': ')
            fields.append((name, value))
        return Asked(line, fields, self.body(dict((n.lower(), v) for n, v in fields)), self.number)

    def body(self, fields):
        if fields.get('transfer-encoding') == 'chunked':
            body = b''
            while size := int(self.line(), 16):
                body += self.file.read(size)
                self.line()
            self.line()
            return body
        return self.file.read(int(fields.get('content-length', 0)))

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def reset(self):
        import struct
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()


def reply(body=b'', status='200 OK', fields=(), length=True):
    body = body.encode() if isinstance(body, str) else body
    head = [f'HTTP/1.1 {status}', *fields] + ([f'Content-Length: {len(body)}'] if length else [])
    return '\r\n'.join(head).encode() + b'\r\n\r\n' + body


class Upstream:
    """`script(peer, asked)` answers a request; when it returns False, the connection is closed.

    A text or bytes instead of a function is what every request is answered with, as it is.
    `tls`, an ssl.SSLContext, is what it speaks; `names` are those that it was asked by (SNI),
    `shaken` says of each handshake: the protocol, whether a session was taken up, the client's
    certificate.
    """

    def __init__(self, script=None, unix=None, raw=None, tls=None):
        self.asked, self.connections, self.open = [], 0, set()
        self.tls, self.names, self.shaken = tls, [], []
        if tls:
            tls.sni_callback = lambda sock, name, context: self.names.append(name)
        self.lock = threading.Lock()
        self.script, self.raw = script or (lambda peer, asked: peer.send(reply('hello'))), raw
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.serve(self.request)

        class Base(socketserver.ThreadingUnixStreamServer if unix
                   else socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_):
                pass   # a peer that breaks off is what some stories are about

        self.server = Base(str(unix) if unix else ('127.0.0.1', 0), Handler)
        self.port = None if unix else self.server.server_address[1]
        self.at = f'unix:{unix}' if unix else f'127.0.0.1:{self.port}'
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, sock):
        with self.lock:
            self.connections += 1
            peer = Peer(sock, self.connections)
            self.open.add(sock)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.tls:
                peer = self.shake(sock, peer.number)
            if self.raw:
                self.raw(peer)
                return
            while (asked := peer.read()) is not None:
                with self.lock:
                    self.asked.append(asked)
                if isinstance(self.script, (str, bytes)):
                    peer.send(self.script)
                elif self.script(peer, asked) is False:
                    return
        except (OSError, ValueError):
            pass
        finally:
            peer.file.close()
            peer.sock.close()
            sock.close()
            with self.lock:
                self.open.discard(sock)
                self.open.discard(peer.sock)

    def shake(self, sock, number):
        secure = self.tls.wrap_socket(sock, server_side=True)
        with self.lock:
            self.open.discard(sock)
            self.open.add(secure)
            self.shaken.append((secure.version(), secure.session_reused, secure.getpeercert()))
        return Peer(secure, number)

    @property
    def last(self):
        return self.asked[-1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
