"""Pages of recipients: a person is found by an index, whatever the size of the campaign."""

from __future__ import annotations

from tables.recipient_pages import read_page
from tables.statements import load
from tests.support.world import World

SQL = load("recipient_pages")


async def test_a_person_is_found_by_the_index_that_makes_people_unique(world: World) -> None:
    campaign = await world.start_campaign(500)
    await world.run("SET plan_cache_mode = force_generic_plan")
    await world.run("ANALYZE campaign_recipients")
    values = {"campaign": campaign, "after": campaign, "limit": 100, "statuses": None, "person": "15550000007"}
    cursor = await world.connection.execute("EXPLAIN " + SQL["list_person"], values)
    plan = " ".join(str(row[0]) for row in await cursor.fetchall())
    assert "campaign_recipients_campaign_id_person_repetition_key" in plan, plan
    (row,) = await read_page(world.connection, campaign, limit=100, person="15550000007")
    assert (row.phone_number, row.person) == ("15550000007", "15550000007")


async def test_a_person_may_be_filtered_by_status_too(world: World) -> None:
    campaign = await world.start_campaign(3)
    found = await read_page(world.connection, campaign, limit=9, person="15550000001", statuses=["sent"])
    assert found == []
    assert len(await read_page(world.connection, campaign, limit=9, person="15550000001", statuses=["pending"])) == 1
