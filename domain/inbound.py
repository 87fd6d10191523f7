"""Decides what a person's message or preference means: a reply, an opt-out or opt-in, names, or nothing. Pure.

Laws: every item has a decision. The same item, read again or in another order, gives the same events, except for their
origin and time of receipt. An opt-out is honoured whichever of our numbers it was sent to, and by whichever name the
person is known: as the number, as a user id, or as the recipient of the message that was answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.codec import PRODUCER
from schemas.events import EventKind, Origin, RecipientEvent
from schemas.model import Wamid
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from schemas.webhook_people import MessageItem, PersonNames, PreferenceItem
from schemas.webhook_statuses import StatusItem

from domain.correlation import EARLIEST, NAMES_MAX
from domain.keywords import Keywords
from domain.people import PersonKey, keys_named
from domain.times import AHEAD_MAX

STOPPED_CODE = 131050
"""Meta refuses marketing messages, because the person has stopped them (Meta, error codes)."""
MARKETING = "marketing_messages"
KIND_BY_PREFERENCE = {"stop": SubscriptionKind.OPTED_OUT, "resume": SubscriptionKind.OPTED_IN}
"""Any other value, such as `signup`, is counted and changes nothing: only `resume` revokes a stop."""
NO_REPLY = frozenset({"reaction", "system"})
"""A reaction names a message, but it is no answer. A system message comes from WhatsApp."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of an item besides its content.

    `latest`: the latest of the receipt, the time of the record and the present, by which a time is in the future.
    """

    received_at: datetime
    origin: Origin
    latest: datetime


@dataclass(frozen=True, slots=True)
class IgnoredItem:
    """The item changes nothing. It is counted under `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """The item has an effect that cannot be applied. It must be dead-lettered with this reason code."""

    reason: str


@dataclass(frozen=True, slots=True)
class PersonEvents:
    """What one item states: of a recipient, of a person's subscription, or of both at once."""

    event: RecipientEvent | None = None
    subscription: SubscriptionEvent | None = None


def decide_message(item: MessageItem, receipt: Receipt, keywords: Keywords) -> PersonEvents | IgnoredItem | RefusedItem:
    """Decide about one message. It is a reply if it names the message that it answers.

    A message that names the person by several names links them, and so does one in which WhatsApp reports new names.
    """
    kind = keywords.meaning(item.texts)
    reply_to = item.reply_to if item.type not in NO_REPLY else None
    keys = keys_named(item.names.number, item.names.user_ids)
    former = () if item.former is None else keys_named(item.former.number, item.former.user_ids)
    names_more = len(keys) > 1 or bool(keys and former)
    if kind is None and reply_to is None and not names_more:
        return IgnoredItem(ItemOutcome.MESSAGE.value)
    at = _time_of(item, receipt)
    if isinstance(at, RefusedItem):
        return at
    reply = None if reply_to is None else _reply(item, reply_to, at, receipt)
    if kind is None:
        return PersonEvents(reply, _identified(keys, former, at, receipt) if names_more else None)
    stated = _subscription(item.names, reply_to, kind, Source.KEYWORD, at, receipt)
    return stated if isinstance(stated, RefusedItem) else PersonEvents(reply, stated)


def decide_preference(item: PreferenceItem, receipt: Receipt) -> PersonEvents | IgnoredItem | RefusedItem:
    """Decide about one preference. Those of another category than marketing messages change nothing."""
    kind = KIND_BY_PREFERENCE.get(item.value)
    if kind is None or item.category not in ("", MARKETING):
        return IgnoredItem(ItemOutcome.PREFERENCE.value)
    at = _time_of(item, receipt)
    if isinstance(at, RefusedItem):
        return at
    stated = _subscription(item.names, None, kind, Source.PLATFORM, at, receipt)
    return stated if isinstance(stated, RefusedItem) else PersonEvents(subscription=stated)


def opt_out_of_failure(item: StatusItem, event: RecipientEvent, receipt: Receipt) -> SubscriptionEvent | None:
    """The opt-out that a failed status proves, if it does. Only the person's own `resume` revokes it."""
    if event.failure is None or event.failure.code != STOPPED_CODE:
        return None
    names, kind = PersonNames(item.recipient_id, item.user_ids), SubscriptionKind.OPTED_OUT
    stated = _subscription(names, item.wamid, kind, Source.PLATFORM, item.occurred_at, receipt)
    return None if isinstance(stated, RefusedItem) else stated


def _reply(item: MessageItem, reply_to: str, at: datetime, receipt: Receipt) -> RecipientEvent:
    return RecipientEvent(
        producer=PRODUCER,
        kind=EventKind.REPLIED,
        wamid=Wamid(reply_to),
        phone_number_id=item.phone_number_id,
        occurred_at=at,
        received_at=receipt.received_at,
        origin=receipt.origin,
    )


def _subscription(
    names: PersonNames, wamid: str | None, kind: SubscriptionKind, source: Source, at: datetime, receipt: Receipt
) -> SubscriptionEvent | RefusedItem:
    """The event; refused if the item names nobody."""
    keys = keys_named(names.number, names.user_ids)
    if not keys and wamid is None:
        return RefusedItem(DeadLetterReason.MISSING_PERSON.value)
    return SubscriptionEvent(
        producer=PRODUCER,
        person=keys[0] if keys else None,
        also_known_as=list(keys[1 : 1 + NAMES_MAX]) or None,
        wamid=None if wamid is None else Wamid(wamid),
        kind=kind,
        source=source,
        occurred_at=at,
        received_at=receipt.received_at,
        origin=receipt.origin,
    )


def _identified(
    keys: Sequence[PersonKey], former: Sequence[PersonKey], at: datetime, receipt: Receipt
) -> SubscriptionEvent:
    return SubscriptionEvent(
        producer=PRODUCER,
        person=keys[0],
        also_known_as=list(keys[1 : 1 + NAMES_MAX]) or None,
        formerly=list(former[:NAMES_MAX]) or None,
        kind=SubscriptionKind.IDENTIFIED,
        source=Source.PLATFORM,
        occurred_at=at,
        received_at=receipt.received_at,
        origin=receipt.origin,
    )


def _time_of(item: MessageItem | PreferenceItem, receipt: Receipt) -> datetime | RefusedItem:
    """The time of an item. A time in the future would hide the opt-outs that follow, so it is refused."""
    if item.occurred_at is None:
        return RefusedItem(DeadLetterReason.MALFORMED_TIMESTAMP.value)
    if item.occurred_at > max(receipt.latest, receipt.received_at) + AHEAD_MAX:
        return RefusedItem(DeadLetterReason.TIMESTAMP_IN_FUTURE.value)
    return RefusedItem(DeadLetterReason.TIMESTAMP_TOO_OLD.value) if item.occurred_at < EARLIEST else item.occurred_at
