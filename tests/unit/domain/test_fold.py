"""The fold of a batch: the refused events and their reasons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.fold import fold
from schemas.events import EventKind, Pricing, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.reasons import DeadLetterReason
from tests.support.histories import START

KNOWN, UNKNOWN = RecipientId(UUID(int=1)), RecipientId(UUID(int=2))
CREATED = {KNOWN: START}


def event(**fields: Any) -> RecipientEvent:
    known: dict[str, Any] = {
        "kind": EventKind.SENT, "recipient_id": KNOWN, "attempt": 1, "wamid": Wamid("w"), "phone_number_id": "1",
        "occurred_at": START, "received_at": START,
    }  # fmt: skip
    return RecipientEvent(**(known | fields))


ANONYMOUS: dict[str, Any] = {"recipient_id": None, "attempt": None}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, None),
        ({"occurred_at": START - timedelta(days=1)}, None),
        ({"occurred_at": START - timedelta(days=1, seconds=1)}, DeadLetterReason.TIMESTAMP_TOO_OLD),
        ({"occurred_at": START + timedelta(minutes=10)}, None),
        ({"occurred_at": START + timedelta(minutes=10, seconds=1)}, DeadLetterReason.TIMESTAMP_IN_FUTURE),
        ({"recipient_id": UNKNOWN, "kind": EventKind.ACCEPTED}, DeadLetterReason.UNKNOWN_RECIPIENT),
        ({"recipient_id": UNKNOWN}, None),
        ({**ANONYMOUS, "occurred_at": START - timedelta(days=8)}, None),
        ({**ANONYMOUS, "occurred_at": START - timedelta(days=8, seconds=1)}, DeadLetterReason.TIMESTAMP_TOO_OLD),
    ],
)
def test_invalid_events_are_refused(fields: dict[str, Any], refusal: DeadLetterReason | None) -> None:
    folded = fold([event(), event(**fields)], CREATED, set())
    assert folded.refused == ({} if refusal is None else {1: refusal})


def test_a_refused_event_changes_nothing() -> None:
    folded = fold([event(recipient_id=UNKNOWN, kind=EventKind.ACCEPTED)], CREATED, set())
    assert (folded.facts, folded.messages) == ({}, {})


def test_statuses_of_foreign_numbers_are_only_counted() -> None:
    folded = fold([event(**ANONYMOUS, phone_number_id="9"), event(**ANONYMOUS)], CREATED, {"9"})
    assert folded.foreign == {"9": 1}
    assert list(folded.messages) == ["w"]


def test_a_status_of_our_own_message_without_a_row_is_counted_and_leaves_no_trace() -> None:
    kinds = (EventKind.SENT, EventKind.DELIVERED, EventKind.READ, EventKind.REPLIED)
    folded = fold([event(recipient_id=UNKNOWN, kind=kind) for kind in kinds], CREATED, set())
    assert (folded.erased, folded.refused, folded.facts, folded.messages) == (4, {}, {}, {})


def test_a_time_is_in_the_future_by_the_latest_of_receipt_record_and_present() -> None:
    ahead = event(occurred_at=START + timedelta(minutes=11))
    assert fold([ahead], CREATED, set(), START).refused == {0: DeadLetterReason.TIMESTAMP_IN_FUTURE}
    assert fold([ahead], CREATED, set(), START + timedelta(minutes=1)).refused == {}


@pytest.mark.parametrize("order", [1, -1])
def test_the_earliest_price_holds_in_either_order(order: int) -> None:
    cheap, dear = Pricing(type="regular", category="utility"), Pricing(type="regular", category="marketing")
    priced = [event(pricing=cheap), event(pricing=dear, occurred_at=START + timedelta(seconds=1))]
    priced_at = fold(priced[::order], CREATED, set()).messages["w"].priced
    assert priced_at is not None
    assert priced_at.pricing == cheap
