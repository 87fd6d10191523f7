"""What is no outage: other members, second owners, repetition, poison, and code that raises."""

from __future__ import annotations

import hashlib
import hmac
import time

import httpx
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.bundles import decode_bundle
from schemas.dead_letters import read_headers
from schemas.reasons import DeadLetterReason
from schemas.topics import Topic
from tests.faults.campaign import Struck, Underway
from tests.faults.strikes import MIDDLE_DEADLINE_S, in_the_middle, passed
from tests.faults.world import World
from tests.support.kafka_topics import read_all
from tests.support.waiting import eventually
from topics.lag import KafkaQueries

CRASHING = {"sender": Topic.SEND_JOBS, "reconciler": Topic.WEBHOOKS_RAW, "sink": Topic.RECIPIENT_EVENTS}
SET_ASIDE = 3
"""So many records must have made the code raise."""


def rebalance(world: World, underway: Underway, kind: str = "reconciler") -> Struck:
    """One process more joins the group in mid-batch, works, and leaves."""
    in_flight = in_the_middle(world, underway, kind)
    with world.extra(f"{kind}-3") as extra:
        eventually(lambda: extra.pid_of(f"{kind}-3"), "it runs", MIDDLE_DEADLINE_S)
        eventually(lambda: _members(world, kind) == 3, "it has joined", MIDDLE_DEADLINE_S)
        passed(2.0)
    return Struck(time.time(), in_flight)


def twin(world: World, underway: Underway) -> Struck:
    """A sink of another group: for a while every partition has two sinks that believe it is theirs."""
    in_flight = in_the_middle(world, underway, "sink")
    late = "another sink already advanced this partition"
    with world.extra("sink-9", "twin"):
        before, joined = _said(world, late), world.log("sink-9").count("partitions assigned")
        eventually(
            lambda: world.log("sink-9").count("partitions assigned") > joined,
            "the second sink has joined",
            MIDDLE_DEADLINE_S,
        )
        eventually(lambda: _said(world, late) > before, "two sinks met at one offset", MIDDLE_DEADLINE_S)
        passed(3.0)
    return Struck(time.time(), in_flight)


def storm(world: World, underway: Underway, times: int = 20) -> Struck:
    """Every webhook of this campaign that Kafka holds is posted again, several times, as Meta would."""
    in_flight = in_the_middle(world, underway, "ingress")
    bodies = [body.raw for bundle in _values(world, "webhooks.raw", 60) for body in decode_bundle(bundle)]
    secret = world.settings.webhook_app_secrets[0].get_secret_value().encode()
    url = world.urls["ingress-1"].replace("/ready", "/webhooks/whatsapp")
    taken = 0
    with httpx.Client(timeout=10.0, trust_env=False) as client:
        for body in bodies[:50] * times:
            signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
            headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
            taken += client.post(url, content=body, headers=headers).status_code == httpx.codes.OK
    assert taken >= 20 * times, f"{taken} duplicates were taken"
    return Struck(time.time(), in_flight)


POISON = (None, b"", b"{", b"\xff\x00\xfe", b'{"kind": "no such"}', b"[1, 2, 3]", b"\x93\x01\x02\x03")
POISONED = (Topic.WEBHOOKS_RAW, Topic.SEND_JOBS, Topic.RECIPIENT_EVENTS)
"""The topics that a stage consumes."""


def poison(world: World, underway: Underway) -> Struck:
    """Records that are nothing at all, in every topic that is consumed; each must end as a dead letter."""
    in_flight = in_the_middle(world, underway, "sink")
    before = {topic: _end(world, topic.dead) for topic in POISONED}
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap_servers})
    for topic in POISONED:
        for value in POISON:
            producer.produce(world.settings.topic(topic), value=value)
    assert producer.flush(30) == 0
    for topic in POISONED:
        wanted = before[topic] + len(POISON)
        eventually(lambda topic=topic, wanted=wanted: _end(world, topic.dead) >= wanted, f"{topic} is clean", 30.0)  # type: ignore[misc]
    return Struck(time.time(), in_flight)


def crash(world: World, underway: Underway, kind: str) -> Struck:
    """A third process has a bug. It sets aside just the records that meet it; they are produced again to sound ones."""
    topic = world.settings.topic(CRASHING[kind])
    kafka = world.kafka.bootstrap_servers
    aside = CRASHING[kind].dead
    before, end = len(read_all(kafka, f"{topic}.dead")), _end(world, aside)
    in_flight = in_the_middle(world, underway, "sink")
    with world.extra(f"{kind}-3", "crash") as extra:
        eventually(lambda: _end(world, aside) >= end + SET_ASIDE, "records are set aside", 60.0, 0.5)
        assert extra.restarts_of(f"{kind}-3") == 0, "one record ends the process"
    ended_at = time.time()
    dead = read_all(kafka, f"{topic}.dead")[before:]
    assert {read_headers(message.headers()).reason for message in dead} == {DeadLetterReason.BUG}
    producer = Producer({"bootstrap.servers": kafka})
    for message in dead:
        producer.produce(topic, key=message.key(), value=message.value())
    assert producer.flush(30) == 0
    return Struck(ended_at, in_flight)


def _members(world: World, group: str) -> int:
    with KafkaQueries(world.settings) as broker:
        return broker.members([group])[group]


def _said(world: World, line: str) -> int:
    return sum(world.log(name).count(line) for name in ("sink-1", "sink-2", "sink-9"))


def _end(world: World, topic: str) -> int:
    with KafkaQueries(world.settings) as broker:
        return sum(end for _, end in broker.watermarks(world.settings.topic(topic)).values())


def _values(world: World, topic: str, count: int) -> list[bytes]:
    """The last few records of a topic."""
    name = world.settings.topic(topic)
    with KafkaQueries(world.settings) as broker:
        marks = broker.watermarks(name)
    each = -(-count // len(marks))
    starts = {p: max(low, high - each) for p, (low, high) in marks.items()}
    consumer = Consumer({"bootstrap.servers": world.kafka.bootstrap_servers, "group.id": "faults-look"})
    consumer.assign([TopicPartition(name, p, start) for p, start in starts.items()])
    wanted = sum(marks[p][1] - start for p, start in starts.items())
    found: list[bytes] = []

    def enough() -> bool:
        found.extend(m.value() or b"" for m in consumer.consume(wanted, 0.5) if m.error() is None)
        return len(found) >= wanted

    try:
        eventually(enough, f"{wanted} records of {topic} are read", 20.0)
    finally:
        consumer.close()
    return found
