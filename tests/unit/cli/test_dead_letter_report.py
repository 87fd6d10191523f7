"""A dead letter is shown on one line, and its bytes cannot control the terminal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.dead_letter_report import line_of, readable
from operations.dead_letters import Letter
from schemas.bundles import Body, encode_bundle
from schemas.dead_letters import DeadLetter, read_headers
from schemas.places import Place, Record

PHONE = "15550001234"
STEERING = "\x1b[2J\x9b31m\r\u202etxt\x07\x00"


def a_letter(error: str, value: bytes, topic: str = "recipient.events.dead") -> Letter:
    headers = DeadLetter("sink", "malformed", Place("recipient.events", 0, 7, 0), error).headers("test")
    record = Record(topic, 0, 3, None, value, datetime(2026, 3, 1, tzinfo=UTC), tuple(headers))
    return Letter(Place(topic, 0, 3), "id", record, read_headers(headers), None)


@pytest.mark.parametrize("topic", ["recipient.events.dead", "x.webhooks.raw.dead"])
def test_a_dead_letter_is_one_line_without_control_characters(topic: str) -> None:
    raw = (STEERING + f'{{"to": "{PHONE}"}}\n').encode() + b"\xff\xfe"
    value = encode_bundle([Body(1, raw)]) if "webhooks" in topic else raw
    letter = a_letter(f"of {PHONE}\nforged line{STEERING}", value, topic)
    assert line_of(letter).isprintable()
    (text,) = readable(letter)
    assert all(each.isprintable() or each in "\n\t" for each in text)
    assert "\\xff" in text
    assert PHONE not in text + line_of(letter)
