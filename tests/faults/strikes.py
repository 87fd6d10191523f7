"""The faults: each strikes a world under load, proves that something was in the middle, and says when it was over."""

from __future__ import annotations

import hashlib
import hmac
import signal
import time
from collections.abc import Callable

import httpx
from confluent_kafka import Consumer, Producer, TopicPartition

from cli.demo.truth import Span
from cli.demo.verdict import Held
from schemas.bundles import decode_bundle
from schemas.topics import Topic
from sinks.lag import Broker
from tests.faults.campaign import Struck, Underway
from tests.faults.world import LEASE_S, SEND_TIMEOUT_S, SEND_WINDOW, World, eventually

MIDDLE_DEADLINE_S = 20.0
HOLD_S = 1.5
"""Shorter than the sender's timeout: nothing but the fault makes an outcome unknown."""
LEAST_HELD = 10
"""Requests that a sender waits for when it is struck; answers are held back until so many are."""
FROZEN_S = LEASE_S + 3.0
LEADER_FROZEN_S = 14.0
"""The server ends a silent leader's session after 10 s, and with it the lock."""
BOTH = 2 * SEND_WINDOW
ANSWERS_LATE_BY_S = 0.4
CAUGHT_WITHIN = 10
"""So many tries to stop the senders between a claim and its post."""


def in_the_middle(world: World, underway: Underway, kind: str) -> int:
    """Wait until a process of this kind has something unfinished; how much."""
    counts: dict[str, Callable[[], int]] = {
        "sender": lambda: int(world.simulator.state()["unanswered_now"]),
        "ingress": lambda: int(world.simulator.state()["webhooks_unacknowledged"]),
        "api": lambda: int(underway.load.is_asking.is_set()),
        "scheduler": lambda: world.count("SELECT count(*) FROM releases"),
        "stats": lambda: world.count("SELECT count(*) FROM campaign_counter_deltas"),
    }
    look = counts.get(kind, underway.on_the_way)
    least = LEAST_HELD if kind == "sender" else 1

    def found() -> int:
        count = look()
        return count if count >= least else 0

    return eventually(found, f"a {kind} is in the middle of something", MIDDLE_DEADLINE_S, every_s=0.002)


def kill_all(world: World, underway: Underway, kind: str) -> Struck:
    """SIGKILL of every process of a kind at once."""
    before = len(_abandoned(world)) if kind == "sender" else 0
    if kind == "sender":
        world.simulator.hold(HOLD_S)
    in_flight = in_the_middle(world, underway, kind)
    for name in world.names(kind):
        world.signal(name, signal.SIGKILL)
    struck_at = time.time()
    if kind == "sender":
        in_flight = eventually(lambda: len(_abandoned(world)) - before, "requests were abandoned by the kill", 5.0)
        world.simulator.release()
    return Struck(struck_at, in_flight, unknown_max=BOTH if kind == "sender" else 0)


def stop_all(world: World, underway: Underway, kind: str) -> Struck:
    """SIGTERM of every process of a kind in turn; each ends by itself and is started again."""
    in_flight = in_the_middle(world, underway, kind)
    struck_at = time.time()
    for name in world.names(kind):
        before = len(world.events)
        world.supervisor.restart(name)
        ended = [event for event in world.events[before:] if event.name == name and event.what == "ended"]
        assert [event.code for event in ended] == [0], f"{name} ended with {ended}"
    return Struck(struck_at, in_flight)


def freeze_one(world: World, underway: Underway, kind: str, frozen_s: float = FROZEN_S) -> Struck:
    """SIGSTOP of one process (of the schedulers, the leader), longer than a lease; it wakes in another world."""
    name = world.leader() if kind == "scheduler" else world.names(kind)[0]
    if kind == "sender":
        world.simulator.hold(HOLD_S)
    in_flight = in_the_middle(world, underway, kind)
    world.signal(name, signal.SIGSTOP)
    stopped_at = time.time()
    if kind == "sender":
        world.simulator.release()
    try:
        passed(frozen_s)
    finally:
        world.signal(name, signal.SIGCONT)
        if kind == "sender":
            underway.frozen.append(Span(stopped_at, time.time()))
    return Struck(time.time(), in_flight, unknown_max=SEND_WINDOW if kind == "sender" else 0)


