"""SIGKILL, SIGTERM and SIGSTOP of every kind of process under load."""

from __future__ import annotations

import pytest

from tests.faults.steady import Crowd
from tests.faults.story import survived, under_load
from tests.faults.strikes import FROZEN_S, LEADER_FROZEN_S, freeze_claimed, freeze_one, kill_all, stop_all
from tests.faults.world import KINDS, World

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_kind_are_killed(world: World, crowd: Crowd, kind: str) -> None:
    underway = under_load(world, crowd, f"kill {kind}")
    survived(underway, kill_all(world, underway, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_each_process_of_a_kind_is_stopped(world: World, crowd: Crowd, kind: str) -> None:
    underway = under_load(world, crowd, f"stop {kind}")
    survived(underway, stop_all(world, underway, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_a_kind_is_frozen_past_its_lease(world: World, crowd: Crowd, kind: str) -> None:
    """The leader among schedulers, past its lock."""
    underway = under_load(world, crowd, f"freeze {kind}")
    survived(underway, freeze_one(world, underway, kind, LEADER_FROZEN_S if kind == "scheduler" else FROZEN_S))


def test_senders_frozen_between_claim_and_post_send_nothing_of_it_when_they_wake(world: World, crowd: Crowd) -> None:
    """Their leases are over; the same people are written to under another attempt."""
    underway = under_load(world, crowd, "freeze between claim and post")
    struck, claimed = freeze_claimed(world, underway)
    survived(underway, struck)
    assert claimed.isdisjoint(underway.posted())
