"""Parses webhook bodies of Meta: every entry, change and item is judged alone.

Tolerant where Meta varies (unknown fields, integer or string times, old error shapes, the bare `{"statuses": [...]}`)
and exact where an effect depends on it (a wamid, a status word, a time). An item that is not understood becomes
a `BadItem` or an `OtherItem`, so that it is counted and never lost. `domain.correlation` interprets a status.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.codec import Malformed
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.webhook_statuses import MalformedItem, StatusItem, read_status

WHATSAPP_OBJECT = "whatsapp_business_account"
MESSAGES_FIELD = "messages"

_VALUE_PARTS = (("messages", ItemOutcome.MESSAGE.value), ("errors", ItemOutcome.SYSTEM_ERROR.value))


@dataclass(frozen=True, slots=True)
class OtherItem:
    """A valid item that changes no recipient. `kind` is an `ItemOutcome`."""

    kind: str


@dataclass(frozen=True, slots=True)
class BadItem:
    """An invalid item. `raw` contains it as a separate webhook body."""

    reason: str
    raw: bytes


WebhookItem = StatusItem | OtherItem | BadItem


def parse_body(raw: bytes) -> list[WebhookItem]:
    """All items of one body, in order. Raises Malformed if the body as a whole is not a webhook of Meta."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotJson("webhook: not JSON") from None
    if not isinstance(body, dict):
        raise NotAnObject("webhook: not a JSON object")
    if body.get("object", WHATSAPP_OBJECT) != WHATSAPP_OBJECT:
        return [OtherItem(ItemOutcome.OTHER_OBJECT.value)]
    if isinstance(body.get("entry"), list):
        return [item for entry in body["entry"] for item in _entry(entry)]
    if "statuses" in body or "value" in body:  # a value or a change without its envelope
        change = body if "value" in body else {"value": body}
        return list(_change({}, change))
    raise NoEntry("webhook: neither entry nor statuses")


class NotJson(Malformed):
    """The bytes are not JSON."""

    reason = DeadLetterReason.NOT_JSON.value


class NotAnObject(Malformed):
    """The bytes are JSON, but not an object."""

    reason = DeadLetterReason.NOT_AN_OBJECT.value


class NoEntry(Malformed):
    """The object has no part of a webhook of Meta."""

    reason = DeadLetterReason.NO_ENTRY.value


def _entry(entry: Any) -> Iterator[WebhookItem]:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(changes, list):
        yield BadItem(DeadLetterReason.MALFORMED_ENTRY.value, _as_body(entry))
        return
    for change in changes:
        yield from _change(entry, change)


def _change(entry: dict[str, Any], change: Any) -> Iterator[WebhookItem]:
    if not isinstance(change, dict):
        yield BadItem(DeadLetterReason.MALFORMED_CHANGE.value, _as_body({**entry, "changes": [change]}))
        return
    if change.get("field", MESSAGES_FIELD) != MESSAGES_FIELD:
        yield OtherItem(ItemOutcome.OTHER_FIELD.value)
        return
    value = change.get("value")
    if not isinstance(value, dict):
        yield BadItem(DeadLetterReason.MALFORMED_VALUE.value, _as_body({**entry, "changes": [change]}))
        return
    yield from _value(entry, change, value)


def _value(entry: dict[str, Any], change: dict[str, Any], value: dict[str, Any]) -> Iterator[WebhookItem]:
    statuses = value.get("statuses")
    found = statuses is not None
    if isinstance(statuses, list):
        metadata = value.get("metadata")
        for status in statuses:
            try:
                yield read_status(status, metadata)
            except MalformedItem as error:
                yield BadItem(error.reason, _alone(entry, change, value, [status]))
    elif found:
        yield BadItem(DeadLetterReason.MALFORMED_STATUSES.value, _alone(entry, change, value, statuses))
    for part, kind in _VALUE_PARTS:
        listed = value.get(part)
        if listed:
            found = True
            yield from [OtherItem(kind)] * (len(listed) if isinstance(listed, list) else 1)
    if not found:
        yield OtherItem(ItemOutcome.EMPTY.value)


def _alone(entry: dict[str, Any], change: dict[str, Any], value: dict[str, Any], statuses: Any) -> bytes:
    """A body with only these statuses, so that a redrive repeats no neighbour."""
    kept = {name: content for name, content in value.items() if name in ("messaging_product", "metadata")}
    alone = {"field": change.get("field", MESSAGES_FIELD), "value": {**kept, "statuses": statuses}}
    return _as_body({**{name: entry[name] for name in ("id", "time") if name in entry}, "changes": [alone]})


def status_alone(item: StatusItem) -> bytes:
    """One valid status as a separate body, for a later refusal (for example because of its time)."""
    value: dict[str, Any] = {"messaging_product": "whatsapp", "statuses": [item.raw]}
    if item.phone_number_id is not None:
        value["metadata"] = {"phone_number_id": item.phone_number_id}
    return _as_body({"changes": [{"field": MESSAGES_FIELD, "value": value}]})


def _as_body(entry: Any) -> bytes:
    return orjson.dumps({"object": WHATSAPP_OBJECT, "entry": [entry]})
