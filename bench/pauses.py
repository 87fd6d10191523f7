"""Makes a server slow: it is frozen and continued in turn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

FROZEN_S = 0.05
RUNNING_S = 0.05


@contextmanager
def paused(pid: int | None) -> Iterator[None]:
    """Freeze the server in turns while the body runs. None: nothing is frozen."""
    if pid is None:
        yield
        return
    server = psutil.Process(pid)
    ending = threading.Event()

    def freeze() -> None:
        while not ending.wait(RUNNING_S):
            server.send_signal(signal.SIGSTOP)
            ending.wait(FROZEN_S)
            server.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=freeze, name="pauses", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
