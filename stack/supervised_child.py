"""Keeps one child of the supervisor running, in a thread.

The thread starts the child, waits for its end, applies the rules of `stack.restarts`, and reports events. The
supervisor decides the order among children.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stack.environment import StackUnavailable
from stack.guarded import ChildNotStarted, GuardedProcess, Program
from stack.restarts import BACKOFF_MAX_S, GivenUp, RestartAfter, after_exit

EXIT_NOT_STARTED = 127
"""The exit code for a program that cannot be started. Shells use the same code for a missing program."""


@dataclass(frozen=True)
class Child:
    """The description of one process that the supervisor keeps running. `env` is its whole environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)  # it contains secrets
    cwd: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True)
class ChildEvent:
    """A start, an end, or a decision. `code` is an exit code, negative for a signal.

    `frozen`: the process runs, has not answered for `delay_s`, and is killed.
    """

    name: str
    what: Literal["started", "ended", "restarting", "given_up", "frozen"]
    pid: int | None = None
    code: int | None = None
    delay_s: float | None = None


def kind_of(name: str) -> str:
    """The name without its number: `sender-2` is a `sender`. Children of one kind are stopped together."""
    head, _, tail = name.rpartition("-")
    return head if tail.isdigit() else name


class SupervisedChild:
    """One child, and the thread that keeps it running."""

    def __init__(
        self,
        name: str,
        program: Program,
        report: Callable[[ChildEvent], None],
        *,
        running: GuardedProcess | None = None,
        before_start: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep `program` running. `running`: the process of it that runs already, which is kept as the first one.

        `before_start` runs before each start.
        """
        self.kind = kind_of(name)
        self.restarts = 0
        self._name = name
        self._program = program
        self._report = report
        self._adopted = running
        self._before_start = before_start
        self._running: GuardedProcess | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._restart_now = threading.Event()
        self._changed = threading.Condition()
        self._starts = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._run_to_the_end, name=f"child-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The pid, or None while the process is down."""
        running = self._running
        return running.pid if running is not None and running.poll() is None else None

    def begin(self) -> None:
        """Start the thread and wait for the first start."""
        self._thread.start()
        self._wait_for_start(1)

    def signal(self, number: signal.Signals) -> int | None:
        """Send a signal to the process. Returns its pid, or None if the process is down."""
        running = self._running
        if running is None or running.poll() is not None:
            return None
        running.signal(number)
        return running.pid

    def restart(self) -> None:
        """Stop the process, and wait until the next one has started."""
        started = self._starts
        self._restart_now.set()
        with self._lock:
            if self._running is not None:
                self._running.request_stop()
        self._wait_for_start(started + 1)

    def request_stop(self) -> None:
        """Request a stop without a restart. It does not wait for the end."""
        self._stopping.set()
        self._restart_now.set()
        with self._lock:
            if self._running is not None:
                self._running.request_stop()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the process, and kill it after the timeout."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self.signal(signal.SIGKILL)
            self._thread.join()

    def _wait_for_start(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._starts >= number or self._is_over, timeout=BACKOFF_MAX_S)

    def _run_to_the_end(self) -> None:
        try:
            self._run_and_restart()
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _run_and_restart(self) -> None:
        consecutive_ends = 0
        while True:
            since = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            consecutive_ends += 1
            ran_s = time.monotonic() - since
            if self._restart_now.is_set():  # by `restart`
                self._restart_now.clear()
                consecutive_ends = 0
                decision: RestartAfter | GivenUp = RestartAfter(0.0)
            else:
                decision = after_exit(code, ran_s, consecutive_ends)
            match decision:
                case RestartAfter(delay_s):
                    self._report(ChildEvent(self._name, "restarting", code=code, delay_s=delay_s))
                    self._restart_now.wait(delay_s)
                    self._restart_now.clear()
                    if self._stopping.is_set():
                        return
                    self.restarts += 1
                case GivenUp():
                    self._report(ChildEvent(self._name, "given_up", code=code))
                    return

    def _run_once(self) -> int:
        """Run the process once. Returns its exit code."""
        try:
            with self._lock:
                if self._stopping.is_set():
                    return 0
                running = self._running = self._adopted or self._start()
                self._adopted = None
        except (ChildNotStarted, StackUnavailable, OSError):
            self._count_start()
            return EXIT_NOT_STARTED
        self._report(ChildEvent(self._name, "started", pid=running.pid))
        self._count_start()
        code = running.wait()
        self._report(ChildEvent(self._name, "ended", pid=running.pid, code=code))
        return code

    def _start(self) -> GuardedProcess:
        self._before_start()
        return GuardedProcess(self._program)

    def _count_start(self) -> None:
        with self._changed:
            self._starts += 1
            self._changed.notify_all()
