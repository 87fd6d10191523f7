"""The webhooks of a contest, and which of a contestant's events are right."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.callback import encode

SECRET = b"bench-callback-secret"
DEPLOYMENT = "bench"
FORGED_EVERY = 100
"""One status of so many has callback data with a wrong signature: its recipient must not be believed."""
WORDS = ("sent", "delivered", "read")
FIRST_S = 1_767_225_600
CAMPAIGN = uuid.UUID(int=7)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the event of one status must state. `recipient` is None where the signature is wrong."""

    kind: str
    recipient: str | None
    occurred_at: str


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Bodies, and by wamid and kind what their events must state."""

    bodies: list[bytes]
    expected: Mapping[str, Expected]

    def right(self, events: Iterable[bytes | None]) -> float:
        """The share of the statuses that became an event with the right kind, recipient and time."""
        found: set[str] = set()
        for value in events:
            event = orjson.loads(value or b"{}")
            wanted = self.expected.get(event.get("wamid", ""))
            if wanted is not None and wanted == _stated(event):
                found.add(event["wamid"])
        return len(found) / len(self.expected)


def _stated(event: Mapping[str, Any]) -> Expected:
    return Expected(event["kind"], event.get("recipient_id"), event["occurred_at"])


def webhooks(bodies: int, statuses: int) -> Webhooks:
    """So many bodies with so many statuses each, as Meta sends them."""
    expected: dict[str, Expected] = {}
    return Webhooks([_body(expected, number * statuses, statuses) for number in range(bodies)], expected)


def _body(expected: dict[str, Expected], first: int, count: int) -> bytes:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
        "statuses": [_status(expected, number) for number in range(first, first + count)],
    }
    change = {"value": value, "field": "messages"}
    return orjson.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}
    )


def _status(expected: dict[str, Expected], number: int) -> dict[str, Any]:
    is_forged = number % FORGED_EVERY == 0
    recipient = uuid.UUID(int=2**64 + number)
    wamid = f"wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI{number:012d}=="
    seconds = FIRST_S + number % 3600
    word = WORDS[number % len(WORDS)]
    occurred_at = f"2026-01-01T{number % 3600 // 60 // 60:02d}:{number % 3600 // 60:02d}:{number % 60:02d}Z"
    expected[wamid] = Expected(word, None if is_forged else str(recipient), occurred_at)
    return {
        "id": wamid,
        "status": word,
        "timestamp": str(seconds),
        "recipient_id": "16505551234",
        "biz_opaque_callback_data": encode(b"other" if is_forged else SECRET, DEPLOYMENT, CAMPAIGN, recipient, 1),
        "conversation": {"id": "7e8c1f0d2b3a4c5d", "origin": {"type": "marketing"}},
        "pricing": {"billable": True, "pricing_model": "PMP", "category": "marketing", "type": "regular"},
    }
