"""What the events of subscriptions state together: the latest of each person and source, and links. Pure.

A human may have several keys, and links between two keys are facts. Most links are of one account: a phone number and
its user id. Others lead to a key that the human has left, such as an old number, which may belong to a stranger now.
WhatsApp gives a human who changes the number a new user id, so the keys of one account stay together.

An opt-out under any key that links lead to holds. Only a later opt-in under a key of the same account revokes it. So an
opt-out follows a human to a new number and stays at the old one, and no stranger can revoke it. Laws (held by
Hypothesis, and by the SQL against this module): any order, division, duplication or replay of the same events gives the
same rows and links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind

from domain.people import PersonKey, person_of

LINKS_FOLLOWED_MAX = 16
"""A key with more links is the end of the way: an answer with one `wa_id` for everybody must not join them all."""
KEYS_MAX = 64
"""Most keys that links lead to."""


@dataclass(frozen=True, slots=True)
class StatedSubscription:
    """What was declared last, and the latest opt-out, which may be before it."""

    occurred_at: datetime
    subscribed: bool
    opted_out_at: datetime | None = None

    def __post_init__(self) -> None:
        """An opt-out that is the latest statement is the latest opt-out."""
        if not self.subscribed:
            object.__setattr__(self, "opted_out_at", self.occurred_at)

    def merged(self, other: StatedSubscription) -> StatedSubscription:
        """What both state together: the latest, of two at one moment the opt-out."""
        last = max(self, other, key=lambda each: (each.occurred_at, not each.subscribed))
        outs = [each.opted_out_at for each in (self, other) if each.opted_out_at is not None]
        return StatedSubscription(last.occurred_at, last.subscribed, max(outs, default=None))


SubscriptionKey = tuple[PersonKey, Source]
Links = Mapping[tuple[PersonKey, PersonKey], bool]
"""Pairs of different keys of one human, the smaller key first, and whether both name one account."""


@dataclass(slots=True)
class FoldedSubscriptions:
    """The result of folding events."""

    stated: dict[SubscriptionKey, StatedSubscription] = field(default_factory=dict)
    links: dict[tuple[PersonKey, PersonKey], bool] = field(default_factory=dict)
    """As `Links`."""

    def link(self, one: PersonKey, other: PersonKey, *, same_account: bool) -> None:
        """Add a link. One of the same account stays one."""
        if one != other:
            pair = (min(one, other), max(one, other))
            self.links[pair] = self.links.get(pair, False) or same_account


def keys_of_event(event: SubscriptionEvent, recipients: Mapping[str, PersonKey]) -> list[PersonKey]:
    """The keys of the account of an event, its own first; none if it names only a message that is not known.

    `recipients`: by wamid the person that got the message, for the messages that are known.
    """
    keys = [] if event.person is None else [person_of(event.person)]
    keys += [person_of(each) for each in event.also_known_as or ()]
    if not keys and event.wamid is not None and event.wamid in recipients:
        keys.append(recipients[event.wamid])
    return list(dict.fromkeys(keys))


def fold_subscriptions(events: Iterable[SubscriptionEvent], recipients: Mapping[str, PersonKey]) -> FoldedSubscriptions:
    """Fold events. An event that names only a message that is not known changes nothing.

    Somebody who answers a message may have changed the number since it was sent. So a link with its recipient is not
    one of the same account.
    """
    folded = FoldedSubscriptions()
    for event in events:
        keys = keys_of_event(event, recipients)
        if not keys:
            continue
        former = [person_of(each) for each in event.formerly or ()]
        for first, *others in (keys, former or keys):
            for key in others:
                folded.link(first, key, same_account=True)
        if event.wamid is not None and event.wamid in recipients:
            former.append(recipients[event.wamid])
        for key in former:
            folded.link(keys[0], key, same_account=False)
        if event.kind is SubscriptionKind.IDENTIFIED:
            continue
        row = (keys[0], event.source)
        now = StatedSubscription(event.occurred_at, event.kind is SubscriptionKind.OPTED_IN)
        known = folded.stated.get(row)
        folded.stated[row] = now if known is None else known.merged(now)
    return folded


def reach_of(person: PersonKey, links: Links) -> dict[PersonKey, bool]:
    """The keys that links lead to, itself included, and whether some way is of one account. `reach_of` in SQL."""
    near: dict[PersonKey, list[tuple[PersonKey, bool]]] = {}
    for (one, other), same_account in links.items():
        near.setdefault(one, []).append((other, same_account))
        near.setdefault(other, []).append((one, same_account))
    found: dict[tuple[PersonKey, bool], None] = {(person, True): None}
    waiting = [(person, True)]
    while waiting:
        key, same_so_far = waiting.pop(0)
        linked = near.get(key, [])
        if len(linked) > LINKS_FOLLOWED_MAX and key != person:
            continue
        for other, same_account in sorted(linked)[: LINKS_FOLLOWED_MAX + 1]:
            step = (other, same_so_far and same_account)
            if step not in found:
                found[step] = None
                waiting.append(step)
    reached: dict[PersonKey, bool] = {}
    for key, same_account in list(found)[:KEYS_MAX]:
        reached[key] = reached.get(key, False) or same_account
    return reached


def out_by(reach: Mapping[PersonKey, bool], stated: Mapping[SubscriptionKey, StatedSubscription]) -> tuple[Source, ...]:
    """The sources that have unsubscribed the human with these keys; the values say which are of the same account."""
    out = []
    for source in sorted(Source):
        known = {key: stated[key, source] for key in reach if (key, source) in stated}
        last_out = max((each.opted_out_at for each in known.values() if each.opted_out_at is not None), default=None)
        back = [each.occurred_at for key, each in known.items() if reach[key] and each.subscribed]
        if last_out is not None and not any(at > last_out for at in back):
            out.append(source)
    return tuple(out)
