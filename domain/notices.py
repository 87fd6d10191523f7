"""Which webhooks about a template, a number or the account stop campaigns, and what a person must do. Pure.

A notice stops the active campaigns of its scope that were started before it, so the order of notices does not matter,
and a notice that is read again after a resume stops nothing. No notice resumes a campaign: a person does. The messaging
limit that Meta reports is handed on: the latest one limits the budget of the portfolio. So is the edit of a template:
whether it stops a campaign depends on the parameters of its recipients (`domain.template_edits`).

Source: Meta, webhooks reference, the pages of the fields; what stops a campaign is our choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from schemas.codec import PRODUCER
from schemas.control import ControlEvent, ControlKind
from schemas.reasons import ItemOutcome
from schemas.webhook_notices import NoticeItem

from domain.breakers import Scope
from domain.inbound import IgnoredItem, Receipt
from domain.number_reports import report_key
from domain.portfolio import UNLIMITED
from domain.times import AHEAD_MAX

STOPPING_TEMPLATE_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "PAUSED": "paused the template, because people gave bad feedback. Improve it, or wait until Meta unpauses it",
        "DISABLED": "disabled the template. Send with another one",
        "REJECTED": "rejected the template. Correct it, and submit it again",
        "PENDING": "reviews the template again. Wait for the approval",
        "IN_APPEAL": "reviews an appeal about the template. Wait for the decision",
        "ARCHIVED": "archived the template. Unarchive it, or send with another one",
        "DELETED": "deleted the template. Send with another one",
        "PENDING_DELETION": "deletes the template. Send with another one",
        "LOCKED": "locked the template. Read why in the WhatsApp Manager",
    }
)
"""The events of a template after which nothing is sent with it, and what to do."""
STOPPING_ACCOUNT_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "ACCOUNT_RESTRICTION": "restricted the account",
        "ACCOUNT_VIOLATION": "reported a violation of its policy by the account",
        "DISABLED_UPDATE": "disabled the account, or will",
        "ACCOUNT_DELETED": "deleted the account",
        "ACCOUNT_OFFBOARDED": "offboarded the account",
        "PARTNER_REMOVED": "disconnected the account from this app",
    }
)
"""The events of an account after which nothing is sent from it."""
STOPPING_NUMBER_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "FLAGGED": "flagged the number, because its quality is low",
        "DOWNGRADE": "lowered the limit of the number",
        "RESTRICTED": "restricted the number",
        "BANNED": "banned the number",
    }
)
"""The events of a number after which nothing is sent from it. The last two are statuses of numbers in the Graph API."""
NUMBER_FIELD = "phone_number_quality_update"
PAYMENT_WORDS = ("PAYMENT", "CREDIT", "BILLING")
"""An alert whose type has one of these words is about money."""
LIMIT_FIELD = "business_capability_update"
EDIT_FIELD = "message_template_components_update"
LIMIT_MAX = 2_000_000_000
"""A larger number is no limit that Meta gives."""
_AFTER = "Then resume the campaign"
_NAME_MAX = 250
_SECOND = timedelta(seconds=1)
_TIER = re.compile(r"TIER_(?:UNLIMITED|(?P<n>[0-9]{1,9})(?P<k>K?))")


@dataclass(frozen=True, slots=True)
class StoppingNotice:
    """What a notice stops, and why."""

    scope: Scope
    key: str
    """The template and its language, or the number (`domain.number_reports`). Empty: the account, or any number."""
    reason: str


def stopping(field: str, value: Mapping[str, Any]) -> StoppingNotice | None:
    """What a change stops; None: it stops nothing."""
    read = _READERS.get(field)
    return None if read is None else read(value)


def decide_notice(item: NoticeItem, receipt: Receipt) -> ControlEvent | IgnoredItem:
    """The event of a notice. One that stops nothing, edits nothing and has no limit is counted and changes nothing."""
    limit = reported_limit(item.value) if item.field == LIMIT_FIELD else None
    if limit is not None:
        return ControlEvent(
            producer=PRODUCER,
            kind=ControlKind.LIMIT_REPORTED,
            scope="portfolio",
            key="",
            limit=limit,
            reason="Meta reported the messaging limit of the portfolio.",
            occurred_at=time_of(item.time, receipt.received_at),
        )
    edited = _template_key(item.value) if item.field == EDIT_FIELD else None
    if edited is not None:
        return ControlEvent(
            producer=PRODUCER,
            kind=ControlKind.TEMPLATE_EDITED,
            scope=Scope.TEMPLATE.value,
            key=edited,
            reason="Meta reported that somebody edited the template.",
            occurred_at=time_of(item.time, receipt.received_at),
        )
    found = stopping(item.field, item.value)
    if found is None and item.field == NUMBER_FIELD and (word := _word(item.value.get("event"))):
        return ControlEvent(
            producer=PRODUCER,
            kind=ControlKind.NUMBER_REPORTED,
            scope=Scope.NUMBER.value,
            key=report_key(item.value.get("phone_number_id"), item.value.get("display_phone_number")),
            reason=f"Meta reported {word[:60]} of the number.",
            occurred_at=time_of(item.time, receipt.received_at),
        )
    if found is None:
        return IgnoredItem(ItemOutcome.OTHER_FIELD.value)
    return ControlEvent(
        producer=PRODUCER,
        kind=ControlKind.REPORTED,
        scope=found.scope.value,
        key=found.key,
        reason=f"Meta {found.reason}. {_AFTER}.",
        needs_human=True,
        occurred_at=time_of(item.time, receipt.received_at),
    )


def reported_limit(value: Mapping[str, Any]) -> int | None:
    """The people in 24 hours of a `business_capability_update`; -1: unlimited, None: it states none.

    Meta sends a number. Reports about numbers state the same limits as words, such as TIER_2K.
    """
    limit = value.get("max_daily_conversations_per_business")
    if isinstance(limit, str) and (tier := _TIER.fullmatch(limit)) is not None:
        limit = UNLIMITED if tier["n"] is None else int(tier["n"]) * (1000 if tier["k"] else 1)
    if isinstance(limit, str) and limit.removeprefix("-").isdecimal() and limit.isascii():
        limit = int(limit[:10])
    if not isinstance(limit, int) or isinstance(limit, bool):
        return None
    return limit if 0 < limit <= LIMIT_MAX or limit == UNLIMITED else None


def time_of(seconds: int | None, received_at: datetime) -> datetime:
    """When it happened. Meta gives whole seconds: the latest moment in that second counts, at most that of the receipt.

    Without a believable time it is the time of the receipt.
    """
    if seconds is None or seconds <= 0:
        return received_at
    try:
        at = datetime.fromtimestamp(seconds, UTC) + _SECOND - timedelta(microseconds=1)
    except (OverflowError, ValueError, OSError):
        return received_at
    return received_at if at > received_at + AHEAD_MAX else min(at, received_at)


def _template_key(value: Mapping[str, Any]) -> str | None:
    """The key of the breaker of the same template. Webhooks write the language with a hyphen too."""
    name, language = value.get("message_template_name"), value.get("message_template_language")
    if not isinstance(name, str) or not isinstance(language, str):
        return None
    return f"{name[:_NAME_MAX]}/{language.replace('-', '_')[:_NAME_MAX]}"


def _template_status(value: Mapping[str, Any]) -> StoppingNotice | None:
    return _of_template(value, STOPPING_TEMPLATE_EVENTS.get(_word(value.get("event"))))


def _template_quality(value: Mapping[str, Any]) -> StoppingNotice | None:
    if _word(value.get("new_quality_score")) != "RED":
        return None
    return _of_template(value, "rates the quality of the template as low. Improve it before Meta pauses it")


def _of_template(value: Mapping[str, Any], reason: str | None) -> StoppingNotice | None:
    key = _template_key(value)
    return None if key is None or reason is None else StoppingNotice(Scope.TEMPLATE, key, reason)


def _number_quality(value: Mapping[str, Any]) -> StoppingNotice | None:
    """The webhook has the number as people see it, and no id (`domain.number_reports`)."""
    what = STOPPING_NUMBER_EVENTS.get(_word(value.get("event")))
    if what is None:
        return None
    key = report_key(value.get("phone_number_id"), value.get("display_phone_number"))
    about = f"ending in {key[-4:]}" if key else "not named"
    return StoppingNotice(Scope.NUMBER, key, f"{what} ({about}). Check it in the WhatsApp Manager, and send slower")


def _account_update(value: Mapping[str, Any]) -> StoppingNotice | None:
    event = _word(value.get("event"))
    what = STOPPING_ACCOUNT_EVENTS.get(event)
    if what is None or (event == "DISABLED_UPDATE" and _is_reinstated(value.get("ban_info"))):
        return None
    return StoppingNotice(Scope.ACCOUNT, "", f"{what}. Read the Account Quality page, and remove the cause")


def _is_reinstated(ban: Any) -> bool:
    """Meta's page has the state as a text; client libraries also know a list."""
    state = ban.get("waba_ban_state") if isinstance(ban, Mapping) else None
    states = state if isinstance(state, list) else [state]
    return bool(states) and all(_word(each) == "REINSTATE" for each in states)


def _account_alert(value: Mapping[str, Any]) -> StoppingNotice | None:
    """An active alert that is critical or about money."""
    alert = value.get("alert_info")
    if not isinstance(alert, Mapping):
        alert = value
    kind = _word(alert.get("alert_type"))
    is_bad = _word(alert.get("alert_severity")) == "CRITICAL" or any(word in kind for word in PAYMENT_WORDS)
    if not is_bad or _word(alert.get("alert_status") or "ACTIVE") != "ACTIVE":
        return None
    return StoppingNotice(
        Scope.ACCOUNT, "", f"sent the alert {kind[:80] or 'without a type'}. Read it in the WhatsApp Manager"
    )


def _word(given: Any) -> str:
    return given.strip().upper() if isinstance(given, str) else ""


_READERS: Mapping[str, Callable[[Mapping[str, Any]], StoppingNotice | None]] = MappingProxyType(
    {
        "message_template_status_update": _template_status,
        "message_template_quality_update": _template_quality,
        NUMBER_FIELD: _number_quality,
        "account_update": _account_update,
        "account_alerts": _account_alert,
    }
)
