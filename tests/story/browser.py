"""browser.py - Debian's Chromium without a window, told what to do by the DevTools protocol.

    with Browser() as b:
        page = b.page('http://127.0.0.1:8080/chat.html')
        page.run('document.title')

The protocol goes over a pair of pipes (--remote-debugging-pipe): JSON texts, each ending in a
zero byte.
"""
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

SWITCHES = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
            '--disable-extensions', '--disable-background-networking', '--no-first-run',
            '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
            '--disable-backgrounding-occluded-windows', '--remote-debugging-pipe']


class Page:
    """A tab."""

    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session

    def run(self, script):
        """The script's value; of a promise, what it becomes."""
        r = self.browser.ask('Runtime.evaluate', self.session, expression=script,
                             awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in r, f'{script!r} threw {r["exceptionDetails"]}'
        return r['result'].get('value')

    def until(self, script, seconds=20):
        """The script's value, once it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f'{script!r} did not become true in the browser'
            time.sleep(0.02)
        return value

    def close(self):
        self.browser.ask('Target.closeTarget', targetId=self.target)


class Browser:
    def __init__(self, *switches):
        self.switches = switches

    def __enter__(self):
        binary = shutil.which('chromium')
        assert binary, 'chromium is not installed'
        self.profile = tempfile.mkdtemp(prefix='weir-browser-')
        self.log = open(f'{self.profile}/log', 'w+b')
        child_in, self.to = os.pipe()
        self.back, child_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4, which may be taken by others here.
        self.process = subprocess.Popen(
            ['sh', '-c', f'exec "$@" 3</dev/fd/{child_in} 4>/dev/fd/{child_out}',
             'browser', binary, *SWITCHES, *self.switches, f'--user-data-dir={self.profile}',
             'about:blank'],
            pass_fds=(child_in, child_out), stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=dict(os.environ, HOME=self.profile))
        os.close(child_in)
        os.close(child_out)
        self.number, self.buffer = 0, b''
        return self

    def __exit__(self, *_):
        try:
            self.ask('Browser.close')
            self.process.wait(10)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.to)
            os.close(self.back)
            self.log.close()
            shutil.rmtree(self.profile, ignore_errors=True)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors='replace')

    def message(self, end):
        """The next one from the browser."""
        while b'\0' not in self.buffer:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.back], [], [], left)[0], \
                f'chromium does not answer:\n{self.said()}'
            piece = os.read(self.back, 1 << 16)
            assert piece, f'chromium has ended:\n{self.said()}'
            self.buffer += piece
        text, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(text)

    def ask(self, method, session=None, seconds=30, **params):
        self.number += 1
        question = {'id': self.number, 'method': method, 'params': params}
        if session:
            question['sessionId'] = session
        os.write(self.to, json.dumps(question).encode() + b'\0')
        end = time.monotonic() + seconds
        while (m := self.message(end)).get('id') != self.number:
            pass
        assert 'error' not in m, f'{method}: {m["error"]}'
        return m['result']

    def page(self, url):
        """A new tab, once the document is there."""
        target = self.ask('Target.createTarget', url=url)['targetId']
        session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        page = Page(self, target, session)
        page.until(f'location.href == {json.dumps(url)} && document.readyState == "complete"')
        return page
