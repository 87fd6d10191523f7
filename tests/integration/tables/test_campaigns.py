"""Recipients are added by several clients at once."""

from __future__ import annotations

import asyncio

from tables import campaigns
from tables.campaigns import NewRecipient
from tables.database import connect
from tests.support.world import World

PEOPLE = 4000


async def test_two_imports_of_the_same_people_in_another_order_do_not_stop_each_other(
    world: World, database_url: str
) -> None:
    people = [NewRecipient(f"4915{number:09d}") for number in range(PEOPLE)]
    async with (
        await connect(database_url, application_name="first") as first,
        await connect(database_url, application_name="second") as second,
        asyncio.TaskGroup() as tasks,
    ):
        one = tasks.create_task(campaigns.add_recipients(first, world.campaign, people))
        other = tasks.create_task(campaigns.add_recipients(second, world.campaign, people[::-1]))
    assert len(one.result().present) + len(other.result().present) == PEOPLE
    assert await world.value("SELECT count(*) FROM campaign_recipients") == PEOPLE
