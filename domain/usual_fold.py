"""Folds usual events into one row per recipient and one per wamid: the merge of `domain.facts` for four kinds. Pure.

A batch has thousands of these events. `domain.fold` makes three objects and a merge of sixteen facts of each; here an
event costs a few comparisons. Both give the same facts: a property test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from schemas.events import Pricing
from schemas.model import RecipientId
from schemas.usual_events import UsualEvent, id_of, time_of

from domain.facts import NOTHING, Acceptance, Facts, PricedAt, merge
from domain.fold import Fold
from domain.parked import Learned
from domain.prices import price_of


class UsualFacts(msgspec.Struct, gc=False):
    """The facts that usual events state of one recipient. The others are those of NOTHING."""

    id: bytes
    """The 16 bytes of the recipient's id."""
    attempt: int
    """The newest attempt. Each usual event brings an acceptance, so it is also the newest accepted one."""
    sent_at: datetime
    delivered_at: datetime | None
    read_at: datetime | None
    accepted_attempts: int
    accepted_at: datetime
    wamid: str
    held_for_quality: bool
    price: str
    """See `domain.prices`; empty: not known."""


class UsualMessage(msgspec.Struct, gc=False):
    """What usual events state of one wamid. The first event that names a recipient or a number counts."""

    recipient: bytes
    attempt: int
    phone_number_id: str | None
    priced: tuple[datetime, str, str] | None
    """Time, type and category of the first known price."""


@dataclass(slots=True)
class UsualFold:
    """The result of folding a batch."""

    facts: dict[str, UsualFacts] = field(default_factory=dict)
    """By the text of the recipient's id."""
    messages: dict[str, UsualMessage] = field(default_factory=dict)
    """By wamid."""
    links: list[tuple[RecipientId, str]] = field(default_factory=list)
    """Recipients and the further keys that their answers or statuses name."""
    received_at: list[datetime] = field(default_factory=list)
    """When the webhook of each folded event arrived. Our own outcomes are left out."""
    times: dict[str, datetime] = field(default_factory=dict)
    """Texts of times that were read before. Meta states whole seconds, so many events have the same one."""
    records: int = 0
    """The number of records, folded or not."""
    unusual: list[int] = field(default_factory=list)
    """Positions of the records that must be decoded as RecipientEvent."""

    @property
    def events(self) -> int:
        """The number of folded events."""
        return self.records - len(self.unusual)


def fold_more(  # noqa: PLR0912, PLR0915 - the docstring has the reason
    result: UsualFold, events: Sequence[UsualEvent | None], latest: datetime, without: frozenset[str] = frozenset()
) -> None:
    """Fold the next events of a batch into `result`. None stands for a record that is no usual event.

    Events after `latest`, those of the recipients in `without`, and those with another spelling of an id or a time or
    in another time zone are unusual. This is one loop without calls for the most frequent case, because each call costs
    a tenth of an event.
    """
    facts, messages, unusual, times = result.facts, result.messages, result.unusual, result.times
    note_received = result.received_at.append
    campaigns: set[str] = set()
    for position, event in enumerate(events, result.records):
        if event is None:
            unusual.append(position)
            continue
        text = event.occurred_at
        at = times.get(text)
        if at is None and (at := time_of(text)) is not None:
            times[text] = at
        recipient, kind, attempt, wamid = event.recipient_id, event.kind, event.attempt, event.wamid
        known = facts.get(recipient)
        id_ = id_of(recipient) if known is None else known.id
        if (
            at is None or at > latest or id_ is None or recipient in without or event.received_at.tzinfo is not UTC
            or (event.campaign_id not in campaigns and not _remember(campaigns, event.campaign_id))
        ):  # fmt: skip
            unusual.append(position)
            continue
        if known is None:
            known = facts[recipient] = UsualFacts(id_, attempt, at, None, None, 1 << attempt, at, wamid, False, "")
        else:
            if at < known.sent_at:  # noqa: PLR1730 - min() is a call
                known.sent_at = at
            if at < known.accepted_at or wamid != known.wamid or attempt != known.attempt:
                if attempt > known.attempt or (attempt == known.attempt and _is_earlier(at, wamid, known)):
                    known.attempt, known.accepted_at, known.wamid = attempt, at, wamid
                known.accepted_attempts |= 1 << attempt
        if kind == "accepted":
            if event.held_for_quality:
                known.held_for_quality = True
        else:
            note_received(event.received_at)
            if kind != "sent":
                if known.delivered_at is None or at < known.delivered_at:
                    known.delivered_at = at
                if kind == "read" and (known.read_at is None or at < known.read_at):
                    known.read_at = at
        message = messages.get(wamid)
        if message is None:
            message = messages[wamid] = UsualMessage(id_, attempt, event.phone_number_id, None)
        elif message.phone_number_id is None:
            message.phone_number_id = event.phone_number_id
        pricing = event.pricing
        if pricing is not None:
            priced = message.priced
            if (
                priced is None or pricing.category != priced[2] or pricing.type != priced[1]
                or attempt != message.attempt or id_ is not message.recipient
            ):  # fmt: skip
                known.price = max(known.price, price_of(attempt, pricing.type, pricing.category))
                stated = (at, pricing.type, pricing.category)
                if priced is None or stated < priced:
                    message.priced = stated
            elif at < priced[0]:
                message.priced = (at, priced[1], priced[2])
        if event.also_known_as:
            owner = RecipientId(UUID(bytes=id_))
            result.links += [(owner, key) for key in event.also_known_as]
    result.records += len(events)


