"""The short way of plain bodies gives the same events, bytes, counts and dead letters as the general way.

Bodies are plain webhooks in which any field may have any of many odd values, and mutations of their bytes.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from domain.correlation import Ownership
from schemas.bundles import Body, encode_bundle
from schemas.callback import encode as encode_callback
from schemas.codec import encode
from schemas.dead_letters import DeadItem
from schemas.places import EPOCH, Record
from streams.reconciler.reading import Reconciled, reconcile
from tests.support.paths import FIXTURES

SECRET, NUMBER = b"callback-secret-of-a-test", "106540352242922"
OWNERS = (
    Ownership(SECRET, "demo"),
    Ownership(SECRET, "demo", frozenset({NUMBER, "8"})),
    Ownership(SECRET, "demo", frozenset({"9"})),
)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
RECEIVED_US = (1_767_225_605_000_000, 1_767_225_605_123_000, 1_767_225_605_000_001, 0)
CAMPAIGN, RECIPIENT = UUID("0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e5f"), UUID("0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e60")


def callback(attempt: int = 1, secret: bytes = SECRET, deployment: str = "demo") -> str:
    return encode_callback(secret, deployment, CAMPAIGN, RECIPIENT, attempt)


ODD: list[Any] = [
    None, "", 0, 1.5, True, [], {}, [{}], "\x00", "é", '"', "\\", "\ud83c", " x ", "x\n", "x" * 600, "<&>/", 10**30,
]  # fmt: skip
UNUSUAL: dict[str, list[Any]] = {
    "object": ["page", "WHATSAPP_BUSINESS_ACCOUNT"],
    "field": ["flows", " Messages", "user_preferences"],
    "phone_number_id": ["8", 8, "1" * 70],
    "id": ["wamid.A", "a/b+c=", "wämid", "w" * 513],
    "status": ["failed", "deleted", "Sent", " read"],
    "timestamp": [
        "1767312600", "1767312601", 1767225600, 1.7e9, "1230768000", "1230767999", "99999999999", " 1767225600",
        "1_767_225_600", "١٧٦٧٢٢٥٦٠٠", "-1", "1E9", "9" * 400,
    ],
    "biz_opaque_callback_data": [
        callback(62), callback(secret=b"x"), callback(deployment="other"), callback() + "\n", callback()[:-1],
        callback().replace("1.", "2.", 1), callback().replace(".1.", ".01."), callback().replace(".", "..", 1),
    ],
    "pricing": [
        {"category": "utility"}, {"category": "utility", "billable": False},
        {"category": "utility", "billable": 0, "type": ""}, {"type": "regular"}, {"category": "a b"},
        {"category": "é", "type": 1},
    ],
    "type": ["message", "payment", " Message"],
    "errors": [[{"code": 131049, "title": "held"}], [{"code": 131050}]],
    "messages": [[{"from": "1650", "id": "wamid.M", "timestamp": "1767225600", "type": "text", "text": {}}]],
    "metadata": [{}],
    "parent_user_id": ["u1", "US.ENT.1", "US.1"],
    "recipient_id": ["", "+16505551234", "US.1", 16505551234, "1650 5551234", "12"],
    "contacts": [
        [{"wa_id": "16505551234", "user_id": "US.7"}], [{"wa_id": 16505551234, "user_id": "US.7"}],
        [{"user_id": "US.1", "parent_user_id": "US.ENT.2", "wa_id": None}], [{"user_id": "U"}, 3], [{"wa_id": "1"}],
    ],
    "user_id": ["US.1\n", 7, "x" * 200],
    "recipient_user_id": ["US.1", "US." + "9" * 128, "US." + "9" * 129, "user:US.1", "US.1\n"],
}  # fmt: skip


def status(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": f"wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI{chance.randrange(9)}==",
        "status": chance.choice(["sent", "delivered", "read", "played"]),
        "timestamp": str(1_767_225_600 + chance.randrange(400)),
        "recipient_id": "16505551234",
        "conversation": {"id": "7e8c", "origin": {"type": "marketing"}},
    }
    if chance.random() < 0.7:
        found["biz_opaque_callback_data"] = callback(chance.randint(1, 62))
    if chance.random() < 0.5:
        found["recipient_user_id"] = f"US.{chance.randrange(9)}"
    if chance.random() < 0.7:
        found["pricing"] = {"billable": True, "pricing_model": "PMP", "category": "marketing", "type": "regular"}
    return found


def webhook(seed: int) -> bytes:
    """A plain webhook in which up to four values are replaced, removed or added, at any depth."""
    chance = random.Random(seed)
    metadata = {"display_phone_number": "15550783881", "phone_number_id": NUMBER}
    values: list[dict[str, Any]] = [
        {"metadata": dict(metadata), "statuses": [status(chance) for _ in range(chance.randint(1, 3))]}
        for _ in range(chance.choice([1, 1, 1, 2]))
    ]
    if chance.random() < 0.5:
        values[0]["contacts"] = [{"profile": {"name": "P"}, "wa_id": "16505551234", "user_id": "US.3"}]
    changes = [{"field": "messages", "value": value} for value in values]
    body: dict[str, Any] = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}
    for _ in range(chance.choice([0, 0, 1, 1, 2, 4])):
        _change(body, chance)
    return json.dumps(body, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")


def _change(body: dict[str, Any], chance: random.Random) -> None:
    """Change one value of one object, at any depth."""
    objects: list[dict[str, Any]] = [body]
    for each in objects:  # it grows
        for value in each.values():
            listed = value if isinstance(value, list) else [value]
            objects += [inner for inner in listed if isinstance(inner, dict)]
    target = chance.choice(objects)
    name = chance.choice([*target, chance.choice([*UNUSUAL])])
    if chance.random() < 0.2:
        target.pop(name, None)
    else:
        values = UNUSUAL.get(name, ODD) if chance.random() < 0.6 else ODD
        target[name] = copy.deepcopy(chance.choice(values))  # a later change must not reach the next example


def spliced(raw: bytes, seed: int) -> bytes:
    """The bytes with a part cut out, repeated, or replaced."""
    chance = random.Random(seed)
    at, to = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
    return chance.choice(
        [raw[:at] + raw[to:], raw[:to] + raw[at:], raw[:at] + b"\xff" + raw[at:], raw[:at] + b"1" + raw[at:]]
    )


texts = st.builds(webhook, st.integers(0, 2**32))
bodies = texts | texts | st.builds(spliced, texts, st.integers(0, 2**32)) | st.binary(max_size=60)


def letters(found: Reconciled) -> list[tuple[Any, ...]]:
    def shown(item: DeadItem) -> tuple[Any, ...]:
        return (item.origin, item.key, item.value, item.reason, item.error, repr(item.raised), item.items, item.share)

    return [shown(item) for item in found.dead]


def published(found: Reconciled) -> Counter[tuple[bytes, bytes, str]]:
    """Key, bytes and kind of every event."""
    general = [(each.key, encode(each), each.kind.value) for each in found.events]
    general += [(each.key, encode(each), each.kind.value) for each in found.subscriptions]
    general += [(each.record_key, encode(each), each.kind.value) for each in found.notices]
    return Counter([*general, *((each.key, each.value, each.kind) for each in found.plain)])


def compare(raw: Sequence[bytes], ownership: Ownership, received_us: int, at: datetime = EPOCH) -> Reconciled:
    value = encode_bundle([Body(received_us, each) for each in raw])
    record = Record("p.webhooks.raw", 3, 70, None, value, at)
    general = reconcile(record, ownership, NOW)
    short = reconcile(record, ownership, NOW, is_short_way_open=True)
    assert published(short) == published(general)
    assert short.outcomes == general.outcomes
    assert short.unknown_words == general.unknown_words
    assert (short.bodies, short.lenient_bodies) == (general.bodies, general.lenient_bodies)
    assert letters(short) == letters(general)
    return short


@settings(deadline=None, max_examples=600)
@given(st.lists(bodies, min_size=1, max_size=3), st.sampled_from(OWNERS), st.sampled_from(RECEIVED_US))
def test_both_ways_give_the_same(raw: list[bytes], ownership: Ownership, received_us: int) -> None:
    found = compare(raw, ownership, received_us)
    event(f"{bool(found.plain)=}")


@pytest.mark.parametrize("raw", [path.read_bytes() for path in sorted((FIXTURES / "webhooks").glob("*.json"))])
@pytest.mark.parametrize("ownership", OWNERS)
def test_both_ways_give_the_same_for_a_real_webhook(raw: bytes, ownership: Ownership) -> None:
    compare([raw], ownership, RECEIVED_US[1])


def test_both_ways_give_the_same_at_the_end_of_time() -> None:
    plain = {"id": "wamid.A", "status": "sent", "timestamp": "1767225600"}
    value = {"metadata": {"phone_number_id": NUMBER}, "statuses": [plain]}
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    compare([json.dumps(body).encode()], OWNERS[0], RECEIVED_US[0], datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
