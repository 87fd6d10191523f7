"""Notices of Meta: a table of what stops campaigns, and the times by which a later resume wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breakers import Scope
from domain.inbound import IgnoredItem, Receipt
from domain.notices import decide_notice, stopping, time_of
from schemas.control import ControlEvent, ControlKind
from schemas.events import Origin
from schemas.webhook_notices import NOTICE_FIELDS, NoticeItem, read_notice

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
RECEIPT = Receipt(NOON, Origin(topic="webhooks.raw", partition=0, offset=0, index=0), NOON)
TEMPLATE = {"message_template_name": "offer", "message_template_language": "en-US", "message_template_id": 7}
STATUS, QUALITY = "message_template_status_update", "message_template_quality_update"
EDITED, NUMBER = "message_template_components_update", "phone_number_quality_update"
ACCOUNT, ALERT = "account_update", "account_alerts"


@pytest.mark.parametrize(
    ("field", "value", "scope", "key"),
    [
        *[(STATUS, {**TEMPLATE, "event": event}, Scope.TEMPLATE, "offer/en_US") for event in (
            "PAUSED", "DISABLED", "REJECTED", "PENDING", "ARCHIVED", "DELETED", "PENDING_DELETION", "LOCKED")],
        *[(STATUS, {**TEMPLATE, "event": event}, None, "") for event in (
            "APPROVED", "REINSTATED", "UNARCHIVED", "FLAGGED", "SOMETHING_NEW")],
        (STATUS, {"event": "PAUSED"}, None, ""),
        (QUALITY, {**TEMPLATE, "new_quality_score": "RED"}, Scope.TEMPLATE, "offer/en_US"),
        (QUALITY, {**TEMPLATE, "new_quality_score": "YELLOW"}, None, ""),
        (NUMBER, {"display_phone_number": "+1 555-0001", "event": "FLAGGED"}, Scope.NUMBER, "+15550001"),
        (NUMBER, {"event": "RESTRICTED"}, Scope.NUMBER, ""),
        (NUMBER, {"display_phone_number": "15550001", "event": "BANNED"}, Scope.NUMBER, "+15550001"),
        (NUMBER, {"phone_number_id": "106", "event": "DOWNGRADE"}, Scope.NUMBER, "106"),
        *[(ACCOUNT, {"event": event}, Scope.ACCOUNT, "") for event in (
            "ACCOUNT_RESTRICTION", "ACCOUNT_VIOLATION", "ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED", "PARTNER_REMOVED")],
        (ACCOUNT, {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}, Scope.ACCOUNT, ""),
        (ACCOUNT, {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": ["SCHEDULE_FOR_DISABLE"]}},
         Scope.ACCOUNT, ""),
        (ACCOUNT, {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}}, None, ""),
        (ACCOUNT, {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": ["REINSTATE"]}}, None, ""),
        (ACCOUNT, {"event": "VOLUME_BASED_PRICING_TIER_UPDATE"}, None, ""),
        (ALERT, {"alert_info": {"alert_severity": "CRITICAL", "alert_status": "ACTIVE"}}, Scope.ACCOUNT, ""),
        (ALERT, {"alert_info": {"alert_severity": "WARNING", "alert_type": "PAYMENT_METHOD_FAILED"}},
         Scope.ACCOUNT, ""),
        (ALERT, {"alert_severity": "CRITICAL"}, Scope.ACCOUNT, ""),
        (ALERT, {"alert_info": {"alert_severity": "CRITICAL", "alert_status": "RESOLVED"}}, None, ""),
        (ALERT, {"alert_info": {"alert_severity": "WARNING", "alert_type": "INCREASED_CAPABILITIES"}}, None, ""),
    ],
)  # fmt: skip
def test_what_a_notice_stops(field: str, value: dict[str, Any], scope: Scope | None, key: str) -> None:
    found = stopping(field, value)
    assert (found.scope if found else None) == scope
    assert (found.key if found else "") == key
    decided = decide_notice(NoticeItem(field, value, None), RECEIPT)
    if scope is None:
        assert decided == IgnoredItem("other_field")
    else:
        assert isinstance(decided, ControlEvent)
        assert (decided.kind, decided.needs_human, decided.scope) == (ControlKind.REPORTED, True, scope)
        assert (decided.reason or "").startswith("Meta ")
        assert (decided.reason or "").endswith("Then resume the campaign.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=600),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
NAMES = st.sampled_from([
    "event", "message_template_name", "message_template_language", "new_quality_score", "ban_info", "alert_info",
    "alert_severity", "alert_type", "alert_status", "phone_number_id", "display_phone_number", "waba_ban_state",
])  # fmt: skip
WORDS = st.sampled_from(["PAUSED", "RED", "FLAGGED", "ACCOUNT_RESTRICTION", "DISABLED_UPDATE", "CRITICAL"])


@given(st.sampled_from(sorted(NOTICE_FIELDS)), st.dictionaries(NAMES, WORDS | JSON, max_size=8), JSON)
def test_every_value_has_a_decision(field: str, value: dict[str, Any], time: object) -> None:
    decided = decide_notice(read_notice(field, value, time), RECEIPT)
    assert isinstance(decided, ControlEvent | IgnoredItem)
    if isinstance(decided, ControlEvent):
        assert decided.occurred_at <= NOON


@pytest.mark.parametrize("event", ["THROUGHPUT_UPGRADE", "UNFLAGGED", "ONBOARDING", "UPGRADE"])
def test_a_report_about_a_number_that_stops_nothing_is_handed_on(event: str) -> None:
    decided = decide_notice(NoticeItem(NUMBER, {"display_phone_number": "15550001", "event": event}, None), RECEIPT)
    assert isinstance(decided, ControlEvent)
    assert (decided.kind, decided.key, decided.needs_human) == (ControlKind.NUMBER_REPORTED, "+15550001", False)
    assert decided.reason == f"Meta reported {event} of the number."


@pytest.mark.parametrize(("value", "key"), [(TEMPLATE, "offer/en_US"), ({"message_template_name": "offer"}, None)])
def test_an_edit_is_handed_on_with_the_key_of_its_template(value: dict[str, Any], key: str | None) -> None:
    decided = decide_notice(NoticeItem(EDITED, value, 1_790_000_000), RECEIPT)
    if key is None:
        assert decided == IgnoredItem("other_field")
    else:
        assert isinstance(decided, ControlEvent)
        assert (decided.kind, decided.scope, decided.key) == (ControlKind.TEMPLATE_EDITED, Scope.TEMPLATE, key)
        assert decided.needs_human is False


@pytest.mark.parametrize(
    ("seconds", "at"),
    [
        (None, NOON),
        (int(NOON.timestamp()) - 60, NOON - timedelta(seconds=59, microseconds=1)),
        (int(NOON.timestamp()), NOON),  # the second has not ended at the receipt
        (int(NOON.timestamp()) + 3600, NOON),
        (0, NOON),
        (-5, NOON),
        (10**15, NOON),
    ],
)
def test_the_latest_moment_of_the_second_counts(seconds: int | None, at: datetime) -> None:
    assert time_of(seconds, NOON) == at


@pytest.mark.parametrize(("given_time", "read"), [(17, 17), ("17", 17), ("soon", None), (True, None), (1.5, None)])
def test_the_time_of_an_entry_is_a_whole_number(given_time: object, read: int | None) -> None:
    assert read_notice(ACCOUNT, {}, given_time).time == read


@pytest.mark.parametrize(
    ("given_limit", "expected"),
    [(250, 250), ("2000", 2000), ("TIER_250", 250), ("TIER_2K", 2000), ("TIER_UNLIMITED", -1), ("TIER_0", None),
     (-1, -1), ("-1", -1), (0, None), (-2, None), (True, None), (None, None),
     ("many", None), (3_000_000_000, None), (2.5, None), ("--1", None), ("\u0662", None)],
)  # fmt: skip
def test_the_limit_of_the_portfolio(given_limit: Any, expected: int | None) -> None:
    item = NoticeItem(
        "business_capability_update", {"max_daily_conversations_per_business": given_limit}, 1_790_000_000
    )
    decided = decide_notice(item, RECEIPT)
    if expected is None:
        assert isinstance(decided, IgnoredItem)
    else:
        assert isinstance(decided, ControlEvent)
        assert (decided.kind, decided.limit, decided.needs_human) == (ControlKind.LIMIT_REPORTED, expected, False)
