"""The start and the end of every fault test."""

from __future__ import annotations

import json

from tests.faults.campaign import InjectedFault, Result, RunningCampaign, require_exact
from tests.faults.steady_load import Crowd
from tests.faults.world import World

PER_S = 100.0
FLOWING = 150


def finish_exactly(campaign: RunningCampaign, fault: InjectedFault, *, clocks_stepped: bool = False) -> Result:
    """Finish the campaign, print the measurements, and fail for any difference."""
    result = campaign.finish(fault.ended_at, fault.recovery_s)
    print(json.dumps({"in_flight": fault.in_flight, **result.figures()}))
    assert fault.in_flight > 0
    require_exact(result, fault.unknown_max, clocks_stepped=clocks_stepped)
    return result


def start_under_load(world: World, crowd: Crowd, name: str) -> RunningCampaign:
    """Start a campaign under load, and wait for its first deliveries."""
    campaign = RunningCampaign(world, crowd, PER_S, name)
    campaign.wait_until_flowing(FLOWING)
    return campaign
