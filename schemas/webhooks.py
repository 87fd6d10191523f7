"""Parses webhook bodies of Meta: every entry, change and item is judged alone.

Tolerant where Meta varies (unknown fields, integer or string times, old error shapes, the bare `{"statuses": [...]}`)
and exact where an effect depends on it (a wamid, a status word, a time). An item that is not understood becomes
a `BadItem` or an `OtherItem`, so that it is counted and never lost. `domain.correlation` interprets a status,
`domain.inbound` a message or a preference, and `domain.notices` what happens to a template, a number or the account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codec import Malformed
from schemas.lenient_json import read_json
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.webhook_notices import NOTICE_FIELDS, NoticeItem, read_notice
from schemas.webhook_people import (
    MessageItem,
    PreferenceItem,
    action_outcome,
    read_message,
    read_preference,
    read_user_id_update,
)
from schemas.webhook_statuses import (
    Contact,
    MalformedItem,
    StatusItem,
    is_of_another_type,
    read_contacts,
    read_status,
)

WHATSAPP_OBJECT = "whatsapp_business_account"
MESSAGES_FIELD = "messages"
PREFERENCES_FIELD = "user_preferences"
USER_ID_FIELD = "user_id_update"
"""No field of Meta's any more. Some providers still forward it."""
FIELDS = (MESSAGES_FIELD, PREFERENCES_FIELD, USER_ID_FIELD)
ITEMS_MAX = 10_000
"""Most items of one body. Meta sends at most 1,000 updates."""


@dataclass(frozen=True, slots=True)
class OtherItem:
    """A valid item that changes no recipient. `kind` is an `ItemOutcome`."""

    kind: str


@dataclass(frozen=True, slots=True)
class BadItem:
    """An invalid item. Its body is kept as received, so only its reason and its position are needed."""

    reason: str
    raised: Exception | None = None
    """The exception of our own code, where the reason is `bug`."""


WebhookItem = StatusItem | MessageItem | PreferenceItem | NoticeItem | OtherItem | BadItem


def parse_body(raw: bytes) -> list[WebhookItem]:
    """All items of one body, in order. Raises Malformed if the body as a whole is not a webhook of Meta."""
    return items_of(read_json(raw).value)


def items_of(body: Any) -> list[WebhookItem]:
    """All items of a body that was read from JSON, in order. Raises Malformed as `parse_body` does."""
    items: list[WebhookItem] = []
    for item in _items(body):
        if len(items) == ITEMS_MAX:
            raise TooManyItems(f"webhook: more than {ITEMS_MAX} items")
        items.append(item)
    return items


def _items(body: Any) -> Iterator[WebhookItem]:
    if not isinstance(body, dict):
        raise NotAnObject("webhook: not a JSON object")
    if not _is_named(body.get("object"), WHATSAPP_OBJECT):
        yield OtherItem(ItemOutcome.OTHER_OBJECT.value)
    elif isinstance(body.get("entry"), list):
        for entry in body["entry"]:
            yield from _entry(entry)
    elif "statuses" in body or "value" in body:  # a value or a change without its envelope
        yield from _change(body if "value" in body else {"value": body})
    else:
        raise NoEntry("webhook: neither entry nor statuses")


class NotAnObject(Malformed):
    """The bytes are JSON, but not an object."""

    reason = DeadLetterReason.NOT_AN_OBJECT.value


class TooManyItems(Malformed):
    """The body has more items than any webhook of Meta."""

    reason = DeadLetterReason.TOO_MANY_ITEMS.value


class NoEntry(Malformed):
    """The object has no part of a webhook of Meta."""

    reason = DeadLetterReason.NO_ENTRY.value


def _entry(entry: Any) -> Iterator[WebhookItem]:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(changes, list):
        yield BadItem(DeadLetterReason.MALFORMED_ENTRY.value)
        return
    for change in changes:
        yield from _change(change, entry.get("time"))


