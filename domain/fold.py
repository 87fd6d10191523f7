"""A batch of events folded in memory: facts per recipient, what was learned per wamid, and what is refused. Pure.

Folding uses the domain's merge, so it changes nothing but the number of rows that the database is asked to merge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.reasons import DeadLetterReason

from domain.facts import NOTHING, Facts, PricedAt, facts_of, merge
from domain.parked import Learned, Message, earliest

BEFORE_CAMPAIGN_MAX = timedelta(days=1)
"""An event cannot be older than its campaign; a day is left for wrong clocks and zones."""
PARKED_AGE_MAX = timedelta(days=8)
"""Without a recipient the campaign is not known: Meta repeats a webhook for 7 days, and older ones are not believed."""
AHEAD_MAX = timedelta(minutes=10)
"""How far Meta's clock may be ahead of ours."""


@dataclass(slots=True)
class Fold:
    """What a batch says, and which of its events (by position) are refused."""

    facts: dict[RecipientId, Facts] = field(default_factory=dict)
    messages: dict[str, Learned] = field(default_factory=dict)
    refused: dict[int, DeadLetterReason] = field(default_factory=dict)
    foreign: Counter[str] = field(default_factory=Counter)
    """Statuses on numbers that are not ours, by number."""
    created_at: Mapping[RecipientId, datetime] = field(default_factory=dict)
    """Creation of the campaign of each recipient that has a row."""


def fold(
    events: Iterable[RecipientEvent], created_at: Mapping[RecipientId, datetime], foreign_numbers: set[str]
) -> Fold:
    """Fold a batch. `created_at` holds the recipients that have a row, with their campaign's creation."""
    result = Fold(created_at=created_at)
    for position, event in enumerate(events):
        if event.recipient_id is None and event.phone_number_id in foreign_numbers:
            result.foreign[event.phone_number_id or ""] += 1
            continue
        refusal = refuse(event, created_at)
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


def refuse(event: RecipientEvent, created_at: Mapping[RecipientId, datetime]) -> DeadLetterReason | None:
    """Why this event must not be merged; a minimum never forgets a wrong time."""
    if event.occurred_at > event.received_at + AHEAD_MAX:
        return DeadLetterReason.TIMESTAMP_IN_FUTURE
    if event.recipient_id is None:
        too_old = event.occurred_at < event.received_at - PARKED_AGE_MAX
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
    """Merge facts parked for wamids that are known now into their recipients' facts.

    Returns those that cannot be: their recipient has no row, or they are older than its campaign.
    """
    lost: list[Message] = []
    for message in messages:
        if message.parked is None or message.recipient_id is None:
            continue
        born, first = created_at.get(message.recipient_id), earliest(message.parked)
        if born is None or (first is not None and first < born - BEFORE_CAMPAIGN_MAX):
            lost.append(message)
            continue
        known = result.facts.get(message.recipient_id, NOTHING)
        result.facts[message.recipient_id] = merge(known, message.parked)
    return lost


def _learn(learned: Learned, event: RecipientEvent) -> None:
    if event.recipient_id is None:
        learned.parked = merge(learned.parked, facts_of(event, 1))
    elif learned.recipient_id is None:
        learned.recipient_id, learned.attempt = event.recipient_id, event.attempt
    if learned.phone_number_id is None:
        learned.phone_number_id = event.phone_number_id
    if event.pricing is not None:
        priced = PricedAt(event.occurred_at, event.pricing)
        if learned.priced is None or priced.rank < learned.priced.rank:
            learned.priced = priced
