"""An operator may retry an unknown send only when no received record can still contain its answer."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from api import unknowns
from api.unknown_acts import UnknownOptions
from cli.confirmation import Consent
from cli.unknown import act_on_unknown
from cli.unknown_report import EXIT_REFUSED
from operations.options import InvalidOptions
from runtime.settings import Settings
from schemas.events import EventKind
from schemas.jobs import SendJob
from tables.parked import read_foreign
from tests.support.unknown_sends import unknown_sends
from tests.support.waiting import eventually_async
from tests.support.world import World

EXIT_USAGE = 64


pytestmark = pytest.mark.usefixtures("topics")


async def status_of(world: World, job: SendJob) -> tuple[str, bool]:
    """The status of the recipient, and whether another attempt is planned."""
    sql = "SELECT status, next_attempt_at IS NOT NULL FROM campaign_recipients WHERE id = %s"
    [(word, is_due)] = await world.run(sql, job.recipient_id)
    return word, is_due


async def wait_for_status(world: World, job: SendJob, word: str, *, is_due: bool) -> None:
    async def has_status() -> bool:
        return await status_of(world, job) == (word, is_due)

    await eventually_async(has_status)


async def act(world: World, kind: EventKind, *jobs: SendJob, sure: bool = True, force: bool = False) -> int:
    """The exit code of the command for these recipients."""
    options = UnknownOptions(kind, tuple(job.recipient_id for job in jobs), is_forced=force)
    return await act_on_unknown(world.settings, options, Consent(is_given=sure), as_json=True)


async def test_a_retry_is_an_event_that_makes_the_row_due(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = await unknown_sends(world, 2)
    assert await act(world, EventKind.RETRY, one) == 0
    (event,) = await world.read_events()
    assert (event.kind, event.recipient_id, event.attempt) == (EventKind.RETRY, one.recipient_id, 1)
    assert json.loads(capsys.readouterr().out)["published"] == 1
    async with world.running_sinks():
        await wait_for_status(world, one, "unknown", is_due=True)
    assert await status_of(world, other) == ("unknown", False), "only the given recipient"
    assert await act(world, EventKind.RETRY, one) == EXIT_REFUSED, "a retry was already requested"


async def test_assumed_sent_is_an_event_that_makes_the_row_sent(world: World) -> None:
    (job,) = await unknown_sends(world, 1, minutes=0)
    assert await act(world, EventKind.ASSUMED_SENT, job) == 0
    async with world.running_sinks():
        await wait_for_status(world, job, "sent", is_due=False)


async def test_without_yes_nothing_is_done_but_a_warning(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = await unknown_sends(world, 1)
    for kind, word in ((EventKind.RETRY, "twice"), (EventKind.ASSUMED_SENT, "permanently")):
        assert await act(world, kind, job, sure=False) == EXIT_USAGE
        assert word in capsys.readouterr().err
    assert await world.read_events() == []


async def test_a_warning_names_dead_letters_that_may_hold_the_answer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (job,) = await unknown_sends(world, 1)
    assert await act(world, EventKind.RETRY, job, sure=False) == EXIT_USAGE
    assert "dead letter" not in capsys.readouterr().err
    await world.publish(world.events + ".dead", *[(b"x", b"x")] * 2)
    assert await act(world, EventKind.RETRY, job, sure=False) == EXIT_USAGE
    assert "2 dead letter(s) wait and may contain an answer" in capsys.readouterr().err


async def test_a_young_unknown_is_not_repeated_unless_forced(world: World) -> None:
    (job,) = await unknown_sends(world, 1, minutes=14)
    assert await act(world, EventKind.RETRY, job) == EXIT_REFUSED
    assert await world.read_events() == []
    assert await act(world, EventKind.RETRY, job, force=True) == 0
    assert len(await world.read_events()) == 1


async def test_a_recipient_that_is_not_unknown_is_not_retried(world: World) -> None:
    (job,) = await unknown_sends(world, 1)
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now()")
    assert await act(world, EventKind.RETRY, job, force=True) == EXIT_REFUSED
    stranger = UnknownOptions(EventKind.RETRY, (uuid4(),), is_forced=True)
    assert await act_on_unknown(world.settings, stranger, Consent(is_given=True), as_json=True) == EXIT_REFUSED
    with pytest.raises(InvalidOptions, match="--campaign"):
        await act(world, EventKind.RETRY)


async def test_it_reports_the_unchanged_recipients_and_the_reasons(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    retrying, resolved, still = await unknown_sends(world, 3)
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
    await world.set_campaign_status("paused")
    assert await act(world, EventKind.RETRY, retrying, resolved, still, force=True) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["published"] == 1
    for words in (
        "1 of the given recipients are not unknown",
        "a retry of 1 recipient(s) was already requested",
        "a campaign that is paused",
    ):
        assert words in printed.err
    (event,) = await world.read_events()
    assert event.recipient_id == still.recipient_id


async def test_a_webhook_after_the_retry_request_wins(world: World) -> None:
    """No check can prevent this race: the answer is still on the network when the operator requests the retry."""
    (job,) = await unknown_sends(world, 1)
    assert await act(world, EventKind.RETRY, job, force=True) == 0
    now = datetime.now(UTC)
    await world.publish_events(world.event(job.recipient_id, EventKind.SENT, occurred_at=now, received_at=now))
    async with world.running_sinks():
        await wait_for_status(world, job, "sent", is_due=False)
    for kind in (EventKind.RETRY, EventKind.ASSUMED_SENT):
        assert await act(world, kind, job, force=True) == EXIT_REFUSED


async def test_assumed_sent_twice_is_assumed_sent(world: World) -> None:
    (job,) = await unknown_sends(world, 1)
    for _ in range(2):  # before the sink has applied the first
        assert await act(world, EventKind.ASSUMED_SENT, job) == 0
    assert len(await world.read_events()) == 2
    async with world.running_sinks():
        await world.wait_for_applied(2)
    assert await status_of(world, job) == ("sent", False)
    assert await world.run("SELECT accepted_attempts FROM campaign_recipients") == [(2,)]
    assert await world.count("double_sends") == 0


async def test_a_webhook_not_reconciled_or_not_applied_holds_a_retry_up(world: World) -> None:
    settings = world.settings
    assert await unknowns.behind(world.connection, settings, 0) is None
    await world.publish(world.webhooks, (b"x", b"x"))
    refusal = await unknowns.behind(world.connection, settings, 0)
    assert refusal is not None
    assert refusal.reason == "reconciler_lag"
    await asyncio.to_thread(_commit_all, settings, world.webhooks)
    assert await unknowns.behind(world.connection, settings, 0) is None
    await world.publish(world.events, (b"x", b"x"))
    refusal = await unknowns.behind(world.connection, settings, 0)
    assert refusal is not None
    assert refusal.reason == "sink_lag"
    async with world.running_sinks():
        assert await unknowns.behind(world.connection, settings, 30) is None, (
            "it waits only for the records that existed before"
        )


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


async def test_parked_and_foreign_statuses_are_listed(world: World) -> None:
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
