"""Folds a batch of events in memory: facts per recipient, facts per wamid, and the events that are refused. Pure.

The fold uses the same merge as the database. It only reduces the number of rows that the database has to merge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.events import WEBHOOK_KINDS, RecipientEvent
from schemas.model import RecipientId
from schemas.places import EPOCH
from schemas.reasons import DeadLetterReason

from domain.facts import NOTHING, Facts, PricedAt, facts_of, merge
from domain.parked import PARKED_ATTEMPT, Learned, Message, earliest
from domain.times import AHEAD_MAX

BEFORE_CAMPAIGN_MAX = timedelta(days=1)
"""How much older than its campaign an event may be. One day allows for inaccurate clocks and time zones."""
PARKED_AGE_MAX = timedelta(days=8)
"""How old an event without a recipient may be: its campaign is unknown, and Meta repeats a webhook for 7 days."""


@dataclass(slots=True)
class Fold:
    """The result of folding a batch."""

    facts: dict[RecipientId, Facts] = field(default_factory=dict)
    messages: dict[str, Learned] = field(default_factory=dict)
    refused: dict[int, DeadLetterReason] = field(default_factory=dict)
    """Reason by position in the batch."""
    foreign: Counter[str] = field(default_factory=Counter)
    """Number of statuses on phone numbers that belong to no campaign, by phone number id."""
    erased: int = 0
    """Number of statuses with our own signature whose recipient has no row: an operator has deleted it."""
    created_at: Mapping[RecipientId, datetime] = field(default_factory=dict)
    """When the campaign of each recipient was created. Recipients without a row are missing."""


def fold(
    events: Iterable[RecipientEvent],
    created_at: Mapping[RecipientId, datetime],
    foreign_numbers: set[str],
    latest: datetime = EPOCH,
) -> Fold:
    """Fold a batch. `created_at` maps each recipient that has a row to the creation of its campaign.

    `latest`: the later of the present and the newest record. A time is in the future by it or, if that is later, by the
    receipt.
    """
    result = Fold(created_at=created_at)
    for position, event in enumerate(events):
        if event.recipient_id is None and event.phone_number_id in foreign_numbers:
            result.foreign[event.phone_number_id or ""] += 1
            continue
        if is_erased(event, created_at):
            result.erased += 1
            continue
        refusal = refuse(event, created_at, latest)
        if refusal is not None:
            result.refused[position] = refusal
            continue
        if event.recipient_id is not None and event.attempt is not None:
            known = result.facts.get(event.recipient_id)
            stated = facts_of(event, event.attempt)
            result.facts[event.recipient_id] = stated if known is None else merge(known, stated)
        if event.wamid is not None:
            learned = result.messages.get(event.wamid)
            if learned is None:
                learned = result.messages[event.wamid] = Learned()
            _learn(learned, event)
    return result


def is_erased(event: RecipientEvent, created_at: Mapping[RecipientId, datetime]) -> bool:
    """Whether it is a status of our own message (our signature is valid) whose recipient has no row any more."""
    return event.kind in WEBHOOK_KINDS and event.recipient_id is not None and event.recipient_id not in created_at


def refuse(
    event: RecipientEvent, created_at: Mapping[RecipientId, datetime], latest: datetime = EPOCH
) -> DeadLetterReason | None:
    """Why this event must not be merged, if so. A merge keeps the earliest time, so an incorrect one would stay."""
    if event.occurred_at - max(event.received_at, latest) > AHEAD_MAX:  # a sum could overflow the calendar
        return DeadLetterReason.TIMESTAMP_IN_FUTURE
    if event.recipient_id is None:
        too_old = event.received_at - event.occurred_at > PARKED_AGE_MAX
        return DeadLetterReason.TIMESTAMP_TOO_OLD if too_old else None
    campaign_created_at = created_at.get(event.recipient_id)
    if campaign_created_at is None:
        return DeadLetterReason.UNKNOWN_RECIPIENT
    if event.occurred_at < campaign_created_at - BEFORE_CAMPAIGN_MAX:
        return DeadLetterReason.TIMESTAMP_TOO_OLD
    return None


def merge_parked(
    result: Fold, messages: Iterable[Message], created_at: Mapping[RecipientId, datetime]
) -> list[Message]:
    """Merge the facts parked for wamids that are known now into the facts of their recipients.

    Returns the messages whose facts are refused: the recipient has no row, or the facts are older than its campaign.
    """
    lost: list[Message] = []
    for message in messages:
        if message.parked is None or message.recipient_id is None:
            continue
        campaign_created_at, first = created_at.get(message.recipient_id), earliest(message.parked)
        if campaign_created_at is None or (first is not None and first < campaign_created_at - BEFORE_CAMPAIGN_MAX):
            lost.append(message)
            continue
        known = result.facts.get(message.recipient_id, NOTHING)
        result.facts[message.recipient_id] = merge(known, message.parked)
    return lost


def _learn(learned: Learned, event: RecipientEvent) -> None:
    if event.recipient_id is None:
        learned.parked = merge(learned.parked, facts_of(event, PARKED_ATTEMPT))
    elif learned.recipient_id is None:
        learned.recipient_id, learned.attempt = event.recipient_id, event.attempt
    if learned.phone_number_id is None:
        learned.phone_number_id = event.phone_number_id
    if event.pricing is not None:
        priced = PricedAt(event.occurred_at, event.pricing)
        if learned.priced is None or priced.rank < learned.priced.rank:
            learned.priced = priced
