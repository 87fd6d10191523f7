"""The primary database is killed under load, and its standby takes over."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cluster.scenario import run_scenario
from tests.cluster.world import ClusterWorld
from tests.faults.campaign import CAMPAIGNS
from tests.faults.injections import BOTH
from tests.faults.steady_load import Crowd
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RECOVER_DEADLINE_S = 120.0
QUEUED = "SELECT count(*) FROM campaign_recipients WHERE status = 'queued'"


def recover(world: ClusterWorld, *options: str) -> dict[str, object]:
    """Run `campaigns recover`, as an operator does after a failover. Returns its result."""
    done = subprocess.run(
        [CAMPAIGNS, "recover", "--yes", "--json", *options],
        env=world.environment,
        cwd=world.folder,
        capture_output=True,
        text=True,
        timeout=RECOVER_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"campaigns recover ended with {done.returncode}: {done.stderr[-2000:]}"
    return dict(json.loads(done.stdout))


def test_the_synchronous_standby_is_promoted_and_nothing_is_lost(cluster: ClusterWorld, crowd: Crowd) -> None:
    """Nothing is sent before `campaigns recover --complete`. Then the releases without a claim are sent."""
    recovered: dict[str, object] = {}

    def fail_over(world: ClusterWorld) -> None:
        eventually(lambda: world.count(QUEUED), "messages are released")
        world.databases.promote()
        recovered.update(recover(world, "--complete"))

    run_scenario(cluster, crowd, "promotion of the synchronous standby", fail_over, unknown_max=BOTH)
    assert recovered["needed"] is True
    assert recovered["unknown"] == 0
