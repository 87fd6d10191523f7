"""Faults without an outage: an additional member, a second owner, duplicates, poison records, a bug, clock steps."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.campaign import InjectedFault
from tests.faults.disturbances import CRASHING, crash, poison, rebalance, storm, twin
from tests.faults.doubles import STEP_S
from tests.faults.injections import wait_for_work_in_flight, wait_seconds
from tests.faults.start_and_end import finish_exactly, start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import NAMES, World, start_world

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("kind", ["reconciler", "sender", "sink"])
def test_a_third_member_joins_and_leaves_during_a_batch(world: World, crowd: Crowd, kind: str) -> None:
    campaign = start_under_load(world, crowd, f"rebalance of {kind}s")
    finish_exactly(campaign, rebalance(world, campaign, kind))


def test_two_sinks_own_the_same_partitions(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "two sinks")
    finish_exactly(campaign, twin(world, campaign))


def test_webhooks_arrive_twenty_times(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "storm")
    finish_exactly(campaign, storm(world, campaign))


def test_poison_records_in_every_topic_are_dead_lettered(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "poison")
    finish_exactly(campaign, poison(world, campaign))


@pytest.mark.parametrize("kind", CRASHING)
def test_records_that_crash_the_code_are_dead_lettered_and_apply_once_it_is_fixed(
    world: World, crowd: Crowd, kind: str
) -> None:
    campaign = start_under_load(world, crowd, f"crashing {kind}")
    finish_exactly(campaign, crash(world, campaign, kind))


@pytest.fixture
def stepping_world() -> Iterator[World]:
    """A world in which the clock of every process can be stepped."""
    with start_world(double="stepping") as found:
        yield found


def test_the_clocks_of_the_processes_step(stepping_world: World, crowd: Crowd) -> None:
    """The clocks step forward, and later back. The clock of the database does not change."""
    world = stepping_world
    campaign = start_under_load(world, crowd, f"clocks step by {STEP_S:.0f} s")
    in_flight = wait_for_work_in_flight(world, campaign, "sender")
    for _ in range(2):
        for name in NAMES:
            world.signal(name, signal.SIGUSR1)
        wait_seconds(6.0)
    finish_exactly(campaign, InjectedFault(time.time(), in_flight), clocks_stepped=True)
