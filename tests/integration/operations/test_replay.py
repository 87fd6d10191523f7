"""Replay on a real broker and a real Postgres: its report, its changes, and the changes that it refuses."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from cli.replay_report import document_of, exit_code, lines_of
from domain.error_codes import failure
from operations.options import InvalidOptions
from operations.replay import ReplayOptions, ReplayReport
from operations.replay import run as replay
from schemas.bundles import Body, encode_bundle
from schemas.events import EventKind, RecipientEvent
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.topics import Topic
from tables import stats
from tests.support.campaign_rows import NUMBER_ID, add_campaign
from tests.support.event_world import EventWorld, an_event_world, wait_for_leaders
from tests.support.histories import START
from tests.support.kafka_topics import create_topics, delete_records, delete_topic, put, read_all
from tests.support.processes import start_command
from tests.support.waiting import eventually_async
from topics.scan import InvalidBound

EVENTS, WEBHOOKS = Topic.RECIPIENT_EVENTS.value, Topic.WEBHOOKS_RAW.value
KINDS = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)


@pytest.fixture
async def world(kafka: str, database_url: str, topic_prefix: str) -> AsyncIterator[EventWorld]:
    async with an_event_world(kafka, database_url, topic_prefix) as made:
        yield made
        assert await made.rows("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'campaigns_side')") == []


async def do(world: EventWorld, topic: str, **options: Any) -> Any:
    """The report. Its type is Any, because its plan is never None without a stop."""
    return await replay(world.settings, ReplayOptions(topic, **options), asyncio.Event())


async def stopped(world: EventWorld, **options: Any) -> ReplayReport:
    """The report of a run that was stopped after its first portion of twenty records."""
    stop = asyncio.Event()

    def stop_after_first(phase: str, done: int, _total: int) -> None:
        if phase == "applying" and done:
            stop.set()

    return await replay(world.settings, ReplayOptions(EVENTS, rate=20.0, **options), stop, stop_after_first)


def retryable(world: EventWorld, person: RecipientId) -> RecipientEvent:
    failed = failure(131000, "Something went wrong", attempt=1, from_webhook=True, time_scale=1)
    return world.event(person, EventKind.FAILED, 1, failure=failed)


async def test_replaying_everything_twice_changes_nothing(world: EventWorld) -> None:
    people = await world.people(40)
    loose = [
        world.event(person, kind, 5, recipient_id=None, attempt=None, campaign_id=None)
        for person in people[:10] for kind in (EventKind.DELIVERED, EventKind.READ)
    ]  # fmt: skip
    nobodys = world.event(people[0], EventKind.SENT, 5, recipient_id=None, attempt=None, wamid=Wamid("wamid.other"))
    foreign = nobodys.model_copy(update={"phone_number_id": "999", "wamid": Wamid("wamid.foreign")})
    statuses = [world.status(person, word, 6) for person in people for word in ("delivered", "sent")]
    async with world.sinks():
        await world.say(*loose, *(world.event(person, kind, 2) for person in people for kind in KINDS))
        await world.say(nobodys, foreign, *(retryable(world, person) for person in people[:3]))
        await world.applied(20 + 160 + 2 + 3)
    await world.hook(*statuses, world.status(people[0], "sent", id="wamid.stray", biz_opaque_callback_data="x"))
    # A parked status without a claim is deleted after a day, and counted.
    await world.run("DELETE FROM messages WHERE recipient_id IS NULL")
    before = await world.everything()
    assert len(before["foreign_statuses"]) == 1
    for _ in range(2):
        for topic in (EVENTS, WEBHOOKS):
            answer = await do(world, topic)
            assert (answer.verdict, answer.plan.changed) == ("applied", 0)
            assert answer.done is not None
            assert answer.done.rows_changed == 0
    assert await world.everything() == before


async def test_a_dry_run_reports_exactly_the_changes_of_the_real_run(world: EventWorld) -> None:
    people = await world.people(30)
    await world.say(*(world.event(person, EventKind.ACCEPTED) for person in people))
    await world.say(*(world.event(person, EventKind.READ, 3) for person in people[:7]))
    await asyncio.to_thread(put, world.kafka, world.events, [(b"x", b"no event")])
    before = await world.everything()
    dry = await do(world, EVENTS, is_dry=True)
    assert (dry.plan.records, dry.plan.events, dry.plan.changed, dry.plan.made_due) == (38, 37, 30, 0)
    assert dry.plan.refused == {"malformed": 1}
    assert await world.everything() == before
    [read] = [change for change in dry.plan.changes if change.recipient_id == people[0]]
    assert {"attempt", "sent_at", "read_at", "whatsapp_message_id", "status"} <= set(read.columns)
    assert (read.before["status"], read.after["status"]) == ("pending", "read")
    assert read.after["read_at"] == START + timedelta(minutes=3)

    real = await do(world, EVENTS)
    assert real.done is not None
    assert {each.recipient_id: each for each in real.done.changes} == {
        each.recipient_id: each for each in dry.plan.changes
    }
    assert real.done.statuses == {"pending → sent": 23, "pending → read": 7}
    assert await world.rows("SELECT status, count(*) FROM campaign_recipients GROUP BY 1 ORDER BY 1") == [
        ("read", 7), ("sent", 23),
    ]  # fmt: skip
    assert await stats.recount(world.connection, world.campaign) == []
    assert await world.rows("SELECT * FROM sink_offsets") == []
    text = "\n".join(lines_of(real)) + str(document_of(real))
    assert "wamid." not in text


async def test_a_webhook_lost_behind_a_bug_is_found_again(world: EventWorld) -> None:
    [person, other] = await world.people(2)
    await world.say(world.event(person, EventKind.ACCEPTED), world.event(other, EventKind.ACCEPTED))
    assert (await do(world, EVENTS)).verdict == "applied"
    await world.hook(world.status(person, "delivered", 4), {"id": f"wamid.{other}", "status": "read",
                     "timestamp": str(int(START.timestamp()) + 60)})  # fmt: skip
    answer = await do(world, WEBHOOKS)
    assert answer.done is not None
    assert answer.done.statuses == {"sent → delivered": 1, "sent → read": 1}
    assert await asyncio.to_thread(read_all, world.kafka, world.webhooks + ".dead") == []
    assert len(await asyncio.to_thread(read_all, world.kafka, world.events)) == 2


async def test_no_recipient_becomes_due_unless_allowed(world: EventWorld) -> None:
    good, bad, late = await world.people(3)
    await world.say(world.event(good, EventKind.SENT), retryable(world, bad))
    looked = lines_of(await do(world, EVENTS, is_dry=True))
    assert any(line.startswith("1 of them would become due") for line in looked)
    refused = await do(world, EVENTS)
    assert (refused.verdict, exit_code(refused)) == ("refused", 1)
    assert [each.recipient_id for each in refused.made_due] == [bad]
    assert "--allow-retries" in lines_of(refused)[-1]
    assert await world.one("SELECT count(*) FROM campaign_recipients WHERE attempt > 0") == 0
    allowed = await do(world, EVENTS, allow_retries=True)
    assert allowed.verdict == "applied"
    assert await world.one("SELECT next_attempt_at IS NOT NULL FROM campaign_recipients WHERE id = %s", bad)

    again = await do(world, EVENTS)
    assert (again.verdict, again.plan.made_due) == ("applied", 0), "a row that is due already is not made due"
    await world.run("UPDATE marketing_campaigns SET status = 'cancelled'")
    await world.say(retryable(world, late))
    assert (await do(world, EVENTS)).verdict == "applied", "a cancelled campaign sends nothing"


async def test_a_row_that_became_due_after_the_look_is_refused_in_its_transaction(
    world: EventWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    [person] = await world.people(1)
    await world.say(retryable(world, person))
    await world.say(world.event(person, EventKind.SENT))
    async with world.sinks():
        await world.applied(2)
    answer = None

    async def forget(*_: Any) -> bool:
        # After the plan and before the first transaction, as if the row had been restored.
        columns = "attempt = 0, sent_at = NULL, accepted_attempts = 0, accepted_attempt = NULL, accepted_at = NULL"
        failed = "failed_attempts = 0, failed_attempt = NULL, failed_at = NULL, failure_class = NULL"
        await world.run(f"UPDATE campaign_recipients SET {columns}, {failed}, whatsapp_message_id = NULL")
        await world.run("UPDATE marketing_campaigns SET status = 'active'")
        return True

    original = replay.__globals__["_start"]

    async def start(*arguments: Any) -> Any:
        await forget()
        return await original(*arguments)

    monkeypatch.setitem(replay.__globals__, "_start", start)
    answer = await do(world, EVENTS)
    assert answer.verdict == "refused"
    assert answer.plan.made_due == 0
    assert await world.one("SELECT attempt FROM campaign_recipients") == 0


async def test_a_stopped_run_resumes_at_its_position(world: EventWorld) -> None:
    people = await world.people(60)
    await world.say(*(world.event(person, EventKind.SENT) for person in people))
    stop = asyncio.Event()
    printed: list[tuple[str, int, int]] = []

    def stop_after_first(phase: str, done: int, total: int) -> None:
        printed.append((phase, done, total))
        if phase == "applying":
            stop.set()

    stopped = await replay(world.settings, ReplayOptions(EVENTS, rate=20.0), stop, stop_after_first)
    assert (stopped.verdict, exit_code(stopped)) == ("stopped", 75)
    [(_, first, total)] = [each for each in printed if each[0] == "applying"]
    assert 0 < first <= 20
    assert total == 60
    assert await world.one("SELECT count(*) FROM campaign_recipients WHERE status = 'sent'") == first
    await world.say(*(world.event(person, EventKind.READ, 1) for person in people))  # beyond the run's end

    with pytest.raises(InvalidOptions):
        await do(world, EVENTS, is_resumed=True, first="0")
    resumed = await do(world, EVENTS, is_resumed=True)
    assert resumed.verdict == "applied"
    assert resumed.plan.records == 60 - first
    assert await world.rows("SELECT status, count(*) FROM campaign_recipients GROUP BY 1") == [("sent", 60)]
    assert await world.one("SELECT records_done FROM replay_runs WHERE finished_at IS NOT NULL") == 60
    with pytest.raises(InvalidOptions):
        await do(world, EVENTS, is_resumed=True)


async def test_ranges_and_campaigns_bound_a_replay(world: EventWorld) -> None:
    people = await world.people(3)
    other = EventWorld(world.settings, world.connection, CampaignId(UUID(int=77)))
    await world.run(
        "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status, created_at)"
        " VALUES (%s, 'o', 't', 'en', %s, 'active', %s)", other.campaign, NUMBER_ID, START - timedelta(hours=1),
    )  # fmt: skip
    [stranger] = await other.people(1)
    await world.say(*(world.event(person, EventKind.SENT) for person in people))
    await other.say(other.event(stranger, EventKind.SENT))
    loose = other.event(stranger, EventKind.READ, 2, recipient_id=None, attempt=None, campaign_id=None)
    await other.say(loose)
    mine = await do(world, EVENTS, campaign=world.campaign)
    assert mine.done is not None
    assert mine.done.rows_changed == 3
    assert await world.one("SELECT status FROM campaign_recipients WHERE id = %s", stranger) == "pending"
    assert await world.one("SELECT count(*) FROM messages WHERE recipient_id IS NULL") == 0
    theirs = await do(world, EVENTS, campaign=other.campaign)
    assert theirs.done is not None
    assert theirs.done.rows_changed == 1
    assert await world.one("SELECT status FROM campaign_recipients WHERE id = %s", stranger) == "read"

    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert (await do(world, EVENTS, first=soon, is_dry=True)).plan.records == 0
    assert (await do(world, EVENTS, end=soon, is_dry=True)).plan.records == 5
    whole = [(await do(world, EVENTS, first=f"{p}:0", is_dry=True)).plan.records for p in range(4)]
    assert sum(whole) == 5
    with pytest.raises(InvalidOptions):
        await do(world, Topic.SEND_JOBS.value)


async def test_a_replay_goes_on_while_live_traffic_flows(world: EventWorld) -> None:
    people = await world.people(400)
    await world.say(*(world.event(person, kind, 2) for kind in KINDS for person in people))
    await world.run("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'")

    async def live() -> None:
        for minute in range(3, 9):
            await world.say(*(world.event(person, EventKind.READ, minute) for person in reversed(people)))

    async with world.sinks(2):
        flowing = asyncio.create_task(live())
        answers = await asyncio.gather(do(world, EVENTS), do(world, EVENTS), do(world, EVENTS, is_dry=True))
        await flowing
        assert [answer.verdict for answer in answers] == ["applied", "applied", "dry_run"]
        await world.applied(1600 + 2400)
    rows = await world.rows("SELECT DISTINCT status, read_at, sent_at FROM campaign_recipients")
    at = START + timedelta(minutes=2)
    assert rows == [("read", at, at)]
    assert await stats.recount(world.connection, world.campaign) == []


async def test_one_event_that_cannot_be_written_harms_only_itself(world: EventWorld) -> None:
    good, bad, late = await world.people(3)
    broken = failure(131026, "a\x00b", attempt=1, from_webhook=True, time_scale=1)
    await world.say(
        world.event(good, EventKind.SENT), world.event(bad, EventKind.FAILED, failure=broken),
        world.event(late, EventKind.SENT),
    )  # fmt: skip
    answer = await do(world, EVENTS)
    assert answer.verdict == "applied"
    assert answer.plan.refused == {"refused_by_database": 1}
    assert await world.one("SELECT count(*) FROM campaign_recipients WHERE status = 'sent'") == 2
    assert await world.one("SELECT records_done FROM replay_runs") == 3


async def test_the_row_and_not_the_event_determines_the_campaign(world: EventWorld) -> None:
    silent, wrong = await world.people(2)
    other = await add_campaign(world.connection)
    await world.say(world.event(silent, EventKind.SENT, campaign_id=None))
    await world.say(world.event(wrong, EventKind.SENT, campaign_id=other))
    theirs = await do(world, EVENTS, campaign=other)
    assert theirs.done is not None
    assert theirs.done.rows_changed == 0
    mine = await do(world, EVENTS, campaign=world.campaign)
    assert (mine.plan.changed, mine.done.rows_changed) == (2, 2)


async def test_a_recipient_due_only_inside_the_range_is_never_due(world: EventWorld) -> None:
    """As after damaged rows: the failure is in an earlier portion than the result of the next attempt."""
    [person] = await world.people(1)
    again = world.event(person, EventKind.ACCEPTED, 30, attempt=2, wamid=Wamid("wamid.again"))
    await world.say(retryable(world, person), again)
    await world.run(
        "CREATE FUNCTION refuse_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT next_attempt_at FROM campaign_recipients WHERE id = NEW.id) IS NOT NULL THEN"
        " RAISE 'due when committed'; END IF; RETURN NULL; END $$"
    )
    await world.run(
        "CREATE CONSTRAINT TRIGGER refuse_due AFTER UPDATE ON campaign_recipients DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse_due()"
    )
    answer = await do(world, EVENTS, rate=1.0)
    assert (answer.verdict, answer.plan.made_due) == ("applied", 0)
    assert await world.rows("SELECT status, attempt, retry_count FROM campaign_recipients") == [("sent", 2, 1)]


async def test_a_row_that_changes_more_than_once_is_reported_once(world: EventWorld) -> None:
    people = await world.people(5)
    for kind in (EventKind.SENT, EventKind.DELIVERED, EventKind.READ):
        await world.say(*(world.event(person, kind, 4) for person in people))
    dry = await do(world, EVENTS, is_dry=True)
    real = await do(world, EVENTS, rate=5.0)
    assert (dry.plan.changed, real.done.rows_changed, real.done.statuses) == (5, 5, {"pending → read": 5})
    assert {each.recipient_id: each for each in real.done.changes} == {
        each.recipient_id: each for each in dry.plan.changes
    }
    assert set(real.done.columns) == set(real.done.changes[0].columns)


async def test_what_cannot_be_meant_is_refused(world: EventWorld) -> None:
    for bounds in ({"first": "5", "end": "2"}, {"first": "9:0"}):
        with pytest.raises(InvalidBound):
            await do(world, EVENTS, **bounds)
    with pytest.raises(InvalidOptions, match="no campaign"):
        await do(world, EVENTS, campaign=uuid4())


async def test_a_run_is_resumed_by_one_process_as_it_was_begun(world: EventWorld) -> None:
    people = await world.people(60)
    await world.say(*(world.event(person, EventKind.SENT) for person in people))
    begun = await stopped(world)
    assert begun.run is not None
    with pytest.raises(InvalidOptions, match="no unfinished"):
        await do(world, EVENTS, is_resumed=True, campaign=world.campaign)
    await world.run("SELECT pg_advisory_lock(hashtextextended(%s, 0))", str(begun.run.id))
    with pytest.raises(InvalidOptions, match="another process"):
        await do(world, EVENTS, is_resumed=True)
    await world.run("SELECT pg_advisory_unlock_all()")
    await asyncio.to_thread(delete_topic, world.kafka, world.events)
    await asyncio.to_thread(create_topics, world.kafka, world.events)
    await asyncio.to_thread(wait_for_leaders, world.settings, world.events)
    with pytest.raises(InvalidOptions, match="recreated"):
        await do(world, EVENTS, is_resumed=True)


async def test_records_deleted_by_retention_are_reported(world: EventWorld) -> None:
    people = await world.people(60)
    await world.say(*(world.event(person, EventKind.SENT) for person in people))
    begun = await stopped(world)
    assert begun.run is not None
    ends = {p: end - 1 for p, (_, end) in begun.ranges.items() if end > 0}
    await asyncio.to_thread(delete_records, world.kafka, world.events, ends)
    resumed = await do(world, EVENTS, is_resumed=True)
    assert any("deleted since this replay began" in line for line in lines_of(resumed))
    whole = await do(world, EVENTS, first="0")
    assert sum("earlier records are deleted" in line for line in lines_of(whole)) == len(ends)
    assert document_of(whole)["ranges"]["0"] == (ends[0], ends[0] + 1)


async def test_a_stop_while_reading_changes_nothing_and_is_reported(world: EventWorld) -> None:
    await world.say(*(world.event(person, EventKind.SENT) for person in await world.people(3)))
    stop = asyncio.Event()
    stop.set()
    answer = await replay(world.settings, ReplayOptions(EVENTS), stop)
    assert (answer.verdict, exit_code(answer), answer.plan) == ("stopped", 75, None)
    assert "nothing was changed" in lines_of(answer)[-1]
    assert "records" not in document_of(answer)


async def test_poison_in_webhooks_is_counted_and_its_neighbours_are_applied(world: EventWorld) -> None:
    [person] = await world.people(1)
    broken = encode_bundle([Body(int(START.timestamp() * 1_000_000), b"{")])
    await asyncio.to_thread(put, world.kafka, world.webhooks, [(None, b"no bundle"), (None, broken)])
    await world.hook(world.status(person, "read", 3))
    answer = await do(world, WEBHOOKS)
    assert answer.plan.refused == {"malformed_bundle": 1, "not_json": 1}
    assert await world.one("SELECT status FROM campaign_recipients") == "read"


def command(world: EventWorld, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return start_command(world.environment, folder, "replay", *arguments)


async def ended(child: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, printed = await asyncio.to_thread(child.communicate, None, 60)
    return child.returncode, out, printed.decode()


async def test_a_killed_command_is_resumed_and_leaves_nothing_behind(world: EventWorld, tmp_path: Path) -> None:
    people = await world.people(300)
    await world.say(*(world.event(person, kind, 1) for person in people for kind in (EventKind.SENT, EventKind.READ)))
    killed = command(world, tmp_path, "--from-topic", EVENTS, "--rate", "100")

    async def has_begun() -> bool:
        return bool(await world.one("SELECT sum(records_done) FROM replay_runs"))

    await eventually_async(has_begun)
    killed.kill()
    await ended(killed)
    done = await world.one("SELECT records_done FROM replay_runs")
    assert 0 < done < 600, "the kill fell in the middle"
    assert await world.one("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'campaigns_side')") == 1

    code, out, printed = await ended(command(world, tmp_path, "--from-topic", EVENTS, "--resume", "--json"))
    assert code == 0, printed
    document = json.loads(out)
    assert (document["verdict"], document["records"]) == ("applied", 600 - done)
    assert "records" in printed
    assert await world.rows("SELECT status, count(*) FROM campaign_recipients GROUP BY 1") == [("read", 300)]
    assert await stats.recount(world.connection, world.campaign) == []
    code, _, printed = await ended(command(world, tmp_path, "--from-topic", EVENTS, "--from", "yesterday"))
    assert (code, "neither a time" in printed) == (64, True)


async def test_logs_leave_stdout_to_the_answer(world: EventWorld, tmp_path: Path) -> None:
    [person] = await world.people(1)
    wamids = [f"wamid.{name}{'A' * 40}" for name in ("HBgLMTQ2OTAwMDAwMDE", "HBgLMTQ2OTAwMDAwMDI")]
    await world.say(*(world.event(person, EventKind.ACCEPTED, wamid=Wamid(wamid)) for wamid in wamids))
    code, out, printed = await ended(command(world, tmp_path, "--from-topic", EVENTS, "--dry-run", "--json"))
    assert (code, json.loads(out)["would_change"]) == (0, 1)
    assert "double send" in printed
    assert "HBgL" not in out.decode() + printed
