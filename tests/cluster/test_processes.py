"""Every process is restarted under load, one after another."""

from __future__ import annotations

import pytest

from tests.cluster.scenario import run_scenario
from tests.cluster.world import ClusterWorld
from tests.faults.steady_load import Crowd

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SENDS_PAUSE_MAX_S = 3.0
PROBE_GAP_MAX_S = 1.0
"""A probe is posted every 0.2 s. Two busy cores delay one by some tenths of a second without any fault."""


def test_a_rolling_restart_of_every_process_pauses_sends_for_3_seconds_at_most(
    cluster: ClusterWorld, crowd: Crowd
) -> None:
    outcome = run_scenario(cluster, crowd, "rolling restart of every process", ClusterWorld.rolling_restart)
    assert outcome.pauses.refused == 0
    assert outcome.pauses.acknowledgements.seconds < PROBE_GAP_MAX_S
    assert outcome.pauses.sends.seconds <= SENDS_PAUSE_MAX_S
