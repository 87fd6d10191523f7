"""The scheduler as a process would run it, on a real Postgres and a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from domain.lifecycle import Action
from producers.scheduler import process
from runtime.process import Transient
from runtime.settings import Settings
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.places import Outgoing
from schemas.topics import Topic
from tables import leadership, ledger, locks, planning
from tables.releases import RELEASER_SESSION
from tests.support.kafka_topics import create_topics, read_all
from tests.support.world import World
from topics.publisher import PUBLISH_TIMEOUT_S, AsyncPublisher, PublishFailed


@pytest.fixture
def settings(settings: Settings) -> Settings:
    names = [settings.topic(topic) for topic in (Topic.SEND_JOBS, Topic.RECIPIENT_EVENTS)]
    create_topics(settings.kafka_bootstrap_servers, *names, partitions=1)
    return settings.model_copy(update={"whatsapp_mps": 500, "time_scale": 1000})


@asynccontextmanager
async def scheduling(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(process.run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def _jobs(settings: Settings) -> list[SendJob]:
    topic = settings.topic(Topic.SEND_JOBS)
    records = await asyncio.to_thread(read_all, settings.kafka_bootstrap_servers, topic)
    return [SendJob.model_validate_json(record.value() or b"") for record in records]


LEADERS = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
LEADER = f"""
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = {locks.SCHEDULER & 0xFFFFFFFF}
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
OLDER = """
    EXISTS (SELECT FROM pg_stat_activity AS session WHERE session.pid = held.pid
            AND clock_timestamp() - backend_start > interval '1.5 seconds')
"""
SCHEDULERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'campaigns-scheduler'
"""
PUBLISHED = "SELECT count(*) FROM releases WHERE published_at IS NOT NULL"


async def test_due_recipients_are_published_at_once(world: World, settings: Settings) -> None:
    async with scheduling(settings):
        await world.wait_for_value(1, LEADERS)
        campaign = await world.start_campaign(20)
        started = time.monotonic()
        await world.wait_for_value(20, PUBLISHED)
        assert time.monotonic() - started < 5
    jobs = await _jobs(settings)
    assert len({(job.recipient_id, job.attempt) for job in jobs}) == 20
    assert {job.campaign_id for job in jobs} == {campaign}


class WithoutALeader(AsyncPublisher):
    """Acknowledges no job of one campaign: its partition has no leader. The other jobs of a batch are acknowledged."""

    held: UUID
    is_tried: asyncio.Event

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        free = [index for index, record in enumerate(records) if str(self.held).encode() not in (record.value or b"")]
        places = await super().publish_batch([records[index] for index in free], timeout_s)
        if len(free) == len(records):
            return places
        self.is_tried.set()
        await asyncio.sleep(timeout_s)
        raise PublishFailed("no acknowledgement", dict(zip(free, places, strict=True)))


@pytest.mark.slow
async def test_a_partition_without_a_leader_holds_up_only_its_own_jobs(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "AsyncPublisher", WithoutALeader)
    WithoutALeader.held, WithoutALeader.is_tried = await world.start_campaign(5), asyncio.Event()
    async with scheduling(settings):
        await asyncio.wait_for(WithoutALeader.is_tried.wait(), 5)
        free = await world.start_campaign(7)
        await world.wait_for_value(7, PUBLISHED, deadline_s=5)
        assert {job.campaign_id for job in await _jobs(settings)} == {free}


class WithoutTheLeaderOfAKey(AsyncPublisher):
    """Acknowledges no job that has a key: the partition of the key has no leader."""

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        if any(record.key is not None for record in records):
            raise PublishFailed("no acknowledgement")
        return await super().publish_batch(records, timeout_s)


async def test_jobs_of_a_partition_without_a_leader_go_to_another_one(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "AsyncPublisher", WithoutTheLeaderOfAKey)
    await world.start_campaign(5)
    async with scheduling(settings):
        await world.wait_for_value(5, PUBLISHED)
    assert len({job.recipient_id for job in await _jobs(settings)}) == 5


async def test_of_two_one_leads_and_the_other_takes_over(world: World, settings: Settings) -> None:
    async with scheduling(settings), scheduling(settings):
        await world.wait_for_value(2, SCHEDULERS)
        await world.wait_for_value(1, LEADERS)
        (leader,) = await world.run(LEADER)
        await world.run("SELECT pg_terminate_backend(%s)", leader[0])
        await world.start_campaign(5)
        await world.wait_for_value(5, PUBLISHED)
        (now,) = await world.run(LEADER)
        assert now != leader
    assert len(await _jobs(settings)) == 5


async def test_an_unclaimed_job_is_published_again_once_the_sender_is_past_it(world: World, settings: Settings) -> None:
    await world.start_campaign(3)
    async with scheduling(settings):
        await world.wait_for_value(3, PUBLISHED)
        await asyncio.to_thread(_commit, settings, 3)
        await world.wait_for_value(2, "SELECT min(publish_count) FROM releases")
    again = [(job.recipient_id, job.attempt) for job in await _jobs(settings)]
    assert len(again) >= 6
    assert len(set(again)) == 3


def _commit(settings: Settings, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": settings.group("sender")})
    consumer.commit(offsets=[TopicPartition(settings.topic(Topic.SEND_JOBS), 0, offset)], asynchronous=False)
    consumer.close()


async def test_what_a_dead_leader_released_is_published(world: World, settings: Settings) -> None:
    await world.start_campaign(4)
    assert len((await world.release()).jobs) == 4
    async with scheduling(settings):
        await world.wait_for_value(4, PUBLISHED)
    assert len(await _jobs(settings)) == 4


async def test_a_cancelled_campaign_ends_and_its_skips_are_published(world: World, settings: Settings) -> None:
    campaign = await world.start_campaign(30, limit=10)
    async with scheduling(settings):
        await world.wait_for_value(10, PUBLISHED)
        await world.act(campaign, Action.CANCEL)
        await world.wait_for_value(30, "SELECT count(*) FROM campaign_recipients WHERE status = 'skipped'")
        await world.wait_for_value(0, "SELECT count(*) FROM send_ledger WHERE published_at IS NULL")
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    records = await asyncio.to_thread(read_all, settings.kafka_bootstrap_servers, topic)
    events = [RecipientEvent.model_validate_json(record.value() or b"") for record in records]
    assert {(event.kind, event.skip_reason) for event in events} == {(EventKind.SKIPPED, "campaign_cancelled")}
    assert len({event.recipient_id for event in events}) == 30


async def test_a_claim_past_its_lease_is_declared_unknown_and_published(world: World, settings: Settings) -> None:
    await world.start_campaign(2)
    jobs = (await world.release()).jobs
    await ledger.claim(world.connection, uuid4(), jobs[:1], lease_s=0.01)
    await ledger.claim(world.connection, uuid4(), jobs[1:], lease_s=100)
    async with scheduling(settings):
        await world.wait_for_value(1, "SELECT count(*) FROM send_ledger WHERE published_at IS NOT NULL")
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    records = await asyncio.to_thread(read_all, settings.kafka_bootstrap_servers, topic)
    events = [RecipientEvent.model_validate_json(record.value() or b"") for record in records]
    assert {(event.kind, event.recipient_id) for event in events} == {(EventKind.UNKNOWN, jobs[0].recipient_id)}


async def test_a_campaign_is_completed_and_opened_by_the_leader(world: World, settings: Settings) -> None:
    campaign = await world.start_campaign(1)
    status = f"SELECT status FROM marketing_campaigns WHERE id = '{campaign}'"
    async with scheduling(settings):
        await world.wait_for_value(1, PUBLISHED)
        await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now(), delivered_at = now()")
        await world.wait_for_value("completed", status)
        await world.import_recipients(campaign, 1)
        await world.wait_for_value("active", status)


async def test_the_leader_deletes_old_rows(world: World, settings: Settings) -> None:
    recipients = await world.add_recipients(5)
    await world.run(
        "INSERT INTO messages (wamid, recipient_id, attempt, first_seen_at)"
        " SELECT 'wamid.' || id, id, 1, now() - interval '3 days' FROM campaign_recipients"
    )
    async with scheduling(settings.model_copy(update={"keep_messages_days": 1})):
        await world.wait_for_value(len(recipients), "SELECT count(*) FROM old_messages")
    assert await world.count("messages") == 0


async def test_a_frozen_leader_loses_the_lock(world: World, settings: Settings) -> None:
    """Its session is idle, so the server ends the session and its lock."""
    stop = asyncio.Event()
    async with leadership.leadership(settings, process.ELECTION, stop) as leader:
        assert leader is not None
        async with leader.turn() as connection:
            cursor = await connection.execute(
                "SELECT name, setting::int / 1000 FROM pg_settings"
                " WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout') ORDER BY name"
            )
            assert await cursor.fetchall() == [
                ("idle_in_transaction_session_timeout", 10),
                ("idle_session_timeout", 10),
            ]
            await connection.execute("SET idle_session_timeout = '200ms'")
        await world.wait_for_value(0, LEADERS)


async def test_an_idle_leader_keeps_its_lock(world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has nothing to say (Kafka does not answer), its own timeout must not take the lock from it."""
    assert 3 * leadership.PING_S < 10, "of idle_session_timeout"
    short_lived = replace(process.ELECTION, session={**RELEASER_SESSION, "idle_session_timeout": "500ms"})
    monkeypatch.setattr(leadership, "PING_S", 0.1)
    stop = asyncio.Event()
    async with leadership.leadership(settings, short_lived, stop) as leader:
        assert leader is not None
        keeping = asyncio.create_task(leader.keep(stop))
        await world.wait_for_value(1, f"SELECT count(*) FROM ({LEADER}) AS held WHERE {OLDER}", deadline_s=10)
        stop.set()
        await keeping


