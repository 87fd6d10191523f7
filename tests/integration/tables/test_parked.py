"""Statuses and wamids that meet in any order: parked, claimed, foreign, and two wamids of one attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from schemas.events import EventKind, Pricing, RecipientEvent
from schemas.model import RecipientId, Wamid
from sinks.apply import KnownPhoneNumbers, apply_events
from tables.database import Connection
from tables.parked import forget_parked
from tests.support.histories import START
from tests.support.world import NUMBER_ID, World

WAMID = Wamid("wamid.one")


class Sinks:
    """The connections of two sinks, and one recipient."""

    def __init__(self, world: World, first: Connection, second: Connection, person: RecipientId) -> None:
        self.world, self.first, self.second, self.person = world, first, second, person

    async def status(self) -> str:
        return str(await self.world.value("SELECT status FROM campaign_recipients WHERE id = %s", self.person))

    async def second_waits(self) -> None:
        await self.world.wait_for_blocked("second")


@pytest.fixture
async def sinks(world: World) -> AsyncIterator[Sinks]:
    async with world.another("first") as first, world.another("second") as second:
        (person,) = await world.add_recipients(1)
        yield Sinks(world, first, second, person)


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
        await sinks.second_waits()
    await waiting
    assert await sinks.status() == "delivered"


async def test_a_second_wamid_of_one_attempt_is_a_double_send(sinks: Sinks) -> None:
    other = Wamid("wamid.two")
    assert (await apply(sinks.first, accepted(sinks.person))).double_sends == 0
    assert (await apply(sinks.first, accepted(sinks.person, Wamid("wamid.b"), attempt=2))).double_sends == 0
    assert (await apply(sinks.second, accepted(sinks.person, other))).double_sends == 2
    assert (await apply(sinks.first, accepted(sinks.person, other))).double_sends == 0
    assert await sinks.world.run("SELECT attempt, wamid FROM double_sends ORDER BY wamid") == [(1, WAMID), (1, other)]


async def test_two_sinks_that_learn_two_wamids_at_once_still_publish(sinks: Sinks) -> None:
    async with sinks.first.transaction():
        await apply_events(sinks.first, [accepted(sinks.person)], KnownPhoneNumbers())
        waiting = asyncio.create_task(apply(sinks.second, accepted(sinks.person, Wamid("wamid.two"))))
        await sinks.second_waits()
    assert (await waiting).double_sends == 2


async def test_unclaimed_statuses_are_counted_as_foreign(sinks: Sinks) -> None:
    await apply(sinks.first, anonymous(), anonymous(wamid="wamid.other"))
    assert await forget_parked(sinks.first) == 0
    await sinks.first.execute("UPDATE messages SET first_seen_at = first_seen_at - interval '25 hours'")
    await apply(sinks.first, accepted(sinks.person))
    assert await forget_parked(sinks.second) == 1
    assert await sinks.world.run("SELECT wamid FROM messages") == [(WAMID,)]
    assert await sinks.world.run("SELECT phone_number_id, n FROM foreign_statuses") == [(NUMBER_ID, 1)]


async def test_a_number_that_is_not_ours_is_not_parked(sinks: Sinks) -> None:
    foreign = anonymous(phone_number_id="999")
    applied = await apply(sinks.first, foreign, foreign, anonymous())
    assert applied.foreign == 2
    assert await sinks.world.run("SELECT phone_number_id, n FROM foreign_statuses") == [("999", 2)]
    assert await sinks.world.run("SELECT wamid FROM messages") == [(WAMID,)]


async def test_the_first_known_price_is_kept(sinks: Sinks) -> None:
    late, early = (
        anonymous(occurred_at=START + timedelta(minutes=m), pricing=Pricing(type=word, category="marketing"))
        for m, word in ((2, "regular"), (1, "free"))
    )
    await apply(sinks.first, late)
    await apply(sinks.second, early, accepted(sinks.person))
    await apply(sinks.first, late)
    assert await sinks.world.run("SELECT pricing_type, pricing_category FROM messages") == [("free", "marketing")]


async def test_parked_statuses_of_an_impossible_time_are_refused(sinks: Sinks) -> None:
    assert (await apply(sinks.first, anonymous(occurred_at=START - timedelta(days=9)))).refused
    assert not (await apply(sinks.first, anonymous(occurred_at=START - timedelta(days=3)))).refused
    assert (await apply(sinks.second, accepted(sinks.person))).parked_lost == 1
    assert await sinks.status() == "sent"
