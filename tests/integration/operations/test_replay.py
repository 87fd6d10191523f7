"""Replay on a real broker and a real Postgres: its report, its range, and how it resumes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cli.replay_report import document_of, exit_code, lines_of
from operations.options import InvalidOptions
from operations.replay import ReplayOptions, ReplayReport, run
from schemas.bundles import Body, encode_bundle
from schemas.events import EventKind
from schemas.model import Wamid
from schemas.topics import Topic
from tables import stats
from tests.support.histories import START
from tests.support.kafka_topics import delete_records, recreate_topic
from tests.support.replayed_rows import replayed_rows
from tests.support.world import World
from topics.scan import InvalidBound

EVENTS, WEBHOOKS = Topic.RECIPIENT_EVENTS.value, Topic.WEBHOOKS_RAW.value
KINDS = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)
pytestmark = pytest.mark.usefixtures("topics", "no_shadow_tables_stay")


async def replay(world: World, topic: str, **options: Any) -> Any:
    """The report. Its type is Any, because its plan is never None without a stop."""
    return await run(world.settings, ReplayOptions(topic, **options), asyncio.Event())


async def stop_early(world: World, **options: Any) -> ReplayReport:
    """The report of a run that was stopped after its first portion of twenty records."""
    stop = asyncio.Event()

    def stop_after_first(phase: str, done: int, _total: int) -> None:
        if phase == "applying" and done:
            stop.set()

    return await run(world.settings, ReplayOptions(EVENTS, rate=20.0, **options), stop, stop_after_first)


async def test_replaying_everything_twice_changes_nothing(world: World) -> None:
    people = await world.add_recipients(40)
    loose = [
        world.event(person, kind, 5, recipient_id=None, attempt=None, campaign_id=None)
        for person in people[:10] for kind in (EventKind.DELIVERED, EventKind.READ)
    ]  # fmt: skip
    nobodys = world.event(people[0], EventKind.SENT, 5, recipient_id=None, attempt=None, wamid=Wamid("wamid.other"))
    foreign = nobodys.model_copy(update={"phone_number_id": "999", "wamid": Wamid("wamid.foreign")})
    statuses = [world.status(person, word, 6) for person in people for word in ("delivered", "sent")]
    async with world.running_sinks():
        await world.publish_events(*loose, *(world.event(person, kind, 2) for person in people for kind in KINDS))
        await world.publish_events(nobodys, foreign, *(world.retryable_failure(person, 1) for person in people[:3]))
        await world.wait_for_applied(20 + 160 + 2 + 3)
    await world.publish_webhook(
        *statuses, world.status(people[0], "sent", id="wamid.stray", biz_opaque_callback_data="x")
    )
    # A parked status without a claim is deleted after a day, and counted.
    await world.run("DELETE FROM messages WHERE recipient_id IS NULL")
    before = await replayed_rows(world)
    assert len(before["foreign_statuses"]) == 1
    for _ in range(2):
        for topic in (EVENTS, WEBHOOKS):
            answer = await replay(world, topic)
            assert (answer.verdict, answer.plan.changed) == ("applied", 0)
            assert answer.done is not None
            assert answer.done.rows_changed == 0
    assert await replayed_rows(world) == before


async def test_a_dry_run_reports_exactly_the_changes_of_the_real_run(world: World) -> None:
    people = await world.add_recipients(30)
    await world.publish_events(*(world.event(person, EventKind.ACCEPTED) for person in people))
    await world.publish_events(*(world.event(person, EventKind.READ, 3) for person in people[:7]))
    await world.publish(world.events, (b"x", b"no event"))
    before = await replayed_rows(world)
    dry = await replay(world, EVENTS, is_dry=True)
    assert (dry.plan.records, dry.plan.events, dry.plan.changed, dry.plan.made_due) == (38, 37, 30, 0)
    assert dry.plan.refused == {"malformed": 1}
    assert await replayed_rows(world) == before
    [read] = [change for change in dry.plan.changes if change.recipient_id == people[0]]
    assert {"attempt", "sent_at", "read_at", "whatsapp_message_id", "status"} <= set(read.columns)
    assert (read.before["status"], read.after["status"]) == ("pending", "read")
    assert read.after["read_at"] == START + timedelta(minutes=3)

    real = await replay(world, EVENTS)
    assert real.done is not None
    assert {each.recipient_id: each for each in real.done.changes} == {
        each.recipient_id: each for each in dry.plan.changes
    }
    assert real.done.statuses == {"pending → sent": 23, "pending → read": 7}
    assert await world.run("SELECT status, count(*) FROM campaign_recipients GROUP BY 1 ORDER BY 1") == [
        ("read", 7), ("sent", 23),
    ]  # fmt: skip
    assert await stats.recount(world.connection, world.campaign) == []
    assert await world.run("SELECT * FROM sink_offsets") == []
    text = "\n".join(lines_of(real)) + str(document_of(real))
    assert "wamid." not in text


async def test_a_webhook_lost_behind_a_bug_is_found_again(world: World) -> None:
    [person, other] = await world.add_recipients(2)
    await world.publish_events(world.event(person, EventKind.ACCEPTED), world.event(other, EventKind.ACCEPTED))
    assert (await replay(world, EVENTS)).verdict == "applied"
    await world.publish_webhook(world.status(person, "delivered", 4), {"id": f"wamid.{other}", "status": "read",
                     "timestamp": str(int(START.timestamp()) + 60)})  # fmt: skip
    answer = await replay(world, WEBHOOKS)
    assert answer.done is not None
    assert answer.done.statuses == {"sent → delivered": 1, "sent → read": 1}
    assert await world.read(world.webhooks + ".dead") == []
    assert len(await world.read(world.events)) == 2


async def test_a_stopped_run_resumes_at_its_position(world: World) -> None:
    people = await world.add_recipients(60)
    await world.publish_events(*(world.event(person, EventKind.SENT) for person in people))
    stop = asyncio.Event()
    printed: list[tuple[str, int, int]] = []

    def stop_after_first(phase: str, done: int, total: int) -> None:
        printed.append((phase, done, total))
        if phase == "applying":
            stop.set()

    stopped = await run(world.settings, ReplayOptions(EVENTS, rate=20.0), stop, stop_after_first)
    assert (stopped.verdict, exit_code(stopped)) == ("stopped", 75)
    [(_, first, total)] = [each for each in printed if each[0] == "applying"]
    assert 0 < first <= 20
    assert total == 60
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE status = 'sent'") == first
    await world.publish_events(*(world.event(person, EventKind.READ, 1) for person in people))  # beyond the run's end

    with pytest.raises(InvalidOptions):
        await replay(world, EVENTS, is_resumed=True, first="0")
    resumed = await replay(world, EVENTS, is_resumed=True)
    assert resumed.verdict == "applied"
    assert resumed.plan.records == 60 - first
    assert await world.run("SELECT status, count(*) FROM campaign_recipients GROUP BY 1") == [("sent", 60)]
    assert await world.value("SELECT records_done FROM replay_runs WHERE finished_at IS NOT NULL") == 60
    with pytest.raises(InvalidOptions):
        await replay(world, EVENTS, is_resumed=True)


async def test_ranges_and_campaigns_bound_a_replay(world: World) -> None:
    people = await world.add_recipients(3)
    other = await world.add_campaign()
    [stranger] = await world.add_recipients(1, other)
    await world.publish_events(*(world.event(person, EventKind.SENT) for person in people))
    await world.publish_events(world.event(stranger, EventKind.SENT, campaign_id=other))
    loose = world.event(stranger, EventKind.READ, 2, recipient_id=None, attempt=None, campaign_id=None)
    await world.publish_events(loose)
    mine = await replay(world, EVENTS, campaign=world.campaign)
    assert mine.done is not None
    assert mine.done.rows_changed == 3
    assert await world.value("SELECT status FROM campaign_recipients WHERE id = %s", stranger) == "pending"
    assert await world.value("SELECT count(*) FROM messages WHERE recipient_id IS NULL") == 0
    theirs = await replay(world, EVENTS, campaign=other)
    assert theirs.done is not None
    assert theirs.done.rows_changed == 1
    assert await world.value("SELECT status FROM campaign_recipients WHERE id = %s", stranger) == "read"

    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert (await replay(world, EVENTS, first=soon, is_dry=True)).plan.records == 0
    assert (await replay(world, EVENTS, end=soon, is_dry=True)).plan.records == 5
    whole = [(await replay(world, EVENTS, first=f"{p}:0", is_dry=True)).plan.records for p in range(4)]
    assert sum(whole) == 5
    with pytest.raises(InvalidOptions):
        await replay(world, Topic.SEND_JOBS.value)


async def test_the_row_and_not_the_event_determines_the_campaign(world: World) -> None:
    silent, wrong = await world.add_recipients(2)
    other = await world.add_campaign()
    await world.publish_events(world.event(silent, EventKind.SENT, campaign_id=None))
    await world.publish_events(world.event(wrong, EventKind.SENT, campaign_id=other))
    theirs = await replay(world, EVENTS, campaign=other)
    assert theirs.done is not None
    assert theirs.done.rows_changed == 0
    mine = await replay(world, EVENTS, campaign=world.campaign)
    assert (mine.plan.changed, mine.done.rows_changed) == (2, 2)


async def test_impossible_bounds_and_campaigns_are_refused(world: World) -> None:
    for bounds in ({"first": "5", "end": "2"}, {"first": "9:0"}):
        with pytest.raises(InvalidBound):
            await replay(world, EVENTS, **bounds)
    with pytest.raises(InvalidOptions, match="no campaign"):
        await replay(world, EVENTS, campaign=uuid4())


async def test_a_run_is_resumed_by_one_process_as_it_was_begun(world: World) -> None:
    people = await world.add_recipients(60)
    await world.publish_events(*(world.event(person, EventKind.SENT) for person in people))
    begun = await stop_early(world)
    assert begun.run is not None
    with pytest.raises(InvalidOptions, match="no unfinished"):
        await replay(world, EVENTS, is_resumed=True, campaign=world.campaign)
    await world.run("SELECT pg_advisory_lock(hashtextextended(%s, 0))", str(begun.run.id))
    with pytest.raises(InvalidOptions, match="another process"):
        await replay(world, EVENTS, is_resumed=True)
    await world.run("SELECT pg_advisory_unlock_all()")
    await asyncio.to_thread(recreate_topic, world.settings, world.events)
    with pytest.raises(InvalidOptions, match="recreated"):
        await replay(world, EVENTS, is_resumed=True)


async def test_records_deleted_by_retention_are_reported(world: World) -> None:
    people = await world.add_recipients(60)
    await world.publish_events(*(world.event(person, EventKind.SENT) for person in people))
    begun = await stop_early(world)
    assert begun.run is not None
    ends = {p: end - 1 for p, (_, end) in begun.ranges.items() if end > 0}
    await asyncio.to_thread(delete_records, world.kafka, world.events, ends)
    resumed = await replay(world, EVENTS, is_resumed=True)
    assert any("deleted since this replay began" in line for line in lines_of(resumed))
    whole = await replay(world, EVENTS, first="0")
    assert sum("earlier records are deleted" in line for line in lines_of(whole)) == len(ends)
    assert document_of(whole)["ranges"]["0"] == (ends[0], ends[0] + 1)


async def test_a_stop_while_reading_changes_nothing_and_is_reported(world: World) -> None:
    await world.publish_events(*(world.event(person, EventKind.SENT) for person in await world.add_recipients(3)))
    stop = asyncio.Event()
    stop.set()
    answer = await run(world.settings, ReplayOptions(EVENTS), stop)
    assert (answer.verdict, exit_code(answer), answer.plan) == ("stopped", 75, None)
    assert "nothing was changed" in lines_of(answer)[-1]
    assert "records" not in document_of(answer)


async def test_a_replay_of_webhooks_applies_their_opt_outs_again(world: World) -> None:
    """Such as those that a bad release of the reconciler has lost."""
    [person] = await world.add_recipients(1)
    key = await world.value("SELECT person FROM campaign_recipients WHERE id = %s", person)
    message: dict[str, Any] = {
        "from": "15559990001",
        "timestamp": str(int(START.timestamp())),
        "text": {"body": "STOP"},
    }
    message["context"] = {"id": "wamid.later"}
    raw = json.dumps({"field": "messages", "value": {"messages": [message]}}).encode()
    await world.publish(world.webhooks, (None, encode_bundle([Body(int(START.timestamp() * 1_000_000), raw)])))
    await replay(world, WEBHOOKS)
    assert await world.value("SELECT is_unsubscribed('15559990001')")
    assert not await world.value("SELECT is_unsubscribed(%s)", key)
    async with world.running_sinks():
        await world.publish_events(world.event(person, EventKind.ACCEPTED, wamid=Wamid("wamid.later")))
        await world.wait_for_value(True, "SELECT is_unsubscribed(%s)", key)
