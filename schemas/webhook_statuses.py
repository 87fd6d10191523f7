"""Reads one status of a webhook: its required fields, and its optional fields in their several spellings.

Never join on the phone number of a status: it may be missing, and it may differ from the number dialled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.reasons import DeadLetterReason

WAMID_LENGTH_MAX = 512
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
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_status(status: Any, metadata: Any) -> StatusItem:
    """Read one element of `statuses`. Raises MalformedItem with a reason code."""
    if not isinstance(status, dict):
        raise MalformedItem(DeadLetterReason.MALFORMED_STATUS.value)
    wamid, word = status.get("id"), status.get("status")
    if not isinstance(wamid, str) or not 0 < len(wamid) <= WAMID_LENGTH_MAX or not wamid.isprintable():
        raise MalformedItem(DeadLetterReason.MISSING_WAMID.value)
    if not isinstance(word, str) or not word:
        raise MalformedItem(DeadLetterReason.MISSING_STATUS.value)
    pricing = status.get("pricing")
    category = _text(pricing.get("category")) if isinstance(pricing, dict) else None
    return StatusItem(
        wamid=wamid,
        status=word.lower(),
        occurred_at=_time(status.get("timestamp")),
        phone_number_id=_identifier(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None,
        callback_data=_text(status.get("biz_opaque_callback_data")),
        error=_error(status.get("errors")),
        pricing_type=(_text(pricing.get("type")) or "") if isinstance(pricing, dict) else "",
        pricing_category=category,
        recipient_id=_identifier(status.get("recipient_id")),
        recipient_user_id=_text(status.get("recipient_user_id")),
        parent_user_id=next((text for name in PARENT_ID_SPELLINGS if (text := _text(status.get(name)))), None),
        raw=status,
    )


def _time(value: Any) -> datetime:
    """Unix seconds: Meta sends a string, some an integer. Impossible times are refused; unlikely ones are not."""
    if isinstance(value, str):
        try:
            value = int(value.strip())
        except ValueError:
            raise MalformedItem(DeadLetterReason.MALFORMED_TIMESTAMP.value) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MalformedItem(DeadLetterReason.MALFORMED_TIMESTAMP.value)
    if not 0 <= value <= _LATEST_S:
        raise MalformedItem(DeadLetterReason.MALFORMED_TIMESTAMP.value)
    return _EPOCH + timedelta(seconds=value)


def _error(errors: Any) -> StatusError | None:
    """The first error, in its current form or in older ones without message, error_data or href."""
    listed = [errors] if isinstance(errors, dict) else errors if isinstance(errors, list) else []
    error = next((error for error in listed if isinstance(error, dict)), None)
    if error is None:
        return None
    data = error.get("error_data")
    details = _text(data.get("details")) if isinstance(data, dict) else _text(error.get("details"))
    title = _text(error.get("title")) or _text(error.get("message"))
    text = ": ".join(dict.fromkeys(part for part in (title, details) if part))
    return StatusError(_code(error.get("code")), text, error.get("is_transient") is True)


def _code(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12 else None


def _identifier(value: Any) -> str | None:
    """An id as text. Ids are strings, but some senders write digits as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str | None:
    """A text or None, without NUL, which JSON allows and Postgres refuses."""
    return value.replace("\0", "") or None if isinstance(value, str) else None
