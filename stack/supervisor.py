"""Runs our own processes side by side: starts, restarts, ends them in order. Used by `campaigns up` and `demo`.

    supervisor = Supervisor(log_folder=Path("logs"), on_event=print)
    with supervisor:                                     # stop() at the end of the block, in reverse order
        supervisor.start(Child("sink-1", [python, "-m", "cli.main", "sink"], env))
        supervisor.start(Child("sender-1", [...], env))  # several of a kind: NAME-1, NAME-2
        supervisor.pid_of("sender-1")                    # of the process itself; None while it is down
        supervisor.kill("sender-1")                      # SIGKILL; it is restarted as after any crash
        supervisor.restart("sink-1")                     # asked to stop, then started again at once
        supervisor.wait_for_failure(timeout_s=1.0)       # the name of one that was given up, or None

A child that ends with 0 is finished; with 64 (wrong settings) it is given up; with anything else it is started again
after a backoff (`stack.restarts`). Each has a guard of its own, so all end with this process, even by kill -9.

Everything here blocks at most shortly but `stop`, `restart` and `wait_for_failure`: call those in a thread
(`asyncio.to_thread`) where a loop runs. `on_event` is called in the supervisor's threads.
"""

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from stack.guarded import ChildRefused, Guarded, Program
from stack.restarts import BACKOFF_MAX_S, Again, Finished, GivenUp, after_exit

STOP_DEADLINE_S = 45.0
REFUSED = 127  # as a shell says it: there is no such program


@dataclass(frozen=True)
class Child:
    """One process to keep running. `env` is its whole environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)  # holds secrets
    cwd: Path = field(default_factory=Path.cwd)

    @property
    def kind(self) -> str:
        """Return the name without its number: children of a kind are stopped together."""
        head, _, tail = self.name.rpartition("-")
        return head if tail.isdigit() else self.name


@dataclass(frozen=True)
class Event:
    """Something that a person may want to see."""

    name: str
    what: Literal["started", "ended", "restarting", "given_up", "finished"]
    pid: int | None = None
    code: int | None = None
    delay_s: float | None = None


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
        self._kept: dict[str, _Kept] = {}
        self._failed: list[str] = []
        self._failure = threading.Condition()
        log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, child: Child) -> None:
        """Start a child; return when it runs (or is being retried)."""
        if child.name in self._kept:
            raise ValueError(f"{child.name} is supervised already")
        program = Program(
            argv=child.argv,
            log_file=self.log_of(child.name),
            env=child.env,
            cwd=child.cwd,
            stop_signal=signal.SIGTERM,
            stop_deadline_s=self._stop_deadline_s,
            held=self._held,
        )
        kept = _Kept(child, program, self._report)
        self._kept[child.name] = kept
        kept.begin()

    def log_of(self, name: str) -> Path:
        """Return where the child's output goes."""
        return self._log_folder / f"{name}.log"

    def names(self) -> list[str]:
        """Return the children in the order of their start."""
        return list(self._kept)

    def pid_of(self, name: str) -> int | None:
        """Return the pid of the process itself, or None while it is down."""
        return self._kept[name].pid

    def restarts_of(self, name: str) -> int:
        """Return how often it was started again."""
        return self._kept[name].restarts

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int | None:
        """Send a signal (SIGKILL) to a child and return the pid that got it, None if it was down."""
        return self._kept[name].signal(number)

    def restart(self, name: str) -> None:
        """Ask a child to stop and start it again at once; return when the new one runs."""
        self._kept[name].restart()

    def wait_for_failure(self, timeout_s: float | None = None) -> str | None:
        """Return the name of a child that was given up, or None when the time is over."""
        with self._failure:
            self._failure.wait_for(lambda: bool(self._failed), timeout_s)
            return self._failed[0] if self._failed else None

    def stop(self) -> None:
        """End all children, the last started first; kill what is left at the deadline."""
        deadline = time.monotonic() + self._stop_deadline_s
        waves: dict[str, list[_Kept]] = {}
        for kept in reversed(self._kept.values()):
            waves.setdefault(kept.child.kind, []).append(kept)
        for wave in waves.values():
            for kept in wave:
                kept.ask_to_stop()
            for kept in wave:
                kept.join(max(0.0, deadline - time.monotonic()))

    def _report(self, event: Event) -> None:
        self._on_event(event)
        if event.what == "given_up":
            with self._failure:
                self._failed.append(event.name)
                self._failure.notify_all()

    def __enter__(self) -> Self:
        """Return itself; the children end with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all children, however the block ended."""
        self.stop()


class _Kept:
    """One child, and the thread that keeps it running."""

    def __init__(self, child: Child, program: Program, report: Callable[[Event], None]) -> None:
        self.child = child
        self.restarts = 0
        self._program = program
        self._report = report
        self._running: Guarded | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._changed = threading.Condition()
        self._starts = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._keep_until_over, name=f"keep-{child.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Return the pid while it runs."""
        running = self._running
        return running.pid if running is not None and running.poll() is None else None

    def begin(self) -> None:
        """Start the thread and wait for the first start."""
        self._thread.start()
        self._wait_for_start(1)

    def signal(self, number: signal.Signals) -> int | None:
        """Send a signal to the process, if there is one."""
        running = self._running
        if running is None or running.poll() is not None:
            return None
        running.signal(number)
        return running.pid

    def restart(self) -> None:
        """End this one and wait for the next."""
        started = self._starts
        self._at_once.set()
        with self._lock:
            if self._running is not None:
                self._running.ask_to_stop()
        self._wait_for_start(started + 1)

    def ask_to_stop(self) -> None:
        """Ask the process to stop, for good."""
        self._stopping.set()
        self._at_once.set()
        with self._lock:
            if self._running is not None:
                self._running.ask_to_stop()

    def join(self, timeout_s: float) -> None:
        """Wait for its end; kill it when the time is over."""
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
            if self._at_once.is_set():  # asked for by `restart`
                self._at_once.clear()
                ends_in_a_row = 0
                decision: Again | Finished | GivenUp = Again(0.0)
            else:
                decision = after_exit(code, ran_s, ends_in_a_row)
            match decision:
                case Again(delay_s):
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
                running = self._running = Guarded(self._program)
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
