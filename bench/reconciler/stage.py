"""The cases of the reconciler: webhooks with one status, and with many."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.children import child, process_argv, wait_until
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.environments import python_of
from bench.reconciler.statuses import DEPLOYMENT, SECRET, Webhooks, webhooks
from bench.reconciler.stored import bundled, store
from bench.usage import measured
from runtime.settings import Settings
from schemas.topics import BY_NAME, Topic
from topics.apply import apply

HERE = Path(__file__).parent
WARM_SHARE = 0.2
"""The share of the events after which the measurement begins: the start of a process is not measured."""
POLL_S = 0.05
DEADLINE_S = 300.0
SMOKE_SHARE = 1 / 100


@dataclass(frozen=True, slots=True)
class Input:
    """What is read. Without `is_bundled` each body is a record."""

    bodies: int
    statuses: int


@dataclass(frozen=True, slots=True)
class Participant:
    """A contestant: its process, and the share of the input that it gets, because a slow one needs as long for less."""

    argv: Callable[[Arena, Settings], Sequence[str | Path]]
    share: float
    is_bundled: bool = False
    environment: Callable[[Arena, Settings], dict[str, str]] = lambda _arena, _settings: {}

    @contextmanager
    def opened(self, arena: Arena) -> Iterator[Callable[[Input], Run]]:
        """Yield the function that reads once."""
        yield partial(_run, arena, self)


def _run(arena: Arena, reader: Participant, reading: Input) -> Run:
    bodies = max(20, int(arena.items(reading.bodies, int(reading.bodies * SMOKE_SHARE)) * reader.share))
    posted = _webhooks(bodies, reading.statuses)
    settings = _topics(arena)
    records = bundled(posted.bodies) if reader.is_bundled else posted.bodies
    store(settings.kafka_bootstrap_servers, settings.topic(Topic.WEBHOOKS_RAW), records)
    total = bodies * reading.statuses
    log = arena.folder / "reconciler.log"
    target = settings.topic(Topic.RECIPIENT_EVENTS)
    with _target(arena, target) as reached:
        with child(reader.argv(arena, settings), log, reader.environment(arena, settings)) as running:
            wait_until(lambda: reached() >= total * WARM_SHARE, running, log)
            first, began = reached(), time.perf_counter()
            first = 0 if first >= total else first  # a tiny input may be done at the first look
            with measured(running.pid) as usage:
                end = time.monotonic() + DEADLINE_S
                while (count := reached()) < total and time.monotonic() < end and running.poll() is None:
                    time.sleep(POLL_S)  # the end of the work shows in the topic only
                seconds = time.perf_counter() - began
        right = posted.right(_values(arena, target, reached()))
    return Run(count - first, seconds, usage.cpu_s, usage.memory_mb, right)


@lru_cache(16)
def _webhooks(bodies: int, statuses: int) -> Webhooks:
    return webhooks(bodies, statuses)


def _topics(arena: Arena) -> Settings:
    """Settings with topics of their own, which exist."""
    settings = Settings.model_validate(
        {"kafka_bootstrap_servers": arena.kafka, "database_url": "postgresql://x", "topic_prefix": arena.prefix()}
    )
    names = (Topic.WEBHOOKS_RAW, Topic.RECIPIENT_EVENTS, Topic.SUBSCRIPTION_EVENTS)
    apply(settings, [BY_NAME[name] for topic in names for name in (topic, topic.dead)])
    return settings


@contextmanager
def _target(arena: Arena, topic: str) -> Iterator[Callable[[], int]]:
    """Yield a function that counts the records of a topic."""
    consumer = Consumer({"bootstrap.servers": arena.kafka, "group.id": "bench-watch"})
    places = [
        TopicPartition(topic, partition) for partition in consumer.list_topics(topic, 10).topics[topic].partitions
    ]

    counts = dict.fromkeys(range(len(places)), 0)

    def reached() -> int:
        for place in places:
            with suppress(KafkaException):  # the topic is new, and its leader not known everywhere
                counts[place.partition] = consumer.get_watermark_offsets(place, timeout=10)[1]
        return sum(counts.values())

    try:
        yield reached
    finally:
        consumer.close()


def _values(arena: Arena, topic: str, count: int) -> Iterator[bytes | None]:
    """The values of the topic's records."""
    consumer = Consumer({"bootstrap.servers": arena.kafka, "group.id": "bench-read", "fetch.queue.backoff.ms": 5})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    left = count
    while left > 0:
        records = consumer.consume(10_000, 5)
        if not records:
            break
        for record in records:
            yield record.value()
        left -= len(records)
    consumer.close()


