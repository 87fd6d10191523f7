"""An operator may retry an unknown send only when no received record can still contain its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from cli.unknown import act_on_unknown
from cli.unknown_report import EXIT_REFUSED
from operations import unknowns
from operations.unknown_acts import UnknownOptions
from runtime.settings import Settings, read_settings
from schemas.codec import decode, encode
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.model import Wamid
from sinks import sink
from tables.parked import read_foreign
from tests.support.kafka_topics import create_topics, put, read_all
from tests.support.sending_world import World, a_world
from tests.support.waiting import eventually_async

EXIT_USAGE = 64


class Operated(World):
    """A world with topics, in which a test may run a sink."""

    settings: Settings

    def events(self) -> list[RecipientEvent]:
        topic = self.settings.topic("recipient.events")
        return [decode(RecipientEvent, m.value()) for m in read_all(self.settings.kafka_bootstrap_servers, topic)]

    async def unknown(self, count: int, minutes: int = 60) -> list[SendJob]:
        jobs = await self.release(count)
        await self.claim(jobs)
        await self.run(
            "UPDATE send_ledger SET outcome = 'unknown', outcome_at = now() - %s * interval '1 minute', event = '{}',"
            " published_at = now()",
            minutes,
        )
        await self.run("UPDATE campaign_recipients SET unknown_attempt = attempt")
        return jobs

    async def status_is(self, job: SendJob, *expected: object) -> bool:
        row = await self.run(
            "SELECT status, next_attempt_at IS NOT NULL FROM campaign_recipients WHERE id = %s", job.recipient_id
        )
        return row[0] == expected


@pytest.fixture
async def world(kafka: str, database_url: str, topic_prefix: str) -> AsyncIterator[Operated]:
    settings = read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
    })  # fmt: skip
    names = [settings.topic(name) for name in ("webhooks.raw", "recipient.events", "recipient.events.dead")]
    await asyncio.to_thread(create_topics, kafka, *names)
    async with a_world(database_url) as plain:
        operated = Operated(plain.connection, plain.url)
        operated.campaign, operated.settings = plain.campaign, settings
        yield operated


async def act(world: Operated, kind: EventKind, *jobs: SendJob, sure: bool = True, force: bool = False) -> int:
    """The exit code of the command for these recipients."""
    options = UnknownOptions(kind, tuple(job.recipient_id for job in jobs), is_sure=sure, is_forced=force)
    return await act_on_unknown(world.settings, options, as_json=True)


async def test_a_retry_is_an_event_that_makes_the_row_due(world: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = await world.unknown(2)
    assert await act(world, EventKind.RETRY, one) == 0
    (event,) = await asyncio.to_thread(world.events)
    assert (event.kind, event.recipient_id, event.attempt) == (EventKind.RETRY, one.recipient_id, 1)
    assert json.loads(capsys.readouterr().out)["published"] == 1
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(world.settings, stop))
    await eventually_async(lambda: world.status_is(one, "unknown", True))
    stop.set()
    await running
    assert await world.status_is(other, "unknown", False), "only the given recipient"
    assert await act(world, EventKind.RETRY, one) == EXIT_REFUSED, "a retry was already requested"


async def test_assumed_sent_is_an_event_that_makes_the_row_sent(world: Operated) -> None:
    (job,) = await world.unknown(1, minutes=0)
    assert await act(world, EventKind.ASSUMED_SENT, job) == 0
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(world.settings, stop))
    await eventually_async(lambda: world.status_is(job, "sent", False))
    stop.set()
    await running


async def test_without_yes_nothing_is_done_but_a_warning(world: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = await world.unknown(1)
    for kind, word in ((EventKind.RETRY, "twice"), (EventKind.ASSUMED_SENT, "permanently")):
        assert await act(world, kind, job, sure=False) == EXIT_USAGE
        assert word in capsys.readouterr().err
    assert await asyncio.to_thread(world.events) == []


async def test_a_warning_names_dead_letters_that_may_hold_the_answer(
    world: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    (job,) = await world.unknown(1)
    assert await act(world, EventKind.RETRY, job, sure=False) == EXIT_USAGE
    assert "dead letter" not in capsys.readouterr().err
    dead = world.settings.topic("recipient.events.dead")
    await asyncio.to_thread(put, world.settings.kafka_bootstrap_servers, dead, [(b"x", b"x")] * 2)
    assert await act(world, EventKind.RETRY, job, sure=False) == EXIT_USAGE
    assert "2 dead letter(s) wait and may contain an answer" in capsys.readouterr().err


async def test_a_young_unknown_is_not_repeated_unless_forced(world: Operated) -> None:
    (job,) = await world.unknown(1, minutes=14)
    assert await act(world, EventKind.RETRY, job) == EXIT_REFUSED
    assert await asyncio.to_thread(world.events) == []
    assert await act(world, EventKind.RETRY, job, force=True) == 0
    assert len(await asyncio.to_thread(world.events)) == 1


async def test_a_recipient_that_is_not_unknown_is_not_retried(world: Operated) -> None:
    (job,) = await world.unknown(1)
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now()")
    assert await act(world, EventKind.RETRY, job, force=True) == EXIT_REFUSED
    stranger = UnknownOptions(EventKind.RETRY, (uuid4(),), is_sure=True, is_forced=True)
    assert await act_on_unknown(world.settings, stranger, as_json=True) == EXIT_REFUSED
    assert await act(world, EventKind.RETRY) == EXIT_USAGE, "no recipient was given"


async def test_it_reports_the_unchanged_recipients_and_the_reasons(
    world: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    retrying, resolved, still = await world.unknown(3)
    await world.run("UPDATE campaign_recipients SET retry_attempt = 1 WHERE id = %s", retrying.recipient_id)
    await world.run(
        "UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now() WHERE id = %s", resolved.recipient_id
    )
    assert await act(world, EventKind.RETRY, retrying, force=True) == EXIT_REFUSED
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"refused": "asked_before"}
    assert "--force" not in printed.err, "it does not override this refusal"
    assert await act(world, EventKind.RETRY, still, sure=False) == EXIT_USAGE
    assert json.loads(capsys.readouterr().out) == {"refused": "not_confirmed", "recipients": 1}
    await world.campaign_is("paused")
    assert await act(world, EventKind.RETRY, retrying, resolved, still, force=True) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["published"] == 1
    for words in (
        "1 of the given recipients are not unknown",
        "a retry of 1 recipient(s) was already requested",
        "a campaign that is paused",
    ):
        assert words in printed.err
    (event,) = await asyncio.to_thread(world.events)
    assert event.recipient_id == still.recipient_id


async def test_a_webhook_after_the_retry_request_wins(world: Operated) -> None:
    """No check can prevent this race: the answer is still on the network when the operator requests the retry."""
    (job,) = await world.unknown(1)
    assert await act(world, EventKind.RETRY, job, force=True) == 0
    sent = RecipientEvent(
        kind=EventKind.SENT, recipient_id=job.recipient_id, attempt=1, wamid=Wamid("wamid.late"), phone_number_id="1",
        occurred_at=datetime.now(UTC), received_at=datetime.now(UTC),
    )  # fmt: skip
    topic = world.settings.topic("recipient.events")
    await asyncio.to_thread(put, world.settings.kafka_bootstrap_servers, topic, [(sent.key, encode(sent))])
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(world.settings, stop))
    await eventually_async(lambda: world.status_is(job, "sent", False))
    stop.set()
    await running
    for kind in (EventKind.RETRY, EventKind.ASSUMED_SENT):
        assert await act(world, kind, job, force=True) == EXIT_REFUSED


async def test_assumed_sent_twice_is_assumed_sent(world: Operated) -> None:
    (job,) = await world.unknown(1)
    for _ in range(2):  # before the sink has applied the first
        assert await act(world, EventKind.ASSUMED_SENT, job) == 0
    assert len(await asyncio.to_thread(world.events)) == 2
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(world.settings, stop))
    applied = "SELECT coalesce(sum(next_offset), 0)::int FROM sink_offsets"

    async def both_applied() -> bool:
        return await world.run(applied) == [(2,)]

    await eventually_async(both_applied)
    stop.set()
    await running
    assert await world.status_is(job, "sent", False)
    assert await world.run("SELECT accepted_attempts FROM campaign_recipients") == [(2,)]
    assert await world.count("double_sends") == 0


async def test_a_webhook_not_reconciled_or_not_applied_holds_a_retry_up(world: Operated) -> None:
    bootstrap, settings = world.settings.kafka_bootstrap_servers, world.settings
    webhooks, events = settings.topic("webhooks.raw"), settings.topic("recipient.events")
    assert await unknowns.behind(world.connection, settings, 0) is None
    await asyncio.to_thread(put, bootstrap, webhooks, [(b"x", b"x")])
    refusal = await unknowns.behind(world.connection, settings, 0)
    assert refusal is not None
    assert refusal.reason == "reconciler_lag"
    await asyncio.to_thread(_commit_all, settings, webhooks)
    assert await unknowns.behind(world.connection, settings, 0) is None
    await asyncio.to_thread(put, bootstrap, events, [(b"x", b"x")])
    refusal = await unknowns.behind(world.connection, settings, 0)
    assert refusal is not None
    assert refusal.reason == "sink_lag"
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(settings, stop))
    assert await unknowns.behind(world.connection, settings, 30) is None, (
        "it waits only for the records that existed before"
    )
    stop.set()
    await running


def _commit_all(settings: Settings, topic: str) -> None:
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": settings.group("reconciler")}
    )
    places = [
        TopicPartition(topic, p, consumer.get_watermark_offsets(TopicPartition(topic, p))[1])
        for p in consumer.list_topics(topic, 10).topics[topic].partitions
    ]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


async def test_parked_and_foreign_statuses_are_listed(world: Operated) -> None:
    await world.run(
        "INSERT INTO messages (wamid, phone_number_id, first_seen_at, sent_at, read_at)"
        " VALUES ('wamid.a', '1', now() - interval '2 hours', now(), now()), ('wamid.b', '1', now(), NULL, NULL)"
    )
    await world.run("INSERT INTO foreign_statuses VALUES ('2026-01-01', '1', 3), ('2026-01-02', '1', 4)")
    parked, total = await unknowns.find_parked(world.connection, 1)
    assert (total, [(each.wamid, each.statuses) for each in parked]) == (2, [("wamid.a", ("sent", "read"))])
    assert "wamid.a" not in repr(parked)
    ((number, n, _day),) = await read_foreign(world.connection)
    assert (number, n) == ("1", 7)
