"""A hand-written loop that does the same work: bundles in, events out, dead letters, offsets after the deliveries.

It imports nothing of the product.
"""

from __future__ import annotations

import base64
import hmac
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import ormsgpack
from confluent_kafka import Consumer, KafkaError, Message, Producer

from bench.reconciler.peer_options import options

BATCH_RECORDS = 50
KINDS = {"sent": "sent", "delivered": "delivered", "read": "read", "played": "read", "failed": "failed"}
given = options()
SECRET = given.secret.encode()
failures: list[KafkaError] = []


def delivered(error: KafkaError | None, _message: Message) -> None:
    """Note a failure."""
    if error is not None:
        failures.append(error)


def attempt_of(text: object) -> dict[str, Any]:
    """The ids in our callback data, if its signature is right."""
    if not isinstance(text, str) or text.count(".") != 5:
        return {}
    payload, _, tag = text.rpartition(".")
    version, deployment, campaign, recipient, attempt = payload.split(".")
    expected = base64.urlsafe_b64encode(hmac.digest(SECRET, payload.encode(), "sha256")[:8]).rstrip(b"=").decode()
    if version != "1" or deployment != given.deployment or not hmac.compare_digest(tag, expected):
        return {}
    return {"campaign_id": uuid_of(campaign), "recipient_id": uuid_of(recipient), "attempt": int(attempt)}


def uuid_of(text: str) -> str:
    """A UUID from base64url."""
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "==")))


def events_of(record: Message) -> Iterator[tuple[bytes, bytes]]:
    """The key and the value of each event of a bundle."""
    for index, (received_us, raw) in enumerate(ormsgpack.unpackb(record.value() or b"")):
        received_at = datetime.fromtimestamp(received_us / 1e6, UTC)
        origin = {"topic": record.topic(), "partition": record.partition(), "offset": record.offset(), "index": index}
        for entry in orjson.loads(raw)["entry"]:
            for change in entry["changes"]:
                value = change["value"]
                for status in value.get("statuses", ()):
                    yield event_of(status, value["metadata"]["phone_number_id"], received_at, origin)


def event_of(status: dict[str, Any], number: str, received_at: datetime, origin: dict[str, Any]) -> tuple[bytes, bytes]:
    """The key and the value of one event."""
    attempt = attempt_of(status.get("biz_opaque_callback_data"))
    pricing = status.get("pricing") or {}
    event = {
        "v": 1,
        "producer": "loop",
        "kind": KINDS[status["status"]],
        **attempt,
        "wamid": status["id"],
        "phone_number_id": number,
        "occurred_at": datetime.fromtimestamp(int(status["timestamp"]), UTC),
        "received_at": received_at,
        "held_for_quality": False,
        "pricing": {"type": pricing.get("type", ""), "category": pricing.get("category", "")},
        "origin": origin,
    }
    return attempt.get("recipient_id", status["id"]).encode(), orjson.dumps(event, option=orjson.OPT_UTC_Z)


def run() -> None:
    """Read, publish, wait, commit, for ever."""
    consumer = Consumer({
        "bootstrap.servers": given.kafka, "group.id": "loop", "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "fetch.queue.backoff.ms": 5, "fetch.message.max.bytes": 4_300_000,
    })  # fmt: skip
    producer = Producer({
        "bootstrap.servers": given.kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
        "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000,
    })  # fmt: skip
    consumer.subscribe([given.source])
    while True:
        records = consumer.consume(BATCH_RECORDS, 0.1)
        for record in records:
            if record.error():
                continue
            try:
                for key, value in events_of(record):
                    producer.produce(given.target, value, key, on_delivery=delivered)
            except (KeyError, TypeError, ValueError):
                producer.produce(f"{given.source}.dead", record.value(), on_delivery=delivered)
            producer.poll(0)
        if records:
            producer.flush()
            if failures:
                sys.exit(f"not delivered: {failures[0]}")
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    run()
