"""Decides what follows the end of a supervised process. Pure, so that it can be read and tested as a table."""

from __future__ import annotations

from dataclasses import dataclass

EXIT_OK = 0
EXIT_USAGE = 64  # invalid settings: a restart changes nothing
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 30.0
# After so long a run the next backoff starts at the beginning again.
SETTLED_S = 60.0


@dataclass(frozen=True)
class RestartAfter:
    """Restart it after a backoff."""

    delay_s: float


@dataclass(frozen=True)
class Finished:
    """It ended normally and is not restarted."""


@dataclass(frozen=True)
class GivenUp:
    """It cannot run with its settings and is not restarted."""

    code: int


def after_exit(code: int, ran_s: float, ends_in_a_row: int) -> RestartAfter | Finished | GivenUp:
    """Decide what follows an exit code (negative: a signal); `ends_in_a_row` counts this one."""
    if code == EXIT_OK:
        return Finished()
    if code == EXIT_USAGE:
        return GivenUp(code)
    counted = 1 if ran_s >= SETTLED_S else ends_in_a_row
    return RestartAfter(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(counted - 1, 16)))
