"""Any signed body, through the ingress, the reconciler, its dead letters and redrives: nothing raises or is lost.

The publisher enforces the sizes of the topics, as the broker does. Bodies are bytes of any kind, and mutations of real
webhooks: cut, repeated, with broken characters, numbers without a value, deep nesting, large texts, many items.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.correlation import Ownership
from operations.dead_letters import Letter
from operations.redrive import Acted, _send_back
from producers.ingress.app import IngressApp, IngressOptions
from producers.ingress.pending_bytes import PendingBytes
from producers.ingress.signature import sign
from runtime import metrics
from runtime.settings import Settings
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.codec import decode
from schemas.dead_letters import REDRIVES_MAX, read_headers
from schemas.events import RecipientEvent
from schemas.places import Outgoing, Place, Record
from schemas.subscriptions import SubscriptionEvent
from schemas.topics import SPECS, Topic
from streams.reconciler.process import Reconciler
from streams.reconciler.reading import Reconciled, reconcile
from tests.support.http_client import HttpClient, post
from tests.support.paths import FIXTURES
from topics.memory import MemoryPublisher

SECRET = b"app-secret"
NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
RECEIVED_US = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
BODY_BYTES_MAX = 3_500_000
SETTINGS = Settings.model_validate({
    "kafka_bootstrap_servers": "x:1", "database_url": "postgresql://x", "callback_secret": "callback-secret-of-a-test",
    "dead_letter_rate_max": 10**9, "dead_letter_share_max": 1,
})  # fmt: skip

OURS = Ownership(b"callback-secret-of-a-test", "default")

REAL = [path.read_bytes() for path in sorted((FIXTURES / "webhooks").glob("*.json"))]
FRAGMENTS = [
    rb"\ud83c", rb"\udc00", rb"\u0000", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\x00", b"1e400", b"-1", b"1E15", b"NaN",
    b"Infinity", b"9" * 5000, b"[" * 300, b"[" * 2000 + b"]" * 2000, b'{"a":' * 260 + b"1" + b"}" * 260, b"[" * 200_000,
    b'"', b"\\", b"{", b"}", b"]", b",", b"null", b'"' + b"x" * 1_100_000 + b'"', b'"' + "é".encode() * 3000 + b'"',
]  # fmt: skip
LEAVES: list[Any] = [
    None, True, -1, 1e15, 2**63, 1767225600, "", "x" * 1_100_000, "é\0\ud83c" * 3000, "1767225600", "9" * 6000,
    [], {}, [[]], {"details": "y" * 200_000}, {"category": "z" * 1_100_000}, "failed", "played", "payment",
]  # fmt: skip


def texts_spliced(raw: bytes, seed: int) -> bytes:
    """Real bytes with fragments put in, parts cut out, or parts repeated."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
        match chance.randrange(3):
            case 0:
                raw = raw[:at] + chance.choice(FRAGMENTS) + raw[at:]
            case 1:
                raw = raw[:at] + raw[to:]
            case _:
                raw = raw[:to] + raw[at:to] + raw[to:]
    return raw[:BODY_BYTES_MAX]


def leaves_replaced(raw: bytes, seed: int) -> bytes:
    """A real webhook in which some values are replaced, at any depth, and lists are long."""
    chance = random.Random(seed)

    def change(value: Any) -> Any:
        if chance.random() < 0.06:
            return chance.choice(LEAVES)
        if isinstance(value, dict):
            return {name: change(each) for name, each in value.items()}
        if isinstance(value, list):
            changed = [change(each) for each in value]
            return changed * chance.choice([1, 1, 1, 2, 40]) if len(str(changed)) < 60_000 else changed
        return value

    try:
        body = json.loads(raw)
    except ValueError:
        return raw
    return json.dumps(change(body)).encode()[:BODY_BYTES_MAX]


bodies = (
    st.binary(max_size=300)
    | st.builds(texts_spliced, st.sampled_from(REAL), st.integers(0, 2**32))
    | st.builds(leaves_replaced, st.sampled_from(REAL), st.integers(0, 2**32))
)


