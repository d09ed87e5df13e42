"""Two tabs of a real browser chat by WebSocket (RFC 6455) through weir while it reloads.

The server behind weir gives every message of one to the other. What one tab has sent is what the
other one got, in order; and each has had one connection from the beginning to the end.
"""
import base64
import hashlib
import json
import socketserver
import threading
import time

import pytest

from browser import Browser

RELOADS = 100
GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
CHAT = '''location /chat/ { proxy_pass http://127.0.0.1:BACK; proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    proxy_read_timeout 60s; access_log chat.log chat; }
location = /generation { return 200 "generation 0"; }'''
HTTP = '''map $http_upgrade $connection_upgrade { default upgrade; '' close; }
log_format chat '$status $uri $upstream_status $body_bytes_sent $upstream_bytes_received';'''
# Numbered messages, one every few milliseconds; every tenth is too long for a short frame.
PAGE = '''<!DOCTYPE html><title>chat</title><script>
const got = [], name = location.hash.slice(1);
let sent = 0, closed = 0, failed = 0, timer = 0;
const socket = new WebSocket(`ws://${location.host}/chat/${name}`);
socket.onmessage = event => got.push(event.data);
socket.onclose = () => closed++;
socket.onerror = () => failed++;
const text = (who, n) => `${who} ${n}` + (n % 10 ? '' : ' ' + 'long '.repeat(n % 1000 * 5));
function say() { socket.send(text(name, sent++)); }
function begin() { timer = setInterval(say, 4); }
function end() { clearInterval(timer); return sent; }
function wrong(who) { return got.findIndex((t, n) => t !== text(who, n)); }
</script>'''


class Chat(socketserver.ThreadingTCPServer):
    """Behind weir: passes messages on between two, and counts who came and who left."""
    daemon_threads = allow_reuse_address = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Guest)
        self.lock, self.guests, self.came, self.left = threading.Lock(), {}, [], []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class Guest(socketserver.StreamRequestHandler):
    def handle(self):
        self.path = self.rfile.readline().split()[1].decode()
        fields = {}
        while line := self.rfile.readline().strip():
            name, value = line.decode().split(':', 1)
            fields[name.lower()] = value.strip()
        assert (fields['upgrade'], fields['connection']) == ('websocket', 'upgrade'), fields
        key = hashlib.sha1((fields['sec-websocket-key'] + GUID).encode()).digest()
        with self.server.lock:
            self.server.came.append(self.path)
            self.server.guests[self.path] = self
            self.wfile.write(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
                             b'Connection: Upgrade\r\nSec-WebSocket-Accept: ' +
                             base64.b64encode(key) + b'\r\n\r\n')
        while (frame := self.frame())[0] == 1:
            with self.server.lock:
                for path, other in self.server.guests.items():
                    if path != self.path:
                        other.tell(1, frame[1])
        with self.server.lock:
            self.server.left.append(self.path)
            del self.server.guests[self.path]
            self.tell(8, frame[1][:2])

    def frame(self):
        """(opcode, content) of a whole, masked one; (0, nothing) at the end of the connection."""
        head = self.rfile.read(2)
        if len(head) < 2:
            return 0, b''
        assert head[0] & 0xf0 == 0x80 and head[1] & 0x80, f'{head} begins no frame of a client'
        size = head[1] & 0x7f
        if size > 125:
            size = int.from_bytes(self.rfile.read(2 if size == 126 else 8), 'big')
        mask = self.rfile.read(4) * (size // 4 + 1)
        content = self.rfile.read(size)
        whole = int.from_bytes(content, 'big') ^ int.from_bytes(mask[:size], 'big')
        return head[0] & 0xf, whole.to_bytes(size, 'big')

    def tell(self, opcode, content):
        size = len(content)
        head = bytes([size]) if size < 126 else b'\x7e' + size.to_bytes(2, 'big')
        self.wfile.write(bytes([0x80 | opcode]) + head + content)


@pytest.fixture(scope='module')
def browser():
    with Browser() as b:
        yield b


@pytest.fixture
def chat():
    with Chat() as server:
        yield server
        server.shutdown()


def reload(s, n):
    text = s.conf.read_text()
    s.rewrite(text.replace(f'generation {n - 1}"', f'generation {n}"'))
    r = s.command('-s', 'reload')
    assert r.returncode == 0, r.stderr + s.log()


def exchanged(pages, least):
    """Both have sent that many, and everything that was sent has come."""
    names = list(pages)
    sent = {name: pages[name].run('sent') for name in names}
    assert min(sent.values()) >= least, sent
    for name, other in (names, names[::-1]):
        page = pages[name]
        page.until(f'got.length >= {sent[other]}')
        assert page.run(f'wrong({json.dumps(other)})') == -1, page.run('got.slice(-3)')
    return sent


def test_a_chat_across_a_hundred_reloads(weir, browser, chat):
    s = weir(CHAT.replace('BACK', str(chat.port)), http=HTTP, files={'html/chat.html': PAGE})
    pages = {name: browser.page(f'http://127.0.0.1:{s.port}/chat.html#{name}')
             for name in ('anna', 'bert')}
    for page in pages.values():
        page.until('socket.readyState == WebSocket.OPEN')
    for page in pages.values():
        page.run('for (let n = 0; n < 20; n++) say()')
    exchanged(pages, least=20)                          # before
    for page in pages.values():
        page.run('begin()')
    for n in range(1, RELOADS + 1):                     # during
        before = chat.came[:]
        reload(s, n)
        assert chat.came == before and chat.left == []
        if n % 25 == 0:
            exchanged(pages, least=n)
    assert s.get('/generation').text == f'generation {RELOADS}'
    for page in pages.values():
        page.run('end()')
    during = exchanged(pages, least=RELOADS)
    for page in pages.values():
        page.run('for (let n = 0; n < 20; n++) say()')
    sent = exchanged(pages, least=RELOADS + 20)         # after
    time.sleep(0.1)                                     # what was doubled would come now
    for name, other in (list(pages), list(pages)[::-1]):
        assert sent[name] == during[name] + 20
        assert pages[name].run('[got.length, closed, failed, socket.readyState]') == \
            [sent[other], 0, 0, 1]
    assert sorted(chat.came) == ['/chat/anna', '/chat/bert'] and chat.left == []
    for page in pages.values():
        page.run('socket.close(1000)')
        page.until('closed == 1')
        page.close()
    log = s.file('chat.log', contains='/chat/bert')
    assert sorted(line.split()[:3] for line in log.splitlines()) == \
        [['101', f'/chat/{name}', '101'] for name in pages], log
