"""The history of one recipient from its events: what each event changed, or why it changed nothing. Pure.

The merge is independent of the order, so events are shown in the order in which they were written. The merge and the
refusals are those of the sink.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.places import Place
from schemas.reasons import DeadLetterReason

from domain.facts import FACT_NAMES, NOTHING, Facts, facts_of, merge
from domain.fold import refuse
from domain.parked import PARKED_ATTEMPT, as_attempt
from domain.status import Status, status

Owner = tuple[RecipientId, int]
"""Whose message, and in which attempt."""


class Effect(StrEnum):
    """What became of an event."""

    CHANGED = "changed"
    KNOWN = "already_known"
    """Every fact in it was known, or is outranked (an earlier time, a newer attempt)."""
    REPEATED = "repeated"
    """The same statement as a record before."""
    PARKED = "parked"
    """Nobody has claimed its message id yet."""
    REFUSED = "refused"
    """Dead-lettered by the sink, with the reason."""
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class TracedEvent:
    """One record of `recipient.events` about the recipient. `event` is None if the record is not an event."""

    place: Place
    written_at: datetime
    event: RecipientEvent | None
    keyed: RecipientId | None = None
    """Whom its key names."""


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """What one record did."""

    told: TracedEvent
    effect: Effect
    recipient: RecipientId | None = None
    """Whose story it belongs to; None: nobody's yet."""
    before: Status | None = None
    after: Status | None = None
    changed: tuple[str, ...] = ()
    """The facts that it changed, by name."""
    reason: str = ""


@dataclass(slots=True)
class RecipientHistory:
    """The steps, and what the events together say about each recipient."""

    steps: list[HistoryStep] = field(default_factory=list)
    facts: dict[RecipientId, Facts] = field(default_factory=dict)


def trace_history(records: Iterable[TracedEvent], created_at: Mapping[RecipientId, datetime]) -> RecipientHistory:
    """Fold the records in the order of their writing. `created_at`: creation of each known recipient's campaign."""
    return _Narrator(created_at).trace_history(sorted(records, key=lambda told: (told.written_at, told.place)))


class _Narrator:
    """Folds one record after the other."""

    def __init__(self, created_at: Mapping[RecipientId, datetime]) -> None:
        self._created_at = created_at
        self._story = RecipientHistory()
        self._owners: dict[str, Owner] = {}
        self._parked: dict[str, Facts] = {}
        self._seen: dict[str, TracedEvent] = {}

    def trace_history(self, records: Iterable[TracedEvent]) -> RecipientHistory:
        self._story.steps = [self._step(told) for told in records]
        self._story.steps = [self._claimed(step) for step in self._story.steps]
        return self._story

    def _claimed(self, step: HistoryStep) -> HistoryStep:
        """What was said of a message id before anybody had claimed it belongs to who did."""
        event = step.told.event
        if step.recipient is not None or event is None or event.wamid not in self._owners:
            return step
        return replace(step, recipient=self._owners[event.wamid][0])

    def _step(self, told: TracedEvent) -> HistoryStep:
        event = told.event
        if event is None:
            return HistoryStep(told, Effect.MALFORMED, told.keyed, reason=DeadLetterReason.MALFORMED.value)
        try:
            return self._judged(told, event)
        except Exception:  # noqa: BLE001 - the sink's code is the same: it has set this record aside
            return HistoryStep(told, Effect.REFUSED, event.recipient_id, reason=DeadLetterReason.BUG.value)

    def _judged(self, told: TracedEvent, event: RecipientEvent) -> HistoryStep:
        refusal = refuse(event, self._created_at)
        if refusal is not None:
            return HistoryStep(told, Effect.REFUSED, event.recipient_id, reason=refusal.value)
        statement = event.model_copy(update={"origin": None, "received_at": event.occurred_at}).model_dump_json()
        first = self._seen.setdefault(statement, told)
        owner = self._owner(event)
        if owner is None:
            wamid = event.wamid or ""
            self._parked[wamid] = merge(self._parked.get(wamid, NOTHING), facts_of(event, PARKED_ATTEMPT))
            return HistoryStep(told, Effect.PARKED, reason="nobody has claimed its message id yet")
        step = self._merge(told, event, owner)
        if first is not told and step.effect is Effect.KNOWN:
            return HistoryStep(
                told, Effect.REPEATED, owner[0], step.before, step.after, reason=f"the same as {first.place}"
            )
        return step

    def _owner(self, event: RecipientEvent) -> Owner | None:
        if event.recipient_id is not None and event.attempt is not None:
            return (event.recipient_id, event.attempt)
        return self._owners.get(event.wamid or "")

    def _merge(self, told: TracedEvent, event: RecipientEvent, owner: Owner) -> HistoryStep:
        recipient, attempt = owner
        known = self._story.facts.get(recipient, NOTHING)
        merged = merge(known, facts_of(event, attempt))
        parked = NOTHING
        if event.wamid is not None and event.wamid not in self._owners:
            self._owners[event.wamid] = owner
            if event.wamid in self._parked:
                parked = as_attempt(self._parked.pop(event.wamid), attempt)
                merged = merge(merged, parked)
        self._story.facts[recipient] = merged
        changed = tuple(name for name in FACT_NAMES if getattr(known, name) != getattr(merged, name))
        if not changed:
            reason = "an equal or better-ranked fact was known"
            return HistoryStep(told, Effect.KNOWN, recipient, status(known), status(merged), reason=reason)
        reason = "" if parked == NOTHING else "it claimed a message id for which statuses were parked"
        return HistoryStep(told, Effect.CHANGED, recipient, status(known), status(merged), changed, reason)
