"""The changes that a replay makes in the live rows, and the changes that it refuses."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from cli.replay_report import exit_code, lines_of
from domain.error_codes import failure
from operations import replay as replaying
from operations.replay import ReplayOptions, run
from schemas.bundles import Body, encode_bundle
from schemas.events import EventKind
from schemas.model import Wamid
from schemas.topics import Topic
from tables import stats
from tests.support.histories import START
from tests.support.world import World

EVENTS, WEBHOOKS = Topic.RECIPIENT_EVENTS.value, Topic.WEBHOOKS_RAW.value
KINDS = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)
pytestmark = pytest.mark.usefixtures("topics", "no_shadow_tables_stay")


async def replay(world: World, topic: str, **options: Any) -> Any:
    """The report. Its type is Any, because its plan is never None without a stop."""
    return await run(world.settings, ReplayOptions(topic, **options), asyncio.Event())


async def test_no_recipient_becomes_due_unless_allowed(world: World) -> None:
    good, bad, late = await world.add_recipients(3)
    await world.publish_events(world.event(good, EventKind.SENT), world.retryable_failure(bad, 1))
    looked = lines_of(await replay(world, EVENTS, is_dry=True))
    assert any(line.startswith("1 of them would become due") for line in looked)
    refused = await replay(world, EVENTS)
    assert (refused.verdict, exit_code(refused)) == ("refused", 1)
    assert [each.recipient_id for each in refused.made_due] == [bad]
    assert "--allow-retries" in lines_of(refused)[-1]
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE attempt > 0") == 0
    allowed = await replay(world, EVENTS, allow_retries=True)
    assert allowed.verdict == "applied"
    assert await world.value("SELECT next_attempt_at IS NOT NULL FROM campaign_recipients WHERE id = %s", bad)

    again = await replay(world, EVENTS)
    assert (again.verdict, again.plan.made_due) == ("applied", 0), "a row that is due already is not made due"
    await world.set_campaign_status("cancelled")
    await world.publish_events(world.retryable_failure(late, 1))
    assert (await replay(world, EVENTS)).verdict == "applied", "a cancelled campaign sends nothing"


async def test_a_row_that_becomes_due_after_the_dry_run_is_refused_in_its_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [person] = await world.add_recipients(1)
    await world.publish_events(world.retryable_failure(person, 1))
    await world.publish_events(world.event(person, EventKind.SENT))
    async with world.running_sinks():
        await world.wait_for_applied(2)

    async def forget(*_: Any) -> bool:
        # After the plan and before the first transaction, as if the row had been restored.
        columns = "attempt = 0, sent_at = NULL, accepted_attempts = 0, accepted_attempt = NULL, accepted_at = NULL"
        failed = "failed_attempts = 0, failed_attempt = NULL, failed_at = NULL, failure_class = NULL"
        await world.run(f"UPDATE campaign_recipients SET {columns}, {failed}, whatsapp_message_id = NULL")
        await world.set_campaign_status("active")
        return True

    original = replaying._start

    async def start(*arguments: Any) -> Any:
        await forget()
        return await original(*arguments)

    monkeypatch.setattr(replaying, "_start", start)
    answer = await replay(world, EVENTS)
    assert answer.verdict == "refused"
    assert answer.plan.made_due == 0
    assert await world.value("SELECT attempt FROM campaign_recipients") == 0


async def test_a_replay_goes_on_while_live_traffic_flows(world: World) -> None:
    people = await world.add_recipients(400)
    await world.publish_events(*(world.event(person, kind, 2) for kind in KINDS for person in people))
    await world.set_campaign_status("paused")

    async def live() -> None:
        for minute in range(3, 9):
            await world.publish_events(*(world.event(person, EventKind.READ, minute) for person in reversed(people)))

    async with world.running_sinks(2):
        flowing = asyncio.create_task(live())
        answers = await asyncio.gather(replay(world, EVENTS), replay(world, EVENTS), replay(world, EVENTS, is_dry=True))
        await flowing
        assert [answer.verdict for answer in answers] == ["applied", "applied", "dry_run"]
        await world.wait_for_applied(1600 + 2400)
    rows = await world.run("SELECT DISTINCT status, read_at, sent_at FROM campaign_recipients")
    at = START + timedelta(minutes=2)
    assert rows == [("read", at, at)]
    assert await stats.recount(world.connection, world.campaign) == []


async def test_one_event_that_cannot_be_written_harms_only_itself(world: World) -> None:
    good, bad, late = await world.add_recipients(3)
    broken = failure(131026, "a\x00b", attempt=1, from_webhook=True, time_scale=1)
    await world.publish_events(
        world.event(good, EventKind.SENT), world.event(bad, EventKind.FAILED, failure=broken),
        world.event(late, EventKind.SENT),
    )  # fmt: skip
    answer = await replay(world, EVENTS)
    assert answer.verdict == "applied"
    assert answer.plan.refused == {"refused_by_database": 1}
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE status = 'sent'") == 2
    assert await world.value("SELECT records_done FROM replay_runs") == 3


async def test_a_recipient_due_only_inside_the_range_is_never_due(world: World) -> None:
    """As after damaged rows: the failure is in an earlier portion than the result of the next attempt."""
    [person] = await world.add_recipients(1)
    again = world.event(person, EventKind.ACCEPTED, 30, attempt=2, wamid=Wamid("wamid.again"))
    await world.publish_events(world.retryable_failure(person, 1), again)
    await world.run(
        "CREATE FUNCTION refuse_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT next_attempt_at FROM campaign_recipients WHERE id = NEW.id) IS NOT NULL THEN"
        " RAISE 'due when committed'; END IF; RETURN NULL; END $$"
    )
    await world.run(
        "CREATE CONSTRAINT TRIGGER refuse_due AFTER UPDATE ON campaign_recipients DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse_due()"
    )
    answer = await replay(world, EVENTS, rate=1.0)
    assert (answer.verdict, answer.plan.made_due) == ("applied", 0)
    assert await world.run("SELECT status, attempt, retry_count FROM campaign_recipients") == [("sent", 2, 1)]


async def test_a_row_that_changes_more_than_once_is_reported_once(world: World) -> None:
    people = await world.add_recipients(5)
    for kind in (EventKind.SENT, EventKind.DELIVERED, EventKind.READ):
        await world.publish_events(*(world.event(person, kind, 4) for person in people))
    dry = await replay(world, EVENTS, is_dry=True)
    real = await replay(world, EVENTS, rate=5.0)
    assert (dry.plan.changed, real.done.rows_changed, real.done.statuses) == (5, 5, {"pending → read": 5})
    assert {each.recipient_id: each for each in real.done.changes} == {
        each.recipient_id: each for each in dry.plan.changes
    }
    assert set(real.done.columns) == set(real.done.changes[0].columns)


async def test_poison_in_webhooks_is_counted_and_its_neighbours_are_applied(world: World) -> None:
    [person] = await world.add_recipients(1)
    broken = encode_bundle([Body(int(START.timestamp() * 1_000_000), b"{")])
    await world.publish(world.webhooks, (None, b"no bundle"), (None, broken))
    await world.publish_webhook(world.status(person, "read", 3))
    answer = await replay(world, WEBHOOKS)
    assert answer.plan.refused == {"malformed_bundle": 1, "not_json": 1}
    assert await world.value("SELECT status FROM campaign_recipients") == "read"
