"""A row that another session holds locked delays its own events. Everything else is applied, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from operations.audit import applied_until, audit
from operations.comparison import compare_with_topic
from runtime.settings import Settings
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from tables import stats
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("topics")

OTHERS = 40
HELD = "SELECT count(*)::int FROM held_events"
STATUS = "SELECT status FROM campaign_recipients WHERE id = %s"


@asynccontextmanager
async def locked(world: World, statement: str, *values: object) -> AsyncIterator[None]:
    """Hold the rows of a statement locked in another session, as somebody at a prompt does."""
    async with world.another("campaigns-psql") as other, other.transaction():
        await other.execute(statement, values)
        yield


def story(world: World, person: RecipientId) -> list[RecipientEvent]:
    kinds = (EventKind.ACCEPTED, EventKind.SENT, EventKind.DELIVERED, EventKind.READ)
    return [world.event(person, kind, minute) for minute, kind in enumerate(kinds)]


async def delivered(world: World, count: int) -> None:
    counted = "SELECT count(*)::int FROM campaign_recipients WHERE campaign_id = %s AND status = 'read'"
    await world.wait_for_value(count, counted, world.campaign)


async def test_a_locked_recipient_delays_its_own_events_and_no_other(world: World, settings: Settings) -> None:
    first, *others = await world.add_recipients(1 + OTHERS)
    async with world.running_sinks():
        async with locked(world, "SELECT FROM campaign_recipients WHERE id = %s FOR UPDATE", first):
            await world.publish_events(*(event for person in (first, *others) for event in story(world, person)))
            await delivered(world, OTHERS)
            await world.wait_for_applied(4 * (1 + OTHERS))
            assert await world.value(HELD) == 4
            assert (await compare_with_topic(settings, None)).differs == 0
            until = await applied_until(world.connection, settings)
            assert (await audit(world.connection, None, until)).is_clean
        await delivered(world, 1 + OTHERS)
        await world.wait_for_value(0, HELD)
    assert await stats.recount(world.connection, world.campaign) == []
    assert (await compare_with_topic(settings, None)).differs == 0


async def test_a_locked_message_delays_its_own_status_and_no_other(world: World) -> None:
    first, *others = await world.add_recipients(1 + OTHERS)
    await world.publish_events(world.event(first, EventKind.ACCEPTED, wamid=Wamid("wamid.held")))
    async with world.running_sinks():
        await world.wait_for_value("sent", STATUS, first)
        async with locked(world, "SELECT FROM messages WHERE wamid = 'wamid.held' FOR UPDATE"):
            status = world.event(first, EventKind.READ, 5, wamid=Wamid("wamid.held"))
            without_recipient = status.model_copy(update={"recipient_id": None, "campaign_id": None, "attempt": None})
            await world.publish_events(
                without_recipient, *(event for person in others for event in story(world, person))
            )
            await delivered(world, OTHERS)
            assert await world.value(STATUS, first) == "sent"
        await world.wait_for_value("read", STATUS, first)
        await world.wait_for_value(0, HELD)
    assert await stats.recount(world.connection, world.campaign) == []


async def test_a_statement_over_a_whole_campaign_holds_its_events_until_it_ends(world: World) -> None:
    """An UPDATE over a whole campaign that somebody forgot to commit."""
    people = await world.add_recipients(OTHERS)
    async with world.running_sinks():
        async with locked(world, "SELECT FROM campaign_recipients WHERE campaign_id = %s FOR UPDATE", world.campaign):
            await world.publish_events(*(event for person in people for event in story(world, person)))
            await world.wait_for_value(4 * OTHERS, HELD)
        await delivered(world, OTHERS)
        await world.wait_for_value(0, HELD)
    assert await stats.recount(world.connection, world.campaign) == []


async def test_events_of_a_recipient_that_is_deleted_meanwhile_are_counted_and_forgotten(world: World) -> None:
    first, *others = await world.add_recipients(1 + OTHERS)
    async with world.running_sinks():
        async with locked(world, "DELETE FROM campaign_recipients WHERE id = %s", first):
            await world.publish_events(*(event for person in (first, *others) for event in story(world, person)))
            await delivered(world, OTHERS)
        await world.wait_for_value(0, HELD)
    assert await world.value("SELECT count(*)::int FROM campaign_recipients WHERE id = %s", first) == 0
    assert await stats.recount(world.connection, world.campaign) == []