def freeze_claimed(world: World, underway: Underway) -> tuple[Struck, set[Held]]:
    """SIGSTOP of every sender between a claim and its post, past the lease; and the attempts it fell on.

    Postgres' answers come late, so that claims stand in the ledger before their senders know of them.
    """
    senders = world.names("sender")
    claimed: set[Held] = set()
    proxy = world.dependencies["postgres"]
    for _ in range(CAUGHT_WITHIN):
        proxy.delay(ANSWERS_LATE_BY_S)
        eventually(lambda: len(underway.open_claims()) >= LEAST_HELD, "attempts are claimed", MIDDLE_DEADLINE_S)
        for name in senders:
            world.signal(name, signal.SIGSTOP)
        stopped_at = time.time()
        proxy.mend()
        passed(ANSWERS_LATE_BY_S)  # what was written before the stop arrives
        claimed = underway.open_claims() - underway.posted()
        passed(FROZEN_S if claimed else 0.0)
        for name in senders:
            world.signal(name, signal.SIGCONT)
        underway.frozen.append(Span(stopped_at, time.time()))
        if claimed:
            break
    return Struck(time.time(), len(claimed), unknown_max=BOTH), claimed


def kill_kafka(world: World, underway: Underway) -> Struck:
    """SIGKILL of the broker, and a start at once."""
    in_flight = in_the_middle(world, underway, "sink")
    world.kafka.kill()
    world.kafka.start()
    return Struck(time.time(), in_flight)


def kill_postgres(world: World, underway: Underway) -> Struck:
    """SIGKILL of the server, and a start at once."""
    in_flight = in_the_middle(world, underway, "sink")
    world.postgres.kill()
    world.postgres.start()
    return Struck(time.time(), in_flight, unknown_max=BOTH)


def take_away(world: World, underway: Underway, dependency: str, seconds: float) -> Struck:
    """The network to a dependency is cut for so long."""
    in_flight = in_the_middle(world, underway, "sink")
    proxy = world.dependencies[dependency]
    assert proxy.connections > 0
    proxy.cut()
    try:
        passed(seconds)
    finally:
        proxy.mend()
    return Struck(time.time(), in_flight, unknown_max=_unknown_of(dependency, seconds))


def hang(world: World, underway: Underway, dependency: str, seconds: float) -> Struck:
    """Connections to a dependency stand, and nothing passes for so long."""
    in_flight = in_the_middle(world, underway, "sink")
    proxy = world.dependencies[dependency]
    assert proxy.connections > 0
    proxy.hang()
    try:
        passed(seconds)
    finally:
        proxy.mend()
    return Struck(time.time(), in_flight, unknown_max=_unknown_of(dependency, seconds))


def delay(world: World, underway: Underway, dependency: str, seconds: float, by_s: float) -> Struck:
    """Everything to and from a dependency arrives late for so long."""
    in_flight = in_the_middle(world, underway, "sink")
    proxy = world.dependencies[dependency]
    proxy.delay(by_s)
    try:
        passed(seconds)
    finally:
        proxy.mend()
    return Struck(time.time(), in_flight, unknown_max=_unknown_of(dependency, seconds))


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
    with world.extra("sink-9", "twin"):
        late = "another sink was faster"
        before = _said(world, late)
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


POISON = (b"", b"{", b"\xff\x00\xfe", b'{"kind": "no such"}', b"[1, 2, 3]", b"\x93\x01\x02\x03")
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


def passed(seconds: float) -> None:
    """Let a fault last: its length is what is tested, not a condition that could be waited for."""
    time.sleep(seconds)


def _unknown_of(dependency: str, seconds: float) -> int:
    """Without the Cloud API, a windowful in each timeout. Without Postgres, claims that ran out."""
    if dependency == "cloud":
        return int(BOTH * (2 + seconds / SEND_TIMEOUT_S))
    return BOTH if dependency == "postgres" else 0


def _members(world: World, group: str) -> int:
    with Broker(world.settings) as broker:
        return broker.members([group])[group]


def _said(world: World, line: str) -> int:
    return sum(world.log(name).count(line) for name in ("sink-1", "sink-2", "sink-9"))


def _end(world: World, topic: str) -> int:
    with Broker(world.settings) as broker:
        return sum(end for _, end in broker.watermarks(world.settings.topic(topic)).values())


def _values(world: World, topic: str, count: int) -> list[bytes]:
    """The last few records of a topic."""
    name = world.settings.topic(topic)
    with Broker(world.settings) as broker:
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


def _abandoned(world: World) -> list[int]:
    return [int(entry["id"]) for entry in world.simulator.ledger() if entry["outcome"] == "abandoned"]
