"""What to do when a supervised process has ended: pure, so that it can be read and tested as a table."""

from dataclasses import dataclass

EXIT_OK = 0
EXIT_USAGE = 64  # wrong settings: starting again changes nothing
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 30.0
# Who ran this long has left its trouble behind: the next end starts again at the first backoff.
SETTLED_S = 60.0


@dataclass(frozen=True)
class Again:
    """Start it again after a while."""

    delay_s: float


@dataclass(frozen=True)
class Finished:
    """It ended by its own will."""


@dataclass(frozen=True)
class GivenUp:
    """It can never run as it is set up."""

    code: int


def after_exit(code: int, ran_s: float, ends_in_a_row: int) -> Again | Finished | GivenUp:
    """Decide what follows an exit code (negative: a signal); `ends_in_a_row` counts this one."""
    if code == EXIT_OK:
        return Finished()
    if code == EXIT_USAGE:
        return GivenUp(code)
    counted = 1 if ran_s >= SETTLED_S else ends_in_a_row
    return Again(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(counted - 1, 16)))
