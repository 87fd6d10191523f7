"""Whatever is written into a row directly is told as an event, so that the topic alone can make the row again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from domain.facts import Facts, facts_of, merge
from domain.lifecycle import Action
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from tables import closing
from tables.recipients import read_facts
from tests.support.campaign_world import CampaignWorld, a_campaign_world

LAST_WAITS = "UPDATE campaign_recipients SET attempt = 62, expired_attempt = 62, expired_until = now() WHERE id = %s"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[CampaignWorld]:
    async with a_campaign_world(database_url) as made:
        yield made


async def people(world: CampaignWorld, campaign: UUID) -> list[RecipientId]:
    rows = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s ORDER BY id", campaign)
    return [row[0] for row in rows]


async def untold(world: CampaignWorld, before: dict[RecipientId, Facts]) -> dict[RecipientId, tuple[Facts, Facts]]:
    """The rows that know more than their unpublished events say; as it is, as it was told."""
    told = dict(before)
    events = await world.run("SELECT event FROM send_ledger WHERE published_at IS NULL AND event IS NOT NULL")
    for (raw,) in events:
        event = decode(RecipientEvent, raw.encode())
        assert event.recipient_id is not None
        assert event.attempt is not None
        told[event.recipient_id] = merge(told[event.recipient_id], facts_of(event, event.attempt))
    now = await read_facts(world.operator, before)
    return {id_: (now[id_], told[id_]) for id_ in before if now[id_] != told[id_]}


async def test_skips_and_last_failures_of_a_release_are_published(world: CampaignWorld) -> None:
    campaign = await world.active(3)
    out, last, plain = await people(world, campaign)
    await world.run(
        "INSERT INTO subscriptions (person, source, subscribed, occurred_at)"
        " SELECT phone_number, 'operator', false, now() FROM campaign_recipients WHERE id = %s", out,
    )  # fmt: skip
    await world.run(LAST_WAITS, last)
    # Its expiry was told and applied, else it would not be due.
    await world.run(
        "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
        " outcome, outcome_at, event, published_at)"
        " VALUES (%s, 62, %s, now(), now(), gen_random_uuid(), now(), 'expired', now(), '{}', now())", last, campaign,
    )  # fmt: skip
    before = await read_facts(world.operator, [out, last, plain])
    step = await world.release()
    assert (len(step.jobs), step.skipped, step.exhausted) == (1, 1, 1)
    before[plain] = replace(before[plain], attempt=1)  # a release alone is no event
    assert await untold(world, before) == {}
    assert await world.run("SELECT outcome, published_at FROM send_ledger WHERE recipient_id = %s", last) == [
        ("rejected", None)
    ]


async def test_skips_and_last_failures_of_a_cancellation_are_published(world: CampaignWorld) -> None:
    campaign = await world.active(3)
    everyone = await people(world, campaign)
    await world.run(LAST_WAITS, everyone[1])
    before = await read_facts(world.operator, everyone)
    await world.act(campaign, Action.CANCEL)
    [cancelled] = await closing.find_cancelled(world.operator)
    assert (await closing.skip_chunk(world.operator, cancelled, 100)).skipped == 3
    assert await world.statuses(campaign) == {"skipped": 2, "failed": 1}
    assert await untold(world, before) == {}
