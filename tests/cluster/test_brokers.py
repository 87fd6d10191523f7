"""Brokers are killed and restarted under load."""

from __future__ import annotations

import httpx
import pytest

from tests.cluster.scenario import run_scenario
from tests.cluster.world import ClusterWorld
from tests.faults.injections import wait_seconds
from tests.faults.steady_load import Crowd

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

AWAY_S = 15.0
TWO_AWAY_S = 20.0
"""Longer than an ingress waits for Kafka, so that webhooks get 503."""


@pytest.mark.parametrize("node", [1, 2, 3])
def test_any_broker_is_killed_and_comes_back(cluster: ClusterWorld, crowd: Crowd, node: int) -> None:
    """One of the three leads the cluster, and each coordinates some of the consumer groups."""

    def kill(world: ClusterWorld) -> None:
        world.brokers.all[node - 1].kill()
        wait_seconds(AWAY_S)
        world.brokers.restore()

    run_scenario(cluster, crowd, f"broker {node} is killed", kill)


def test_two_of_three_brokers_are_killed_and_webhooks_are_refused_meanwhile(
    cluster: ClusterWorld, crowd: Crowd
) -> None:
    """One broker has no majority, and one replica is fewer than a write needs. So nothing may be acknowledged."""

    def kill(world: ClusterWorld) -> None:
        for broker in world.brokers.all[:2]:
            broker.kill()
        wait_seconds(TWO_AWAY_S)
        world.brokers.restore()

    outcome = run_scenario(cluster, crowd, "two of three brokers are killed", kill)
    assert {probe.status for probe in outcome.refused} == {httpx.codes.SERVICE_UNAVAILABLE}


def test_the_brokers_are_restarted_one_after_another(cluster: ClusterWorld, crowd: Crowd) -> None:
    run_scenario(cluster, crowd, "rolling restart of the brokers", lambda world: world.brokers.rolling_restart())
