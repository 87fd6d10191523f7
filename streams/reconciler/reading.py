"""From one record of `webhooks.raw` to its events, and to dead letters for what cannot become one. Pure.

Each body and each item is judged alone, so that a bad one harms only itself. This holds also for an item that makes our
own code raise. A new process would raise the same exception, so the item is dead-lettered at once with reason `bug`.
If there are many, the limit on dead letters halts the stage.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import assert_never

from domain.correlation import IgnoredStatus, Ownership, RefusedStatus, decide
from runtime.logs import mask_text
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.codec import Malformed
from schemas.dead_letters import DeadItem
from schemas.events import Origin, RecipientEvent
from schemas.places import Place, Record
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import BadItem, OtherItem, WebhookItem, parse_body, status_alone

STAGE = "reconciler"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The content of one record: what to publish, and what to count."""

    events: list[RecipientEvent] = field(default_factory=list)
    dead: list[DeadItem] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    """How many items became an event, a dead letter, or were ignored, by the words of `ItemOutcome`."""
    bodies: int = 0


def reconcile(record: Record, ownership: Ownership) -> Reconciled:
    """Read one record. It never raises: what cannot be read becomes a dead letter."""
    try:
        bodies = decode_bundle(record.value)
    except Malformed as error:
        dead = DeadItem(
            _place(record, 0), None, record.value or b"", DeadLetterReason.MALFORMED_BUNDLE.value, str(error)
        )
        return Reconciled(dead=[dead], outcomes=Counter({ItemOutcome.DEAD_LETTER.value: 1}))
    found = Reconciled(bodies=len(bodies))
    for index, body in enumerate(bodies):
        for result in _read_body(_place(record, index), body, ownership):
            match result:
                case RecipientEvent():
                    found.events.append(result)
                    found.outcomes[ItemOutcome.EVENT.value] += 1
                case DeadItem():
                    found.dead.append(result)
                    found.outcomes[ItemOutcome.DEAD_LETTER.value] += 1
                case str():
                    found.outcomes[result] += 1
                case _:
                    assert_never(result)
    return found


ItemResult = RecipientEvent | DeadItem | str
"""What became of one item: an event, a dead letter, or the word under which an ignored item is counted."""


def _read_body(place: Place, body: Body, ownership: Ownership) -> list[ItemResult]:
    try:
        items = parse_body(body.raw)
    except Malformed as error:
        return [DeadItem(place, None, encode_bundle([body]), error.reason, str(error))]
    except Exception as error:  # noqa: BLE001 - the docstring of the module has the reason
        return [_bug(place, encode_bundle([body]), error)]
    return [_read_item(place, body, item, ownership) for item in items]


def _read_item(place: Place, body: Body, item: WebhookItem, ownership: Ownership) -> ItemResult:
    match item:
        case OtherItem(kind):
            return kind
        case BadItem(reason, raw):
            return DeadItem(place, None, encode_bundle([Body(body.received_at_us, raw)]), reason)
        case StatusItem():
            try:
                return _read_status(place, body, item, ownership)
            except Exception as error:  # noqa: BLE001 - the docstring of the module has the reason
                return _bug(place, _alone(body, item), error)
        case _:
            assert_never(item)


def _read_status(place: Place, body: Body, item: StatusItem, ownership: Ownership) -> ItemResult:
    origin = Origin(topic=place.topic, partition=place.partition, offset=place.offset, index=place.item or 0)
    match decide(item, body.received_at, ownership, origin):
        case RecipientEvent() as event:
            return event
        case IgnoredStatus(reason):
            return reason
        case RefusedStatus(reason):
            return DeadItem(place, None, _alone(body, item), reason)


def _alone(body: Body, item: StatusItem) -> bytes:
    """A bundle with this status alone, so that a redrive repeats none of its neighbours."""
    return encode_bundle([Body(body.received_at_us, status_alone(item))])


def _bug(place: Place, value: bytes, error: Exception) -> DeadItem:
    text = mask_text(f"{type(error).__name__}: {error}")
    return DeadItem(place, None, value, DeadLetterReason.BUG.value, text, raised=error)


def _place(record: Record, index: int) -> Place:
    return Place(record.topic, record.partition, record.offset, index)
