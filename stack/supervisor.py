"""Runs the processes of the pipeline for `campaigns up` and `demo`: starts, restarts and stops them in order.

    supervisor = Supervisor(log_folder=Path("logs"), on_event=print)
    with supervisor:                                     # stop() at the end of the block, in reverse order
        supervisor.start(Child("sink-1", [python, "-m", "cli", "sink"], env))
        supervisor.start(Child("sender-1", [...], env))  # several of a kind: NAME-1, NAME-2
        supervisor.pid_of("sender-1")                    # the pid of the process; None while it is down
        supervisor.kill("sender-1")                      # SIGKILL; a restart follows as after any crash
        supervisor.restart("sink-1")                     # stops it and starts it again without a backoff
        supervisor.wait_for_failure(timeout_s=1.0)       # the name of a child that was given up, or None

A child that exits with 64 (invalid settings) is given up. After any other exit code, 0 too, the child is restarted
after a backoff (`stack.restarts`). Each child has its own guard, so all children end with this process, even after
`kill -9`.

`stop`, `restart` and `wait_for_failure` may block for long. With an event loop, call them in a thread
(`asyncio.to_thread`). `on_event` is called in the threads of the supervisor.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stack.guarded import Program
from stack.supervised_child import Child, ChildEvent, SupervisedChild

__all__ = ["STOP_DEADLINE_S", "Child", "ChildEvent", "Supervisor"]

STOP_DEADLINE_S = 45.0
"""Time for all children together to end. Then they are killed."""


class Supervisor:
    """Keeps children running until `stop`."""

    def __init__(
        self,
        log_folder: Path,
        on_event: Callable[[ChildEvent], None] = lambda _: None,
        *,
        locks: Sequence[int] = (),
        stop_deadline_s: float = STOP_DEADLINE_S,
    ) -> None:
        self._log_folder = log_folder
        self._on_event = on_event
        self._locks = tuple(locks)
        self._stop_deadline_s = stop_deadline_s
        self._children: dict[str, SupervisedChild] = {}
        self._failed: list[str] = []
        self._failure = threading.Condition()
        log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, child: Child) -> None:
        """Start a child. Returns after the first attempt to start it."""
        if child.name in self._children:
            raise ValueError(f"{child.name} is already supervised")
        program = Program(
            argv=child.argv,
            log_file=self.log_of(child.name),
            env=child.env,
            cwd=child.cwd,
            stop_signal=signal.SIGTERM,
            stop_deadline_s=self._stop_deadline_s,
            locks=self._locks,
        )
        supervised = SupervisedChild(child.name, program, self._report)
        self._children[child.name] = supervised
        supervised.begin()

    def log_of(self, name: str) -> Path:
        """The log file of a child."""
        return self._log_folder / f"{name}.log"

    def names(self) -> list[str]:
        """The names of the children in the order of their start."""
        return list(self._children)

    def pid_of(self, name: str) -> int | None:
        """The pid of the child, or None while the child is down."""
        return self._children[name].pid

    def restarts_of(self, name: str) -> int:
        """How often the child was restarted."""
        return self._children[name].restarts

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int | None:
        """Send a signal to a child. Returns its pid, or None if the child was down."""
        return self._children[name].signal(number)

    def restart(self, name: str) -> None:
        """Stop a child and start it again at once. Returns when the new process runs."""
        self._children[name].restart()

    def wait_for_failure(self, timeout_s: float | None = None) -> str | None:
        """Wait until a child is given up. Returns its name, or None after the timeout."""
        with self._failure:
            self._failure.wait_for(lambda: bool(self._failed), timeout_s)
            return self._failed[0] if self._failed else None

    def stop(self) -> None:
        """Stop all children, the last started first. At the deadline the remaining ones are killed."""
        deadline = time.monotonic() + self._stop_deadline_s
        waves: dict[str, list[SupervisedChild]] = {}
        for child in reversed(self._children.values()):
            waves.setdefault(child.kind, []).append(child)
        for wave in waves.values():
            for child in wave:
                child.request_stop()
            for child in wave:
                child.join(max(0.0, deadline - time.monotonic()))

    def _report(self, event: ChildEvent) -> None:
        self._on_event(event)
        if event.what == "given_up":
            with self._failure:
                self._failed.append(event.name)
                self._failure.notify_all()

    def __enter__(self) -> Self:
        """Enter a block. The children are stopped when the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all children."""
        self.stop()