async def test_postgres_away_for_too_long_is_transient(settings: Settings) -> None:
    away = settings.model_copy(
        update={"database_url": SecretStr("postgresql://postgres@127.0.0.1:1/none"), "stall_limit_s": 1.5}
    )
    with pytest.raises(Transient, match="Postgres"):
        await asyncio.wait_for(process.run(away, asyncio.Event()), 30)


class Fenced(AsyncPublisher):
    """A producer that fails for good as soon as it publishes."""

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        self.fatal.set()
        return await super().publish_batch(records, timeout_s)


async def test_a_producer_that_failed_for_good_ends_the_process(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the leader would keep the lock and never publish again."""
    monkeypatch.setattr(process, "AsyncPublisher", Fenced)
    await world.start_campaign(1)
    with pytest.raises(process.ProducerLost):
        await asyncio.wait_for(process.run(settings, asyncio.Event()), 20)
    await world.wait_for_value(0, LEADERS)


async def test_an_unplanned_campaign_is_planned_and_released_by_the_leader(world: World, settings: Settings) -> None:
    campaign = await world.create_campaign(25, 10)
    async with (
        world.connection.transaction()
    ):  # inside a longer transaction the activation leaves the plan to the leader
        await world.act(campaign, Action.ACTIVATE)
    assert await planning.find_planning(world.connection) == [campaign]
    days = "SELECT scheduled_send_date::date - current_date, count(*) FROM campaign_recipients GROUP BY 1 ORDER BY 1"
    async with scheduling(settings):
        await world.wait_for_value(10, PUBLISHED)
        assert await planning.find_planning(world.connection) == []
        assert await world.run(days) == [(0, 10), (1, 10), (2, 5)]
    assert {job.campaign_id for job in await _jobs(settings)} == {campaign}


async def test_the_leader_gives_budget_back_that_was_locked_before(world: World, settings: Settings) -> None:
    campaign = await world.start_campaign(1)
    await world.run("INSERT INTO campaign_days (campaign_id, day, used) VALUES (%s, current_date - 9, 5)", campaign)
    await world.run("INSERT INTO budget_returns (campaign_id, day, n) VALUES (%s, current_date - 9, 2)", campaign)
    async with scheduling(settings):
        await world.wait_for_value(3, "SELECT used FROM campaign_days WHERE day = current_date - 9")
    assert await world.value("SELECT count(*)::int FROM budget_returns") == 0
