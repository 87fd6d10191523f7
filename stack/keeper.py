"""Keeps one child running: the thread behind each name of the supervisor.

It starts the child, waits for its end, applies the rules of `stack.restarts`, and reports events. The supervisor
decides the order among children.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stack.guarded import ChildRefused, GuardedProcess, Program
from stack.restarts import BACKOFF_MAX_S, Finished, GivenUp, RestartAfter, after_exit

REFUSED = 127  # the exit code that shells use for a missing program


@dataclass(frozen=True)
class Child:
    """One process to keep running. `env` is its whole environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)  # it contains secrets
    cwd: Path = field(default_factory=Path.cwd)

    @property
    def kind(self) -> str:
        """The name without its number. Children of a kind are stopped together."""
        head, _, tail = self.name.rpartition("-")
        return head if tail.isdigit() else self.name


@dataclass(frozen=True)
class Event:
    """An event that a person may want to see."""

    name: str
    what: Literal["started", "ended", "restarting", "given_up", "finished"]
    pid: int | None = None
    code: int | None = None
    delay_s: float | None = None


class Keeper:
    """One child, and the thread that keeps it running."""

    def __init__(self, child: Child, program: Program, report: Callable[[Event], None]) -> None:
        self.child = child
        self.restarts = 0
        self._program = program
        self._report = report
        self._running: GuardedProcess | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._changed = threading.Condition()
        self._starts = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._keep_until_over, name=f"keep-{child.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The pid while it runs, else None."""
        running = self._running
        return running.pid if running is not None and running.poll() is None else None

    def begin(self) -> None:
        """Start the thread and wait for the first start."""
        self._thread.start()
        self._wait_for_start(1)

    def signal(self, number: signal.Signals) -> int | None:
        """Send a signal to the process, if it runs."""
        running = self._running
        if running is None or running.poll() is not None:
            return None
        running.signal(number)
        return running.pid

    def restart(self) -> None:
        """End the process, and wait until the next one has started."""
        started = self._starts
        self._at_once.set()
        with self._lock:
            if self._running is not None:
                self._running.request_stop()
        self._wait_for_start(started + 1)

    def request_stop(self) -> None:
        """Request a permanent stop."""
        self._stopping.set()
        self._at_once.set()
        with self._lock:
            if self._running is not None:
                self._running.request_stop()

    def join(self, timeout_s: float) -> None:
        """Wait for its end, and kill it at the deadline."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self.signal(signal.SIGKILL)
            self._thread.join()

    def _wait_for_start(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._starts >= number or self._is_over, timeout=BACKOFF_MAX_S)

    def _keep_until_over(self) -> None:
        try:
            self._keep()
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _keep(self) -> None:
        ends_in_a_row = 0
        while True:
            since = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            ends_in_a_row += 1
            ran_s = time.monotonic() - since
            if self._at_once.is_set():  # requested by `restart`
                self._at_once.clear()
                ends_in_a_row = 0
                decision: RestartAfter | Finished | GivenUp = RestartAfter(0.0)
            else:
                decision = after_exit(code, ran_s, ends_in_a_row)
            match decision:
                case RestartAfter(delay_s):
                    self._report(Event(self.child.name, "restarting", code=code, delay_s=delay_s))
                    self._at_once.wait(delay_s)
                    self._at_once.clear()
                    if self._stopping.is_set():
                        return
                    self.restarts += 1
                case Finished():
                    self._report(Event(self.child.name, "finished", code=code))
                    return
                case GivenUp():
                    self._report(Event(self.child.name, "given_up", code=code))
                    return

    def _run(self) -> int:
        """Run the process once and return its exit code."""
        try:
            with self._lock:
                if self._stopping.is_set():
                    return 0
                running = self._running = GuardedProcess(self._program)
        except ChildRefused:
            self._mark_start()
            return REFUSED
        self._report(Event(self.child.name, "started", pid=running.pid))
        self._mark_start()
        code = running.wait()
        self._report(Event(self.child.name, "ended", pid=running.pid, code=code))
        return code

    def _mark_start(self) -> None:
        with self._changed:
            self._starts += 1
            self._changed.notify_all()
