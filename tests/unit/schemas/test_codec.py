"""Bytes that are no record are malformed, also those with a time that no calendar has."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from schemas.codec import Malformed, decode, encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId

AT = datetime(2026, 3, 1, tzinfo=UTC)
EVENT = RecipientEvent(
    kind=EventKind.UNKNOWN, recipient_id=RecipientId(UUID(int=1)), attempt=1, occurred_at=AT, received_at=AT
)


def test_a_record_survives_the_round_trip() -> None:
    assert decode(RecipientEvent, encode(EVENT)) == EVENT


@pytest.mark.parametrize("at", [b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59"])
def test_a_time_that_overflows_in_utc_is_malformed(at: bytes) -> None:
    raw = encode(EVENT).replace(b"2026-03-01T00:00:00Z", at)
    assert at in raw
    with pytest.raises(Malformed, match=r"^RecipientEvent: "):
        decode(RecipientEvent, raw)
