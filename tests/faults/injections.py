"""The faults. Each function waits for unfinished work, causes a fault under load, and reports when the fault ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping

from tests.faults.campaign import InjectedFault, RunningCampaign
from tests.faults.proxy import Proxy
from tests.faults.world import LEASE_S, SEND_TIMEOUT_S, SEND_WINDOW, ProcessWorld, World
from tests.support.waiting import eventually
from verdict.judge import Held
from verdict.truth import TimeSpan

Injection = Callable[[World, RunningCampaign], InjectedFault]
WORK_DEADLINE_S = 20.0
HOLD_S = 1.5
"""It must be shorter than the sender's timeout, so that only the fault makes outcomes unknown."""
LEAST_HELD = 10
"""The least number of unanswered requests when a fault hits the senders. The simulator holds answers until then."""
FROZEN_S = LEASE_S + 3.0
LEADER_FROZEN_S = 14.0
"""Postgres ends the session of a silent leader after 10 s, and that releases the lock."""
BOTH = 2 * SEND_WINDOW
PAUSED = "SELECT count(*) FROM marketing_campaigns WHERE id = %s AND status = 'paused'"
NEEDS_HUMAN = "SELECT count(*) FROM breakers WHERE needs_human"
PAUSE_DEADLINE_S = 30.0
"""A leader that has just started pauses the campaigns of a breaker within this time."""
UNNOTICED_MAX = BOTH + 30
"""The sends that were in flight when the Cloud API went wrong, and the probes of the breaker until the end."""
ANSWERS_LATE_BY_S = 0.4
LATE_DEADLINE_S = 60.0
ACCEPTED_SINCE = """
    SELECT count(*) FROM send_ledger
    WHERE campaign_id = %s AND claimed_at > to_timestamp(%s) AND outcome = 'accepted'
"""
FREEZE_TRIES = 10
"""Tries to freeze the senders between a claim and its post."""


def wait_for_work_in_flight(world: ProcessWorld, campaign: RunningCampaign, kind: str) -> int:
    """Wait until a process of this kind has unfinished work. Returns the amount."""
    counts: dict[str, Callable[[], int]] = {
        "sender": lambda: int(world.simulator.state()["unanswered_now"]),
        "ingress": lambda: int(world.simulator.state()["webhooks_unacknowledged"]),
        "api": lambda: int(campaign.load.has_open_request.is_set()),
        "scheduler": lambda: world.count("SELECT count(*) FROM releases"),
        "stats-publisher": lambda: world.count("SELECT count(*) FROM campaign_counter_deltas"),
    }
    count_of_kind = counts.get(kind, campaign.accepted_unfinished)
    least = LEAST_HELD if kind == "sender" else 1

    def found() -> int:
        count = count_of_kind()
        return count if count >= least else 0

    return eventually(found, f"a {kind} has unfinished work", WORK_DEADLINE_S, every_s=0.002)


def kill_all(world: World, campaign: RunningCampaign, kind: str) -> InjectedFault:
    """Send SIGKILL to all processes of a kind at once."""
    before = len(_abandoned(world)) if kind == "sender" else 0
    if kind == "sender":
        world.simulator.hold(HOLD_S)
    in_flight = wait_for_work_in_flight(world, campaign, kind)
    for name in world.names(kind):
        world.signal(name, signal.SIGKILL)
    killed_at = time.time()
    if kind == "sender":
        in_flight = eventually(
            lambda: len(_abandoned(world)) - before, "the kill left requests without a reader of the answer", 5.0
        )
        world.simulator.release()
    return InjectedFault(killed_at, in_flight, unknown_max=BOTH if kind == "sender" else 0)


def stop_all(world: World, campaign: RunningCampaign, kind: str) -> InjectedFault:
    """Restart the processes of a kind one after another. Each must end with 0 after SIGTERM."""
    in_flight = wait_for_work_in_flight(world, campaign, kind)
    killed_at = time.time()
    for name in world.names(kind):
        before = len(world.events)
        world.supervisor.restart(name)
        ended = [event for event in world.events[before:] if event.name == name and event.what == "ended"]
        assert [event.code for event in ended] == [0], f"{name} ended with {ended}:\n{world.log(name)[-2000:]}"
    return InjectedFault(killed_at, in_flight)


def freeze_one(world: World, campaign: RunningCampaign, kind: str, frozen_s: float = FROZEN_S) -> InjectedFault:
    """Freeze one process (of the schedulers, the leader) with SIGSTOP for longer than its lease."""
    name = world.leader() if kind == "scheduler" else world.names(kind)[0]
    if kind == "sender":
        world.simulator.hold(HOLD_S)
    in_flight = wait_for_work_in_flight(world, campaign, kind)
    world.signal(name, signal.SIGSTOP)
    stopped_at = time.time()
    if kind == "sender":
        world.simulator.release()
    try:
        wait_seconds(frozen_s)
    finally:
        world.signal(name, signal.SIGCONT)
        if kind == "sender":
            campaign.frozen.append(TimeSpan(stopped_at, time.time()))
    return InjectedFault(time.time(), in_flight, unknown_max=SEND_WINDOW if kind == "sender" else 0)


