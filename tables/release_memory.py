"""What the scheduler remembers from one step of the release to the next: credits, places, and what is locked.

All of it may be lost at any time: without it a step starts from the beginning of the due rows. It only makes steps fair
and cheap. The index of due rows keeps an entry for each row that was released, until a vacuum may remove it. A dump or
an audit can delay that for hours. So a step searches from the place that the last one reached, and only now and then
from the beginning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from domain.fairness import Turns
from domain.windows import Periods

HELD_S = 5.0
"""How long a number or campaign is left alone after its lock was not free."""
AFRESH_S = 2.0
"""Shortest time between two searches from the beginning: rows may become due behind the places."""
AFRESH_SHARE = 0.02
"""The largest share of the time that such searches may take. Behind a long snapshot each takes a second."""
WATCH_S = 60.0
"""Time between two looks for campaigns that could send nothing for too long."""
UNCLAIMED_KNOWN_S = 0.5
"""How long a count of the unclaimed releases of a number is relied on. It reads each of them, up to ten seconds of the
rate, and a step is due ten times a second."""
TRIED_SHARE = 0.2
"""The share of a campaign that goes to recipients with an earlier attempt, while recipients without one wait too."""
FIRST_ID = UUID(int=0)
LAST_ID = UUID(int=2**128 - 1)


class Lane(StrEnum):
    """The two queues of a campaign."""

    FRESH = "fresh"
    TRIED = "tried"


Place: TypeAlias = tuple[datetime, UUID]
"""The due time and the id of the last row that was released."""

START: Place = (datetime(1970, 1, 1, tzinfo=UTC), FIRST_ID)
_WEIGHTS = {Lane.FRESH: 1 - TRIED_SHARE, Lane.TRIED: TRIED_SHARE}


@dataclass(slots=True)
class _Unclaimed:
    """The releases of a number that may be unclaimed: those that were counted, and those that were released since."""

    most: int
    counted_at: float


@dataclass(slots=True)
class ReleaseMemory:
    """The memory of one releaser. `clock` is monotonic."""

    clock: Callable[[], float] = time.monotonic
    portfolio: Turns[UUID] = field(default_factory=Turns)
    """The credits of all campaigns, for what is left of the budget of the portfolio."""
    _turns: dict[str, Turns[UUID]] = field(default_factory=dict)
    _lanes: dict[UUID, Turns[Lane]] = field(default_factory=dict)
    _places: dict[tuple[UUID, Lane], Place] = field(default_factory=dict)
    _held_until: dict[UUID | str, float] = field(default_factory=dict)
    _afresh_at: float = 0.0
    _unclaimed: dict[str, _Unclaimed] = field(default_factory=dict)
    periods: Periods = field(default_factory=Periods)
    _watch_at: float = -math.inf
    _wanting: set[UUID] = field(default_factory=set)
    _served: set[UUID] = field(default_factory=set)

    def turns(self, number: str) -> Turns[UUID]:
        """The credits of the campaigns of a number."""
        return self._turns.setdefault(number, Turns())

    def lanes(self, campaign: UUID, share: int, *, fresh: int, tried: int) -> dict[Lane, int]:
        """Divide the share of a campaign over its two queues."""
        turns = self._lanes.setdefault(campaign, Turns())
        return turns.divide(share, {Lane.FRESH: fresh, Lane.TRIED: tried}, _WEIGHTS)

    def hold(self, locked: UUID | str) -> None:
        """Leave a locked number or campaign alone for a while."""
        self._held_until[locked] = self.clock() + HELD_S

    def is_held(self, *names: UUID | str) -> bool:
        """Whether one of these is left alone now."""
        now = self.clock()
        return any(self._held_until.get(name, now) > now for name in names)

    @contextmanager
    def searching(self) -> Iterator[None]:
        """A search for due rows. The places are forgotten first if the search may begin afresh."""
        started = self.clock()
        is_afresh = started >= self._afresh_at
        if is_afresh:
            self._places.clear()
            self._held_until = {name: until for name, until in self._held_until.items() if until > started}
        yield
        if is_afresh:
            ended = self.clock()
            self._afresh_at = ended + max(AFRESH_S, (ended - started) / AFRESH_SHARE)

    def advance(self, reached: Mapping[tuple[UUID, Lane], Place]) -> None:
        """Continue the next search after these places."""
        self._places.update(reached)

    def places(self) -> dict[str, list[Any]]:
        """The places of all campaigns, as parameters of a statement."""
        campaigns = sorted({campaign for campaign, _ in self._places})
        places = [self.place_of(campaign) for campaign in campaigns]
        return {"campaigns": campaigns, **{name: [each[name] for each in places] for name in self.place_of(FIRST_ID)}}

    def place_of(self, campaign: UUID) -> dict[str, Any]:
        """The places of a campaign, as parameters of a statement."""
        fresh, tried = (self._places.get((campaign, lane), START) for lane in (Lane.FRESH, Lane.TRIED))
        return {"fresh_at": fresh[0], "fresh_id": fresh[1], "tried_at": tried[0], "tried_id": tried[1]}

    def unclaimed_most(self, number: str) -> int | None:
        """The most releases of a number that may be unclaimed; None: they must be counted again.

        Claims since the count only lower the number, so a step that relies on it releases too few, and never too many.
        What another releaser has released meanwhile is in the next count.
        """
        known = self._unclaimed.get(number)
        return known.most if known is not None and self.clock() - known.counted_at < UNCLAIMED_KNOWN_S else None

    def count_unclaimed(self, number: str, counted: int) -> None:
        """Remember how many releases of a number are unclaimed now."""
        self._unclaimed[number] = _Unclaimed(counted, self.clock())

    def add_released(self, number: str, released: int) -> None:
        """Add attempts of a number whose release is committed."""
        if known := self._unclaimed.get(number):
            known.most += released

    def note(self, *, wanting: Iterable[UUID] = (), served: Iterable[UUID] = ()) -> None:
        """Remember the campaigns that could have released something, and those that did."""
        self._wanting.update(wanting)
        self._served.update(served)

    def take_blocked(self) -> set[UUID] | None:
        """The campaigns that have released nothing since the last call, though they could; None: it is too early."""
        now = self.clock()
        if now < self._watch_at:
            return None
        self._watch_at = now + WATCH_S
        blocked = self._wanting - self._served
        self._wanting.clear()
        self._served.clear()
        return blocked
