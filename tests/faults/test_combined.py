"""The five most revealing faults, one after another in one campaign: the part of the faults that `make test` runs.

Each of them also has a test and a campaign of its own, which `make test-all` and `make faults` run.
"""

from __future__ import annotations

import time

import pytest

from tests.faults.campaign import Strike, require_exact
from tests.faults.disturbances import twin
from tests.faults.steady import Crowd
from tests.faults.story import under_load
from tests.faults.strikes import freeze_one, kill_all, kill_kafka, kill_postgres
from tests.faults.world import World

pytestmark = pytest.mark.faults

STRIKES: dict[str, Strike] = {
    "all senders are killed": lambda world, underway: kill_all(world, underway, "sender"),
    "two sinks own the same partitions": twin,
    "one sender is frozen past its lease": lambda world, underway: freeze_one(world, underway, "sender"),
    "Postgres is killed": kill_postgres,
    "Kafka is killed": kill_kafka,
}


def test_a_campaign_survives_five_faults_and_stays_exact(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "five faults")
    unknown_max, recovery_s = 0, 0.0
    for name, strike in STRIKES.items():
        struck = strike(world, underway)
        assert struck.in_flight > 0, name
        recovery_s = underway.recovery_s(struck.ended_at)
        world.require_alive()
        unknown_max += struck.unknown_max
        print(f"{name}: {struck.in_flight} in flight, recovered in {recovery_s:.1f} s", flush=True)
    require_exact(underway.finish(time.time(), recovery_s), unknown_max)
