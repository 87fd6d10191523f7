"""Decides whether and when a supervised process is restarted after its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass

EXIT_USAGE = 64
"""The settings are invalid. A restart would fail in the same way."""
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 30.0
STABLE_AFTER_S = 60.0
"""A process that ran for so long restarts with the first backoff."""


@dataclass(frozen=True)
class RestartAfter:
    """The process is restarted after the backoff."""

    delay_s: float


@dataclass(frozen=True)
class GivenUp:
    """The process cannot run with its settings and is not restarted."""

    code: int


def after_exit(code: int, ran_s: float, consecutive_ends: int) -> RestartAfter | GivenUp:
    """The decision for an exit code (negative for a signal). `consecutive_ends` includes this end.

    A process that ends with 0 was stopped from outside, because none ends by itself: it is started again.
    """
    if code == EXIT_USAGE:
        return GivenUp(code)
    ends = 1 if ran_s >= STABLE_AFTER_S else consecutive_ends
    return RestartAfter(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(ends - 1, 16)))
