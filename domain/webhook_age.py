"""Up to which moment all acknowledged webhooks are applied. Pure.

Opt-outs are among the webhooks, so a sender must not claim while an old webhook is not applied yet. Ages are not read
from records, whose clocks differ, and a topic without records has no age. Instead the ends of the topics are marked:

    mark      at this moment all acknowledged webhooks are before these ends of `webhooks.raw`
    reconcile the reconciler has passed these ends, so their events are before the present ends of the event topics
    apply     the sinks have passed those ends, so everything before the moment of the mark is applied

While no webhook comes, the ends stay those of a mark that is applied, and the other ends need not be read.

Law (held by Hypothesis): every webhook that was acknowledged before the answer of `apply` is applied. When all stages
have caught up, the answer is the moment of the newest mark, also if nothing was ever received.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

WEBHOOK_AGE_MAX_S = 60.0
"""If a webhook that is older may not be applied, nothing is claimed."""
MARKS_MAX = 60
"""Most marks under way. With a longer backlog, the next mark is set when one is applied."""

Offsets = Mapping[tuple[str, int], int]
"""By topic and partition: the offset after the last record, or after the last one that a stage has passed. Empty
partitions are missing."""


def _has_passed(positions: Offsets, ends: Offsets) -> bool:
    return all(positions.get(place, -1) >= end for place, end in ends.items())


class AppliedMarks:
    """The marks under way, in the order of their moments."""

    def __init__(self, marks_max: int = MARKS_MAX) -> None:
        self._marks_max = marks_max
        self._received: deque[tuple[datetime, Offsets]] = deque()
        self._reconciled: deque[tuple[datetime, Offsets, Offsets]] = deque()
        self._applied: Offsets | None = None
        """The ends of `webhooks.raw` of the mark that was applied last."""

    def is_applied(self, webhooks: Offsets) -> bool:
        """Whether all webhooks before these ends are known to be applied. Then marks under way are out of date."""
        if webhooks != self._applied:
            return False
        self._received.clear()
        self._reconciled.clear()
        return True

    def mark(self, at: datetime, webhooks: Offsets) -> None:
        """Mark a moment. The ends of `webhooks.raw` were read after it."""
        if len(self._received) + len(self._reconciled) < self._marks_max:
            self._received.append((at, webhooks))

    def reconcile(self, passed: Offsets, events: Offsets) -> None:
        """What the reconciler has passed, and the ends of the event topics. They were read after it."""
        newest: tuple[datetime, Offsets] | None = None
        while self._received and _has_passed(passed, self._received[0][1]):
            newest = self._received.popleft()
        if newest is not None:
            self._reconciled.append((*newest, events))

    def apply(self, passed: Offsets) -> datetime | None:
        """The moment up to which everything is applied, if it is later than before. `passed`: by the sinks."""
        newest: datetime | None = None
        while self._reconciled and _has_passed(passed, self._reconciled[0][2]):
            newest, self._applied, _ = self._reconciled.popleft()
        return newest
