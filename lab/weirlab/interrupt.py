"""Ctrl-C and SIGTERM: the first one ends a run in good order, more of them do not disturb that.

Between starting a process and remembering it, and while ending one, an interrupt has to wait.
"""
import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class State:
    held = 0
    wanted = False


def arrived(*_):
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    State.wanted = True
    raise_if_free()


def raise_if_free():
    if State.wanted and State.held == 0:
        State.wanted = False
        raise KeyboardInterrupt


def listen():
    """From here on a signal is a KeyboardInterrupt, once."""
    for number in SIGNALS:
        signal.signal(number, arrived)


@contextlib.contextmanager
def waits():
    """with waits(): an interrupt comes at the end of the block."""
    State.held += 1
    try:
        yield
    finally:
        State.held -= 1
        raise_if_free()
