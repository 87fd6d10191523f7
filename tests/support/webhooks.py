"""Bundles of webhook bodies in `webhooks.raw`, as the ingress writes them."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Producer

from runtime.settings import Settings
from schemas.bundles import Body, encode_bundle
from schemas.topics import Topic

RECEIVED_US = 1_767_225_605_000_000


def publish(settings: Settings, records: Sequence[bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "acks": "all"})
    for record in records:
        producer.produce(settings.topic(Topic.WEBHOOKS_RAW), record)
    assert producer.flush(30) == 0


def bundle(*bodies: bytes) -> bytes:
    return encode_bundle([Body(RECEIVED_US, raw) for raw in bodies])
