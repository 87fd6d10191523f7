"""Laws of identity on a real Postgres, by seeded walks of people with several names.

During a walk: no post to a human who has opted out a minute ago, no second message of a campaign to a human, none above
the frequency cap. After it: counters equal the rows, and the same events from zero, in any order, in any batches and
with duplicates, give the same people, rows, messages and counters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.properties.people.replays import check_walk
from tests.properties.people.walk import Walk
from tests.support.world import World, open_world

STEPS = 70
QUICK, MORE = range(3), range(3, 60)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


@pytest.mark.parametrize("seed", QUICK)
async def test_identities_hold_in_every_order(world: World, seed: int) -> None:
    await check_walk(Walk(world, Random(seed)), STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE)
async def test_identities_hold_in_every_order_of_many_walks(world: World, seed: int) -> None:
    await check_walk(Walk(world, Random(seed)), STEPS)
