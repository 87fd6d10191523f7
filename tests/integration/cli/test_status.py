"""The status names each problem and its next step, also while a server is away. A pause needs only Postgres."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from cli.confirmation import Consent
from cli.console import reason_of
from cli.pause import pause_all, pause_named, run_pause
from cli.resume import resume_campaigns
from operations import pausing, status_report
from operations import status as status_source
from operations.dead_letters import dead_topics
from operations.status_lines import Line, lines
from operations.status_report import collect
from runtime.settings import Settings, read_settings
from schemas.bundles import Body, encode_bundle
from sinks import sink
from tables import locks
from tests.support.kafka_topics import create_all_topics, put
from tests.support.waiting import eventually_async
from tests.support.world import World
from topics import lag
from topics.lag import Lag

NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def settings(settings: Settings) -> Settings:
    """An installation without an ingress and an API."""
    await asyncio.to_thread(create_all_topics, settings)
    return settings.model_copy(update={"ingress_port": 1, "api_port": 1})


def by_name(found: list[Line]) -> dict[str, Line]:
    return {line.about: line for line in found}


async def test_every_line_that_is_not_well_has_a_next_step(world: World, settings: Settings) -> None:
    jobs = await world.release_jobs(4)
    await world.claim(jobs[:3])
    await world.run("UPDATE releases SET released_at = now() - interval '1 hour'")
    await world.run(
        "UPDATE send_ledger SET lease_until = now() - interval '1 hour' WHERE recipient_id = %s", jobs[0].recipient_id
    )
    await world.run(
        "UPDATE send_ledger SET outcome = 'accepted', event = '{}', outcome_at = now() - interval '1 hour'"
        " WHERE recipient_id = %s",
        jobs[1].recipient_id,
    )
    await world.run("UPDATE campaign_recipients SET unknown_attempt = 1 WHERE id = %s", jobs[2].recipient_id)
    await world.run("INSERT INTO messages (wamid, first_seen_at) VALUES ('wamid.x', now() - interval '2 hours')")
    await world.run(
        "INSERT INTO double_sends VALUES (%s, 1, 'a'), (%s, 1, 'b')", jobs[0].recipient_id, jobs[0].recipient_id
    )
    await world.run(
        "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id, status, pause_reason)"
        " VALUES ('Held', 't', 'en', '1', 'paused', 'template_paused')"
    )
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, settings.topic("send.jobs.dead"), [(b"x", b"x")])
    found = by_name(await collect(settings, reason_of))
    states = {name: line.state for name, line in found.items()}
    assert states == {
        "breakers": "ok",
        "scheduler": "wrong", "stats-publisher": "wrong", "api": "look", "reconciler": "wrong", "sender": "wrong",
        "sink": "wrong", "subscriptions": "wrong", "control": "wrong", "ingress": "look", "last webhook": "look",
        "sending": "ok", "webhooks applied": "ok",
        "dead letters of send.jobs": "look", "parked statuses": "look",
        "unknown sends": "look",
        "queued for a sender": "wrong", "in flight": "look", "results not yet published": "wrong",
        "held by locks": "ok", "double sends": "wrong", "active campaigns": "ok", "active: Test Campaign": "ok",
        "paused: Held": "look",
    }  # fmt: skip
    assert all(line.next_step for line in found.values() if line.state != "ok")
    assert "template_paused" in found["paused: Held"].found
    assert found["in flight"].found.startswith("2")
    assert found["double sends"].found == "1", "one attempt, whatever number of message ids"


async def test_processes_are_seen_by_their_groups_sessions_and_locks(world: World, settings: Settings) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(settings, stop))
    async with world.another() as other:
        for key in (locks.SCHEDULER, locks.STATS_PUBLISHER):
            await other.execute("SELECT pg_advisory_lock(%s)", [key])

        async def is_member() -> bool:
            return by_name(await collect(settings, reason_of))["sink"].state == "ok"

        await eventually_async(is_member)
        now = datetime.now(UTC)
        await asyncio.to_thread(put, settings.kafka_bootstrap_servers, settings.topic("webhooks.raw"), [(None, b"x")])
        found = by_name(await collect(settings, reason_of))
    stop.set()
    await running
    assert (found["scheduler"].state, found["stats-publisher"].state) == ("ok", "ok")
    assert f"{now:%H:%M}" in found["last webhook"].found
    assert found["reconciler"].state == "wrong"
    assert "1 record(s) with 0 status(es) wait" in found["reconciler"].found
    assert found["dead letters"].state == "ok"


async def test_a_server_that_is_away_hides_nothing_of_the_other(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as shortly:
        shortly.setattr(lag, "TIMEOUT_S", 0.5)
        found = by_name(await collect(settings.model_copy(update={"kafka_bootstrap_servers": NOWHERE}), reason_of))
    assert (found["Kafka"].state, found["active campaigns"].found) == ("wrong", "1")
    no_database = read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "CAMPAIGNS_DATABASE_URL": f"postgresql://nobody@{NOWHERE}/none",
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
    })  # fmt: skip
    found = by_name(await collect(no_database, reason_of))
    assert (found["PostgreSQL"].state, found["dead letters"].state) == ("wrong", "ok")


async def test_a_stage_whose_oldest_record_is_late_is_not_well(world: World, settings: Settings) -> None:
    kafka = await status_source.read_kafka(settings, None)
    late = Lag(7, datetime.now(UTC) - timedelta(minutes=2))
    kafka = replace(kafka, members={**kafka.members, "sink": 1}, lags={**kafka.lags, "sink": late})
    (line,) = [each for each in lines(None, kafka, datetime.now(UTC), {}) if each.about == "sink"]
    assert (line.state, line.found) == ("wrong", "1 running, 7 record(s) wait, for 2 min")


async def test_dead_letters_that_were_dealt_with_are_not_counted(world: World, settings: Settings) -> None:
    topic = settings.topic("send.jobs.dead")
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, topic, [(b"x", b"x")] * 3)
    assert by_name(await collect(settings, reason_of))["dead letters of send.jobs"].found == "3"
    remember = (
        "INSERT INTO dead_letter_acts (topic_id, topic_partition, topic_offset, topic, act) VALUES (%s, 0, %s, %s, %s)"
    )
    ids = await asyncio.to_thread(dead_topics, settings)
    await world.run(remember, ids[topic], 0, topic, "redriven")
    await world.run(remember, "of a topic before", 1, topic, "redriven")
    assert by_name(await collect(settings, reason_of))["dead letters of send.jobs"].found == "2"
    for offset in (1, 2):
        await world.run(remember, ids[topic], offset, topic, "dropped")
    assert by_name(await collect(settings, reason_of))["dead letters"].state == "ok"


async def test_the_backlog_of_the_reconciler_is_reported_in_statuses(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body(1, json.dumps({"statuses": [{"id": "wamid.a", "status": "sent", "timestamp": "1"}] * 3}).encode())
    records = [
        (None, encode_bundle([body, Body(1, b"no webhook")])),
        (None, encode_bundle([body])),
        (None, b"no bundle"),
    ]
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, settings.topic("webhooks.raw"), records)
    assert "3 record(s) with 6 status(es) wait" in by_name(await collect(settings, reason_of))["reconciler"].found
    monkeypatch.setattr(status_source, "SAMPLE_BYTES", 1)
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, settings.topic("webhooks.raw"), records)
    assert "6 record(s) with" in by_name(await collect(settings, reason_of))["reconciler"].found, "by the first of them"


async def test_unknown_status_words_and_the_rate_of_sending_are_lines(world: World, settings: Settings) -> None:
    statuses = [
        {"id": "wamid.a", "status": word, "timestamp": "1"} for word in ("sent", "held", "held", "+14694652751")
    ]
    body = Body(1, json.dumps({"statuses": statuses}).encode())
    records = [(None, encode_bundle([body])), (None, b"no bundle")]
    await asyncio.to_thread(put, settings.kafka_bootstrap_servers, settings.topic("webhooks.raw"), records)
    await world.claim(await world.release_jobs(2))
    await world.run("UPDATE send_ledger SET outcome = 'accepted', event = '{}', outcome_at = now()")
    found = by_name(await collect(settings, reason_of))
    assert "held (2), *********51 (1)" in found["unknown status words"].found
    assert found["sending"].found == "0.0 a second now: 2 accepted in the last minute"
    assert found["last webhook"].state == "ok", "the messages are too young to miss a webhook"


async def test_another_schema_is_named(settings: Settings, empty_database_url: str) -> None:
    empty = settings.model_copy(update={"database_url": SecretStr(empty_database_url)})
    found = by_name(await collect(empty, reason_of))
    assert (found["schema"].state, found["schema"].next_step) == ("wrong", "campaigns db migrate")
    assert "sink" in found, "Kafka is queried anyway"


async def test_a_frozen_postgres_does_not_hang_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_settings: Settings) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(status_report, "DATABASE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(status_report, "_read_database", never)
    assert by_name(await collect(settings, reason_of))["PostgreSQL"].state == "wrong"


async def test_the_ingress_is_queried_at_its_configured_address(world: World, settings: Settings) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await collect(settings.model_copy(update={"ingress_port": port, "ingress_host": "0.0.0.0"}), reason_of)
    assert by_name(found)["ingress"].found.startswith("answers 503")


async def test_a_database_that_went_back_is_not_well(world: World, settings: Settings) -> None:
    assert "database" not in by_name(await collect(settings, reason_of))
    await world.run("UPDATE installation SET system_identifier = 1")
    assert by_name(await collect(settings, reason_of))["database"].next_step == "campaigns recover"


async def test_all_campaigns_are_paused_while_kafka_is_away(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.run(
        "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id, status)"
        " VALUES ('a', 't', 'en', '1', 'active'), ('b', 't', 'en', '1', 'draft')"
    )
    jobs = await world.release_jobs(1)
    assert await pause_all(world.connection, "incident", Consent(), as_json=False) == 64, "there is no terminal"
    assert "This would pause all 2 active campaign(s)" in capsys.readouterr().err
    assert await pause_all(world.connection, "incident", Consent(is_given=True), as_json=True) == 0
    assert len(json.loads(capsys.readouterr().out)["paused"]) == 2
    states = "SELECT status, pause_reason FROM marketing_campaigns ORDER BY status"
    assert await world.run(states) == [("draft", None), ("paused", "incident"), ("paused", "incident")]
    assert await world.claim(jobs) == ["paused"]
    name = [str(world.campaign)]
    assert await resume_campaigns(settings, world.connection, name, Consent(), as_json=False) == 64
    assert "which was paused: incident" in capsys.readouterr().err
    assert await resume_campaigns(settings, world.connection, name, Consent(is_given=True), as_json=False) == 0
    assert await world.claim(jobs) == ["claimed"]
    assert await resume_campaigns(settings, world.connection, name, Consent(is_given=True), as_json=False) == 1, (
        "it is active"
    )
    assert run_pause([], "x", Consent(), is_all=False, as_json=False) == 64, "which?"


async def test_one_that_cannot_be_paused_keeps_no_other_from_it(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await world.run(
        "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id, status)"
        " VALUES ('a', 't', 'en', '1', 'draft'), ('b', 't', 'en', '1', 'active') RETURNING id"
    )
    draft, active = (row[0] for row in made)
    names = ["a", str(uuid4()), str(world.campaign), active.hex[-8:]]
    assert await pause_named(world.connection, names, "incident", is_dry=True, as_json=True) == 1
    assert await world.value("SELECT count(*) FROM marketing_campaigns WHERE status = 'paused'") == 0
    capsys.readouterr()
    assert await pause_named(world.connection, names, "incident", is_dry=False, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["paused"] == [str(world.campaign), str(active)]
    assert [each["campaign_id"] for each in document["refused"]] == [str(draft)]
    assert await pause_named(world.connection, ["b"], "again", is_dry=False, as_json=False) == 0, "it is paused already"
    assert await pause_named(world.connection, ["nobody"], "again", is_dry=False, as_json=False) == 64
    everyone = ["a", "b", str(world.campaign)]
    assert await resume_campaigns(settings, world.connection, everyone, Consent(is_given=True), as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["resumed"] == [str(active), str(world.campaign)]


async def test_a_campaign_that_is_held_does_not_keep_the_others_from_being_paused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "PAUSE_S", 0.05)
    (row,) = await world.run(
        "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id, status)"
        " VALUES ('held', 't', 'en', '1', 'active') RETURNING id"
    )
    held: UUID = row[0]
    async with (
        world.another("campaigns-pause", lock_timeout="50") as pausing_one,
        world.another() as importer,
    ):
        async with importer.transaction():
            await importer.execute("SELECT FROM marketing_campaigns WHERE id = %s FOR NO KEY UPDATE", [held])
            outcome = await pausing.pause_all(pausing_one, "incident")
        assert outcome == pausing.PauseResult((world.campaign,), (held,))
        outcome = await pausing.pause_all(pausing_one, "incident")
        assert outcome == pausing.PauseResult((held,), ())
