"""Reads one status of a webhook: its required fields, and its optional fields in their several spellings.

Never join on the phone number of a status: it may be missing, and it may differ from the number dialled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.lenient_json import clean_text
from schemas.reasons import DeadLetterReason

WAMID_LENGTH_MAX = 512
WORD_CHARS_MAX = 64
"""Longest status word, and most characters that are kept of an id of a phone number or of a word of the pricing."""
UNBILLED_TYPE = "free"
"""The type of a price that has none and is not billable."""
CALLBACK_CHARS_MAX = 512
"""Meta's limit for `biz_opaque_callback_data`."""
ID_CHARS_MAX = 140
"""Most characters that are kept of the id of a person. A user id has a country, `ENT.` and up to 128 characters."""
ERROR_CHARS_MAX = 1000
"""Most characters that are kept of the title, and of the details, of an error."""
MESSAGE_TYPE = "message"
CONTACT_NAMES = ("wa_id", "user_id", "parent_user_id")
PARENT_ID_SPELLINGS = ("parent_recipient_user_id", "parent_user_id", "recipient_parent_user_id")
"""Meta's documentation spells it in three ways."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S = 253_402_300_799  # the last second of 9999


class MalformedItem(ValueError):
    """A status without a field that its effect needs; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StatusError:
    """The first error of a failed status. `code` 0 is a real code of Meta; None if there is none."""

    code: int | None
    text: str
    is_transient: bool = False


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One status with any status word."""

    wamid: str = field(repr=False)
    status: str
    occurred_at: datetime
    phone_number_id: str | None = None
    callback_data: str | None = None
    error: StatusError | None = None
    pricing_type: str = ""
    pricing_category: str | None = None
    recipient_id: str | None = field(default=None, repr=False)
    recipient_user_id: str | None = field(default=None, repr=False)
    parent_user_id: str | None = field(default=None, repr=False)
    contact: Contact = field(default=(), repr=False)
    """The user ids of the recipient's contact in the same value."""

    @property
    def user_ids(self) -> tuple[str, ...]:
        """All user ids of the recipient."""
        named = (self.recipient_user_id, self.parent_user_id, *self.contact)
        return tuple(dict.fromkeys(each for each in named if each))


Contact = tuple[str, ...]
"""The user ids of a contact: its own and that of the parent account, as far as they are there."""
NO_CONTACTS: Mapping[str, Contact] = {}


def read_contacts(contacts: Any) -> dict[str, Contact]:
    """The user ids of the contacts of a value, by each of their names. Items are batched, so the place says nothing."""
    found: dict[str, Contact] = {}
    for contact in contacts if isinstance(contacts, list) else ():
        if isinstance(contact, dict):
            names = [read_identifier(contact.get(name), ID_CHARS_MAX) for name in CONTACT_NAMES]
            users = tuple(each for each in names[1:] if each)
            if users:
                found |= {name: users for name in names if name}
    return found


def is_of_another_type(status: Any) -> bool:
    """Whether the status is not about a message, such as one of a payment or of a call. `type` may be missing."""
    kind = status.get("type") if isinstance(status, dict) else None
    return isinstance(kind, str) and kind.strip().lower() not in ("", MESSAGE_TYPE)


def read_status(status: Any, metadata: Any, contacts: Mapping[str, Contact] = NO_CONTACTS) -> StatusItem:
    """Read one element of `statuses`. `contacts`: those of its value. Raises MalformedItem with a reason code."""
    if not isinstance(status, dict):
        raise MalformedItem(DeadLetterReason.MALFORMED_STATUS.value)
    wamid, word = status.get("id"), status.get("status")
    if not isinstance(wamid, str) or not 0 < len(wamid) <= WAMID_LENGTH_MAX or not wamid.isprintable():
        raise MalformedItem(DeadLetterReason.MISSING_WAMID.value)
    if not isinstance(word, str) or not 0 < len(word) <= WORD_CHARS_MAX:
        raise MalformedItem(DeadLetterReason.MISSING_STATUS.value)
    pricing = status.get("pricing")
    if not isinstance(pricing, dict):
        pricing = {}
    recipient_id = read_identifier(status.get("recipient_id"), ID_CHARS_MAX)
    user_id = read_text(status.get("recipient_user_id"), ID_CHARS_MAX)
    parents = (read_text(status.get(name), ID_CHARS_MAX) for name in PARENT_ID_SPELLINGS)
    return StatusItem(
        wamid=wamid,
        status=word.strip().lower(),
        occurred_at=read_time(status.get("timestamp")),
        phone_number_id=read_identifier(metadata.get("phone_number_id"), WORD_CHARS_MAX)
        if isinstance(metadata, dict)
        else None,
        callback_data=read_text(status.get("biz_opaque_callback_data"), CALLBACK_CHARS_MAX),
        error=_error(status.get("errors")),
        pricing_type=read_text(pricing.get("type"), WORD_CHARS_MAX) or _untyped(pricing),
        pricing_category=read_text(pricing.get("category"), WORD_CHARS_MAX),
        recipient_id=recipient_id,
        recipient_user_id=user_id,
        parent_user_id=next((each for each in parents if each), None),
        contact=contacts.get(recipient_id or "") or contacts.get(user_id or "") or (),
    )


def _untyped(pricing: dict[str, Any]) -> str:
    """The type of a price to which WhatsApp gives none, as for messages of the Marketing Messages API."""
    return UNBILLED_TYPE if pricing.get("billable") is False else ""


def read_time(value: Any) -> datetime:
    """Unix seconds: Meta sends a string, some an integer. Impossible times are refused; unlikely ones are not."""
    if isinstance(value, str):
        try:
            value = int(value.strip())
        except ValueError:
            raise MalformedItem(DeadLetterReason.MALFORMED_TIMESTAMP.value) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_S:
        raise MalformedItem(DeadLetterReason.MALFORMED_TIMESTAMP.value)
    return _EPOCH + timedelta(seconds=value)


def _error(errors: Any) -> StatusError | None:
    """The first error, in its current form or in older ones without message, error_data or href."""
    listed = [errors] if isinstance(errors, dict) else errors if isinstance(errors, list) else []
    error = next((error for error in listed if isinstance(error, dict)), None)
    if error is None:
        return None
    data = error.get("error_data")
    details = read_text((data if isinstance(data, dict) else error).get("details"), ERROR_CHARS_MAX)
    title = read_text(error.get("title"), ERROR_CHARS_MAX) or read_text(error.get("message"), ERROR_CHARS_MAX)
    text = ": ".join(dict.fromkeys(part for part in (title, details) if part))
    return StatusError(_code(error.get("code")), text, error.get("is_transient") is True)


def _code(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12 else None


def read_identifier(value: Any, chars_max: int) -> str | None:
    """An id as text. Ids are strings, but some senders write digits as a number."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return read_text(str(value) if is_number else value, chars_max)


def read_text(value: Any, chars_max: int) -> str | None:
    """A text or None. JSON allows NUL and half a surrogate pair, and Postgres refuses both."""
    return clean_text(value, chars_max) or None if isinstance(value, str) else None
