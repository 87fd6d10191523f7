"""The lines that `up` and `demo` print about their children: who ended, why, and what happens now."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

from stack.supervisor import ChildEvent

TAIL_BYTES = 16 * 1024
REASON_LINES = 20
"""The reason of an end is among so many last lines of the log."""
REASON_MAX = 200

_WORDS = {
    0: "was stopped from outside",
    64: "cannot run with its settings",
    70: "ended by a bug",
    75: "ended because a dependency is away, or because it stalled",
    127: "could not be started",
}
"""What the exit codes of our processes mean (`runtime/process.py`)."""
_REASONS = (
    re.compile(r"\breason=(?P<mark>['\"])(?P<text>(?:\\.|(?!(?P=mark)).)*)(?P=mark)"),
    re.compile(r'"reason": ?"(?P<text>(?:[^"\\]|\\.)*)"'),
)


LOG_OF_SERVER = {"Kafka": "kafka", "PostgreSQL": "postgres"}
"""The name of a server's log, where it differs from the server's name."""


def reporter(logs: Path, note: Callable[[str], None]) -> Callable[[ChildEvent], None]:
    """A function that prints what a person should see of an event. `logs`: the folder of the children's logs."""

    def report(event: ChildEvent) -> None:
        if line := event_line(event, logs / f"{LOG_OF_SERVER.get(event.name, event.name)}.log"):
            note(line)

    return report


def event_line(event: ChildEvent, log: Path) -> str | None:
    """The line for an event of a child that a person should see, or None for others. `log`: the child's own."""
    if event.what == "restarting":
        return f"{event.name} {ending(event.code or 0, tail(log))}; it is started again in {event.delay_s or 0:.1f} s"
    if event.what == "frozen":
        silent = f"has not answered for {event.delay_s or 0:.0f} s"
        return f"{event.name} (process {event.pid}) runs, but {silent}: it is killed and started again"
    if event.what == "given_up":
        return f"{event.name} {ending(event.code or 0, '')} (exit code {event.code}) and is not started again"
    return None


def ending(code: int, log_tail: str) -> str:
    """How a child ended, in words, with the reason that it logged."""
    if code < 0:
        return f"was killed by {_signal(-code)}"
    words = _WORDS.get(code, f"ended with exit code {code}")
    reason = _reason(code, log_tail)
    return f"{words} ({reason[:REASON_MAX]})" if reason else words


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _reason(code: int, log_tail: str) -> str:
    lines = [line.strip() for line in log_tail.splitlines() if line.strip()][-REASON_LINES:]
    if code == 70 and lines:
        return lines[-1]  # a traceback ends with its error
    if code == 75:
        for line in reversed(lines):
            for pattern in _REASONS:
                if found := pattern.search(line):
                    return found["text"]
    return ""


def tail(log: Path, size: int = TAIL_BYTES) -> str:
    """The end of a log; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
