"""Laws of all limits together on a real Postgres, by seeded walks whose clock passes seconds, hours and days.

After each move the counters, explanations and budgets equal the rows and a model. Each post is within its window, the
limit of the day, the budget of the portfolio in any 24 hours, the pair limit and the frequency cap, and goes to nobody
who has opted out by webhook a minute ago. At the end the laws of tests/properties/test_people_walks.py hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.properties.limits.clock import open_timed_world
from tests.properties.limits.walk import BEGINS_AT, LimitedWalk
from tests.properties.people.replays import check_walk
from tests.support.world import World

STEPS = 60
QUICK, MORE = range(2), range(2, 60)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_timed_world(database_url, BEGINS_AT) as opened:
        yield opened


@pytest.mark.parametrize("seed", QUICK)
async def test_limits_hold_at_every_step(world: World, seed: int) -> None:
    await check_walk(LimitedWalk(world, Random(seed)), STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE)
async def test_limits_hold_at_every_step_of_many_walks(world: World, seed: int) -> None:
    await check_walk(LimitedWalk(world, Random(seed)), STEPS)
