"""A record becomes its value or a dead item, and never an exception."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from schemas.codec import encode
from schemas.dead_letters import DeadItem
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId
from schemas.places import Place, Record
from topics import decoding
from topics.decoding import decoded

AT = datetime(2026, 3, 1, tzinfo=UTC)
EVENT = RecipientEvent(
    kind=EventKind.UNKNOWN, recipient_id=RecipientId(UUID(int=1)), attempt=1, occurred_at=AT, received_at=AT
)


def record(value: bytes | None) -> Record:
    return Record("recipient.events", 3, 17, b"key", value)


def test_a_valid_record_gives_its_value() -> None:
    assert decoded(RecipientEvent, record(encode(EVENT))) == EVENT


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b'{"kind":"unknown"}'])
def test_other_bytes_give_a_malformed_item_with_the_bytes(value: bytes | None) -> None:
    dead = decoded(RecipientEvent, record(value))
    assert isinstance(dead, DeadItem)
    assert (dead.origin, dead.key, dead.value) == (Place("recipient.events", 3, 17), b"key", value)
    assert (dead.reason, dead.raised) == ("malformed", None)
    assert dead.error.startswith("RecipientEvent: ")


def test_an_exception_of_our_code_gives_a_bug_with_the_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    error = KeyError("4915712345678")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(decoding, "decode", fail)
    dead = decoded(RecipientEvent, record(b"{}"))
    assert isinstance(dead, DeadItem)
    assert (dead.reason, dead.raised) == ("bug", error)
    assert dead.error.startswith("KeyError: ")
    assert "4915712345678" not in dead.error, "phone numbers are masked"
