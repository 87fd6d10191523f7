"""What the fast way of the sink writes itself, and what it leaves to the general way."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from domain.facts import facts_of, merge
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.places import Record
from sinks import usual
from sinks.apply import Applied, KnownPhoneNumbers, Unusual, apply_events
from sinks.usual import take_usual, write_usual
from tables.recipients import read_facts
from tests.support.histories import START
from tests.support.world import World


def records(*events: RecipientEvent) -> list[Record]:
    return [Record("events", 0, offset, each.key, encode(each)) for offset, each in enumerate(events)]


async def write(world: World, *events: RecipientEvent) -> Applied:
    async with world.connection.transaction():
        return await write_usual(world.connection, await take_usual(world.connection, records(*events)))


async def test_usual_events_become_facts_and_messages(world: World) -> None:
    first, second = await world.add_recipients(2)
    events = [world.event(first, EventKind.READ, 3), world.event(second, EventKind.ACCEPTED)]
    events += [world.event(first, EventKind.ACCEPTED), world.event(first, EventKind.DELIVERED, 2)]
    applied = await write(world, *events)
    assert (applied.rows_changed, applied.double_sends) == (2, 0)
    expected = facts_of(events[0], 1)
    for event in events[2:]:
        expected = merge(expected, facts_of(event, 1))
    found = await read_facts(world.connection, [first, second])
    assert found == {first: expected, second: facts_of(events[1], 1)}
    assert await world.run("SELECT recipient_id, attempt FROM messages ORDER BY 1") == [(first, 1), (second, 1)]
    assert await write(world, *events) == Applied()


@pytest.mark.parametrize("searched_together", [1, 2, 2_500])
async def test_events_that_are_refused_are_left_to_the_general_way(
    world: World, monkeypatch: pytest.MonkeyPatch, searched_together: int
) -> None:
    monkeypatch.setattr(usual, "SEARCHED_TOGETHER", searched_together)
    good, old = await world.add_recipients(2)
    events = [
        world.event(RecipientId(uuid4()), EventKind.SENT),
        world.event(good, EventKind.SENT),
        world.event(old, EventKind.SENT),
        world.event(old, EventKind.SENT, minutes=-3 * 24 * 60),
    ]
    part = await take_usual(world.connection, records(*events))
    assert [record.offset for record in part.others] == [0, 2, 3]
    assert [each.id for each in part.facts] == [good.bytes]


async def test_a_batch_with_parked_statuses_is_left_to_the_general_way(world: World) -> None:
    (person,) = await world.add_recipients(1)
    parked = world.event(person, EventKind.READ, recipient_id=None, campaign_id=None, attempt=None)
    await apply_events(world.connection, [parked], KnownPhoneNumbers())
    with pytest.raises(Unusual):
        await write(world, world.event(person, EventKind.ACCEPTED))
    assert await world.count("messages WHERE recipient_id IS NOT NULL") == 0


async def test_a_second_wamid_of_an_attempt_is_a_double_send(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await write(world, world.event(person, EventKind.ACCEPTED))
    again = world.event(person, EventKind.SENT, wamid=Wamid("wamid.second"))
    retried = world.event(person, EventKind.SENT, wamid=Wamid("wamid.third"), attempt=2)
    assert (await write(world, again, retried)).double_sends == 2
    assert await world.count("double_sends") == 2
    assert (await write(world, again, retried)).double_sends == 0


async def test_a_known_message_is_neither_written_nor_locked(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await write(world, world.event(person, EventKind.ACCEPTED))
    later = world.event(person, EventKind.READ, occurred_at=START + timedelta(minutes=1))
    async with world.another("other") as other, other.transaction():
        await other.execute("SELECT FROM messages FOR UPDATE")
        await world.connection.execute("SET lock_timeout = '100ms'")
        assert (await write(world, later)).rows_changed == 1
