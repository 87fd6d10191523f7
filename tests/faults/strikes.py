"""The faults: each strikes a world under load, proves that something was in the middle, and says when it was over."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.faults.campaign import Struck, Underway
from tests.faults.world import LEASE_S, SEND_TIMEOUT_S, SEND_WINDOW, World
from tests.support.waiting import eventually
from verdict.judge import Held
from verdict.truth import TimeSpan

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
LATE_DEADLINE_S = 60.0
ACCEPTED_SINCE = """
    SELECT count(*) FROM send_ledger
    WHERE campaign_id = %s AND claimed_at > to_timestamp(%s) AND outcome = 'accepted'
"""
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
        assert [event.code for event in ended] == [0], f"{name} ended with {ended}:\n{world.log(name)[-2000:]}"
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
            underway.frozen.append(TimeSpan(stopped_at, time.time()))
    return Struck(time.time(), in_flight, unknown_max=SEND_WINDOW if kind == "sender" else 0)


def freeze_claimed(world: World, underway: Underway) -> tuple[Struck, set[Held]]:
    """SIGSTOP of every sender between a claim and its post, past the lease; and the attempts it fell on.

    Postgres' answers come late, so that claims stand in the ledger before their senders know of them.
    """
    senders = world.names("sender")
    claimed: set[Held] = set()
    proxy = world.dependencies["postgres"]
    eventually(underway.open_claims, "senders claim", MIDDLE_DEADLINE_S)  # and are connected: late, that takes long
    for _ in range(CAUGHT_WITHIN):
        proxy.delay(ANSWERS_LATE_BY_S)
        try:
            eventually(lambda: len(underway.open_claims()) >= LEAST_HELD, "attempts are claimed", MIDDLE_DEADLINE_S)
            for name in senders:
                world.signal(name, signal.SIGSTOP)
        finally:
            proxy.mend()
        stopped_at = time.time()
        claimed = underway.open_claims()
        passed(FROZEN_S)
        claimed -= underway.posted()  # by now, what was written before the stop has arrived
        for name in senders:
            world.signal(name, signal.SIGCONT)
        underway.frozen.append(TimeSpan(stopped_at, time.time()))
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


def kill_postgres_and_be_late(world: World, underway: Underway) -> Struck:
    """SIGKILL of the server; it comes back late, and stays so until messages have been sent all the same."""
    in_flight = in_the_middle(world, underway, "sink")
    proxy = world.dependencies["postgres"]
    world.postgres.kill()
    proxy.delay(ANSWERS_LATE_BY_S)
    try:
        world.postgres.start()
        since = time.time()
        eventually(
            lambda: world.count(ACCEPTED_SINCE, underway.id, since) >= LEAST_HELD,
            "messages are claimed and accepted while Postgres is late",
            LATE_DEADLINE_S,
        )
    finally:
        proxy.mend()
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


def passed(seconds: float) -> None:
    """Let a fault last: its length is what is tested, not a condition that could be waited for."""
    time.sleep(seconds)


def _unknown_of(dependency: str, seconds: float) -> int:
    """Without the Cloud API, a windowful in each timeout. Without Postgres, claims that ran out."""
    if dependency == "cloud":
        return int(BOTH * (2 + seconds / SEND_TIMEOUT_S))
    return BOTH if dependency == "postgres" else 0


def _abandoned(world: World) -> list[int]:
    return [int(entry["id"]) for entry in world.simulator.ledger() if entry["outcome"] == "abandoned"]
