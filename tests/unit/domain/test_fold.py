"""The fold of a batch: the refused events and their reasons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.fold import fold
from schemas.events import EventKind, RecipientEvent
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
        ({"recipient_id": UNKNOWN}, DeadLetterReason.UNKNOWN_RECIPIENT),
        ({**ANONYMOUS, "occurred_at": START - timedelta(days=8)}, None),
        ({**ANONYMOUS, "occurred_at": START - timedelta(days=8, seconds=1)}, DeadLetterReason.TIMESTAMP_TOO_OLD),
    ],
)
def test_invalid_events_are_refused(fields: dict[str, Any], refusal: DeadLetterReason | None) -> None:
    folded = fold([event(), event(**fields)], CREATED, set())
    assert folded.refused == ({} if refusal is None else {1: refusal})


def test_a_refused_event_changes_nothing() -> None:
    folded = fold([event(recipient_id=UNKNOWN)], CREATED, set())
    assert (folded.facts, folded.messages) == ({}, {})


def test_statuses_of_foreign_numbers_are_only_counted() -> None:
    folded = fold([event(**ANONYMOUS, phone_number_id="9"), event(**ANONYMOUS)], CREATED, {"9"})
    assert folded.foreign == {"9": 1}
    assert list(folded.messages) == ["w"]
