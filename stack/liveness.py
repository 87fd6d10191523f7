"""Notices a server that runs and does not answer, and kills it, so that its supervisor starts it again.

A process may be frozen without an end: stopped by a signal, starved of memory, or hung on a disk. Clients then wait for
ever. A watch sends a small request to the server every few seconds. It kills the server after a bounded time in which
none was answered. A server that has just started gets longer, because it may read its data again after a crash.

    with ServerWatch(child, "Kafka", is_answered, on_event):
        ...
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from stack.supervised_child import ChildEvent, SupervisedChild

PROBE_EVERY_S = 5.0
PROBE_TIMEOUT_S = 5.0
"""Longest wait for the answer to one request."""
FROZEN_AFTER_S = 20.0
"""A server that has answered before is killed after so long without an answer."""
STARTING_S = 120.0
"""The same for a server that has not answered since its start. It doubles with each kill, up to `STARTING_MAX_S`."""
STARTING_MAX_S = 3600.0
COUNTED_MAX_S = PROBE_EVERY_S + 2 * PROBE_TIMEOUT_S
"""One request counts for no more. After a pause of this process itself, the server gets the whole time again."""


@dataclass(frozen=True, slots=True)
class ServerSilence:
    """How long one process of a server has not answered."""

    pid: int | None = None
    silent_s: float = 0.0
    has_answered: bool = False
    kills: int = 0
    """Kills since the last answer, of this process or of those before."""

    def after(self, pid: int | None, passed_s: float, *, is_answered: bool) -> ServerSilence:
        """The silence after one more request. `pid`: the process that runs now. `passed_s`: since the one before."""
        known = self if pid == self.pid else ServerSilence(pid, kills=self.kills)
        if is_answered:
            return ServerSilence(pid, 0.0, has_answered=True)
        return replace(known, silent_s=known.silent_s + min(passed_s, COUNTED_MAX_S))

    @property
    def limit_s(self) -> float:
        """How long the process may be silent."""
        if self.has_answered:
            return FROZEN_AFTER_S
        return min(STARTING_MAX_S, STARTING_S * 2.0 ** min(self.kills, 16))

    @property
    def is_frozen(self) -> bool:
        """Whether the process runs and has been silent for too long."""
        return self.pid is not None and self.silent_s >= self.limit_s

    def killed(self) -> ServerSilence:
        """The silence after the process was killed."""
        return ServerSilence(kills=self.kills + 1)


class ServerWatch:
    """Watches one supervised server in a thread, until the end of its block."""

    def __init__(
        self,
        server: SupervisedChild,
        name: str,
        is_answered: Callable[[], bool],
        report: Callable[[ChildEvent], None],
        others: Callable[[], Sequence[int]] = lambda: (),
    ) -> None:
        """Watch `server`. `is_answered` sends one request, within `PROBE_TIMEOUT_S`.

        `others` lists the processes of the server that could outlive it. They are killed with it.
        """
        self._server = server
        self._name = name
        self._is_answered = is_answered
        self._report = report
        self._others = others
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)

    def __enter__(self) -> Self:
        """Start to watch."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop. It waits for a request that is under way."""
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        silence = ServerSilence()
        last = time.monotonic()
        while not self._ending.wait(PROBE_EVERY_S):
            pid = self._server.pid
            is_answered = pid is not None and self._is_answered()
            now = time.monotonic()
            silence = silence.after(pid, now - last, is_answered=is_answered)
            last = now
            if silence.is_frozen and self._server.pid == pid and not self._ending.is_set():
                self._report(ChildEvent(self._name, "frozen", pid=pid, delay_s=silence.silent_s))
                self._kill()
                silence = silence.killed()

    def _kill(self) -> None:
        others = self._others()  # before the next process of the server starts
        self._server.signal(signal.SIGKILL)
        for pid in others:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
