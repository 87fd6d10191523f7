"""One line of progress on stderr: records done, speed, and remaining time.

A terminal shows one line that is rewritten. Elsewhere a new line is written every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

TERMINAL_EVERY_S = 0.2
LOG_EVERY_S = 5.0


class ProgressLine:
    """Shows the progress of a long command. The clock is a parameter."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._phase = ""
        self._began = (0.0, 0)
        self._shown_at = 0.0
        self._line = ""

    def show(self, phase: str, done: int, total: int) -> None:
        """Show the progress, unless it was shown a moment ago."""
        now = self._clock()
        if self._is_due(phase, now, done, is_last=done >= total):
            self._write(f"{phase}: {done:,} of {total:,} records{self._speed(now, done, total)}")

    def show_open(self, phase: str, done: int, what: str, *, is_last: bool = False) -> None:
        """The same where nobody knows the total; `what` completes the line after the speed."""
        now = self._clock()
        if self._is_due(phase, now, done, is_last=is_last):
            since_s, first = now - self._began[0], self._began[1]
            speed = f", {(done - first) / since_s:,.0f}/s" if since_s > 0 and done > first else ""
            self._write(f"{phase}: {done:,} lines{speed}{what}")

    def end(self) -> None:
        """End the phase, so that the next output begins a new line."""
        if self._phase and self._is_terminal:
            self._stream.write("\n")
        self._phase = self._line = ""

    def _is_due(self, phase: str, now: float, done: int, *, is_last: bool) -> bool:
        if phase != self._phase:
            self.end()
            self._phase, self._began, self._shown_at = phase, (now, done), 0.0
        every_s = TERMINAL_EVERY_S if self._is_terminal else LOG_EVERY_S
        if not is_last and self._shown_at and now - self._shown_at < every_s:
            return False
        self._shown_at = now
        return True

    def _write(self, line: str) -> None:
        if line == self._line:
            return
        self._line = line
        self._stream.write(f"\r{line:<78}" if self._is_terminal else line + "\n")
        self._stream.flush()

    def _speed(self, now: float, done: int, total: int) -> str:
        since_s, first = now - self._began[0], self._began[1]
        if since_s <= 0 or done <= first:
            return ""
        per_s = (done - first) / since_s
        return f", {per_s:,.0f}/s, {(total - done) / per_s:,.0f} s left"
