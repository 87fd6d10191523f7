"""The audit finds each kind of difference, finds nothing in a sound database, and repairs counters under writers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from cli.verify_report import document_of, exit_code, lines_of
from operations import audit
from operations.verify import VerifyReport
from runtime.settings import Settings
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from tables import stats
from tables.audit import snapshot
from tests.support.kafka_topics import create_topics, put
from tests.support.world import World
from topics import lag
from topics.lag import KafkaAway

NOW = datetime(2100, 1, 1, tzinfo=UTC)


async def found(world: World, until: datetime | None = NOW) -> dict[str, int]:
    """The checks with findings, and the number of findings."""
    result = await audit.audit(world.connection, None, until)
    return {check.check: check.count for check in result.checks if check.count}


async def accepted(world: World, wamid: str = "wamid.1", *, applied: bool = True) -> Any:
    """An attempt that was accepted an hour ago. Ledger, row and message agree."""
    (job,) = await world.release_jobs(1)
    await world.claim([job])
    await world.run(
        "UPDATE send_ledger SET outcome = 'accepted', outcome_at = now() - interval '1 hour', wamid = %s, event = '{}',"
        " published_at = now() - interval '1 hour' WHERE recipient_id = %s",
        wamid,
        job.recipient_id,
    )
    if applied:
        await world.run(
            "UPDATE campaign_recipients SET accepted_attempts = 2, accepted_attempt = 1, accepted_at = now(),"
            " sent_at = now(), whatsapp_message_id = %s WHERE id = %s",
            wamid,
            job.recipient_id,
        )
        await world.run(
            "INSERT INTO messages (wamid, recipient_id, attempt) VALUES (%s, %s, 1)", wamid, job.recipient_id
        )
    return job.recipient_id


async def test_a_sound_database_has_no_findings(world: World) -> None:
    await accepted(world)
    await world.release_jobs(3)
    result = await audit.audit(world.connection, None, NOW)
    assert (result.is_clean, result.is_complete, result.campaigns) == (True, True, 1)


async def test_a_falsified_counter_is_found_and_repaired(world: World) -> None:
    await world.release_jobs(1)
    await world.run("SET session_replication_role = replica")
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = NULL, unknown_attempt = 1")
    await world.run("SET session_replication_role = origin")
    result = await audit.audit(world.connection, None, NOW)
    counters = {(d.difference.dimension, d.difference.key): d.difference for d in result.counters}
    assert (counters["status", "queued"].stored, counters["status", "queued"].counted) == (1, 0)
    assert (counters["status", "unknown"].stored, counters["status", "unknown"].counted) == (0, 1)
    repaired = await audit.repair_counters(world.connection, None)
    assert len(repaired) == len(result.counters) == 2
    assert (await audit.audit(world.connection, None, NOW)).is_clean
    assert await audit.repair_counters(world.connection, world.campaign) == []


async def test_counters_are_repaired_under_writers_and_folders(world: World, database_url: str) -> None:
    jobs = await world.release_jobs(40)
    await world.run("SET session_replication_role = replica")
    await world.run(
        "UPDATE campaign_recipients SET unknown_attempt = 1 WHERE id = ANY (%s)", [j.recipient_id for j in jobs[:20]]
    )
    await world.run("SET session_replication_role = origin")

    async def write() -> None:
        async with world.another() as other:
            for job in jobs:
                await other.execute("UPDATE campaign_recipients SET sent_at = now() WHERE id = %s", [job.recipient_id])
                await stats.fold(other)

    async def repair() -> None:
        async with world.another() as other:
            await audit.repair_counters(other, None)

    await asyncio.gather(write(), repair(), repair(), write(), repair())
    assert await stats.recount(world.connection, world.campaign) == []


async def test_audience_is_the_sum_of_the_states(world: World) -> None:
    await world.release_jobs(2)
    await world.run("INSERT INTO campaign_counter_deltas VALUES (%s, 'status', 'read', 1)", world.campaign)
    assert await found(world) == {"audience_is_not_the_sum": 1}


async def test_a_state_that_is_not_the_facts_is_found(world: World) -> None:
    """As after a change of the function, which does not change stored values."""
    await accepted(world)
    await world.run(
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('recipient_status'::regproc), '''delivered''', '''sent''');"
        " END $$"
    )
    await world.run("UPDATE campaign_recipients SET delivered_at = sent_at")
    await world.run(
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('recipient_status'::regproc),"
        " 'IS NOT NULL THEN ''sent''', 'IS NOT NULL THEN ''delivered'''); END $$"
    )
    assert await found(world) == {"wrong_state": 1}


async def test_two_message_ids_of_one_attempt_are_found(world: World) -> None:
    person = await accepted(world)
    await world.run("INSERT INTO messages (wamid, recipient_id, attempt) VALUES ('wamid.2', %s, 1)", person)
    assert await found(world) == {"double_send": 1}


async def test_a_claim_that_never_ends_is_found(world: World) -> None:
    await world.claim(await world.release_jobs(2))
    assert await found(world) == {}
    await world.run("UPDATE send_ledger SET lease_until = now() - interval '5 minutes'")
    assert await found(world) == {"claim_without_outcome": 2}


async def test_an_unpublished_answer_is_found(world: World) -> None:
    await accepted(world)
    await world.run("UPDATE send_ledger SET published_at = NULL")
    assert await found(world) == {"answer_unpublished": 1}


async def test_a_status_parked_for_a_known_recipient_is_found(world: World) -> None:
    await accepted(world)
    await world.run("UPDATE messages SET recipient_id = NULL, attempt = NULL, read_at = now()")
    assert await found(world) == {"parked_though_known": 1}
    await world.run("UPDATE messages SET (recipient_id, attempt) = (SELECT id, 1 FROM campaign_recipients)")
    assert await found(world) == {"parked_not_told": 1}


async def test_a_queued_row_without_release_or_claim_is_found(world: World) -> None:
    await world.release_jobs(2)
    await world.run("DELETE FROM releases WHERE recipient_id = (SELECT recipient_id FROM releases LIMIT 1)")
    assert await found(world) == {"released_unseen": 1}


async def test_an_attempt_without_a_recipient_row_is_found(world: World) -> None:
    person = await accepted(world)
    await world.run("DELETE FROM campaign_recipients WHERE id = %s", person)
    assert await found(world) == {"row_missing": 1}


async def test_an_attempt_below_one_that_was_used_is_found(world: World) -> None:
    (job,) = await world.release_jobs(1)
    await world.run("UPDATE releases SET attempt = 3 WHERE recipient_id = %s", job.recipient_id)
    assert (await found(world))["attempt_behind"] == 1


async def test_an_outcome_that_the_row_does_not_show_is_found_once_the_sink_has_passed_it(world: World) -> None:
    await accepted(world, applied=False)
    before = datetime(2020, 1, 1, tzinfo=UTC)
    assert await found(world, until=before) == {}, "the sink has not applied it yet, which is no difference"
    assert await found(world, until=NOW) == {"outcome_not_applied": 1}
    unjudged = await audit.audit(world.connection, None, None)
    assert (unjudged.is_clean, unjudged.is_complete, exit_code(VerifyReport(unjudged))) == (True, False, 75)


async def test_an_audit_holds_up_no_writer(world: World) -> None:
    (job,) = await world.release_jobs(1)
    async with snapshot(world.connection):
        await stats.recount(world.connection, world.campaign)
        async with world.another() as other:
            await other.execute("UPDATE campaign_recipients SET sent_at = now() WHERE id = %s", [job.recipient_id])
        assert await stats.recount(world.connection, world.campaign) == []


async def test_findings_are_named_by_campaign(world: World) -> None:
    await world.release_jobs(1)
    await world.run("DELETE FROM releases")
    elsewhere = await audit.audit(world.connection, uuid4(), NOW)  # type: ignore[arg-type] # any id will do
    assert (elsewhere.campaigns, elsewhere.is_clean) == (0, True)
    answer = VerifyReport(await audit.audit(world.connection, world.campaign, NOW))
    assert exit_code(answer) == 1
    assert document_of(answer)["verdict"] == "differs"
    assert any(str(world.campaign) in line for line in lines_of(answer))


async def test_how_far_the_sink_has_come_is_the_first_record_that_waits(world: World, settings: Settings) -> None:
    topic = settings.topic("recipient.events")
    await asyncio.to_thread(create_topics, settings.kafka_bootstrap_servers, topic)
    started = datetime.now(UTC)
    assert await audit.applied_until(world.connection, settings) >= started, "nothing is in the backlog"
    (job,) = await world.release_jobs(1)
    event = RecipientEvent(
        kind=EventKind.UNKNOWN, recipient_id=job.recipient_id, attempt=1, occurred_at=started, received_at=started
    )
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(event.key, encode(event))])
    written = datetime.now(UTC)
    assert await audit.applied_until(world.connection, settings) <= written


async def test_without_kafka_it_is_not_known_how_far_the_sink_has_come(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "TIMEOUT_S", 0.5)
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(KafkaAway):
        await audit.applied_until(world.connection, away)
