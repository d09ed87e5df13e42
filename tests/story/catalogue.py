"""catalogue.py - tests/corpus/bad_inputs.tsv: what a client may send, and what must come back.

A row has seven columns: id, raw, expect, reason, class, after, compat.

raw      what is sent. \\r \\n \\t \\\\ \\xNN are bytes; <<3*text>> is text three times, and text
         may hold more of these; <<PAUSE 20>> says nothing for 20 ms; <<FIN>> ends our direction.
expect   the outcomes that are right, with | between them. An outcome is the statuses of all
         answers with commas between them, or `close`: closed without an answer, or `timeout`:
         the server waits for more; sooner or later it says 408 or closes.
after    `close`: the connection must have been closed then; `keep`: it must be open; `any`.
compat   the outcome for those who ask for what nginx does; empty when that is the same.
"""
import collections
import pathlib
import re
import select
import socket
import time

FILE = pathlib.Path(__file__).resolve().parents[1] / 'corpus' / 'bad_inputs.tsv'
Row = collections.namedtuple('Row', 'id raw expect reason kind after compat')
Outcome = collections.namedtuple('Outcome', 'statuses closed received')

FIN = object()
QUIET = 2.5         # this long without a byte: no more will come
SETTLED = 0.4       # the same, once the outcome is already one of the right ones
LONGEST = 12        # seconds; a longer pause shows no more, as the server's timeouts are 10 s
ESCAPES = {'r': '\r', 'n': '\n', 't': '\t', '\\': '\\'}
TOKEN = re.compile(r'<<(?P<times>\d+)\*|<<PAUSE (?P<pause>\d+)>>|<<(?P<fin>FIN)>>|(?P<end>>>)|'
                   r'\\x(?P<hex>[0-9a-f]{2})|\\(?P<escape>[rnt\\])|(?P<plain>.)', re.S)


def rows(path=FILE):
    lines = path.read_text(encoding='utf8').split('\n')
    return [Row(*line.split('\t')) for line in lines[1:] if line]


def steps(raw):
    """What a row sends: pieces of bytes, pauses as seconds, FIN."""
    open_lists = [(1, [])]
    for token in TOKEN.finditer(raw):
        kind, text = token.lastgroup, token[token.lastgroup]
        here = open_lists[-1][1]
        if kind == 'times':
            open_lists.append((int(text), []))
        elif kind == 'end':
            times, inner = open_lists.pop()
            open_lists[-1][1].extend(inner * times)
        elif kind == 'pause':
            here.append(int(text) / 1000)
        elif kind == 'fin':
            here.append(FIN)
        else:
            here.append(chr(int(text, 16)) if kind == 'hex' else
                        ESCAPES[text] if kind == 'escape' else text)
    assert len(open_lists) == 1, f'an unclosed << in {raw[:80]!r}'
    joined, text = [], ''
    for step in open_lists[0][1]:
        if isinstance(step, str):
            text += step
            continue
        joined += [text.encode('latin1')] * bool(text) + [step]
        text = ''
    return joined + [text.encode('latin1')] * bool(text)


def statuses(received, first_is_head):
    """The status of every answer in `received`, bodies skipped; `raw` for what is no answer."""
    found = []
    while received:
        line = re.match(rb'HTTP/1\.1 (\d{3}) ', received)
        if not line:
            return found + ['raw']
        status = int(line[1])
        found.append(str(status))
        head, blank, received = received.partition(b'\r\n\r\n')
        if not blank:
            return found + ['cut']
        if status < 200 or status in (204, 304):
            continue
        if first_is_head:
            first_is_head = False
            continue
        length = re.search(rb'\r\ncontent-length: (\d+)', head, re.I)
        if re.search(rb'\r\ntransfer-encoding: chunked', head, re.I):
            received = received.partition(b'0\r\n\r\n')[2]
        else:
            received = received[int(length[1]):] if length else b''
    return found


def pause(sock, seconds):
    """Says and reads nothing; ends early when the server has closed."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll(min(seconds, LONGEST) * 1000)


def is_right(got, expect):
    return any(got == one or (one == 'timeout' and got in ('408', 'close'))
               for one in expect.split('|'))


def name_of(found, closed):
    return ','.join(found) if found else 'close' if closed else 'timeout'


def run(address, row, expect):
    """Plays one row on a connection of its own."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    received, closed = b'', False
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(address)
        try:
            for step in steps(row.raw):
                if step is FIN:
                    sock.shutdown(socket.SHUT_WR)
                elif isinstance(step, float):
                    pause(sock, step)
                else:
                    sock.sendall(step)
        except OSError:
            pass                # the server has closed; what it said before can still be read
        quiet_since = time.monotonic()
        while not closed:
            found = statuses(received, row.raw.startswith('HEAD '))
            settled = found and is_right(','.join(found), expect) and row.after != 'close'
            left = quiet_since + (SETTLED if settled else QUIET) - time.monotonic()
            if left <= 0:
                break
            sock.settimeout(left)
            try:
                piece = sock.recv(1 << 20)
                received, closed = received + piece, not piece
                quiet_since = time.monotonic()
            except socket.timeout:
                pass
            except OSError:
                closed = True
    return Outcome(statuses(received, row.raw.startswith('HEAD ')), closed, received)


def complaint(row, expect, outcome):
    """What is wrong with the outcome of a row; None when nothing is."""
    got = name_of(outcome.statuses, outcome.closed)
    if not is_right(got, expect):
        return f'wanted {expect}, got {got}'
    if row.after == 'close' and not outcome.closed and outcome.statuses:
        return f'wanted {expect} and a close, got {got} and an open connection'
    if row.after == 'keep' and outcome.closed:
        return f'wanted {expect} and an open connection, got {got} and a close'
    return None
