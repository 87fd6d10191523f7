"""Rows are recomputed from the kept topic and compared with the live rows, column by column."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.comparison import Comparison, compare_with_topic
from operations.rebuild import RebuildOptions, Rebuilt, rebuild
from operations.recompute import Recomputation
from schemas.codec import encode
from schemas.events import EventKind
from schemas.model import Wamid
from schemas.places import OffsetMismatch
from sinks.sink import accept_topic
from tests.support.histories import START
from tests.support.kafka_topics import delete_records, recreate_topic
from tests.support.processes import run_command
from tests.support.world import World

KINDS = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)
pytestmark = pytest.mark.usefixtures("topics", "no_shadow_tables_stay")


async def compare(world: World) -> Comparison:
    return await compare_with_topic(world.settings, world.campaign)


async def restore(world: World, *, allow_retries: bool = False) -> Rebuilt:
    return await rebuild(world.settings, RebuildOptions(world.campaign, is_applied=True, allow_retries=allow_retries))


def campaigns(world: World, folder: Path, *arguments: str) -> tuple[int, Any]:
    """The exit code of a command, and its JSON."""
    code, out, error = run_command(world.environment, folder, *arguments, "--json")
    assert code in {0, 1, 75}, error
    return code, json.loads(out)


async def test_rows_equal_their_events_and_a_difference_is_explained(world: World, tmp_path: Path) -> None:
    people = await world.add_recipients(30)
    loose = [world.event(p, EventKind.READ, 5, recipient_id=None, attempt=None, campaign_id=None) for p in people[:5]]
    await world.apply(*loose, *(world.event(person, kind, 2) for person in people[:20] for kind in KINDS))
    released, settled, nobody_knows = people[20], people[0], people[21]
    await world.run("UPDATE campaign_recipients SET attempt = attempt + 1 WHERE id = ANY(%s)", [released, settled])
    await world.run(
        "INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)"
        " VALUES (%s, 1, %s, '1', now(), now())", released, world.campaign,
    )  # fmt: skip
    found = await compare(world)
    assert (found.rows, found.equal, found.differs, found.attempt_ahead) == (30, 30, 0, 2)

    await world.run("UPDATE campaign_recipients SET attempt = 2 WHERE id = %s", nobody_knows)
    found = await compare(world)
    assert (found.differs, found.attempt_ahead) == (1, 2), "neither released nor claimed"
    assert found.differences[0].change.columns == ("attempt", "status")
    await world.run("UPDATE campaign_recipients SET attempt = 0, sent_at = %s WHERE id = %s", START, nobody_knows)
    found = await compare(world)
    assert [each.change.columns for each in found.differences] == [("sent_at",)], "written by hand, without an attempt"
    await world.run("UPDATE campaign_recipients SET sent_at = NULL WHERE id = %s", nobody_knows)

    wrong = people[7]
    await world.run("UPDATE campaign_recipients SET read_at = read_at + interval '1 h' WHERE id = %s", wrong)
    await world.run("UPDATE campaign_recipients SET attempt = 0 WHERE id = %s", people[8])
    found = await compare(world)
    assert (found.equal, found.differs) == (28, 2)
    by_id = {each.change.recipient_id: each for each in found.differences}
    assert by_id[wrong].change.columns == ("read_at",)
    assert by_id[wrong].change.after["read_at"] == START + timedelta(minutes=2)
    assert sorted(event.kind for event in by_id[wrong].events) == ["accepted", "delivered", "read", "sent"]
    assert by_id[people[8]].change.columns == ("attempt",)

    code, document = await asyncio.to_thread(campaigns, world, tmp_path, "verify", "--from-topic")
    assert (code, document["verdict"], document["from_topic"]["differs"]) == (1, "differs", 2)


async def test_an_answer_on_its_way_is_no_difference(world: World) -> None:
    waiting, lost, *others = await world.add_recipients(4)
    await world.apply(*(world.event(person, EventKind.SENT) for person in others))
    for person, published in ((waiting, None), (lost, START)):
        skip = world.event(person, EventKind.SKIPPED, wamid=None, skip_reason="opted_out")
        await world.run(
            "UPDATE campaign_recipients SET attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out' WHERE id = %s",
            person)  # fmt: skip
        await world.run(
            "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
            " outcome, outcome_at, event, published_at)"
            " VALUES (%s, 1, %s, now(), now(), gen_random_uuid(), now(), 'skipped', now(), %s, %s)",
            person, world.campaign, encode(skip).decode(), published,
        )  # fmt: skip
    found = await compare(world)
    assert (found.waiting, found.differs) == (1, 1)
    assert found.differences[0].change.recipient_id == lost


async def test_what_the_topic_has_deleted_is_outside_retention(world: World) -> None:
    old, wrong, new = await world.add_recipients(3)
    await world.apply(world.event(old, EventKind.SENT), world.event(wrong, EventKind.SENT))
    await asyncio.to_thread(delete_records, world.kafka, world.events, await world.applied_offsets())
    await world.apply(world.event(new, EventKind.SENT), world.event(wrong, EventKind.READ, 1))
    found = await compare(world)
    assert (found.outside_retention, found.differs, found.equal) == (2, 0, 1)
    await world.run("UPDATE campaign_recipients SET read_at = NULL WHERE id = %s", wrong)
    found = await compare(world)
    assert [each.change.recipient_id for each in found.differences] == [wrong], (
        "the topic has more facts, so retention is not the cause"
    )
    await world.set_campaign_status("paused")
    done = await restore(world)
    assert (done.outside_retention, done.rows_swapped) == (2, 0), "the facts of deleted events stay in the rows"
    assert await world.run("SELECT DISTINCT sent_at FROM campaign_recipients") == [(START,)]


@pytest.mark.parametrize("is_pruned", [False, True])
async def test_a_row_whose_first_attempt_is_deleted_is_outside_retention(world: World, is_pruned: bool) -> None:
    """The row has the times of its newest attempt only, which are younger than the deleted records.

    That also holds after retention has deleted the first claim from the ledger, and the second one is still there.
    """
    [person] = await world.add_recipients(1)
    now = datetime.now(UTC)
    await world.run(
        "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, claimed_at,"
        " lease_until, outcome, outcome_at, event, published_at)"
        " VALUES (%s, 1, %s, now(), now(), gen_random_uuid(), %s, now(), 'accepted', now(), '{}', %s)",
        person, world.campaign, now - timedelta(hours=1), START,
    )  # fmt: skip
    await world.apply(world.retryable_failure(person))
    await asyncio.to_thread(delete_records, world.kafka, world.events, await world.applied_offsets())
    soon: dict[str, Any] = {"occurred_at": now + timedelta(minutes=5), "received_at": now + timedelta(minutes=5)}
    await world.apply(world.retryable_failure(person, attempt=2, wamid=Wamid("wamid.2"), **soon))
    if is_pruned:
        await world.run("UPDATE send_ledger SET attempt = 2, claimed_at = %s", soon["occurred_at"])
        await world.run("INSERT INTO pruned_rows (table_name, n, newest_at) VALUES ('send_ledger', 1, now())")
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (1, 0)
    await world.set_campaign_status("paused")
    assert (await restore(world, allow_retries=True)).rows_swapped == 0
    assert await world.value("SELECT retry_count FROM campaign_recipients") == 2


async def test_records_deleted_during_the_read_are_outside_retention(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply(*(world.event(person, EventKind.SENT) for person in await world.add_recipients(4)))
    ends = await world.applied_offsets()
    catch_up = Recomputation.catch_up

    async def delete_and_catch_up(self: Recomputation) -> None:
        await asyncio.to_thread(delete_records, world.kafka, world.events, ends)
        await catch_up(self)

    monkeypatch.setattr(Recomputation, "catch_up", delete_and_catch_up)
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (4, 0)


async def test_what_a_topic_has_lost_at_its_end_is_left_in_the_rows(world: World) -> None:
    [person] = await world.add_recipients(1)
    await world.apply(world.event(person, EventKind.SENT))
    await world.run("UPDATE campaign_recipients SET replied_at = sent_at")  # from an event that the broker has lost
    await accept_topic(world.settings)
    assert (await world.value("SELECT count(accepted_at) FROM sink_offsets")) == 0, "nothing is lost yet"
    await world.run("UPDATE sink_offsets SET next_offset = 9 WHERE topic_partition = 0")
    await accept_topic(world.settings)
    async with world.running_sinks():
        await world.wait_for_applied(1)
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (1, 0)


async def test_rows_from_before_a_topic_was_accepted_are_left_alone(world: World) -> None:
    await world.apply(*(world.event(person, EventKind.SENT) for person in await world.add_recipients(4)))
    await asyncio.to_thread(recreate_topic, world.settings, world.events)
    await accept_topic(world.settings)
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (4, 0)
    await world.set_campaign_status("paused")
    done = await restore(world)
    assert (done.outside_retention, done.rows_swapped) == (4, 0)
    assert await world.run("SELECT DISTINCT status FROM campaign_recipients") == [("sent",)]


async def test_comparing_goes_on_while_live_traffic_flows(world: World) -> None:
    people = await world.add_recipients(300)

    async def live() -> None:
        for kind in KINDS:
            await world.publish_events(*(world.event(person, kind, 2) for person in people))

    async with world.running_sinks(2):
        flowing = asyncio.create_task(live())
        while not flowing.done():
            found = await compare(world)
            assert (found.differs, found.outside_retention) == (0, 0)
        await flowing
        await world.wait_for_applied(1200)
    assert (await compare(world)).equal == 300


async def test_a_recreated_topic_is_not_compared(world: World) -> None:
    await world.apply(*(world.event(person, EventKind.SENT) for person in await world.add_recipients(4)))
    await asyncio.to_thread(recreate_topic, world.settings, world.events)
    with pytest.raises(OffsetMismatch):
        await compare(world)
