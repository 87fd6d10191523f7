"""The meaning of one status of a webhook: an event, nothing, or a refusal."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.correlation import EARLIEST, KIND_BY_WORD, IgnoredStatus, Ownership, RefusedStatus, decide
from schemas.callback import encode
from schemas.codec import PRODUCER
from schemas.events import EventKind, Failure, Origin, Pricing, RecipientEvent, RetryClass
from schemas.webhook_statuses import StatusError, StatusItem

OURS = Ownership(b"secret", "default", frozenset({"111"}))
RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(topic="t", partition=0, offset=0)
CAMPAIGN, RECIPIENT = uuid.UUID(int=7), uuid.UUID(int=1)


def item(word: str = "sent", **more: Any) -> StatusItem:
    known: dict[str, Any] = {"occurred_at": RECEIVED_AT}
    return StatusItem("wamid.A", word, **(known | more))


def event_of(status: StatusItem, ours: Ownership = OURS) -> RecipientEvent:
    decided = decide(status, RECEIVED_AT, ours, ORIGIN)
    assert isinstance(decided, RecipientEvent)
    return decided


def failure_of(error: StatusError | None, ours: Ownership = OURS, **more: Any) -> Failure:
    failure = event_of(item("failed", error=error, **more), ours).failure
    assert failure is not None
    return failure


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("sent", EventKind.SENT),
        ("delivered", EventKind.DELIVERED),
        ("read", EventKind.READ),
        ("played", EventKind.READ),
        ("failed", EventKind.FAILED),
    ],
)
def test_each_word_that_counts_has_its_kind(word: str, kind: EventKind) -> None:
    assert event_of(item(word)).kind is kind
    assert len(KIND_BY_WORD) == 5


@pytest.mark.parametrize("word", ["deleted", "warning", "pending", "SENT", ""])
def test_any_other_word_changes_nothing(word: str) -> None:
    assert decide(item(word), RECEIVED_AT, OURS, ORIGIN) == IgnoredStatus("unknown_status")


def test_an_event_has_each_field_of_its_status() -> None:
    occurred_at = RECEIVED_AT - timedelta(seconds=3)
    data = encode(b"secret", "default", CAMPAIGN, RECIPIENT, 3)
    status = item(
        "delivered", occurred_at=occurred_at, phone_number_id="111", callback_data=data, pricing_type="regular",
        pricing_category="marketing", recipient_id="15550001234",
    )  # fmt: skip
    assert event_of(status).model_dump() == {
        "v": 1,
        "producer": PRODUCER,
        "kind": EventKind.DELIVERED,
        "campaign_id": CAMPAIGN,
        "recipient_id": RECIPIENT,
        "attempt": 3,
        "wamid": "wamid.A",
        "phone_number_id": "111",
        "occurred_at": occurred_at,
        "received_at": RECEIVED_AT,
        "failure": None,
        "skip_reason": None,
        "not_before": None,
        "held_for_quality": False,
        "pricing": {"type": "regular", "category": "marketing"},
        "also_known_as": None,
        "origin": ORIGIN.model_dump(),
    }


def test_a_status_without_optional_fields_is_an_event_of_its_message() -> None:
    event = event_of(item())
    assert (event.campaign_id, event.recipient_id, event.attempt) == (None, None, None)
    assert (event.key, event.phone_number_id, event.pricing, event.failure) == (b"wamid.A", None, None, None)


def test_a_price_needs_a_category() -> None:
    assert event_of(item(pricing_type="regular")).pricing is None
    assert event_of(item(pricing_category="utility")).pricing == Pricing(type="", category="utility")


def test_an_id_of_a_phone_number_is_cut_to_the_limit_of_an_event() -> None:
    assert event_of(item(phone_number_id="1" * 65), Ownership(b"secret", "default")).phone_number_id == "1" * 64


# ------------------------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, (None, "failed without an error", RetryClass.NEVER, 0)),
        (StatusError(None, "no code"), (None, "no code", RetryClass.NEVER, 0)),
        (StatusError(131026, "undeliverable"), (131026, "undeliverable", RetryClass.NEVER, 0)),
        (StatusError(131026, ""), (131026, "failed without a text", RetryClass.NEVER, 0)),
        (StatusError(131049, "held back"), (131049, "held back", RetryClass.HELD_BACK, 86_400)),
        (StatusError(131000, "try later"), (131000, "try later", RetryClass.BACKOFF, 600)),
        (StatusError(999_999, "new"), (999_999, "new", RetryClass.NEVER, 0)),
        (StatusError(999_999, "new", is_transient=True), (999_999, "new", RetryClass.BACKOFF, 600)),
    ],
)
def test_the_error_of_a_failed_status_decides_whether_the_recipient_is_due_again(
    error: StatusError | None, expected: tuple[int | None, str, RetryClass, int]
) -> None:
    failure = failure_of(error)
    assert (failure.code, failure.reason, failure.retry_class, failure.backoff_s) == expected


def test_only_a_failed_status_has_a_failure() -> None:
    assert event_of(item("delivered", error=StatusError(131026, "undeliverable"))).failure is None


def test_the_backoff_grows_with_the_attempt_of_our_callback_data() -> None:
    def waits(attempt: int) -> int:
        data = encode(b"secret", "default", CAMPAIGN, RECIPIENT, attempt)
        return failure_of(StatusError(131000, ""), callback_data=data).backoff_s

    assert [waits(attempt) for attempt in (1, 2, 3)] == [600, 600, 3600]


def test_a_failed_status_without_our_callback_data_has_the_backoff_of_a_first_attempt() -> None:
    in_maintenance = StatusError(131057, "")
    data = encode(b"secret", "default", CAMPAIGN, RECIPIENT, 2)
    assert [failure_of(in_maintenance, callback_data=text).backoff_s for text in (None, data)] == [600, 1200]


def test_the_time_scale_divides_the_backoff_of_a_webhook() -> None:
    assert (
        failure_of(StatusError(131049, ""), Ownership(b"secret", "default", frozenset({"111"}), 100.0)).backoff_s == 864
    )


def test_a_person_with_the_calling_code_1_is_not_held_back() -> None:
    held_back = [failure_of(StatusError(131049, ""), recipient_id=digits) for digits in ("14155550100", "491711234567")]
    assert [failure.retry_class for failure in held_back] == [RetryClass.NEVER, RetryClass.HELD_BACK]


# ----------------------------------------------------------------------------------------------------------- ownership


def test_our_callback_data_counts_on_every_phone_number() -> None:
    campaign, recipient = uuid.uuid4(), uuid.uuid4()
    data = encode(b"secret", "default", campaign, recipient, 3)
    status = item(phone_number_id="222", callback_data=data)
    decided = decide(status, RECEIVED_AT, OURS, ORIGIN)
    assert isinstance(decided, RecipientEvent)
    assert (decided.campaign_id, decided.recipient_id, decided.attempt) == (campaign, recipient, 3)


@pytest.mark.parametrize(("number", "counts"), [("111", True), (None, True), ("222", False)])
def test_a_status_without_our_data_counts_only_for_our_number(number: str | None, counts: bool) -> None:
    decided = decide(item(phone_number_id=number), RECEIVED_AT, OURS, ORIGIN)
    assert isinstance(decided, RecipientEvent) if counts else decided == IgnoredStatus("foreign_number")


def test_without_configured_numbers_every_number_is_ours() -> None:
    decided = decide(item(phone_number_id="222"), RECEIVED_AT, Ownership(b"secret", "default"), ORIGIN)
    assert isinstance(decided, RecipientEvent)


@pytest.mark.parametrize(
    ("ahead_s", "word"), [(600, "event"), (601, "timestamp_in_future"), (-RECEIVED_AT.timestamp(), "timestamp_too_old")]
)
def test_the_limits_of_time(ahead_s: float, word: str) -> None:
    occurred_at = datetime.fromtimestamp(RECEIVED_AT.timestamp() + ahead_s, UTC)
    decided = decide(item(occurred_at=occurred_at), RECEIVED_AT, OURS, ORIGIN)
    assert (decided.reason if isinstance(decided, RefusedStatus | IgnoredStatus) else "event") == word


def test_the_earliest_time_is_the_start_of_the_service() -> None:
    assert isinstance(decide(item(occurred_at=EARLIEST), RECEIVED_AT, OURS, ORIGIN), RecipientEvent)
    before = item(occurred_at=EARLIEST - timedelta(seconds=1))
    assert decide(before, RECEIVED_AT, OURS, ORIGIN) == RefusedStatus("timestamp_too_old")


@pytest.mark.parametrize(("latest_s", "is_refused"), [(None, True), (19, True), (20, False)])
def test_the_latest_of_the_times_decides_what_is_in_the_future(latest_s: int | None, is_refused: bool) -> None:
    ahead = item(occurred_at=RECEIVED_AT + timedelta(seconds=620))
    latest = None if latest_s is None else RECEIVED_AT + timedelta(seconds=latest_s)
    decided = decide(ahead, RECEIVED_AT, OURS, ORIGIN, latest)
    assert isinstance(decided, RefusedStatus if is_refused else RecipientEvent)


@pytest.mark.parametrize(
    ("secret", "deployment"), [(b"other", "default"), (b"secret", "other")], ids=["signature", "deployment"]
)
def test_callback_data_of_others_names_no_recipient(secret: bytes, deployment: str) -> None:
    data = encode(secret, deployment, CAMPAIGN, RECIPIENT, 3)
    assert event_of(item(callback_data=data, phone_number_id="111")).recipient_id is None
    elsewhere = item(callback_data=data, phone_number_id="222")
    assert decide(elsewhere, RECEIVED_AT, OURS, ORIGIN) == IgnoredStatus("foreign_number")


def test_a_status_of_a_foreign_number_is_ignored_before_its_time_is_judged() -> None:
    foreign = item(phone_number_id="222", occurred_at=RECEIVED_AT + timedelta(days=9))
    assert decide(foreign, RECEIVED_AT, OURS, ORIGIN) == IgnoredStatus("foreign_number")
