"""A batch with usual events and others: what it writes without the general way, and what it leaves to it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from domain.facts import facts_of, merge
from domain.fold import fold
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import Wamid
from schemas.places import Record
from sinks.apply import Applied, FoldedEvents, KnownPhoneNumbers, Unusual, apply_events
from sinks.mixed import mix, write_mixed
from sinks.usual import take_usual
from tables.recipients import find_recipients, read_facts
from tests.support.world import World


def records(events: Sequence[RecipientEvent]) -> list[Record]:
    return [Record("events", 0, offset, each.key, encode(each)) for offset, each in enumerate(events)]


async def write(world: World, usual: Sequence[RecipientEvent], others: Sequence[RecipientEvent]) -> Applied:
    people = {each.recipient_id for each in others if each.recipient_id is not None}
    folded = fold(others, await find_recipients(world.connection, people), set())
    part = mix(FoldedEvents(folded), await take_usual(world.connection, records(usual)))
    async with world.connection.transaction():
        return await write_mixed(world.connection, part)


async def test_only_recipients_of_other_events_are_folded_in_the_general_way(world: World) -> None:
    read, failed = await world.add_recipients(2)
    usual = [world.event(read, EventKind.READ, 3), world.event(failed, EventKind.SENT, 1)]
    others = [world.retryable_failure(failed, 2)]
    part = mix(
        FoldedEvents(fold(others, await find_recipients(world.connection, [failed]), set())),
        await take_usual(world.connection, records(usual)),
    )
    assert (list(part.others.folded.facts), list(part.rest.facts)) == ([failed], [str(read)])
    assert part.messages is not None
    assert part.messages.keys() == {f"wamid.{read}", f"wamid.{failed}"}


async def test_usual_events_and_failures_become_the_same_facts_as_alone(world: World) -> None:
    read, failed, skipped = await world.add_recipients(3)
    usual = [world.event(read, EventKind.READ, 3), world.event(failed, EventKind.SENT, 1)]
    skip = world.event(skipped, EventKind.SKIPPED, wamid=None, skip_reason="opted_out")
    others = [world.retryable_failure(failed, 2), skip]
    applied = await write(world, usual, others)
    assert applied.rows_changed == 3
    assert await read_facts(world.connection, [read, failed, skipped]) == {
        read: facts_of(usual[0], 1),
        failed: merge(facts_of(usual[1], 1), facts_of(others[0], 1)),
        skipped: facts_of(skip, 1),
    }
    assert await world.run("SELECT recipient_id FROM messages ORDER BY 1") == [(read,), (failed,)]
    assert await write(world, usual, others) == Applied()


async def test_a_second_wamid_beside_a_failure_is_a_double_send(world: World) -> None:
    (person,) = await world.add_recipients(1)
    again = world.event(person, EventKind.SENT, wamid=Wamid("wamid.second"))
    assert (await write(world, [again], [world.retryable_failure(person)])).double_sends == 2


async def test_a_status_without_a_recipient_is_written_with_the_usual_events(world: World) -> None:
    (person,) = await world.add_recipients(1)
    parked = world.event(person, EventKind.READ, 2, recipient_id=None, campaign_id=None, attempt=None)
    accepted = world.event(person, EventKind.ACCEPTED)
    assert (await write(world, [accepted], [parked])).rows_changed == 1
    expected = merge(facts_of(accepted, 1), facts_of(parked, 1))
    assert await read_facts(world.connection, [person]) == {person: expected}


async def test_a_batch_with_parked_statuses_is_left_to_the_general_way(world: World) -> None:
    early, failed = await world.add_recipients(2)
    parked = world.event(early, EventKind.READ, recipient_id=None, campaign_id=None, attempt=None)
    await apply_events(world.connection, [parked], KnownPhoneNumbers())
    with pytest.raises(Unusual):
        await write(world, [world.event(early, EventKind.ACCEPTED)], [world.retryable_failure(failed)])


async def test_two_recipients_of_one_wamid_are_left_to_the_general_way(world: World) -> None:
    one, other = await world.add_recipients(2)
    usual = world.event(one, EventKind.SENT, wamid=Wamid("wamid.same"))
    with pytest.raises(Unusual):
        await write(world, [usual], [world.retryable_failure(other, wamid=Wamid("wamid.same"))])
