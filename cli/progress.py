"""One line of progress on stderr: how far, how fast, how long yet. Rewritten on a terminal, now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

TERMINAL_EVERY_S = 0.2
LOG_EVERY_S = 5.0


class ProgressLine:
    """Says where a long command is. The clock is a parameter."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._phase = ""
        self._began = (0.0, 0)
        self._said_at = 0.0

    def say(self, phase: str, done: int, total: int) -> None:
        """Say it, unless it was said a moment ago."""
        now = self._clock()
        if phase != self._phase:
            self.end()
            self._phase, self._began, self._said_at = phase, (now, done), 0.0
        every_s = TERMINAL_EVERY_S if self._is_terminal else LOG_EVERY_S
        if done < total and self._said_at and now - self._said_at < every_s:
            return
        self._said_at = now
        line = f"{phase}: {done:,} of {total:,} records{self._speed(now, done, total)}"
        self._stream.write(f"\r{line:<78}" if self._is_terminal else line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """The phase is over: what follows begins a line."""
        if self._phase and self._is_terminal:
            self._stream.write("\n")
        self._phase = ""

    def _speed(self, now: float, done: int, total: int) -> str:
        since_s, first = now - self._began[0], self._began[1]
        if since_s <= 0 or done <= first:
            return ""
        per_s = (done - first) / since_s
        return f", {per_s:,.0f}/s, {(total - done) / per_s:,.0f} s left"
