"""Runs our own processes side by side: starts, restarts and ends them in order, for `campaigns up` and `demo`.

    supervisor = Supervisor(log_folder=Path("logs"), on_event=print)
    with supervisor:                                     # stop() at the end of the block, in reverse order
        supervisor.start(Child("sink-1", [python, "-m", "cli.main", "sink"], env))
        supervisor.start(Child("sender-1", [...], env))  # several of a kind: NAME-1, NAME-2
        supervisor.pid_of("sender-1")                    # the pid of the process; None while it is down
        supervisor.kill("sender-1")                      # SIGKILL; it is restarted like after any crash
        supervisor.restart("sink-1")                     # stopped, then started again at once
        supervisor.wait_for_failure(timeout_s=1.0)       # the name of a child that was given up, or None

A child that exits with 0 is finished, and one that exits with 64 (invalid settings) is given up. Any other child is
restarted after a backoff (`stack.restarts`). Each child has its own guard, so all end with this process, even after
kill -9.

`stop`, `restart` and `wait_for_failure` block for a long time: call them in a thread (`asyncio.to_thread`) if an event
loop runs. `on_event` is called in the threads of the supervisor.
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
from stack.keeper import Child, Event, Keeper

__all__ = ["STOP_DEADLINE_S", "Child", "Event", "Supervisor"]

STOP_DEADLINE_S = 45.0


class Supervisor:
    """Keeps children running until `stop`."""

    def __init__(
        self,
        log_folder: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        *,
        held: Sequence[int] = (),
        stop_deadline_s: float = STOP_DEADLINE_S,
    ) -> None:
        self._log_folder = log_folder
        self._on_event = on_event
        self._held = tuple(held)
        self._stop_deadline_s = stop_deadline_s
        self._kept: dict[str, Keeper] = {}
        self._failed: list[str] = []
        self._failure = threading.Condition()
        log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, child: Child) -> None:
        """Start a child. Returns when it runs, or while it is retried."""
        if child.name in self._kept:
            raise ValueError(f"{child.name} is already supervised")
        program = Program(
            argv=child.argv,
            log_file=self.log_of(child.name),
            env=child.env,
            cwd=child.cwd,
            stop_signal=signal.SIGTERM,
            stop_deadline_s=self._stop_deadline_s,
            held=self._held,
        )
        kept = Keeper(child, program, self._report)
        self._kept[child.name] = kept
        kept.begin()

    def log_of(self, name: str) -> Path:
        """The log file of a child."""
        return self._log_folder / f"{name}.log"

    def names(self) -> list[str]:
        """The names of the children in the order of their start."""
        return list(self._kept)

    def pid_of(self, name: str) -> int | None:
        """The pid of the process, or None while it is down."""
        return self._kept[name].pid

    def restarts_of(self, name: str) -> int:
        """How often it was restarted."""
        return self._kept[name].restarts

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int | None:
        """Send a signal (SIGKILL) to a child. Returns its pid, or None if it was down."""
        return self._kept[name].signal(number)

    def restart(self, name: str) -> None:
        """Stop a child and start it again at once. Returns when the new process runs."""
        self._kept[name].restart()

    def wait_for_failure(self, timeout_s: float | None = None) -> str | None:
        """Wait for a child that is given up. Returns its name, or None after the time limit."""
        with self._failure:
            self._failure.wait_for(lambda: bool(self._failed), timeout_s)
            return self._failed[0] if self._failed else None

    def stop(self) -> None:
        """End all children, the last started first, and kill the rest at the deadline."""
        deadline = time.monotonic() + self._stop_deadline_s
        waves: dict[str, list[Keeper]] = {}
        for kept in reversed(self._kept.values()):
            waves.setdefault(kept.child.kind, []).append(kept)
        for wave in waves.values():
            for kept in wave:
                kept.request_stop()
            for kept in wave:
                kept.join(max(0.0, deadline - time.monotonic()))

    def _report(self, event: Event) -> None:
        self._on_event(event)
        if event.what == "given_up":
            with self._failure:
                self._failed.append(event.name)
                self._failure.notify_all()

    def __enter__(self) -> Self:
        """Enter the block at whose end the children are stopped."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all children."""
        self.stop()
