"""Brokers are killed and restarted under load."""

from __future__ import annotations

import pytest

from tests.cluster.scenario import run_scenario
from tests.cluster.world import ClusterWorld
from tests.faults.injections import wait_seconds
from tests.faults.steady_load import Crowd

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

AWAY_S = 15.0


@pytest.mark.parametrize("node", [1, 2, 3])
def test_any_broker_is_killed_and_comes_back(cluster: ClusterWorld, crowd: Crowd, node: int) -> None:
    """One of the three leads the cluster, and each coordinates some of the consumer groups."""

    def kill(world: ClusterWorld) -> None:
        world.brokers.all[node - 1].kill()
        wait_seconds(AWAY_S)
        world.brokers.restore()

    run_scenario(cluster, crowd, f"broker {node} is killed", kill)
