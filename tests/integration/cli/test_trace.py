"""The history of one recipient: each record once, with its place and its effect, found by number, id or message id."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from cli.console import reason_of
from cli.trace import _trace, as_document, as_lines
from domain.history import Effect
from domain.traces import trace_id_of
from operations.trace import collect
from runtime.settings import Settings
from schemas.codec import encode
from schemas.events import EventKind, Origin, RecipientEvent
from schemas.model import RecipientId, Wamid
from tests.support.kafka_topics import create_topics, put
from tests.support.world import NUMBER_ID, World
from topics import lag

NOW = datetime.now(UTC).replace(microsecond=0)
WAMID = Wamid("wamid.HBgLMTU1NTU1NTU1NTUVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA")


@pytest.fixture(params=[4, 8], ids=["every partition", "by key"])
async def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    bootstrap = settings.kafka_bootstrap_servers
    await asyncio.to_thread(create_topics, bootstrap, settings.topic("recipient.events"), partitions=request.param)
    for other in ("recipient.events.dead", "subscription.events", "subscription.events.dead", "campaign.control"):
        await asyncio.to_thread(create_topics, bootstrap, settings.topic(other), partitions=1)
    return settings


def event(kind: EventKind, person: RecipientId | None, minutes: int = 0, attempt: int = 1) -> RecipientEvent:
    at = NOW + timedelta(minutes=minutes)
    return RecipientEvent(
        kind=kind,
        recipient_id=person,
        attempt=None if person is None else attempt,
        wamid=WAMID,
        phone_number_id=NUMBER_ID,
        occurred_at=at,
        received_at=at,
        origin=Origin(topic="webhooks.raw", partition=3, offset=77, index=5),
    )


async def test_every_record_is_shown_with_its_effect(world: World, settings: Settings) -> None:
    await world.run("UPDATE marketing_campaigns SET created_at = now()")
    job, other = await world.release_jobs(2)
    await world.claim([job])
    person = job.recipient_id
    records = [
        event(EventKind.DELIVERED, None, 2),
        event(EventKind.ACCEPTED, person),
        event(EventKind.READ, person, 3),
        event(EventKind.SENT, person, 1),
        event(EventKind.READ, person, 3),
        event(EventKind.SENT, person, -60 * 24 * 9),
    ]
    topic = settings.topic("recipient.events")
    noise = [event(EventKind.SENT, other.recipient_id).model_copy(update={"wamid": None})] * 50
    for each in records:  # one after the other, so that their times of writing are in this order
        await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(each.key, encode(each))])
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(e.key, encode(e)) for e in noise])
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(str(person).encode(), b"no event at all")])
    world.settings = settings
    async with world.running_sinks():
        await world.wait_for_applied(57)
    for sought in (job.recipient_name, "+" + job.recipient_name, str(person), WAMID):
        found = await collect(settings, sought, reason_of)
        assert [each.recipient_id for each in found.dossiers] == [person]
        effects = [(step.traced.event.kind if step.traced.event else None, step.effect) for step in found.history.steps]
        assert effects == [
            (EventKind.DELIVERED, Effect.PARKED),
            (EventKind.ACCEPTED, Effect.CHANGED),
            (EventKind.READ, Effect.CHANGED),
            (EventKind.SENT, Effect.KNOWN),
            (EventKind.READ, Effect.REPEATED),
            (EventKind.SENT, Effect.REFUSED),
            (None, Effect.MALFORMED),
        ]
        accepted, read = found.history.steps[1:3]
        assert (accepted.before, accepted.after) == ("pending", "delivered"), "it applies the parked status"
        assert (read.before, read.after, read.changed) == ("delivered", "read", ("read_at",))
        assert found.history.steps[5].reason == "timestamp_too_old"
        assert found.dossiers[0].row["recipient_status"] == "read"
        assert len(found.dossiers[0].ledger) == 1
        printed = "\n".join(as_lines(found)) + repr(as_document(found))
        assert "webhooks.raw/3@77[5]" in printed
        assert job.recipient_name not in printed
        assert WAMID not in printed
        trace_id = f"{trace_id_of(person, 1):032x}"
        assert f"trace of attempt 1: {trace_id}" in "\n".join(as_lines(found, with_traces=True))
        assert as_document(found)["recipients"][0]["trace_ids"] == {"1": trace_id}
        assert trace_id not in "\n".join(as_lines(found))


async def test_a_message_id_unknown_to_the_database_is_traced(world: World, settings: Settings) -> None:
    parked = event(EventKind.SENT, None)
    topic = settings.topic("recipient.events")
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(parked.key, encode(parked))])
    found = await collect(settings, WAMID, reason_of)
    assert (found.dossiers, [step.effect for step in found.history.steps]) == ([], [Effect.PARKED])


async def test_a_recipient_without_a_row_is_traced(world: World, settings: Settings) -> None:
    (job,) = await world.release_jobs(1)
    lost = event(EventKind.SENT, job.recipient_id)
    topic = settings.topic("recipient.events")
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(lost.key, encode(lost))])
    await world.run("DELETE FROM campaign_recipients")
    found = await collect(settings, str(job.recipient_id), reason_of)
    assert [(step.effect, step.reason) for step in found.history.steps] == [(Effect.REFUSED, "erased")]
    assert "erased" in "\n".join(as_lines(found))


async def test_exit_codes(world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = await world.release_jobs(1)
    await world.run("UPDATE campaign_recipients SET phone_number = '14694652751' WHERE id = %s", job.recipient_id)
    assert await _trace(settings, "00 1 (469) 465-2751", as_json=True) == 0
    assert await _trace(settings, str(uuid4()), as_json=False) == 1
    assert await _trace(settings, "nonsense", as_json=False) == 1
    monkeypatch.setattr(lag, "TIMEOUT_S", 0.5)
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    assert await _trace(away, "14694652751", as_json=False) == 75


async def test_without_kafka_the_database_answers(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "TIMEOUT_S", 0.5)
    (job,) = await world.release_jobs(1)
    found = await collect(
        settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"}), job.recipient_name, reason_of
    )
    assert [each.recipient_id for each in found.dossiers] == [job.recipient_id]
    assert len(found.dossiers[0].releases) == 1
    assert found.not_read
