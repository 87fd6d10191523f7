"""A database that went back in time sends nothing until the topics are read again, and then nothing twice."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from cli.confirmation import Consent
from cli.recover import run_recovery
from operations import audit, recovery
from runtime.process import Transient
from runtime.settings import Settings
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.model import Wamid
from tables import ledger
from tables.ledger import unpublished
from tables.recovery import read_installation
from tables.releases import Rates, release_step
from tests.support.kafka_topics import create_all_topics, put
from tests.support.world import NUMBER_ID, World

NOW = datetime.now(UTC)
SURE = Consent(is_given=True)
RATES = Rates(mps=80, cap_s=10)


@pytest.fixture
async def settings(settings: Settings) -> Settings:
    await asyncio.to_thread(create_all_topics, settings)
    return settings


async def went_back(world: World) -> None:
    """As after a restore to another point in time: the server is the same, and its timeline is new."""
    await world.run("UPDATE installation SET timeline = '0000000F'")


async def undo_release(world: World, *jobs: SendJob) -> None:
    """Restore the rows to a time before the release, when they were planned and due."""
    for job in jobs:
        await world.run("DELETE FROM releases WHERE recipient_id = %s", job.recipient_id)
        await world.run(
            "UPDATE campaign_recipients SET attempt = 0, scheduled_send_date = now() - interval '1 day' WHERE id = %s",
            job.recipient_id,
        )


async def statuses(world: World, *jobs: SendJob) -> list[tuple[str, int]]:
    found = []
    for job in jobs:
        found += await world.run("SELECT status, attempt FROM campaign_recipients WHERE id = %s", job.recipient_id)
    return found


async def test_no_recipient_gets_two_messages_after_a_restore(world: World, settings: Settings) -> None:
    sent, released, queued, waiting = await world.release_jobs(4)
    await undo_release(world, sent, released, waiting)
    answer = RecipientEvent(
        kind=EventKind.ACCEPTED, recipient_id=sent.recipient_id, attempt=1, wamid=Wamid("wamid.1"),
        occurred_at=NOW, received_at=NOW,
    )  # fmt: skip
    bootstrap = settings.kafka_bootstrap_servers
    jobs = [(job.key, encode(job)) for job in (sent, released)] + [(b"x", b"no job")]
    await asyncio.to_thread(put, bootstrap, settings.topic("send.jobs"), jobs)
    records = [(answer.key, encode(answer)), (b"x", b"no event")]
    await asyncio.to_thread(put, bootstrap, settings.topic("recipient.events"), records)
    await went_back(world)

    assert (await release_step(world.connection, RATES)).jobs == (), "nothing is released"
    assert await world.claim([queued, sent]) == ["paused", "paused"], "nothing is claimed or permanently refused"
    assert await world.count("send_ledger") == 0

    assert await run_recovery(settings, SURE, is_forced=False, as_json=True) == 0
    assert await statuses(world, sent, released, queued, waiting) == [
        ("sent", 1), ("unknown", 1), ("unknown", 1), ("pending", 0),
    ]  # fmt: skip
    assert await read_installation(world.connection) == (True, 2)
    published_later = await unpublished(world.connection, 10, older_than_s=-1)
    assert {each.recipient_id for each in published_later} == {released.recipient_id, queued.recipient_id}
    assert {each.outcome for each in published_later} == {"unknown"}

    step = await release_step(world.connection, RATES)
    assert [job.recipient_id for job in step.jobs] == [waiting.recipient_id], (
        "only the recipient without an attempt is released"
    )
    assert await world.claim(list(step.jobs)) == ["claimed"]
    assert await world.claim([sent, released, queued]) == ["stale", "held", "held"], "an old job sends nothing"
    assert (await audit.audit(world.connection, None, None)).is_clean


async def test_after_a_synchronous_failover_a_release_without_a_claim_stays_queued(
    world: World, settings: Settings
) -> None:
    claimed, released = await world.release_jobs(2)
    jobs = [(job.key, encode(job)) for job in (claimed, released)]
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, settings.topic("send.jobs"), jobs)
    assert await world.claim([claimed]) == ["claimed"]
    await went_back(world)
    assert await run_recovery(settings, SURE, is_forced=False, is_complete=True, as_json=True) == 0
    assert await statuses(world, claimed, released) == [("queued", 1), ("queued", 1)]
    assert await world.claim([released]) == ["claimed"]
    assert (await audit.audit(world.connection, None, None)).is_clean


async def test_a_database_without_a_release_of_the_topic_is_not_taken_for_complete(
    world: World, settings: Settings
) -> None:
    (job,) = await world.release_jobs(1)
    await asyncio.to_thread(
        put, settings.kafka_bootstrap_servers, settings.topic("send.jobs"), [(job.key, encode(job))]
    )
    await undo_release(world, job)
    await went_back(world)
    with pytest.raises(recovery.CommitsMissing, match="1 released attempts"):
        await recovery.run(settings, is_forced=False, is_complete=True)
    assert (await read_installation(world.connection))[0] is False, "sending stays disabled"
    assert await run_recovery(settings, SURE, is_forced=False, as_json=False) == 0
    assert await statuses(world, job) == [("unknown", 1)]


async def test_a_recovery_twice_changes_nothing_more(world: World, settings: Settings) -> None:
    (job,) = await world.release_jobs(1)
    await asyncio.to_thread(
        put, settings.kafka_bootstrap_servers, settings.topic("send.jobs"), [(job.key, encode(job))]
    )
    await undo_release(world, job)
    await went_back(world)
    first = await recovery.recover(world.connection, settings)
    again = await recovery.recover(world.connection, settings)
    assert (first.unknown, again.unknown, again.rows_changed) == (1, 0, 0)
    assert (first.epoch, again.epoch) == (2, 3)


async def test_a_record_that_raises_does_not_prevent_recovery(world: World, settings: Settings) -> None:
    (job,) = await world.release_jobs(1)
    edge = "9999-12-31T23:59:59"
    ours = {"recipient_id": str(job.recipient_id), "attempt": 1, "kind": "sent"}
    times = [(f"{edge}-12:00", f"{edge}-12:00"), (f"{edge}Z", f"{edge}Z")]  # one raises in decoding, one in the fold
    records = [
        (job.key, json.dumps({**ours, "occurred_at": occurred, "received_at": received}).encode())
        for occurred, received in times
    ]
    sound = RecipientEvent(
        kind=EventKind.SENT, recipient_id=job.recipient_id, attempt=1, wamid=Wamid("wamid.1"),
        phone_number_id=NUMBER_ID, occurred_at=NOW, received_at=NOW,
    )  # fmt: skip
    events = settings.topic("recipient.events")
    bootstrap = settings.kafka_bootstrap_servers
    await asyncio.to_thread(put, bootstrap, events, [*records, (sound.key, encode(sound))])
    await asyncio.to_thread(put, bootstrap, settings.topic("send.jobs"), [(job.key, records[0][1])])
    await went_back(world)
    assert await run_recovery(settings, SURE, is_forced=False, as_json=False) == 0
    assert await statuses(world, job) == [("sent", 1)]


async def test_two_at_once_recover_once(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second recovery would disable sending again, and declare the releases of the new epoch unknown."""
    await went_back(world)
    declare, second_waits = recovery._declare_released, asyncio.Event()

    async def slowly(*arguments: Any) -> int:
        await asyncio.wait_for(second_waits.wait(), 30)
        return await declare(*arguments)

    monkeypatch.setattr(recovery, "_declare_released", slowly)
    both = [asyncio.create_task(run_recovery(settings, SURE, is_forced=False, as_json=True)) for _ in range(2)]
    await world.wait_for_blocked("campaigns-recover")
    second_waits.set()
    assert await asyncio.gather(*both) == [0, 0]
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted((each["needed"], each["epoch"]) for each in documents) == [(False, 2), (True, 2)]


