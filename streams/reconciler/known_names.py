"""Remembers the names of people that were published, so that each message of a person does not state them again.

`subscription.events` is kept for ever, and people write often. A name that is forgotten, or was published by another
process, is published again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.subscriptions import SubscriptionEvent, SubscriptionKind

REMEMBERED_MAX = 20_000
"""About 6 MB."""

Names = tuple[str | None, tuple[str, ...], tuple[str, ...]]
"""What an event states about names."""


class KnownNames:
    """The names that were published last."""

    def __init__(self, remembered_max: int = REMEMBERED_MAX) -> None:
        self._remembered_max = remembered_max
        self._known: dict[Names, None] = {}

    def are_known(self, event: SubscriptionEvent) -> bool:
        """Whether the event states names alone, and these were published."""
        return event.kind is SubscriptionKind.IDENTIFIED and _names(event) in self._known

    def remember(self, published: Iterable[SubscriptionEvent]) -> None:
        """Remember the names in events that Kafka has acknowledged. The oldest are forgotten."""
        for event in published:
            if event.kind is SubscriptionKind.IDENTIFIED:
                self._known[_names(event)] = None
        while len(self._known) > self._remembered_max:
            del self._known[next(iter(self._known))]


def _names(event: SubscriptionEvent) -> Names:
    return event.person, tuple(event.also_known_as or ()), tuple(event.formerly or ())
