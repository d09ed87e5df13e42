"""Clients that ask again and again, each over one connection as long as it lasts."""
import collections
import threading
import time

NOTHING = "closed before b'\\r\\n\\r\\n'; got b''"


class Asking:
    """Threads that ask until stopped; what each request came to is counted, and nothing is
    swallowed.

    counts   by status; 'broken': an answer broke off; 'dropped': the connection ended, which no
             answer had announced, before there was one; 'hangs': nothing came for `timeout`
    slowest  seconds of the slowest request
    """

    def __init__(self, s, threads=4, timeout=10, ask=lambda c, n: c.ask('/'), rest=0):
        self.server, self.timeout, self.ask, self.rest = s, timeout, ask, rest
        self.counts, self.slowest, self.wrong = collections.Counter(), 0, []
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def one(self, c, number):
        """What a request came to, and whether the connection may be used again."""
        start = time.monotonic()
        c.buffer = b''
        try:
            answer = self.ask(c, number)
            came, again = answer.status, 'close' not in answer.all('connection')
        except TimeoutError:
            came, again = 'hangs', False
        except (EOFError, ConnectionError, ValueError) as e:
            nothing = str(e).startswith(NOTHING) or isinstance(e, ConnectionError)
            came, again = 'dropped' if nothing and not c.buffer else 'broken', False
        took = time.monotonic() - start
        with self.lock:
            self.counts[came] += 1
            self.slowest = max(self.slowest, took)
        return again

    def run(self):
        number = 0
        try:
            while not self.stopping.is_set():
                with self.server.connect(timeout=self.timeout) as c:
                    again = True
                    while again and not self.stopping.is_set():
                        again = self.one(c, number)
                        number += 1
                        time.sleep(self.rest)
        except Exception as e:      # a client of the story is at fault, or nobody listens
            self.wrong.append(repr(e))

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
        assert not self.wrong, self.wrong

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def total(self):
        return sum(self.counts.values())