def freeze_claimed(world: World, campaign: RunningCampaign) -> tuple[InjectedFault, set[Held]]:
    """Freeze all senders between a claim and its post, for longer than the lease. Also returns these attempts.

    The answers of Postgres are delayed, so that the ledger contains claims before their senders know that they won.
    """
    senders = world.names("sender")
    claimed: set[Held] = set()
    proxy = world.dependencies["postgres"]
    # The senders must be connected before the delay begins, because connecting takes long with it.
    eventually(campaign.open_claims, "senders claim", WORK_DEADLINE_S)
    for _ in range(FREEZE_TRIES):
        proxy.delay(ANSWERS_LATE_BY_S)
        try:
            eventually(lambda: len(campaign.open_claims()) >= LEAST_HELD, "attempts are claimed", WORK_DEADLINE_S)
            for name in senders:
                world.signal(name, signal.SIGSTOP)
        finally:
            proxy.restore()
        stopped_at = time.time()
        claimed = campaign.open_claims()
        wait_seconds(FROZEN_S)
        claimed -= campaign.posted()  # every request that was written before the freeze has arrived by now
        for name in senders:
            world.signal(name, signal.SIGCONT)
        campaign.frozen.append(TimeSpan(stopped_at, time.time()))
        if claimed:
            break
    return InjectedFault(time.time(), len(claimed), unknown_max=BOTH), claimed


def kill_kafka(world: World, campaign: RunningCampaign) -> InjectedFault:
    """Kill the broker and restart it at once."""
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    world.kafka.kill()
    world.kafka.start()
    return InjectedFault(time.time(), in_flight)


def kill_postgres(world: World, campaign: RunningCampaign) -> InjectedFault:
    """Kill the server and restart it at once."""
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    world.postgres.kill()
    world.postgres.start()
    return InjectedFault(time.time(), in_flight, unknown_max=BOTH)


def kill_postgres_and_restart_slowly(world: World, campaign: RunningCampaign) -> InjectedFault:
    """Kill the server. After the restart, delay its answers until messages have been sent in spite of that."""
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    proxy = world.dependencies["postgres"]
    world.postgres.kill()
    proxy.delay(ANSWERS_LATE_BY_S)
    try:
        world.postgres.start()
        since = time.time()
        eventually(
            lambda: world.count(ACCEPTED_SINCE, campaign.id, since) >= LEAST_HELD,
            "messages are claimed and accepted while Postgres is slow",
            LATE_DEADLINE_S,
        )
    finally:
        proxy.restore()
    return InjectedFault(time.time(), in_flight, unknown_max=BOTH)


def cut_off(world: World, campaign: RunningCampaign, dependency: str, seconds: float) -> InjectedFault:
    """Cut the connections to a dependency for this time."""
    return _disturb(world, campaign, dependency, seconds, Proxy.cut)


def hang(world: World, campaign: RunningCampaign, dependency: str, seconds: float) -> InjectedFault:
    """Keep the connections to a dependency open and pass no byte for this time."""
    return _disturb(world, campaign, dependency, seconds, Proxy.hang)


def delay(world: World, campaign: RunningCampaign, dependency: str, seconds: float, by_s: float) -> InjectedFault:
    """Delay all bytes to and from a dependency for this time."""
    return _disturb(world, campaign, dependency, seconds, lambda proxy: proxy.delay(by_s))


def _disturb(
    world: World, campaign: RunningCampaign, dependency: str, seconds: float, disturb: Callable[[Proxy], None]
) -> InjectedFault:
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    proxy = world.dependencies[dependency]
    assert proxy.connections > 0
    disturb(proxy)
    try:
        wait_seconds(seconds)
    finally:
        proxy.restore()
    return InjectedFault(time.time(), in_flight, unknown_max=_unknown_of(dependency, seconds))


def answer_wrongly(
    world: World, campaign: RunningCampaign, outcome: str, settings: Mapping[str, object], seconds: float
) -> InjectedFault:
    """Let the Cloud API refuse, hang or be another server for this time.

    A breaker must notice: at most a few messages become unknown. Where Meta asks for a human, the leader pauses the
    campaign, and it is resumed here once the cause is gone.
    """
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    world.simulator.add_rule(outcome, name="wrong answers", **settings)
    try:
        wait_seconds(seconds)
    finally:
        world.simulator.remove_rules("wrong answers")
    if world.count(NEEDS_HUMAN):
        eventually(lambda: world.count(PAUSED, campaign.id) == 1, "the campaign is paused", PAUSE_DEADLINE_S)
        world.api.client.post(f"/api/marketing/campaigns/{campaign.id}/resume").raise_for_status()
    return InjectedFault(time.time(), in_flight, unknown_max=UNNOTICED_MAX)


def wait_seconds(seconds: float) -> None:
    """Let a fault last for this time. The test needs the duration itself, so there is no condition to wait for."""
    time.sleep(seconds)


def _unknown_of(dependency: str, seconds: float) -> int:
    """The limit of unknown sends: a send window per timeout without the Cloud API, the open claims without Postgres."""
    if dependency == "cloud":
        return int(BOTH * (2 + seconds / SEND_TIMEOUT_S))
    return BOTH if dependency == "postgres" else 0


def _abandoned(world: World) -> list[int]:
    return [int(entry["id"]) for entry in world.simulator.ledger() if entry["outcome"] == "abandoned"]
