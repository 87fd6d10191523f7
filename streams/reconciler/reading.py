"""From one record of `webhooks.raw` to what is to be published: events, and dead letters for what cannot be one.

Pure but for one log line: the same record gives the same outputs. Each body and each item stands alone, so a bad one
harms only itself. That holds for one that makes our code raise, too: a fresh process would raise the same, so it is
set aside at once as `bug`, loudly, and the limit on dead letters stops the stage when there are many.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from domain.correlation import IgnoredStatus, Ownership, RefusedStatus, decide
from runtime.logs import mask_text
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.codec import PRODUCER, Malformed, encode
from schemas.dead_letters import DeadLetter
from schemas.events import Origin, RecipientEvent
from schemas.places import Record
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.topics import dead_letters_of
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import BadItem, OtherItem, parse_body, status_alone
from topics.publisher import Outgoing as Published

STAGE = "reconciler"
MALFORMED_BUNDLE = "malformed_bundle"


@dataclass(slots=True)
class Outputs:
    """What a batch publishes and counts."""

    published: list[Published] = field(default_factory=list)
    bodies: int = 0
    items: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)


def reconcile(record: Record, ours: Ownership, events_topic: str, outputs: Outputs) -> None:
    """Add to `outputs` what one record says."""
    try:
        bodies = decode_bundle(record.value)
    except Malformed as error:
        _bury(record, 0, MALFORMED_BUNDLE, record.value or b"", outputs, str(error))
        return
    for index, body in enumerate(bodies):
        outputs.bodies += 1
        try:
            items = parse_body(body.raw)
        except Malformed as error:
            _bury(record, index, error.reason, encode_bundle([body]), outputs, str(error))
            continue
        except Exception as error:  # noqa: BLE001 - the module's docstring says why
            _bury_bug(record, index, error, body, outputs)
            continue
        origin = Origin(topic=record.topic, partition=record.partition, offset=record.offset, index=index)
        for item in items:
            match item:
                case OtherItem(kind):
                    outputs.items[kind] += 1
                case BadItem(reason, raw):
                    _bury(record, index, reason, encode_bundle([Body(body.received_at_us, raw)]), outputs)
                case StatusItem():
                    try:
                        _decide(record, body, item, ours, origin, events_topic, outputs)
                    except Exception as error:  # noqa: BLE001 - as above
                        _bury_bug(record, index, error, Body(body.received_at_us, status_alone(item)), outputs)
                case _:
                    assert_never(item)


def _decide(
    record: Record, body: Body, item: StatusItem, ours: Ownership, origin: Origin, events_topic: str, outputs: Outputs
) -> None:
    match decide(item, body.received_at, ours, origin):
        case RecipientEvent() as event:
            outputs.published.append((events_topic, event.key, encode(event), None))
            outputs.events[event.kind] += 1
            outputs.items[ItemOutcome.EVENT.value] += 1
        case IgnoredStatus(reason):
            outputs.items[reason] += 1
        case RefusedStatus(reason):
            alone = encode_bundle([Body(body.received_at_us, status_alone(item))])
            _bury(record, origin.index, reason, alone, outputs)


def _bury_bug(record: Record, index: int, error: Exception, body: Body, outputs: Outputs) -> None:
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "index": index}
    structlog.get_logger(STAGE).error("set aside what makes our code raise", **place, exc_info=error)
    said = mask_text(f"{type(error).__name__}: {error}")
    _bury(record, index, DeadLetterReason.BUG.value, encode_bundle([body]), outputs, said)


def _bury(record: Record, index: int, reason: str, value: bytes, outputs: Outputs, error: str = "") -> None:
    letter = DeadLetter(STAGE, reason, record.topic, record.partition, record.offset, index, error)
    outputs.published.append((dead_letters_of(record.topic), None, value, letter.headers(PRODUCER)))
    outputs.dead[reason] += 1
    outputs.items[ItemOutcome.DEAD_LETTER.value] += 1
