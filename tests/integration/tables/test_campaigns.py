"""Recipients are added by several clients at once."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from domain.lifecycle import Action
from domain.people import PersonKey
from schemas.model import CampaignId
from tables import campaigns
from tables.campaigns import NewCampaign
from tables.database import connect
from tables.new_recipients import NewRecipient
from tables.person_links import link_keys
from tables.publications import Patience, find_unclaimed
from tables.recipient_pages import read_page
from tests.support.world import NUMBER_ID, World

PEOPLE = 4000
NEW = NewCampaign("Test Campaign", "your_template", "en_US", None, NUMBER_ID, "UTC")


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


USER = "US.13491208655302741918"
PERSON = "SELECT person, phone_number, user_id FROM campaign_recipients ORDER BY 1"


async def test_recipients_are_added_by_number_by_user_id_and_by_both(world: World) -> None:
    people = [
        NewRecipient("4915123456789"), NewRecipient(None, user_id="US.1"), NewRecipient("14694652751", user_id=USER),
    ]  # fmt: skip
    assert not (await campaigns.add_recipients(world.connection, world.campaign, people)).present
    assert await world.run(PERSON) == [
        ("14694652751", "14694652751", USER), ("4915123456789", "4915123456789", None), ("user:US.1", None, "US.1"),
    ]  # fmt: skip
    key = f"user:{USER}"
    assert sorted(await world.run("SELECT * FROM person_links")) == [
        ("14694652751", key, True), (key, "14694652751", True),
    ]  # fmt: skip


async def test_a_person_that_the_campaign_has_under_any_name_is_not_added_again(world: World) -> None:
    await campaigns.add_recipients(world.connection, world.campaign, [NewRecipient("14694652751", user_id=USER)])
    again = [NewRecipient("14694652751"), NewRecipient(None, user_id=USER), NewRecipient("4915123456789", user_id=USER)]
    found = await campaigns.add_recipients(world.connection, world.campaign, again)
    assert found.present == {"14694652751", f"user:{USER}"}
    assert found.other_spellings == {"4915123456789"}
    assert await world.count("campaign_recipients") == 1


async def test_a_recipient_without_a_number_is_released_and_found_by_each_name(world: World) -> None:
    campaign = CampaignId((await campaigns.create(world.connection, NEW)).id)
    await campaigns.add_recipients(world.connection, campaign, [NewRecipient(None, user_id=USER)])
    await world.act(campaign, Action.ACTIVATE)
    [job] = (await world.release()).jobs
    assert (job.phone_number, job.user_id) == (None, USER)
    [again] = await find_unclaimed(world.connection, {}, Patience(grace_s=-1), 10)
    assert again == job
    await link_keys(world.connection, {(PersonKey("14694652751"), PersonKey(f"user:{USER}")): True})
    for person in ("14694652751", f"user:{USER}"):
        page = await read_page(world.connection, campaign, limit=9, person=PersonKey(person))
        assert [each.user_id for each in page.rows] == [USER]


@pytest.mark.parametrize(
    "values", ["NULL, NULL", "'14694652751', '13491'", "NULL, 'US.1'), (%(campaign)s, '4915123456789', 'US.1'"]
)
async def test_a_row_without_a_name_or_with_one_twice_is_refused(world: World, values: str) -> None:
    """Also for writers of SQL."""
    insert = f"INSERT INTO campaign_recipients (campaign_id, phone_number, user_id) VALUES (%(campaign)s, {values})"
    with pytest.raises(psycopg.IntegrityError):
        await world.connection.execute(insert, {"campaign": world.campaign})
