"""Statuses and wamids that meet in any order: parked, told, foreign, and two wamids of one attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from schemas.events import EventKind, Pricing, RecipientEvent
from schemas.model import CampaignId, RecipientId, Wamid
from sinks.apply import KnownPhoneNumbers, apply_events
from tables.database import Connection, connect
from tables.parked import forget_parked
from tests.support.campaign_rows import NUMBER_ID, add_campaign, add_recipients
from tests.support.histories import START

WAMID = Wamid("wamid.one")


class Sinks:
    """Two connections and one recipient."""

    def __init__(self, first: Connection, second: Connection, campaign: CampaignId, person: RecipientId) -> None:
        self.first, self.second, self.campaign, self.person = first, second, campaign, person

    async def status(self) -> str:
        cursor = await self.first.execute("SELECT status FROM campaign_recipients WHERE id = %s", [self.person])
        row = await cursor.fetchone()
        assert row is not None
        return str(row[0])

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return await (await self.first.execute(statement.encode())).fetchall()


@pytest.fixture
async def sinks(database_url: str) -> AsyncIterator[Sinks]:
    first = await connect(database_url, application_name="one")
    second = await connect(database_url, application_name="two")
    async with first, second:
        campaign = await add_campaign(first)
        (person,) = await add_recipients(first, campaign, 1)
        yield Sinks(first, second, campaign, person)


def accepted(person: RecipientId, wamid: Wamid = WAMID, attempt: int = 1) -> RecipientEvent:
    return RecipientEvent(
        kind=EventKind.ACCEPTED, recipient_id=person, attempt=attempt, wamid=wamid, phone_number_id=NUMBER_ID,
        occurred_at=START, received_at=START,
    )  # fmt: skip


def anonymous(kind: EventKind = EventKind.DELIVERED, **fields: Any) -> RecipientEvent:
    known: dict[str, Any] = {
        "wamid": WAMID, "phone_number_id": NUMBER_ID, "occurred_at": START, "received_at": START
    }  # fmt: skip
    return RecipientEvent(kind=kind, **(known | fields))


async def apply(connection: Connection, *events: RecipientEvent) -> Any:
    async with connection.transaction():
        return await apply_events(connection, events, KnownPhoneNumbers())


@pytest.mark.parametrize("parker_is_first", [True, False])
async def test_two_sinks_at_once_miss_nothing(sinks: Sinks, parker_is_first: bool) -> None:
    """One parks a status, the other learns the wamid, and neither has committed when the other begins."""
    batches = [anonymous(), accepted(sinks.person)]
    one, other = batches if parker_is_first else reversed(batches)
    async with sinks.first.transaction():
        await apply_events(sinks.first, [one], KnownPhoneNumbers())
        waiting = asyncio.create_task(apply(sinks.second, other))
        await _is_blocked(sinks)
    await waiting
    assert await sinks.status() == "delivered"


async def _is_blocked(sinks: Sinks) -> None:
    """The second sink waits for the first one's row of messages."""
    asked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    for _ in range(500):
        row = await (await sinks.first.execute(asked, [sinks.second.info.backend_pid])).fetchone()
        if row and row[0]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the second sink did not wait for the first")


async def test_a_second_wamid_of_one_attempt_is_a_double_send(sinks: Sinks) -> None:
    other = Wamid("wamid.two")
    assert (await apply(sinks.first, accepted(sinks.person))).double_sends == 0
    assert (await apply(sinks.first, accepted(sinks.person, Wamid("wamid.b"), attempt=2))).double_sends == 0
    assert (await apply(sinks.second, accepted(sinks.person, other))).double_sends == 2
    assert (await apply(sinks.first, accepted(sinks.person, other))).double_sends == 0
    assert await sinks.rows("SELECT attempt, wamid FROM double_sends ORDER BY wamid") == [(1, WAMID), (1, other)]


async def test_two_sinks_that_learn_two_wamids_at_once_still_publish(sinks: Sinks) -> None:
    async with sinks.first.transaction():
        await apply_events(sinks.first, [accepted(sinks.person)], KnownPhoneNumbers())
        waiting = asyncio.create_task(apply(sinks.second, accepted(sinks.person, Wamid("wamid.two"))))
        await _is_blocked(sinks)
    assert (await waiting).double_sends == 2


async def test_unclaimed_statuses_are_counted_as_foreign(sinks: Sinks) -> None:
    await apply(sinks.first, anonymous(), anonymous(wamid="wamid.other"))
    assert await forget_parked(sinks.first) == 0
    await sinks.first.execute("UPDATE messages SET first_seen_at = first_seen_at - interval '25 hours'")
    await apply(sinks.first, accepted(sinks.person))
    assert await forget_parked(sinks.second) == 1
    assert await sinks.rows("SELECT wamid FROM messages") == [(WAMID,)]
    assert await sinks.rows("SELECT phone_number_id, n FROM foreign_statuses") == [(NUMBER_ID, 1)]


async def test_a_number_that_is_not_ours_is_not_parked(sinks: Sinks) -> None:
    foreign = anonymous(phone_number_id="999")
    applied = await apply(sinks.first, foreign, foreign, anonymous())
    assert applied.foreign == 2
    assert await sinks.rows("SELECT phone_number_id, n FROM foreign_statuses") == [("999", 2)]
    assert await sinks.rows("SELECT wamid FROM messages") == [(WAMID,)]


async def test_the_first_known_price_is_kept(sinks: Sinks) -> None:
    late, early = (
        anonymous(occurred_at=START + timedelta(minutes=m), pricing=Pricing(type=word, category="marketing"))
        for m, word in ((2, "regular"), (1, "free"))
    )
    await apply(sinks.first, late)
    await apply(sinks.second, early, accepted(sinks.person))
    await apply(sinks.first, late)
    assert await sinks.rows("SELECT pricing_type, pricing_category FROM messages") == [("free", "marketing")]


async def test_parked_statuses_of_an_impossible_time_are_refused(sinks: Sinks) -> None:
    assert (await apply(sinks.first, anonymous(occurred_at=START - timedelta(days=9)))).refused
    assert not (await apply(sinks.first, anonymous(occurred_at=START - timedelta(days=3)))).refused
    assert (await apply(sinks.second, accepted(sinks.person))).parked_lost == 1
    assert await sinks.status() == "sent"