def _peer(program: str, environment: str | None) -> Callable[[Arena, Settings], Sequence[str | Path]]:
    def argv(arena: Arena, settings: Settings) -> Sequence[str | Path]:
        python = python_of(environment) if environment else sys.executable
        source, target = settings.topic(Topic.WEBHOOKS_RAW), settings.topic(Topic.RECIPIENT_EVENTS)
        secret = ["--secret", SECRET.decode(), "--deployment", DEPLOYMENT]
        return [python, HERE / program, "--kafka", arena.kafka, "--source", source, "--target", target, *secret]

    return argv


def _our_argv(_arena: Arena, _settings: Settings) -> Sequence[str | Path]:
    return process_argv("streams.reconciler.process")


def _our_environment(arena: Arena, settings: Settings) -> dict[str, str]:
    return {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": arena.kafka,
        "CAMPAIGNS_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
        "CAMPAIGNS_CALLBACK_SECRET": SECRET.decode(),
        "CAMPAIGNS_DEPLOYMENT": DEPLOYMENT,
    }


def _opened(reader: Participant) -> Callable[[Arena], AbstractContextManager[Callable[[Input], Run]]]:
    return reader.opened


RECONCILER = Contest(
    "reconciler",
    "Reconciler",
    "A topic full of webhooks is read, and each status becomes an event in another topic, acknowledged with acks=all. "
    "`items/s` are statuses. One status of a hundred has forged callback data, whose recipient must not be believed. A "
    "result is right if the event has the kind, the time and the recipient of its status.",
    Contestant(
        "campaign-streams",
        "One process. It reads bundles of 100 bodies, as the ingress writes them under load.",
        _opened(Participant(_our_argv, 1.0, is_bundled=True, environment=_our_environment)),
    ),
    (
        Contestant(
            "Faust, the simplest agent",
            "One webhook a record, JSON serializers, an awaited `send` for each status. It trusts the callback data.",
            _opened(Participant(_peer("faust_simple.py", "faust"), 0.05)),
            environment="faust",
        ),
        Contestant(
            "Faust, tuned",
            "`take(500)`, raw bytes and orjson, the sends of a batch gathered, lz4, a long linger, large buffers. It "
            "trusts the callback data.",
            _opened(Participant(_peer("faust_tuned.py", "faust"), 0.08)),
            environment="faust",
        ),
        Contestant(
            "Quix Streams",
            "One webhook a record, `apply(expand=True)` and `to_topic`, acks=all, lz4, a commit for 10,000 records. It "
            "trusts the callback data.",
            _opened(Participant(_peer("quix.py", "quix"), 0.1)),
            environment="quix",
        ),
        Contestant(
            "a confluent loop with the same work",
            "It reads the same bundles, checks signatures, writes the same events with orjson, dead-letters a bundle "
            "that it cannot read, flushes, and commits.",
            _opened(Participant(_peer("confluent_loop.py", None), 1.0, is_bundled=True)),
        ),
    ),
    (
        Case("1 status a body", Input(120_000, 1)),
        Case("100 statuses a body", Input(2_000, 100), is_in_smoke=False),
    ),
    (
        "The cost of a rebalance, and of a restart.",
        "Webhooks with failures, messages and odd spellings: the product reads them by a slower way.",
        "Several processes: every contestant is one process, and all scale with the partitions of the topic.",
    ),
)
