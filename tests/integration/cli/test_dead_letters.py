"""`campaigns dead-letters` on a real broker: letters are listed, shown masked, redriven once, or dropped."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from operations import dead_letters
from operations import redrive as redriving
from operations.dead_letters import DeadLetterOptions, Filter, filter_of, find
from operations.options import InvalidOptions
from operations.redrive import Busy, drop, redrive
from runtime.process import Transient
from schemas.bundles import Body, encode_bundle
from schemas.codec import encode
from schemas.dead_letters import DeadLetter, read_headers
from schemas.events import EventKind
from schemas.model import RecipientId
from schemas.places import Place
from tables import locks
from tests.support.kafka_topics import create_topics, value_of
from tests.support.paths import ROOT
from tests.support.processes import run_command
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("topics")
PHONE = "15550001234"


def run(world: World, folder: Path, *arguments: str) -> tuple[int, bytes, str]:
    return run_command(world.environment, folder, "dead-letters", *arguments)


def bury_webhook(world: World, reason: str, raw: bytes, error: str = "") -> bytes:
    """Dead-letter a webhook as the reconciler does; returns its bytes."""
    letter = DeadLetter("reconciler", reason, Place(world.webhooks, 2, 40, 1), error)
    value = encode_bundle([Body(1_767_225_605_000_000, raw)])
    producer = Producer({"bootstrap.servers": world.kafka})
    producer.produce(world.webhooks + ".dead", value, headers=dict(letter.headers("test")))
    assert producer.flush(30) == 0
    return value


async def refuse_two_events(world: World) -> tuple[RecipientId, bytes]:
    """Let a sink refuse an event of an unknown recipient and an invalid record; returns the recipient and the bytes."""
    stranger = RecipientId(uuid4())
    event = world.event(stranger, EventKind.ACCEPTED)
    async with world.running_sinks():
        await world.publish(world.events, (b"x", b'{"kind": "no such"}'))
        await world.publish_events(event)
        await world.wait_for_applied(2)
    return stranger, encode(event)


async def test_every_stage_is_listed_and_shown_masked(world: World, tmp_path: Path) -> None:
    _, event = await refuse_two_events(world)
    hook = json.dumps({"statuses": [{"wa_id": int(PHONE), "recipient_id": PHONE}]}).encode()
    value = await asyncio.to_thread(bury_webhook, world, "no_entry", hook, "webhook: no entry")
    await world.publish(world.webhooks + ".dead", (None, b"without headers"))
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "list", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["total"] == 4
    by_reason = {letter["reason"]: letter for letter in document["letters"]}
    assert {reason: letter["stage"] for reason, letter in by_reason.items()} == {
        "no_entry": "reconciler", "no_headers": "?", "malformed": "sink", "unknown_recipient": "sink",
    }  # fmt: skip
    assert by_reason["no_entry"]["error"] == "webhook: no entry"
    assert by_reason["malformed"]["error"].startswith("RecipientEvent: ")
    assert by_reason["no_entry"]["origin"] == {
        "topic": world.webhooks,
        "partition": 2,
        "offset": 40,
        "index": 1,
        "items": [],
    }
    assert by_reason["unknown_recipient"]["bytes"] == len(event)

    place = by_reason["no_entry"]["place"]
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "show", place)
    assert code == 0
    assert b"recipient_id" in out
    assert PHONE.encode() not in out
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "show", place, "--raw")
    assert (code, out) == (0, value)
    for options, expected in (
        (DeadLetterOptions(topic="webhooks.raw"), 2),
        (DeadLetterOptions(topic=world.events + ".dead"), 2), (DeadLetterOptions(stage="sink"), 2),
        (DeadLetterOptions(reason="malformed"), 1),
        (DeadLetterOptions(since=datetime(2100, 1, 1)), 0),  # noqa: DTZ001 - as typed
        (DeadLetterOptions(topic="send.jobs"), 0), (DeadLetterOptions(place=place), 1),
    ):  # fmt: skip
        assert await counted(world, options) == expected, options
    for nonsense in (
        DeadLetterOptions(topic="no.such"),
        DeadLetterOptions(place="nonsense"),
        DeadLetterOptions(place="no.such/0@1"),
    ):
        with pytest.raises(InvalidOptions):
            filter_of(world.settings, nonsense)
    code, _, _ = await asyncio.to_thread(run, world, tmp_path, "show", "nonsense")
    assert code == 64


async def counted(world: World, options: DeadLetterOptions) -> int:
    found = find(world.settings, world.connection, filter_of(world.settings, options))
    return sum([len(letters) async for letters in found])


async def test_a_redrive_applies_once_and_keeps_the_bytes(world: World, tmp_path: Path) -> None:
    stranger, event = await refuse_two_events(world)
    [other] = await world.add_recipients(1)
    await world.run("UPDATE campaign_recipients SET id = %s WHERE id = %s", stranger, other)  # restored meanwhile
    arguments = ("--reason", "unknown_recipient", "--json")
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", *arguments, "--dry-run")
    assert (code, json.loads(out)["count"]) == (0, 1)
    assert len(await world.read(world.events)) == 2

    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", *arguments, "--yes")
    assert (code, json.loads(out)["count"]) == (0, 1)
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", *arguments, "--yes")
    assert (code, json.loads(out)["count"]) == (0, 0), "a second redrive finds nothing to do"
    records = await world.read(world.events)
    [again] = [record for record in records if record.headers()]
    assert again.value() == event
    assert again.key() == str(stranger).encode()
    assert read_headers(again.headers()).reason == "unknown_recipient"
    async with world.running_sinks():
        await world.wait_for_applied(3)
    assert await world.value("SELECT status FROM campaign_recipients WHERE id = %s", stranger) == "sent"

    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "list", "--json")
    assert [letter["reason"] for letter in json.loads(out)["letters"]] == ["malformed"]
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "list", "--json", "--all")
    assert {letter["act"] for letter in json.loads(out)["letters"]} == {None, "redriven"}


async def test_a_drop_marks_as_done_and_nothing_is_meant_by_accident(world: World, tmp_path: Path) -> None:
    await refuse_two_events(world)
    code, _, printed = await asyncio.to_thread(run, world, tmp_path, "drop")
    assert (code, "--all" in printed) == (64, True)
    code, _, printed = await asyncio.to_thread(run, world, tmp_path, "drop", "--all")
    assert (code, "This would drop 2 dead letter(s)" in printed) == (64, True)
    code, _, printed = await asyncio.to_thread(run, world, tmp_path, "drop", "--all", "--yes", "--dry-run")
    assert (code, "2 dead letter(s) would be dropped" in printed) == (0, True)
    assert await world.run("SELECT act FROM dead_letter_acts") == []
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "drop", "--all", "--limit", "1", "--yes", "--json")
    assert (code, json.loads(out)["count"]) == (0, 1)
    place: Any = json.loads(out)["letters"][0]["place"]
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", place, "--json")
    assert json.loads(out)["count"] == 0, "what was dropped stays dropped"
    assert len(await world.read(world.events + ".dead")) == 2
    assert await world.run("SELECT act FROM dead_letter_acts") == [("dropped",)]


async def test_a_letter_of_each_stage_goes_back_to_its_topic(world: World, tmp_path: Path) -> None:
    jobs = world.settings.topic("send.jobs")
    await asyncio.to_thread(create_topics, world.kafka, jobs, partitions=2)
    await asyncio.to_thread(create_topics, world.kafka, jobs + ".dead", partitions=1)
    letters = [("reconciler", world.webhooks), ("sender", jobs), ("sink", world.events)]
    for stage, topic in letters:
        value = f"\x00\xff of {stage}".encode("latin-1")
        await asyncio.to_thread(bury, world, topic, b"key", value, DeadLetter(stage, "malformed", Place(topic, 0, 1)))
    for stage, topic in letters:
        code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", "--stage", stage, "--yes", "--json")
        assert (code, json.loads(out)["count"]) == (0, 1)
        (record,) = await world.read(topic)
        assert (record.key(), record.value()) == (b"key", f"\x00\xff of {stage}".encode("latin-1"))


def bury(world: World, topic: str, key: bytes | None, value: bytes, letter: DeadLetter | None) -> None:
    producer = Producer({"bootstrap.servers": world.kafka})
    headers = [] if letter is None else letter.headers("test")
    producer.produce(topic + ".dead", value, key, headers=list(headers))
    assert producer.flush(30) == 0


async def test_a_letter_without_headers_is_found_by_its_listed_values(world: World, tmp_path: Path) -> None:
    await asyncio.to_thread(bury, world, world.events, None, b"of another system", None)
    for options in (DeadLetterOptions(reason="no_headers"), DeadLetterOptions(stage="?")):
        assert await counted(world, options) == 1
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "drop", "--reason", "no_headers", "--yes", "--json")
    assert (code, json.loads(out)["count"]) == (0, 1)


async def test_a_letter_that_came_back_three_times_is_quarantined(world: World, tmp_path: Path) -> None:
    for times in (0, 2, 3):
        letter = DeadLetter("sink", "malformed", Place(world.events, 0, 1), redriven=times)
        await asyncio.to_thread(bury, world, world.events, None, b"of %d" % times, letter)
    code, out, printed = await asyncio.to_thread(run, world, tmp_path, "redrive", "--all", "--dry-run", "--json")
    document = json.loads(out)
    topic = world.events + ".dead"
    assert (code, document["count"], document["quarantined"]) == (0, 2, 1)
    assert document["by_reason"] == [
        {"topic": topic, "reason": "malformed", "redriven": times, "count": 1} for times in (0, 2)
    ]
    assert f"{topic}: 1 malformed, redriven 2 time(s) before" in printed
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", "--all", "--yes")
    assert (code, len(await world.read(world.events))) == (0, 2)
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "list")
    assert b"[quarantined]" in out
    code, out, _ = await asyncio.to_thread(run, world, tmp_path, "redrive", "--quarantined", "--yes", "--json")
    assert (code, json.loads(out)["count"]) == (0, 1)


async def test_a_letter_with_an_excerpt_is_redriven_from_its_place(world: World) -> None:
    bodies = [Body(17, b"first"), Body(18, b"second")]
    await world.publish(world.webhooks, (None, encode_bundle(bodies)))
    (record,) = await world.read(world.webhooks)
    origin = Place(world.webhooks, record.partition() or 0, record.offset() or 0, 1)
    whole = encode_bundle(bodies[1:])
    for place, excerpt in ((origin, whole[:5]), (origin._replace(offset=7), whole[:5]), (origin, b"of another record")):
        letter = DeadLetter("reconciler", "not_json", place, is_by_place=True)
        await asyncio.to_thread(bury, world, world.webhooks, None, excerpt, letter)
    done = await redrive(world.settings, world.connection, Filter(), 10, is_dry=False)
    assert (done.count, done.expired) == (1, 2)
    values = [value_of(each) for each in await world.read(world.webhooks)]
    assert sorted(values) == sorted([encode_bundle(bodies), whole])


@pytest.mark.slow
async def test_one_place_shows_its_outcome(world: World, tmp_path: Path) -> None:
    await asyncio.to_thread(bury, world, world.events, None, b"x", None)
    place = f"{world.events}.dead/0@0"
    for arguments, code, words in (
        (("redrive", place), 64, "add --yes"),
        (("redrive", place, "--yes"), 0, "1 dead letter(s) were published to their origin topic"),
        (("redrive", place), 0, "was already redriven"),
        (("drop", place), 0, "was already redriven"),
        (("redrive", f"{world.events}.dead/0@7"), 1, "no such dead letter"),
        (("show", f"{world.events}.dead/3@0"), 1, "no such dead letter"),
        (("redrive", f"{world.events}/0@0"), 64, "not a dead letter"),
        (("list", "--since", "yesterday"), 64, "2026-03-01T12:00Z"),
        (("list", "--since", "2026-03-01T12:00Z"), 0, "0 dead letter(s) wait"),
    ):
        found, _, printed = await asyncio.to_thread(run, world, tmp_path, *arguments)
        assert found == code, printed
        assert words in printed


async def test_an_interrupted_redrive_goes_on_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await world.add_recipients(3)
    for person in people:
        event = world.event(person, EventKind.SENT)
        letter = DeadLetter("sink", "unknown_recipient", Place(world.events, 0, 1))
        await asyncio.to_thread(bury, world, world.events, event.key, encode(event), letter)
    remember, calls = redriving._remember, 0

    async def die_at_the_second(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Transient("Postgres is away")
        await remember(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(dead_letters, "BATCH", 1)
        patched.setattr(redriving, "_remember", die_at_the_second)
        with pytest.raises(Transient):
            await redrive(world.settings, world.connection, Filter(), 10, is_dry=False)
    await world.run("SELECT pg_advisory_unlock_all()")  # a command ends with its connection
    done = await redrive(world.settings, world.connection, Filter(), 10, is_dry=False)
    assert done.count == 2
    assert (await redrive(world.settings, world.connection, Filter(), 10, is_dry=False)).count == 0
    async with world.running_sinks():
        await world.wait_for_applied(4)
    assert await world.run("SELECT status, accepted_attempts FROM campaign_recipients") == [("sent", 2)] * 3
    assert await world.value("SELECT count(*) FROM double_sends") == 0


async def test_what_arrives_meanwhile_waits_for_the_next_redrive(world: World) -> None:
    letter = DeadLetter("sink", "malformed", Place(world.events, 0, 1))
    await asyncio.to_thread(bury, world, world.events, None, b"one", letter)
    again = redrive(
        world.settings, world.connection, Filter(), 10, is_dry=False,
        on_acted=lambda _: bury(world, world.events, None, b"two", letter),
    )  # fmt: skip
    assert (await again).count == 1
    assert await counted(world, DeadLetterOptions()) == 1


async def test_raw_bytes_are_for_files_and_pipes(world: World, tmp_path: Path) -> None:
    await asyncio.to_thread(bury, world, world.events, None, b"\x1b[2J", None)
    reader, terminal = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CAMPAIGNS_")}
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "cli", "dead-letters", "show", f"{world.events}.dead/0@0", "--raw"],
        cwd=tmp_path, stdout=terminal, stderr=subprocess.PIPE, timeout=60, check=False,
        env={**clean, **world.environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(terminal)
    os.close(reader)
    assert ended.returncode == 64
    assert b"to a file" in ended.stderr


async def test_one_operator_acts_at_a_time(world: World) -> None:
    await refuse_two_events(world)
    everything = Filter(with_done=True)
    await world.run("SELECT pg_advisory_lock(%s)", locks.REDRIVE)
    async with world.another() as other:
        with pytest.raises(Busy):
            await redrive(world.settings, other, everything, 10, is_dry=False)
        await world.run("SELECT pg_advisory_unlock(%s)", locks.REDRIVE)
        assert (await drop(world.settings, other, everything, 10, is_dry=False)).count == 2