class Inbound:
    """The way of a webhook up to events and dead letters, on a publisher in memory."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher(SPECS)
        self._reconciler = Reconciler(SETTINGS, self.publisher, now=lambda: NOW)
        self._offset = 0

    async def post(self, posted: Sequence[bytes]) -> list[int]:
        """Post bodies at the same time, and return the statuses of the answers."""

        async def publish(bundle: bytes) -> None:
            await self.publisher.publish_batch([Outgoing(Topic.WEBHOOKS_RAW, None, bundle)])

        async def is_ready() -> bool:
            return True

        app = IngressApp(
            IngressOptions(
                (SECRET,), b"", BODY_BYTES_MAX,
                PendingBytes(10**9, metrics.INGRESS_UNVERIFIED_BYTES),
                PendingBytes(10**9, metrics.INGRESS_PENDING_BYTES),
                publish, is_ready,
            ),
            now_us=lambda: RECEIVED_US,
        )  # fmt: skip
        return list(await asyncio.gather(*(_status_of(app, body) for body in posted)))

    async def reconcile(self) -> list[Record]:
        """Handle the records of `webhooks.raw` that are new, as the process does, and return them."""
        waiting = self.publisher.of_topic(Topic.WEBHOOKS_RAW)[self._offset :]
        records = [
            Record(Topic.WEBHOOKS_RAW, 0, self._offset + at, each.key, each.value, headers=tuple(each.headers or ()))
            for at, each in enumerate(waiting)
        ]
        self._offset += len(records)
        await self._reconciler.handle(records)
        return records

    def letters(self, start: int = 0) -> list[Letter]:
        dead = self.publisher.of_topic(Topic.WEBHOOKS_RAW.dead)
        return [
            Letter(
                Place(Topic.WEBHOOKS_RAW.dead, 0, offset), "id",
                Record(each.topic, 0, offset, each.key, each.value, NOW, tuple(each.headers or ())),
                read_headers(each.headers), None,
            )
            for offset, each in enumerate(dead)
        ][start:]  # fmt: skip


async def _status_of(app: IngressApp, body: bytes) -> int:
    client = HttpClient(app)
    client.send(post(body, sign(SECRET, body)))
    return (await client.answer()).status


def alone(raw: bytes) -> Reconciled:
    """What a body becomes in a record of its own."""
    return reconcile(Record(Topic.WEBHOOKS_RAW, 0, 0, None, encode_bundle([Body(RECEIVED_US, raw)])), OURS, NOW)


async def follow(posted: Sequence[bytes]) -> None:
    """Send bodies all the way, and check what must hold whatever they are."""
    inbound = Inbound()
    assert await inbound.post(posted) == [200] * len(posted), "every signed body is taken"
    records = await inbound.reconcile()
    places = {
        (record.offset, index): body.raw for record in records for index, body in enumerate(decode_bundle(record.value))
    }
    assert sorted(places.values()) == sorted(posted), "every signed body is stored as it came"

    events = [decode(RecipientEvent, each.value) for each in inbound.publisher.of_topic(Topic.RECIPIENT_EVENTS)]
    stated = [decode(SubscriptionEvent, each.value) for each in inbound.publisher.of_topic(Topic.SUBSCRIPTION_EVENTS)]
    origins = [*(each.origin for each in events), *(each.origin for each in stated)]
    with_events = {(origin.offset, origin.index) for origin in origins if origin is not None}
    letters = inbound.letters()
    dead = {(each.stated.origin.offset, each.stated.origin.item): each for each in letters}
    assert len(dead) == len(letters), "a body has one dead letter at most"
    for place, raw in places.items():
        if place in dead:
            assert [body.raw for body in decode_bundle(dead[place].record.value)] == [raw], "its letter has its bytes"
        elif place not in with_events:
            ignored = alone(raw)
            assert ignored.outcomes.total() > 0, "a body without events and letter is counted"
            assert not ignored.dead
            published_before = {(each.person, *(each.also_known_as or ())) for each in stated}
            assert not ignored.events
            assert {(each.person, *(each.also_known_as or ())) for each in ignored.subscriptions} <= published_before

    for times in range(1, REDRIVES_MAX + 1):
        done = Acted()
        returned = len(inbound.publisher.of_topic(Topic.WEBHOOKS_RAW.dead))
        assert await _send_back(inbound.publisher, letters, done) == letters
        assert done.too_large == 0
        await inbound.reconcile()
        again = inbound.letters(returned)
        assert Counter(each.record.value for each in again) == Counter(each.record.value for each in letters)
        assert [each.stated.reason for each in again] == [each.stated.reason for each in letters]
        assert {each.redriven for each in again} <= {times}
        letters = again
    assert all(each.is_quarantined for each in letters)


def with_status(fields: bytes) -> bytes:
    return b'{"statuses":[{"id":"w","status":"sent",%s}]}' % fields


@settings(deadline=None, max_examples=200)
@given(st.lists(bodies, min_size=1, max_size=4))
@example([b""])
@example([b"[" * 3_000_000])
@example([b'{"statuses":[' + b",".join([b"{}"] * 1001) + b"]}"])
@example([b'{"statuses":[' + b",".join([b"1"] * 1_500_000) + b"]}"])
@example([b'{"entry":[' + b",".join([b"[]"] * 9_000) + b"]}", b'{"entry": []}'])
@example([with_status(b'"timestamp":"1767225600","x":%s' % (b"[" * 255 + b"]" * 255))])
@example([with_status(b'"timestamp":1E15')])
@example([with_status(b'"timestamp":"1767225600","pricing":{"category":"%s"}' % (b"x" * 2**20))])
def test_any_signed_body_becomes_events_or_one_letter_or_is_counted(posted: list[bytes]) -> None:
    asyncio.run(follow(posted))


@pytest.mark.parametrize("raw", REAL)
def test_a_real_webhook_becomes_events_or_one_letter_or_is_counted(raw: bytes) -> None:
    asyncio.run(follow([raw]))
