"""Too many dead letters are not many wrong records, they are our bug: stop the stage before it sets all aside."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
SHARE_ITEMS_MIN = 1000
"""Below it a share says nothing."""
SHARE_MAX = 0.5


class TooManyDeadLetters(Exception):
    """The stage stops, with the batch unacknowledged; someone must look."""


class DeadLetterLimit:
    """Counts the dead letters of the last minute. The clock is a parameter."""

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._counted: deque[tuple[float, int]] = deque()
        self._sum = 0

    def require(self, now_s: float, dead: int, items: int) -> None:
        """Raise TooManyDeadLetters if a batch with so many dead of so many items is too much. Changes nothing."""
        while self._counted and self._counted[0][0] <= now_s - WINDOW_S:
            self._sum -= self._counted.popleft()[1]
        if dead and self._sum + dead > self._per_minute_max:
            raise TooManyDeadLetters(
                f"{self._sum + dead} dead letters within a minute, more than CAMPAIGNS_DEAD_LETTER_RATE_MAX"
                f" ({self._per_minute_max}): the stage stops, and nothing of this batch is set aside"
            )
        if items >= SHARE_ITEMS_MIN and dead > items * SHARE_MAX:
            raise TooManyDeadLetters(
                f"{dead} of {items} items would be dead letters: the stage stops, none of them is set aside"
            )

    def add(self, now_s: float, dead: int) -> None:
        """Count dead letters that are published now."""
        if dead:
            self._counted.append((now_s, dead))
            self._sum += dead
