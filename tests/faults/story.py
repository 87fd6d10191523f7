"""How every test of a fault begins and ends."""

from __future__ import annotations

import json

from tests.faults.campaign import Result, Struck, Underway, require_exact
from tests.faults.steady import Crowd
from tests.faults.world import World

PER_S = 100.0
FLOWING = 150


def survived(underway: Underway, struck: Struck, *, clocks_stepped: bool = False) -> Result:
    """Finish the campaign; print what it took; fail for anything that differs."""
    result = underway.finish(struck.ended_at, struck.recovery_s)
    print(json.dumps({"in_flight": struck.in_flight, **result.figures()}))
    assert struck.in_flight > 0
    require_exact(result, struck.unknown_max, clocks_stepped=clocks_stepped)
    return result


def under_load(world: World, crowd: Crowd, name: str) -> Underway:
    """A campaign that flows."""
    underway = Underway(world, crowd, PER_S, name)
    underway.wait_until_flowing(FLOWING)
    return underway