def _change(change: Any, time: Any = None) -> Iterator[WebhookItem]:
    if not isinstance(change, dict) or not isinstance(change.get("field", ""), str | None):
        yield BadItem(DeadLetterReason.MALFORMED_CHANGE.value)
    elif (field := _field(change)) in NOTICE_FIELDS:
        value = change.get("value")
        yield (
            read_notice(field, value, time)
            if isinstance(value, dict)
            else BadItem(DeadLetterReason.MALFORMED_VALUE.value)
        )
    elif not any(_is_named(change.get("field"), field) for field in FIELDS):
        yield OtherItem(ItemOutcome.OTHER_FIELD.value)
    elif not isinstance(change.get("value"), dict):
        yield BadItem(DeadLetterReason.MALFORMED_VALUE.value)
    else:
        yield from _value(change["value"])


def _field(change: dict[str, Any]) -> str:
    return str(change.get("field") or "").strip().lower()


def _is_named(name: Any, wanted: str) -> bool:
    """Whether a name is the wanted one, in any case, or is missing."""
    return name is None or (isinstance(name, str) and name.strip().lower() == wanted)


def status_items(value: dict[str, Any], statuses: Sequence[Any]) -> Iterator[WebhookItem]:
    """The items of some statuses of a value."""
    contacts = read_contacts(value.get("contacts"))
    for status in statuses:
        yield _status(status, value.get("metadata"), contacts)


def _value(value: dict[str, Any]) -> Iterator[WebhookItem]:
    statuses = value.get("statuses")
    found = statuses is not None
    if isinstance(statuses, list):
        yield from status_items(value, statuses)
    elif found:
        yield BadItem(DeadLetterReason.MALFORMED_STATUSES.value)
    for part, read in _PARTS.items():
        listed = value.get(part)
        if listed:
            found = True
            yield from (_guarded(read, each, value) for each in (listed if isinstance(listed, list) else [listed]))
    if not found:
        yield OtherItem(ItemOutcome.EMPTY.value)


def _status(status: Any, metadata: Any, contacts: Mapping[str, Contact]) -> WebhookItem:
    if is_of_another_type(status):
        return OtherItem(ItemOutcome.OTHER_TYPE.value)
    try:
        return read_status(status, metadata, contacts)
    except MalformedItem as error:
        return BadItem(error.reason)
    except Exception as error:  # noqa: BLE001 - our bug on this item must not cost its neighbours
        return BadItem(DeadLetterReason.BUG.value, error)


def _guarded(read: PartReader, item: Any, value: dict[str, Any]) -> WebhookItem:
    try:
        return read(item, value)
    except Exception as error:  # noqa: BLE001 - our bug on this item must not cost its neighbours
        return BadItem(DeadLetterReason.BUG.value, error)


def _message(message: Any, value: dict[str, Any]) -> WebhookItem:
    return read_message(message, value) if isinstance(message, dict) else OtherItem(ItemOutcome.MESSAGE.value)


def _user_id_update(update: Any, value: dict[str, Any]) -> WebhookItem:
    return read_user_id_update(update, value) if isinstance(update, dict) else OtherItem(ItemOutcome.MESSAGE.value)


def _preference(preference: Any, value: dict[str, Any]) -> WebhookItem:
    if not isinstance(preference, dict):
        return BadItem(DeadLetterReason.MALFORMED_PREFERENCES.value)
    return read_preference(preference, value)


def _action(action: Any, _value: dict[str, Any]) -> WebhookItem:
    return OtherItem(action_outcome(action))


def _system_error(_error: Any, _value: dict[str, Any]) -> WebhookItem:
    return OtherItem(ItemOutcome.SYSTEM_ERROR.value)


PartReader = Callable[[Any, dict[str, Any]], WebhookItem]
_PARTS: dict[str, PartReader] = {
    "messages": _message,
    "user_preferences": _preference,
    "user_id_update": _user_id_update,
    "user_actions": _action,
    "errors": _system_error,
}
"""How each part of a value besides its statuses is read."""
OTHER_PARTS = tuple(_PARTS)