async def test_an_interrupted_recovery_leaves_sending_disabled_and_reports_it(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is forced, as after a restored dump on the same server, which looks like the same history."""
    (job,) = await world.release_jobs(1)
    await asyncio.to_thread(
        put, settings.kafka_bootstrap_servers, settings.topic("send.jobs"), [(job.key, encode(job))]
    )

    async def die(*_arguments: object) -> int:
        raise Transient("Kafka is away")

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "_declare_released", die)
        with pytest.raises(Transient):
            await run_recovery(settings, SURE, is_forced=True, as_json=False)
    assert recovery.UNFINISHED in capsys.readouterr().err
    assert await world.claim([job]) == ["paused"]
    assert await run_recovery(settings, SURE, is_forced=False, as_json=True) == 0, "it continues without --force"
    assert json.loads(capsys.readouterr().out) == {
        "needed": True, "events": 0, "rows_changed": 0, "unknown": 1, "kept": 0, "epoch": 2,
    }  # fmt: skip
    assert await statuses(world, job) == [("unknown", 1)]
    assert await run_recovery(settings, SURE, is_forced=False, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"needed": False, "epoch": 2}


async def test_a_claim_in_hand_is_deferred_not_posted(world: World) -> None:
    """The sender renews each claim before its post, so claims from before the failover are not posted."""
    (job,) = await world.release_jobs(1)
    token = uuid4()
    assert await world.claim([job], token=token) == ["claimed"]
    await went_back(world)
    answers = await ledger.renew(world.connection, [ledger.Claim(job.recipient_id, 1, token)], 45)
    assert [answer.verdict for answer in answers.values()] == ["deferred"]


async def test_where_the_history_is_ours_there_is_nothing_to_do(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (job,) = await world.release_jobs(1)
    assert await run_recovery(settings, SURE, is_forced=False, as_json=False) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert await world.claim([job]) == ["claimed"]
    assert await read_installation(world.connection) == (True, 1)
