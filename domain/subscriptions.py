"""What the events of subscriptions state together: the latest of each person and source. Pure.

A person may have several keys, and links between two keys are facts. So the truth of a source is the latest statement
under any key of the person, an opt-out before an opt-in of the same time. Laws (held by Hypothesis, and by the SQL
against this module): any order, division, duplication or replay of the same events gives the same rows and links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind

from domain.people import PersonKey, person_of


@dataclass(frozen=True, slots=True)
class StatedSubscription:
    """What was declared last."""

    occurred_at: datetime
    subscribed: bool

    @property
    def rank(self) -> tuple[datetime, bool]:
        """What the merge maximises."""
        return (self.occurred_at, not self.subscribed)


SubscriptionKey = tuple[PersonKey, Source]


@dataclass(slots=True)
class FoldedSubscriptions:
    """The result of folding events."""

    stated: dict[SubscriptionKey, StatedSubscription] = field(default_factory=dict)
    links: set[tuple[PersonKey, PersonKey]] = field(default_factory=set)
    """Pairs of different keys of one person, the smaller one first."""


def keys_of_event(event: SubscriptionEvent, recipients: Mapping[str, PersonKey]) -> list[PersonKey]:
    """The keys of the person of an event, its own first; none if it names only a message that is not known.

    `recipients`: by wamid the person that got the message, for the messages that are known.
    """
    keys = [] if event.person is None else [person_of(event.person)]
    keys += [person_of(each) for each in event.also_known_as or ()]
    if event.wamid is not None and event.wamid in recipients:
        keys.append(recipients[event.wamid])
    return list(dict.fromkeys(keys))


def fold_subscriptions(events: Iterable[SubscriptionEvent], recipients: Mapping[str, PersonKey]) -> FoldedSubscriptions:
    """Fold events. An event that names only a message that is not known changes nothing."""
    folded = FoldedSubscriptions()
    for event in events:
        keys = keys_of_event(event, recipients)
        if not keys:
            continue
        folded.links.update((min(keys[0], key), max(keys[0], key)) for key in keys[1:])
        row = (keys[0], event.source)
        now = StatedSubscription(event.occurred_at, event.kind is SubscriptionKind.OPTED_IN)
        known = folded.stated.get(row)
        if known is None or now.rank > known.rank:
            folded.stated[row] = now
    return folded


def out_by(keys: Iterable[PersonKey], stated: Mapping[SubscriptionKey, StatedSubscription]) -> tuple[Source, ...]:
    """The sources that have unsubscribed the person with these keys."""
    known = list(keys)
    latest = {
        source: max((stated[key, source] for key in known if (key, source) in stated), key=lambda each: each.rank,
                    default=None)
        for source in Source
    }  # fmt: skip
    return tuple(source for source, last in sorted(latest.items()) if last is not None and not last.subscribed)
