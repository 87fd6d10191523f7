"""The measured settings of every Kafka client, and a check whether Kafka is reachable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException, Producer

from runtime.settings import Settings

RECORD_BYTES_MAX = 4 * 1024 * 1024 + 64 * 1024
"""4 MiB and its framing. Topics allow 4 MiB and clients slightly more, so that the broker decides."""

MESSAGE_TIMEOUT_MS = 60_000
ANSWER_TIMEOUT_S = 5.0


def client_config(settings: Settings) -> dict[str, Any]:
    """The settings of every client: addresses, client id, and our logger."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": settings.instance or "campaigns",
        "logger": logging.getLogger("librdkafka"),
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 2_000,
        "socket.keepalive.enable": True,
        **settings.kafka_options(),
    }


def producer_config(settings: Settings, **changed: Any) -> dict[str, Any]:
    """The settings of a producer that loses nothing. `changed`: librdkafka's names with _ for a dot."""
    return {
        **client_config(settings),
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "message.timeout.ms": MESSAGE_TIMEOUT_MS,
        "message.max.bytes": RECORD_BYTES_MAX,
        "queue.buffering.max.kbytes": 128 * 1024,
        "queue.buffering.max.messages": 200_000,
        **_dotted(changed),
    }


def consumer_config(settings: Settings, group: str, **changed: Any) -> dict[str, Any]:
    """The settings of a consumer in a group (named without prefix). Only our code commits offsets."""
    config = {
        **client_config(settings),
        "group.id": settings.group(group),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": round(settings.heartbeat_s * 1000),
        "max.poll.interval.ms": 300_000,
        "fetch.queue.backoff.ms": 5,  # the default, 1000, costs three quarters of the speed
        "fetch.message.max.bytes": RECORD_BYTES_MAX,
        "queued.max.messages.kbytes": 32 * 1024,
    }
    if settings.instance:
        config["group.instance.id"] = settings.instance
    return {**config, **_dotted(changed)}


def observer_config(settings: Settings, group: str, **changed: Any) -> dict[str, Any]:
    """The settings of a consumer that queries the offsets of a group and never joins it."""
    config = consumer_config(settings, group, **changed)
    config.pop("group.instance.id", None)  # the member with this id is another consumer
    return config


def _dotted(changed: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in changed.items()}


def answering(settings: Settings, timeout_s: float = ANSWER_TIMEOUT_S) -> Callable[[], bool]:
    """A function for a watchdog: whether a broker answers a new connection. It blocks."""

    def answers() -> bool:
        try:
            Producer(client_config(settings)).list_topics(timeout=timeout_s)
        except KafkaException:
            return False
        return True

    return answers
