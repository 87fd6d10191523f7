"""A row of another table becomes a recipient with what happened to it, and nobody who was sent to is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.adoption import (
    IN_DOUBT_WORDS,
    SENT,
    SKIPPED_WORDS,
    AdoptedRow,
    AdoptingCampaign,
    RefusedRow,
    adopt,
    earliest,
)
from domain.status import Status
from schemas.events import EventKind, RetryClass
from schemas.model import CampaignId
from schemas.reasons import AdoptionRefusal, ParameterRefusal, RecipientRefusal

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CAMPAIGN = AdoptingCampaign(CampaignId(UUID(int=1)), "15550001", None)
ID = "0b6e1a8e-0000-4000-8000-000000000001"
AT = NOW - timedelta(days=3)
LATER = AT + timedelta(minutes=5)


def row(**changed: Any) -> dict[str, Any]:
    known = {"id": ID, "phone_number": "+14694652751", "status": "pending", "created_at": AT, "updated_at": LATER}
    return {**known, **changed}


def adopted(**changed: Any) -> AdoptedRow:
    found = adopt(row(**changed), CAMPAIGN, NOW)
    assert isinstance(found, AdoptedRow), found
    return found


@pytest.mark.parametrize(
    ("changed", "status", "kinds"),
    [
        ({}, Status.PENDING, []),
        ({"status": " Pending "}, Status.PENDING, []),
        ({"whatsapp_message_id": "wamid.A"}, Status.SENT, ["accepted"]),
        ({"sent_at": AT}, Status.SENT, ["accepted"]),
        ({"retry_count": 1}, Status.UNKNOWN, ["unknown"]),
        ({"failed_at": AT}, Status.UNKNOWN, ["unknown"]),
        ({"status": "queued"}, Status.UNKNOWN, ["unknown"]),
        ({"status": "queued", "whatsapp_message_id": "wamid.A"}, Status.SENT, ["accepted"]),
        ({"status": "processing", "sent_at": AT}, Status.SENT, ["accepted"]),
        ({"status": "sent"}, Status.SENT, ["accepted"]),
        ({"status": "delivered"}, Status.DELIVERED, ["accepted", "delivered"]),
        ({"status": "read"}, Status.READ, ["accepted", "delivered", "read"]),
        ({"status": "sent", "read_at": LATER}, Status.READ, ["accepted", "delivered", "read"]),
        ({"status": "failed"}, Status.FAILED, ["rejected"]),
        ({"status": "failed", "whatsapp_message_id": "wamid.A"}, Status.FAILED, ["failed"]),
        ({"status": "failed", "sent_at": AT, "whatsapp_message_id": "w"}, Status.FAILED, ["failed", "accepted"]),
        ({"status": "failed", "delivered_at": AT}, Status.DELIVERED, ["rejected", "accepted", "delivered"]),
        ({"status": "skipped"}, Status.SKIPPED, ["skipped"]),
        ({"status": "opted_out", "sent_at": AT}, Status.SENT, ["accepted"]),
    ],
)
def test_each_status_has_its_meaning(changed: dict[str, Any], status: Status, kinds: list[str]) -> None:
    found = adopted(**changed)
    assert (found.status, [each.kind.value for each in found.events]) == (status, kinds)
    assert {each.attempt for each in found.events} <= {1}


def test_times_ids_and_parameters_are_taken_over() -> None:
    found = adopted(
        status="read", whatsapp_message_id="wamid.A", sent_at=AT.replace(tzinfo=None), delivered_at=AT, read_at=LATER,
        template_parameters='["Ana", 1.50]', max_retries=99,
    )  # fmt: skip
    facts = found.facts
    assert (facts.sent_at, facts.delivered_at, facts.read_at) == (AT, AT, LATER)
    assert facts.acceptance is not None
    assert facts.acceptance.wamid == "wamid.A"
    assert (str(found.id), found.phone_number, found.max_retries) == (ID, "14694652751", 60)
    assert found.template_parameters == ["Ana", "1.50"]
    assert earliest(found) == AT
    other = adopted(id=42)
    assert other.id == adopted(id="42").id != found.id


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("131026: undeliverable", 131026),
        ("(#131049) held back", 131049),
        ("HTTP 400, code 132000", 132000),
        ("it failed", None),
        (None, None),
    ],
)
def test_a_failure_keeps_its_text_and_is_never_repeated_by_itself(text: str | None, code: int | None) -> None:
    [event] = adopted(status="failed", failure_reason=text).events
    assert event.failure is not None
    assert (event.failure.code, event.failure.retry_class) == (code, RetryClass.NEVER)
    assert event.failure.reason == (text or AdoptionRefusal.FAILED_BEFORE.meaning)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"phone_number": "12"}, RecipientRefusal.TOO_SHORT),
        ({"phone_number": None}, RecipientRefusal.NOT_A_STRING),
        ({"status": "in_orbit"}, AdoptionRefusal.UNKNOWN_STATUS),
        ({"status": None}, AdoptionRefusal.UNKNOWN_STATUS),
        ({"status": "in_orbit", "sent_at": AT}, AdoptionRefusal.UNKNOWN_STATUS),
        ({"sent_at": NOW + timedelta(days=1)}, AdoptionRefusal.IN_FUTURE),
        ({"template_parameters": "Ana"}, ParameterRefusal.NOT_PARAMETERS),
        ({"template_parameters": [None]}, ParameterRefusal.NULL),
    ],
)
def test_a_row_that_does_not_fit_is_left_out_with_its_key_and_reason(changed: dict[str, Any], reason: str) -> None:
    found = adopt(row(**changed), CAMPAIGN, NOW)
    assert isinstance(found, RefusedRow)
    assert (found.key, found.reason) == (ID, reason)


def test_the_parameters_of_a_sent_message_do_not_matter() -> None:
    assert adopted(status="sent", template_parameters=[None]).template_parameters is None


WORDS = st.sampled_from(["pending", "failed", "in_orbit", *sorted(SENT | IN_DOUBT_WORDS | SKIPPED_WORDS)])
MOMENTS = st.none() | st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2026, 11, 26))  # noqa: DTZ001
ROWS = st.fixed_dictionaries({
    "id": st.builds(lambda: str(uuid4())) | st.integers(1, 99),
    "phone_number": st.just("14694652751"),
    "status": WORDS,
    "whatsapp_message_id": st.none() | st.sampled_from(["", "wamid.A"]),
    "sent_at": MOMENTS, "delivered_at": MOMENTS, "read_at": MOMENTS, "failed_at": MOMENTS, "updated_at": MOMENTS,
    "retry_count": st.none() | st.integers(0, 3),
    "failure_reason": st.none() | st.text(max_size=5),
})  # fmt: skip


def test_a_status_of_another_script_is_shown_as_it_is_written() -> None:
    found = adopt(row(status="отправлено\0"), CAMPAIGN, NOW)
    assert isinstance(found, RefusedRow)
    assert found.detail.endswith(r"It is 'отправлено\x00'.")


@given(ROWS)
def test_nobody_with_a_sign_of_a_send_is_due(values: dict[str, Any]) -> None:
    found = adopt(values, CAMPAIGN, NOW)
    if isinstance(found, RefusedRow):
        assert found.reason is AdoptionRefusal.UNKNOWN_STATUS
        return
    signs = ("sent_at", "delivered_at", "read_at", "failed_at", "whatsapp_message_id", "retry_count")
    has_sign = values["status"] != "pending" or any(values[name] for name in signs)
    assert (found.status is Status.PENDING) is not has_sign
    facts = found.facts
    assert facts.failure is None or facts.failure.retry_class is RetryClass.NEVER
    times = [at for at in (facts.sent_at, facts.delivered_at, facts.read_at) if at is not None]
    assert times == sorted(times)
    assert adopt(values, CAMPAIGN, NOW) == found or found.created_at == NOW
    assert all(each.kind is not EventKind.RETRY for each in found.events)
