"""Every kind of process is killed, stopped and frozen under load."""

from __future__ import annotations

import pytest

from tests.faults.injections import FROZEN_S, LEADER_FROZEN_S, freeze_claimed, freeze_one, kill_all, stop_all
from tests.faults.start_and_end import finish_exactly, start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import KINDS, World

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_kind_are_killed(world: World, crowd: Crowd, kind: str) -> None:
    campaign = start_under_load(world, crowd, f"kill {kind}")
    finish_exactly(campaign, kill_all(world, campaign, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_each_process_of_a_kind_is_stopped(world: World, crowd: Crowd, kind: str) -> None:
    campaign = start_under_load(world, crowd, f"stop {kind}")
    finish_exactly(campaign, stop_all(world, campaign, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_a_kind_is_frozen_past_its_lease(world: World, crowd: Crowd, kind: str) -> None:
    """Of the schedulers the leader is frozen, until Postgres has released its lock."""
    campaign = start_under_load(world, crowd, f"freeze {kind}")
    finish_exactly(campaign, freeze_one(world, campaign, kind, LEADER_FROZEN_S if kind == "scheduler" else FROZEN_S))


def test_senders_frozen_between_claim_and_post_do_not_post_after_they_wake(world: World, crowd: Crowd) -> None:
    """Their leases have expired. Another attempt sends to the same recipients."""
    campaign = start_under_load(world, crowd, "freeze between claim and post")
    fault, claimed = freeze_claimed(world, campaign)
    finish_exactly(campaign, fault)
    assert claimed.isdisjoint(campaign.posted())
