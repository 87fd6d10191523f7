"""Stores webhooks in `webhooks.raw`, as the ingress does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from confluent_kafka import Producer

from schemas.bundles import BODIES_MAX, BYTES_MAX, Body, encode_bundle

RECEIVED_US = 1_767_229_300_000_000
BUNDLE_BODIES = 100


def bundled(bodies: Sequence[bytes]) -> Iterator[bytes]:
    """The bodies in bundles of 100, as the ingress writes them under load, or of fewer if they are large."""
    size = max(1, min(BUNDLE_BODIES, BODIES_MAX, BYTES_MAX // len(bodies[0])))
    for start in range(0, len(bodies), size):
        yield encode_bundle([Body(RECEIVED_US, raw) for raw in bodies[start : start + size]])


def store(kafka: str, topic: str, records: Iterable[bytes]) -> None:
    """Store records in a topic, and wait until all of them are there."""
    producer = Producer({
        "bootstrap.servers": kafka, "acks": "all", "compression.type": "lz4", "message.max.bytes": 4_300_000,
        "linger.ms": 20,
    })  # fmt: skip
    for record in records:
        while True:
            try:
                producer.produce(topic, record)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0, "the input is stored"
