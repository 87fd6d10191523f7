"""What is no outage: other members, second owners, poison, repetition, and code that raises."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.campaign import Struck
from tests.faults.disturbances import CRASHING, crash, poison, rebalance, storm, twin
from tests.faults.doubles import STEP_S
from tests.faults.steady import Crowd
from tests.faults.story import survived, under_load
from tests.faults.strikes import in_the_middle, passed
from tests.faults.world import NAMES, World
from tests.faults.world import world as a_world

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("kind", ["reconciler", "sender", "sink"])
def test_a_third_member_joins_and_leaves_in_mid_batch(world: World, crowd: Crowd, kind: str) -> None:
    underway = under_load(world, crowd, f"rebalance of {kind}s")
    survived(underway, rebalance(world, underway, kind))


def test_two_sinks_believe_that_they_own_the_same_partitions(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "two sinks")
    survived(underway, twin(world, underway))


def test_webhooks_come_twenty_times(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "storm")
    survived(underway, storm(world, underway))


def test_poison_in_every_topic(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "poison")
    survived(underway, poison(world, underway))


@pytest.mark.parametrize("kind", CRASHING)
def test_records_that_crash_the_code_are_dead_lettered_and_apply_once_it_is_fixed(
    world: World, crowd: Crowd, kind: str
) -> None:
    underway = under_load(world, crowd, f"crashing {kind}")
    survived(underway, crash(world, underway, kind))


@pytest.fixture
def stepping_world() -> Iterator[World]:
    """Every process with a clock that can be stepped."""
    with a_world(double="stepping") as found:
        yield found


def test_the_clocks_of_the_processes_step(stepping_world: World, crowd: Crowd) -> None:
    """Forward, and back again while the load goes on; the database's clock stays."""
    world = stepping_world
    underway = under_load(world, crowd, f"clocks step by {STEP_S:.0f} s")
    in_flight = in_the_middle(world, underway, "sender")
    for _ in range(2):
        for name in NAMES:
            world.signal(name, signal.SIGUSR1)
        passed(6.0)
    survived(underway, Struck(time.time(), in_flight), clocks_stepped=True)
