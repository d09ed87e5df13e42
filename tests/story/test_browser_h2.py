"""A real browser over HTTP/2 and TLS: a page of a hundred parts, and a WebSocket that shares its
connection (RFC 8441)."""
import pytest

from browser import Browser
from certificates import certificate, files
from test_browser_chat import Chat

PARTS = 100
PAGE = '''<!DOCTYPE html><meta charset=utf-8><title>parts</title><body><script>
let loaded = 0, broken = 0;
for (let n = 0; n < 50; n++) {
    const s = document.createElement('script');
    s.src = `/part/${n}.js`;
    s.onload = () => loaded++;
    s.onerror = () => broken++;
    document.body.append(s);
}
for (let n = 50; n < 100; n++)
    fetch(`/part/${n}.txt`).then(r => r.text())
        .then(t => t === 'x'.repeat(n * 200) ? loaded++ : broken++, () => broken++);
const got = [];
let socket;
function open_socket(name) {
    socket = new WebSocket(`wss://${location.host}/chat/${name}`);
    socket.onmessage = event => got.push(event.data);
    return new Promise((yes, no) => { socket.onopen = () => yes(true); socket.onerror = no; });
}
const protocols = () => [...new Set(performance.getEntriesByType('resource')
    .filter(e => e.name.includes('/part/')).map(e => e.nextHopProtocol))].join();
</script>'''
HTTP = '''map $http_upgrade $connection_upgrade { default upgrade; '' close; }
log_format how '$uri $server_protocol $status $connection';'''


@pytest.fixture
def chat():
    server = Chat()
    yield server
    server.shutdown()
    server.server_close()


def test_a_page_of_a_hundred_parts_and_a_web_socket(weir, chat):
    parts = {f'html/part/{n}.js': f'window.part{n} = {n};' for n in range(50)}
    parts |= {f'html/part/{n}.txt': 'x' * (n * 200) for n in range(50, PARTS)}
    s = weir(http=HTTP, servers=f'''server {{ listen 127.0.0.1:PORT ssl; http2 on; root html;
        ssl_certificate a.crt; ssl_certificate_key a.key; access_log how.log how;
        location /chat/ {{ proxy_pass http://127.0.0.1:{chat.port}; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_read_timeout 60s;
            proxy_set_header Connection $connection_upgrade; }} }}''',
             files={**files(a=certificate('a.test', '127.0.0.1')), **parts, 'html/page.html': PAGE})
    with Browser('--ignore-certificate-errors') as b:
        page = b.page(f'https://127.0.0.1:{s.port}/page.html')
        page.until(f'typeof loaded !== "undefined" && loaded + broken === {PARTS}')
        assert page.run('broken') == 0
        assert page.run('part49') == 49
        assert page.run('protocols()') == 'h2'
        other = b.page(f'https://127.0.0.1:{s.port}/page.html')
        other.until(f'typeof loaded !== "undefined" && loaded === {PARTS}')
        assert page.run('open_socket("one")') and other.run('open_socket("two")')
        for n in range(20):
            done = s.command('-s', 'reload')
            assert done.returncode == 0, done.stderr
            page.run(f'socket.send("message {n} " + "long ".repeat({n * 300}))')
        other.until('got.length === 20')
        assert other.run('got[19].startsWith("message 19 long")')
        assert page.run('socket.readyState') == 1
    log = s.file('how.log', contains='/chat/one')
    lines = [line.split() for line in log.splitlines()]
    assert all(line[1] == 'HTTP/2.0' for line in lines), log
    assert {line[2] for line in lines if '/part/' in line[0]} <= {'200', '304'}
