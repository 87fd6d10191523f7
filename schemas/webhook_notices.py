"""Webhooks about templates, numbers and the account: as they came. `domain.notices` decides what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOTICE_FIELDS = frozenset({
    "message_template_status_update", "message_template_quality_update", "message_template_components_update",
    "phone_number_quality_update", "account_update", "account_alerts", "business_capability_update",
})  # fmt: skip
"""The fields of webhooks that can stop or limit campaigns. Source: Meta, webhooks reference."""


@dataclass(frozen=True, slots=True)
class NoticeItem:
    """One change of such a field."""

    field: str
    value: Mapping[str, Any]
    time: int | None
    """The time of its entry in Unix seconds, if it has one."""


def read_notice(field: str, value: Mapping[str, Any], time: Any) -> NoticeItem:
    """The notice of a change. Meta writes the time of an entry as a whole number; a text of digits is read too."""
    if isinstance(time, str) and time.isascii() and time.isdecimal():
        time = int(time[:15])
    is_whole = isinstance(time, int) and not isinstance(time, bool)
    return NoticeItem(field, value, time if is_whole else None)
