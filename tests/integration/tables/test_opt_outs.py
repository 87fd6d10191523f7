"""The messages that opt-outs follow, on a real Postgres: the rule of the domain in every order of the facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from domain.lifecycle import Action
from domain.opt_outs import FOLLOWS_WITHIN, ROUND_PAUSES_S, PersonalOptOut, followed
from domain.people import PersonKey
from domain.subscriptions import reach_of
from schemas.model import CampaignId
from tables import campaigns, opt_outs, person_links, stats
from tables.new_recipients import NewRecipient
from tables.opt_outs import NotedOptOut
from tests.support.world import World

NOW = datetime.now(UTC)
"""The age of an ended campaign matters, so the opt-outs are of now."""
HOUR = timedelta(hours=1)
NUMBER, USER = PersonKey("15550000001"), PersonKey("user:US.1")
OTHER = PersonKey("15550000002")
PEOPLE = (NewRecipient(NUMBER), NewRecipient(None, user_id="US.1"), NewRecipient(OTHER))
COUNTED = "SELECT campaign_id, sum(n)::int FROM report_counters WHERE key = 'opted_out' GROUP BY 1 HAVING sum(n) <> 0"


async def begin(world: World, count: int) -> list[CampaignId]:
    """Campaigns with the same people: a human by number and by user id, and another one."""
    started = [await world.create_campaign(0) for _ in range(count)]
    for campaign in started:
        await campaigns.add_recipients(world.connection, campaign, list(PEOPLE))
        await world.act(campaign, Action.ACTIVATE)
    return started


async def rows_of(world: World) -> dict[tuple[CampaignId, str], UUID]:
    rows = await world.run("SELECT campaign_id, person, id FROM campaign_recipients")
    return {(campaign, person): recipient for campaign, person, recipient in rows}


async def accept(world: World, recipient: UUID, at: datetime) -> None:
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, accepted_attempt = 1, accepted_at = %s,"
        " sent_at = %s WHERE id = %s", at, at, recipient,
    )  # fmt: skip


async def note(world: World, person: PersonKey, at: datetime, wamid: str = "") -> None:
    await opt_outs.note(world.connection, [NotedOptOut(person, PersonalOptOut(at, wamid))])


async def attributed(world: World) -> list[tuple[Any, ...]]:
    return await world.run("SELECT person, occurred_at, wamid, recipient_id FROM opt_outs ORDER BY 1, 2, 3")


@pytest.mark.parametrize("seed", range(6))
async def test_facts_in_any_order_give_what_the_domain_says(world: World, seed: int) -> None:
    chance = Random(seed)
    first, second = await begin(world, 2)
    rows = await rows_of(world)
    times = {recipient: NOW - chance.randint(1, 6) * HOUR for recipient in rows.values() if chance.random() < 0.7}
    owners = {"wamid.1": rows[first, NUMBER], "wamid.2": rows[second, OTHER]}
    stated = [
        NotedOptOut(chance.choice((NUMBER, USER, OTHER)), PersonalOptOut(
            NOW - chance.randint(0, 5) * HOUR, chance.choice(["", "", *owners, "wamid.foreign"])))
        for _ in range(5)
    ]  # fmt: skip
    links = {(NUMBER, USER): True} if chance.random() < 0.7 else {}
    expected = []
    for each in stated:
        human = reach_of(each.person, links)
        accepted = {recipient: times[recipient] for (_, key), recipient in rows.items()
                    if key in human and recipient in times}  # fmt: skip
        expected.append((each.person, each.opt_out.occurred_at, each.opt_out.wamid,
                         followed(each.opt_out, accepted, owners)))  # fmt: skip
    campaign_of = {recipient: campaign for (campaign, _), recipient in rows.items()}
    counted = [campaign_of[recipient] for recipient in {each[3] for each in expected} if recipient is not None]
    moves: list[Any] = [
        *(lambda r=recipient, at=at: accept(world, r, at) for recipient, at in times.items()),
        *(lambda each=each: opt_outs.note(world.connection, [each]) for each in [*stated, chance.choice(stated)]),
        *(lambda w=wamid, r=recipient: world.run(
            "INSERT INTO messages (wamid, recipient_id, attempt) VALUES (%s, %s, 1)", w, r)
          for wamid, recipient in owners.items()),
        lambda: person_links.link_keys(world.connection, links),
        world.attribute_opt_outs,
        world.attribute_opt_outs,
    ]  # fmt: skip
    chance.shuffle(moves)
    for move in moves:
        await move()
    await world.attribute_opt_outs()
    assert await attributed(world) == sorted(set(expected))
    assert dict(await world.run(COUNTED)) == {c: counted.count(c) for c in counted}
    for campaign in (first, second):
        assert await stats.recount(world.connection, campaign) == []


async def test_an_opt_out_moves_when_a_newer_message_becomes_known(world: World) -> None:
    first, second = await begin(world, 2)
    rows = await rows_of(world)
    await accept(world, rows[first, NUMBER], NOW - 2 * HOUR)
    await note(world, NUMBER, NOW)
    await note(world, NUMBER, NOW + HOUR)
    assert await opt_outs.attribute_due(world.connection, 100) == 2
    assert await world.run(COUNTED) == [(first, 1)]
    await accept(world, rows[second, NUMBER], NOW - HOUR)
    assert await opt_outs.attribute_due(world.connection, 100) == 0, "the next round is later"
    await world.attribute_opt_outs()
    assert await world.run(COUNTED) == [(second, 1)]
    assert await stats.recount(world.connection, first) == []


async def test_an_opt_out_is_final_after_its_last_round(world: World) -> None:
    await begin(world, 1)
    await note(world, NUMBER, NOW)
    for pause in ROUND_PAUSES_S:
        assert await opt_outs.attribute_due(world.connection, 100) == 1
        left = await world.value("SELECT extract(epoch FROM attribute_at - now())::float8 FROM opt_outs")
        assert pause - 5 < left <= pause + 5
        await world.run("UPDATE opt_outs SET attribute_at = now()")
    assert await opt_outs.attribute_due(world.connection, 100) == 1
    assert await world.run("SELECT rounds, attribute_at FROM opt_outs") == [(len(ROUND_PAUSES_S) + 1, None)]
    await note(world, NUMBER, NOW)
    assert await opt_outs.attribute_due(world.connection, 100) == 1, "a replay begins the rounds again"


async def test_a_campaign_that_ended_long_before_an_opt_out_is_not_read(world: World) -> None:
    (campaign,) = await begin(world, 1)
    rows = await rows_of(world)
    await accept(world, rows[campaign, NUMBER], NOW - HOUR)
    await world.run(
        "UPDATE marketing_campaigns SET status = 'completed', updated_at = %s WHERE id = %s",
        NOW - FOLLOWS_WITHIN, campaign,
    )  # fmt: skip
    await note(world, NUMBER, NOW)
    await world.attribute_opt_outs()
    assert await world.run(COUNTED) == [(campaign, 1)]
    await world.run("UPDATE marketing_campaigns SET updated_at = %s WHERE id = %s", NOW - timedelta(days=5), campaign)
    await world.attribute_opt_outs()
    assert await world.run(COUNTED) == []


async def test_every_writer_of_the_counted_rows_is_counted(world: World) -> None:
    (campaign,) = await begin(world, 1)
    await world.run(
        "INSERT INTO campaign_opt_outs (campaign_id, recipient_id) SELECT campaign_id, id FROM campaign_recipients"
    )
    assert await world.run(COUNTED) == [(campaign, 3)]
    await world.run("UPDATE campaign_opt_outs SET opt_outs = 0 WHERE recipient_id = (SELECT min(id::text)::uuid"
                    " FROM campaign_recipients)")  # fmt: skip
    assert await world.run(COUNTED) == [(campaign, 2)]
    assert await stats.recount(world.connection, campaign) == []
    await world.run("DELETE FROM campaign_opt_outs")
    assert await world.run(COUNTED) == []
