"""Five faults, one after another in one campaign. `make test` runs only this fault test.

Each of these faults also has its own test with its own campaign, which `make test-all` and `make faults` run.
"""

from __future__ import annotations

import time

import pytest

from tests.faults.campaign import require_exact
from tests.faults.disturbances import twin
from tests.faults.injections import Injection, freeze_one, kill_all, kill_kafka, kill_postgres
from tests.faults.start_and_end import start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import World

pytestmark = pytest.mark.faults

INJECTIONS: dict[str, Injection] = {
    "all senders are killed": lambda world, campaign: kill_all(world, campaign, "sender"),
    "two sinks own the same partitions": twin,
    "one sender is frozen past its lease": lambda world, campaign: freeze_one(world, campaign, "sender"),
    "Postgres is killed": kill_postgres,
    "Kafka is killed": kill_kafka,
}


def test_a_campaign_survives_five_faults_and_stays_exact(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "five faults")
    unknown_max, recovery_s = 0, 0.0
    for name, inject in INJECTIONS.items():
        fault = inject(world, campaign)
        assert fault.in_flight > 0, name
        recovery_s = campaign.recovery_s(fault.ended_at)
        world.require_alive()
        unknown_max += fault.unknown_max
        print(f"{name}: {fault.in_flight} in flight, recovered in {recovery_s:.1f} s", flush=True)
    require_exact(campaign.finish(time.time(), recovery_s), unknown_max)
