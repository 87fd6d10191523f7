"""Recipients are inserted by two ways with the same result, and their campaign exists as long as they do."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from uuid import UUID

import psycopg
import pytest

from domain.people import PersonKey, person_of
from tables import campaigns, new_recipients
from tables.new_recipients import NewRecipient, batch_of
from tables.person_links import link_keys
from tables.turns import Turn
from tests.support.world import World

ROUNDS, PEOPLE = 60, 6
MISSING = UUID(int=0)
ADD = "INSERT INTO campaign_recipients (campaign_id, phone_number) VALUES"
RELEASE = "INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day) VALUES"
ROWS = """
    SELECT phone_number, user_id, template_parameters, person, repetition, status, max_retries FROM campaign_recipients
    WHERE campaign_id = %s ORDER BY person"""


def some_people(random: Random) -> list[NewRecipient]:
    """People in any order, without a key twice. Some have two names. Two spell one number."""
    numbers = [f"1555000000{n}" for n in range(PEOPLE)] + ["5215512345678", "525512345678"]
    found: list[NewRecipient] = []
    taken: set[str] = set()
    for number in random.sample(numbers, random.randint(1, len(numbers))):
        user_id = random.choice([None, None, f"US.{random.randrange(PEOPLE)}"])
        phone_number = number if user_id is None or random.random() < 0.5 else None
        new = NewRecipient(phone_number, random.choice([None, ["Ana"], {"name": "Bo"}]), user_id)
        keys = {new.person, f"user:{user_id}"} if user_id else {new.person}
        if not keys & taken:
            found.append(new)
            taken |= keys
    return found


async def test_both_ways_add_the_same_people_and_name_the_same_ones_that_are_there(world: World) -> None:
    random = Random(7)
    for _ in range(ROUNDS):
        before, given = some_people(random), some_people(random)
        keys = sorted({key for each in before + given for key in (each.person, f"user:{each.user_id}")})
        linked = sorted(random.sample(keys, 2)) if len(keys) > 1 and random.random() < 0.7 else []
        pairs = {(PersonKey(linked[0]), PersonKey(linked[1])): random.random() < 0.5} if linked else {}
        found = []
        for insert in (new_recipients.insert, new_recipients.insert_sooner):
            async with world.connection.transaction(force_rollback=True):
                campaign = await world.create_campaign(0)
                await new_recipients.insert(world.connection, campaign, batch_of(before), Turn())
                await link_keys(world.connection, pairs)
                names = await insert(world.connection, campaign, batch_of(given), Turn())
                links = await world.run("SELECT * FROM person_links ORDER BY 1, 2")
                counted = await world.run(
                    "SELECT dimension, key, sum(n) FROM campaign_counter_deltas WHERE campaign_id = %s"
                    " GROUP BY 1, 2 ORDER BY 1, 2", campaign,
                )  # fmt: skip
                found.append((sorted(names), await world.run(ROWS, campaign), links, counted))
        assert found[0] == found[1]


async def test_new_ids_are_of_version_7_and_follow_the_order_of_people(world: World) -> None:
    campaign = await world.create_campaign(0)
    began = await world.value("SELECT campaigns_uuid_v7()")
    people = [NewRecipient(f"155500{n:05}") for n in range(500)]
    Random(3).shuffle(people)
    await campaigns.add_recipients(world.connection, campaign, people)
    ended = await world.value("SELECT campaigns_uuid_v7()")
    rows = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s ORDER BY person", campaign)
    ids: list[UUID] = [row[0] for row in rows]
    assert ids == sorted(ids)
    assert {(each.version, each.variant) for each in ids} == {(7, began.variant)}
    assert began.bytes[:6] <= ids[0].bytes[:6] <= ids[-1].bytes[:6] <= ended.bytes[:6]


async def test_a_person_whom_another_client_has_just_added_is_there_already(world: World) -> None:
    campaign = await world.create_campaign(0)
    people = [NewRecipient("15550000001"), NewRecipient("15550000002")]
    async with world.another("import") as importer:
        async with world.connection.transaction():
            await campaigns.add_recipients(world.connection, campaign, people[:1])
            adding = asyncio.create_task(campaigns.add_recipients(importer, campaign, people))
            await world.wait_for_blocked("import")
        assert (await adding).present == {"15550000001"}
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s", campaign) == 2


async def test_a_person_twice_in_one_call_is_added_once(world: World) -> None:
    campaign = await world.create_campaign(0)
    people = [NewRecipient("5215512345678"), NewRecipient("525512345678")]
    assert len((await campaigns.add_recipients(world.connection, campaign, people)).other_spellings) == 1
    assert await world.run("SELECT person FROM campaign_recipients WHERE campaign_id = %s", campaign) == [
        (person_of("5215512345678"),)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        f"{ADD} ('{MISSING}', '15550000001')",
        f"{ADD} (%(campaign)s, '15550000009'), ('{MISSING}', '15550000001')",
        f"UPDATE campaign_recipients SET campaign_id = '{MISSING}' WHERE campaign_id = %(campaign)s",
        "DELETE FROM marketing_campaigns WHERE id = %(campaign)s",
        "UPDATE marketing_campaigns SET id = campaigns_uuid_v7() WHERE id = %(campaign)s",
    ],
)
async def test_no_recipient_is_without_its_campaign(world: World, statement: str) -> None:
    campaign = await world.create_campaign(2)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await world.connection.execute(statement.encode(), {"campaign": campaign})


@pytest.mark.parametrize(
    "statement",
    [
        f"{RELEASE} (gen_random_uuid(), 1, '{MISSING}', '1', now(), '2026-01-01')",
        f"UPDATE releases SET campaign_id = '{MISSING}' WHERE campaign_id = %(campaign)s",
        "DELETE FROM marketing_campaigns WHERE id = %(campaign)s",
    ],
)
async def test_no_release_is_without_its_campaign(world: World, statement: str) -> None:
    campaign = await world.create_campaign(0)
    await world.run(f"{RELEASE} (gen_random_uuid(), 1, %s, '1', now(), '2026-01-01')", campaign)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await world.connection.execute(statement.encode(), {"campaign": campaign})


async def test_a_campaign_whose_recipients_are_just_added_is_not_deleted(world: World) -> None:
    delete = b"DELETE FROM marketing_campaigns WHERE id = %s"
    campaign = await world.create_campaign(0)
    async with world.another("operator") as operator:
        async with world.connection.transaction():
            await world.run(f"{ADD} (%s, '15550000001')", campaign)
            deleting = asyncio.create_task(operator.execute(delete, [campaign]))
            await world.wait_for_blocked("operator")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            await deleting


async def test_a_campaign_is_deleted_in_read_committed_only(world: World) -> None:
    """An older snapshot would not show the recipients that another transaction has just added."""
    campaign = await world.create_campaign(0)
    for level in (psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE):
        async with world.another("operator") as operator:
            await operator.set_isolation_level(level)
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                async with operator.transaction():
                    await operator.execute("DELETE FROM marketing_campaigns WHERE id = %s", [campaign])


@pytest.mark.parametrize(
    ("number", "is_stored"),
    [
        ("1234567", True),
        ("123456", False),
        ("1" * 15, True),
        ("1" * 16, False),
        ("0123456789", False),
        ("+1234567890", False),
        ("1234567a", False),
        ("12345678\n", False),
        ("１２３４５６７８", False),
    ],
)
async def test_only_digits_of_an_international_number_are_stored(world: World, number: str, is_stored: bool) -> None:
    try:
        await world.run(f"{ADD} (%s, %s)", await world.create_campaign(0), number)
    except psycopg.errors.CheckViolation:
        assert not is_stored
    else:
        assert is_stored


async def test_new_rows_are_counted_as_all_rows_are(world: World) -> None:
    """Rows of which something is known are counted by another statement than those of an import."""
    rows = {
        "new": "NULL, NULL, NULL", "due": "NULL, now(), NULL",
        "sent": "now(), NULL, NULL", "replied": "NULL, NULL, now()",
    }  # fmt: skip
    insert = (
        "INSERT INTO campaign_recipients (campaign_id, phone_number, sent_at, scheduled_send_date, replied_at) VALUES"
    )
    deltas = "SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = %s AND n <> 0 ORDER BY 1, 2"
    found: dict[tuple[str, ...], Counter[str]] = {}
    for kinds in (("new", "new"), *((kind,) for kind in rows), ("new", "new", "due", "sent", "replied")):
        campaign = await world.create_campaign(0)
        values = ", ".join(f"('{campaign}', '1555000000{n}', {rows[kind]})" for n, kind in enumerate(kinds))
        await world.run(f"{insert} {values}")
        found[kinds] = Counter({f"{dimension}/{key}": n for dimension, key, n in await world.run(deltas, campaign)})
    assert found["new", "new"] == {"funnel/total": 2, "status/pending": 2, "prefix/1": 2}
    alone = found["new", "new"] + found["due",] + found["sent",] + found["replied",]
    assert found["new", "new", "due", "sent", "replied"] == alone
    assert alone["funnel/due"] == alone["funnel/sent"] == alone["funnel/replied"] == 1
