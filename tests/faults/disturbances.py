"""Faults without an outage: an additional member, a second owner, duplicates, poison records, and a bug."""

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
from tests.faults.campaign import InjectedFault, RunningCampaign
from tests.faults.injections import WORK_DEADLINE_S, wait_for_work_in_flight, wait_seconds
from tests.faults.world import World
from tests.support.kafka_topics import read_all
from tests.support.waiting import eventually
from topics.lag import KafkaQueries

CRASHING = {"sender": Topic.SEND_JOBS, "reconciler": Topic.WEBHOOKS_RAW, "sink": Topic.RECIPIENT_EVENTS}
REPORTED = "SELECT count(*) FROM portfolio WHERE reported_max = %s"
STILL_POSTED_S = 6.0
"""Released messages may be posted for three buckets of the budget, which take 4.5 s at the speed of these tests."""
APPLIED_DEADLINE_S = 60.0
DEAD_LETTERS_MIN = 3
"""The least number of records that must have failed in the process with the bug."""


def rebalance(world: World, campaign: RunningCampaign, kind: str = "reconciler") -> InjectedFault:
    """An additional process joins the group during a batch, works, and leaves."""
    in_flight = wait_for_work_in_flight(world, campaign, kind)
    with world.extra(f"{kind}-3") as extra:
        eventually(lambda: extra.pid_of(f"{kind}-3"), "the process runs", WORK_DEADLINE_S)
        eventually(lambda: _members(world, kind) == 3, "the process has joined", WORK_DEADLINE_S)
        wait_seconds(2.0)
    return InjectedFault(time.time(), in_flight)


def twin(world: World, campaign: RunningCampaign) -> InjectedFault:
    """A sink in another group: for some time every partition has two sinks that consider themselves its owner."""
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    late = "another sink already advanced this partition"
    with world.extra("sink-9", "twin"):
        before, joined = _count_in_logs(world, late), world.log("sink-9").count("partitions assigned")
        eventually(
            lambda: world.log("sink-9").count("partitions assigned") > joined,
            "the second sink has joined",
            WORK_DEADLINE_S,
        )
        eventually(lambda: _count_in_logs(world, late) > before, "two sinks apply the same offset", WORK_DEADLINE_S)
        wait_seconds(3.0)
    return InjectedFault(time.time(), in_flight)


def storm(world: World, campaign: RunningCampaign, times: int = 20) -> InjectedFault:
    """Post webhooks of this campaign again, several times, as Meta may do. The bodies are read from Kafka."""
    in_flight = wait_for_work_in_flight(world, campaign, "ingress")
    bodies = [body.raw for bundle in _values(world, "webhooks.raw", 60) for body in decode_bundle(bundle)]
    secret = world.settings.webhook_app_secrets[0].get_secret_value().encode()
    url = world.urls["ingress-1"].replace("/ready", "/webhooks/whatsapp")
    accepted = 0
    with httpx.Client(timeout=10.0, trust_env=False) as client:
        for body in bodies[:50] * times:
            signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
            headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
            accepted += client.post(url, content=body, headers=headers).status_code == httpx.codes.OK
    assert accepted >= 20 * times, f"{accepted} duplicates were accepted"
    return InjectedFault(time.time(), in_flight)


def lower_limit(world: World, campaign: RunningCampaign) -> InjectedFault:
    """Meta reports a limit of one person in 24 hours. Nothing is posted from then on, until it reports none."""
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    _report_limit(world, 1)
    wait_seconds(STILL_POSTED_S)
    received = int(world.simulator.state()["received"])
    wait_seconds(2.0)
    assert int(world.simulator.state()["received"]) == received, "a message was posted above the limit of Meta"
    ended_at = time.time()
    _report_limit(world, -1)
    return InjectedFault(ended_at, in_flight)


def _report_limit(world: World, people: int) -> None:
    value = {"max_daily_conversations_per_business": people}
    world.simulator.send_event("raw", field="business_capability_update", value=value, timestamp=int(time.time()))
    eventually(lambda: world.count(REPORTED, people) == 1, "the limit of Meta is applied", APPLIED_DEADLINE_S)


POISON = (None, b"", b"{", b"\xff\x00\xfe", b'{"kind": "no such"}', b"[1, 2, 3]", b"\x93\x01\x02\x03")
POISONED = (Topic.WEBHOOKS_RAW, Topic.SEND_JOBS, Topic.RECIPIENT_EVENTS)
"""The topics that the pipeline consumes."""


def poison(world: World, campaign: RunningCampaign) -> InjectedFault:
    """Publish unreadable records to every consumed topic. Each must become a dead letter."""
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    before = {topic: _end(world, topic.dead) for topic in POISONED}
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap_servers})
    for topic in POISONED:
        for value in POISON:
            producer.produce(world.settings.topic(topic), value=value)
    assert producer.flush(30) == 0
    for topic in POISONED:
        expected = before[topic] + len(POISON)
        eventually(lambda topic=topic, expected=expected: _end(world, topic.dead) >= expected, f"{topic} is read", 30.0)  # type: ignore[misc]
    return InjectedFault(time.time(), in_flight)


def crash(world: World, campaign: RunningCampaign, kind: str) -> InjectedFault:
    """Start a third process with a bug. It must dead-letter the failing records only. The others then apply them."""
    topic = world.settings.topic(CRASHING[kind])
    kafka = world.kafka.bootstrap_servers
    dead_topic = CRASHING[kind].dead
    before, end = len(read_all(kafka, f"{topic}.dead")), _end(world, dead_topic)
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    with world.extra(f"{kind}-3", "crash") as extra:
        eventually(lambda: _end(world, dead_topic) >= end + DEAD_LETTERS_MIN, "records are dead-lettered", 60.0, 0.5)
        assert extra.restarts_of(f"{kind}-3") == 0, "the failing records ended the process"
    ended_at = time.time()
    dead = read_all(kafka, f"{topic}.dead")[before:]
    assert {read_headers(message.headers()).reason for message in dead} == {DeadLetterReason.BUG}
    producer = Producer({"bootstrap.servers": kafka})
    for message in dead:
        producer.produce(topic, key=message.key(), value=message.value())
    assert producer.flush(30) == 0
    return InjectedFault(ended_at, in_flight)


def _members(world: World, group: str) -> int:
    with KafkaQueries(world.settings) as broker:
        return broker.members([group])[group]


def _count_in_logs(world: World, line: str) -> int:
    return sum(world.log(name).count(line) for name in ("sink-1", "sink-2", "sink-9"))


def _end(world: World, topic: str) -> int:
    with KafkaQueries(world.settings) as broker:
        return sum(end for _, end in broker.watermarks(world.settings.topic(topic)).values())


def _values(world: World, topic: str, count: int) -> list[bytes]:
    """The last records of a topic, about `count` of them."""
    name = world.settings.topic(topic)
    with KafkaQueries(world.settings) as broker:
        marks = broker.watermarks(name)
    each = -(-count // len(marks))
    starts = {p: max(low, high - each) for p, (low, high) in marks.items()}
    consumer = Consumer({"bootstrap.servers": world.kafka.bootstrap_servers, "group.id": "faults-reader"})
    consumer.assign([TopicPartition(name, p, start) for p, start in starts.items()])
    expected = sum(marks[p][1] - start for p, start in starts.items())
    found: list[bytes] = []

    def is_complete() -> bool:
        found.extend(m.value() or b"" for m in consumer.consume(expected, 0.5) if m.error() is None)
        return len(found) >= expected

    try:
        eventually(is_complete, f"{expected} records of {topic} are read", 20.0)
    finally:
        consumer.close()
    return found
