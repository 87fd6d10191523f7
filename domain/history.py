"""Traces the history of a recipient from its events: what each event changed, or why it changed nothing. Pure.

The result of merging does not depend on the order, so records are taken in the order in which they were written. This
module decides nothing: it calls the same merge and the same refusals as the sink.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.places import Place
from schemas.reasons import DeadLetterReason, EventOutcome

from domain.facts import FACT_NAMES, NOTHING, Facts, facts_of, merge
from domain.fold import is_erased, refuse
from domain.parked import PARKED_ATTEMPT, as_attempt
from domain.status import Status, status

Owner = tuple[RecipientId, int]
"""The recipient of a message, and the attempt that sent it."""


class Effect(StrEnum):
    """The effect of an event."""

    CHANGED = "changed"
    KNOWN = "already_known"
    """Every fact in it was known, or is outranked by an earlier time or a newer attempt."""
    REPEATED = "repeated"
    """An earlier record holds the same event."""
    PARKED = "parked"
    """No event has linked its message id to a recipient yet."""
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
    """The recipient id in the key of the record, if it is one."""


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One record and its effect."""

    traced: TracedEvent
    effect: Effect
    recipient: RecipientId | None = None
    """The recipient that it belongs to; None if that is unknown."""
    before: Status | None = None
    after: Status | None = None
    changed: tuple[str, ...] = ()
    """The names of the facts that it changed."""
    reason: str = ""


@dataclass(slots=True)
class RecipientHistory:
    """The steps, and the merged facts of each recipient."""

    steps: list[HistoryStep] = field(default_factory=list)
    facts: dict[RecipientId, Facts] = field(default_factory=dict)


def trace_history(records: Iterable[TracedEvent], created_at: Mapping[RecipientId, datetime]) -> RecipientHistory:
    """Fold the records in the order of their writing. `created_at`: creation of each known recipient's campaign."""
    return _Tracer(created_at).trace_history(sorted(records, key=lambda traced: (traced.written_at, traced.place)))


class _Tracer:
    """Folds one record after the other."""

    def __init__(self, created_at: Mapping[RecipientId, datetime]) -> None:
        self._created_at = created_at
        self._history = RecipientHistory()
        self._owners: dict[str | None, Owner] = {}
        self._parked: dict[str | None, Facts] = {}
        self._seen: dict[str, TracedEvent] = {}

    def trace_history(self, records: Iterable[TracedEvent]) -> RecipientHistory:
        self._history.steps = [self._step(traced) for traced in records]
        self._history.steps = [self._claimed(step) for step in self._history.steps]
        return self._history

    def _claimed(self, step: HistoryStep) -> HistoryStep:
        """Assign a parked status to the recipient that a later event linked to its message id."""
        event = step.traced.event
        if step.recipient is not None or event is None or event.wamid not in self._owners:
            return step
        return replace(step, recipient=self._owners[event.wamid][0])

    def _step(self, traced: TracedEvent) -> HistoryStep:
        event = traced.event
        if event is None:
            return HistoryStep(traced, Effect.MALFORMED, traced.keyed, reason=DeadLetterReason.MALFORMED.value)
        try:
            return self._judged(traced, event)
        except Exception:  # noqa: BLE001 - the sink runs the same code, so it dead-lettered this record
            return HistoryStep(traced, Effect.REFUSED, event.recipient_id, reason=DeadLetterReason.BUG.value)

    def _judged(self, traced: TracedEvent, event: RecipientEvent) -> HistoryStep:
        if is_erased(event, self._created_at):
            return HistoryStep(traced, Effect.REFUSED, event.recipient_id, reason=EventOutcome.ERASED.value)
        refusal = refuse(event, self._created_at, traced.written_at)
        if refusal is not None:
            return HistoryStep(traced, Effect.REFUSED, event.recipient_id, reason=refusal.value)
        statement = event.model_copy(update={"origin": None, "received_at": event.occurred_at}).model_dump_json()
        first = self._seen.setdefault(statement, traced)
        owner = self._owner(event)
        if owner is None:
            parked = self._parked.get(event.wamid, NOTHING)
            self._parked[event.wamid] = merge(parked, facts_of(event, PARKED_ATTEMPT))
            return HistoryStep(traced, Effect.PARKED, reason="no event has linked its message id to a recipient yet")
        step = self._merge(traced, event, owner)
        if first is not traced:
            return HistoryStep(
                traced, Effect.REPEATED, owner[0], step.before, step.after, reason=f"the same as {first.place}"
            )
        return step

    def _owner(self, event: RecipientEvent) -> Owner | None:
        if event.recipient_id is not None and event.attempt is not None:
            return (event.recipient_id, event.attempt)
        return self._owners.get(event.wamid)

    def _merge(self, traced: TracedEvent, event: RecipientEvent, owner: Owner) -> HistoryStep:
        recipient, attempt = owner
        known = self._history.facts.get(recipient, NOTHING)
        merged = merge(known, facts_of(event, attempt))
        parked = NOTHING
        if event.wamid is not None and event.wamid not in self._owners:
            self._owners[event.wamid] = owner
            if event.wamid in self._parked:
                parked = as_attempt(self._parked.pop(event.wamid), attempt)
                merged = merge(merged, parked)
        self._history.facts[recipient] = merged
        changed = tuple(name for name in FACT_NAMES if getattr(known, name) != getattr(merged, name))
        if not changed:
            reason = "an equal or better-ranked fact was known"
            return HistoryStep(traced, Effect.KNOWN, recipient, status(known), status(merged), reason=reason)
        reason = "" if parked == NOTHING else "it linked a message id to which statuses were parked"
        return HistoryStep(traced, Effect.CHANGED, recipient, status(known), status(merged), changed, reason)