def _remember(campaigns: set[str], text: str) -> bool:
    """Whether it is an id as RecipientEvent spells it. Then it is remembered."""
    if id_of(text) is None:
        return False
    campaigns.add(text)
    return True


def _is_earlier(at: datetime, wamid: str, known: UsualFacts) -> bool:
    """Which of two acceptances of one attempt names the message: the earlier, then the greater wamid."""
    return at < known.accepted_at or (at == known.accepted_at and wamid > known.wamid)


def facts_of_usual(known: UsualFacts) -> Facts:
    """The same facts in the form of `domain.facts`."""
    return Facts(
        attempt=known.attempt,
        sent_at=known.sent_at,
        delivered_at=known.delivered_at,
        read_at=known.read_at,
        accepted_attempts=known.accepted_attempts,
        acceptance=Acceptance(known.attempt, known.accepted_at, known.wamid),
        held_for_quality=known.held_for_quality,
        price=known.price,
    )


def learned_of_usual(message: UsualMessage) -> Learned:
    """The same in the form of `domain.parked`."""
    priced = None
    if message.priced is not None:
        at, type_, category = message.priced
        priced = PricedAt(at, Pricing(type=type_, category=category))
    return Learned(RecipientId(UUID(bytes=message.recipient)), message.attempt, message.phone_number_id, priced=priced)


def usual_of_learned(learned: Learned) -> UsualMessage | None:
    """The opposite. None if the recipient is not known, or if statuses are parked."""
    if learned.recipient_id is None or learned.attempt is None or learned.parked is not NOTHING:
        return None
    priced = learned.priced
    return UsualMessage(
        learned.recipient_id.bytes,
        learned.attempt,
        learned.phone_number_id,
        None if priced is None else (priced.at, priced.pricing.type, priced.pricing.category),
    )


def add_usual(result: Fold, usual: UsualFold) -> bool:
    """Add usual events to the fold of the others of the batch.

    Returns False if two of them name different recipients or numbers for one wamid: then their order decides, and the
    batch has to be folded as a whole. `result` is then of no use.
    """
    for known in usual.facts.values():
        recipient = RecipientId(UUID(bytes=known.id))
        result.facts[recipient] = merge(result.facts.get(recipient, NOTHING), facts_of_usual(known))
    for wamid, message in usual.messages.items():
        learned = learned_of_usual(message)
        other = result.messages.get(wamid)
        result.messages[wamid] = learned if other is None else _joined(other, learned)
        if other is not None and not _agree(other, learned):
            return False
    return True


def divide(result: Fold, usual: UsualFold) -> UsualFold | None:
    """Add to `result` what usual events state of its own recipients and wamids; returns the rest of their facts.

    None: as False of `add_usual`.
    """
    rest = UsualFold(dict(usual.facts), dict(usual.messages))
    shared = UsualFold()
    for text in {str(recipient) for recipient in result.facts} & usual.facts.keys():
        shared.facts[text] = rest.facts.pop(text)
    for wamid in result.messages.keys() & usual.messages.keys():
        shared.messages[wamid] = rest.messages.pop(wamid)
    return rest if add_usual(result, shared) else None


def _agree(a: Learned, b: Learned) -> bool:
    return (
        (a.recipient_id is None or (a.recipient_id, a.attempt) == (b.recipient_id, b.attempt))
        and (a.phone_number_id is None or b.phone_number_id is None or a.phone_number_id == b.phone_number_id)
    )  # fmt: skip


def _joined(other: Learned, usual: Learned) -> Learned:
    prices = [priced for priced in (other.priced, usual.priced) if priced is not None]
    return Learned(
        usual.recipient_id,
        usual.attempt,
        other.phone_number_id or usual.phone_number_id,
        other.parked,
        min(prices, key=lambda priced: priced.rank, default=None),
    )
