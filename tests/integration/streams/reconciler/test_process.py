"""The reconciler as a process on a real broker: bundles in, events and dead letters out, through kills and stops."""

import json
import signal
import uuid
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Message

from runtime.process import EXIT_TRANSIENT
from runtime.settings import Settings
from schemas.bundles import decode_bundle
from schemas.callback import encode
from schemas.codec import decode
from schemas.dead_letters import read_headers
from schemas.events import EventKind, RecipientEvent
from schemas.topics import BY_NAME, Topic
from tests.support.kafka_topics import committed_lag, read_all, read_until, value_of
from tests.support.processes import environment, process
from tests.support.waiting import eventually
from tests.support.webhooks import bundle, publish
from topics.apply import apply
from topics.exits import EXITS_MAX

MODULE = "streams.reconciler.process"
CAMPAIGN, RECIPIENT = uuid.uuid4(), uuid.uuid4()


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> Settings:
    made = Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": topic_prefix}
    )
    apply(made, [BY_NAME[name] for name in (Topic.WEBHOOKS_RAW, Topic.WEBHOOKS_RAW.dead, Topic.RECIPIENT_EVENTS)])
    return made


def status(wamid: str, word: str = "sent", timestamp: str = "1767225600", **more: str) -> dict[str, str]:
    return {"id": wamid, "status": word, "timestamp": timestamp, **more}


def body(*statuses: dict[str, str]) -> bytes:
    return json.dumps({"statuses": statuses}).encode()


def events(settings: Settings, count: int) -> list[Message]:
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    return read_until(settings.kafka_bootstrap_servers, topic, lambda found: len(found) >= count)


def dead_letters(settings: Settings, count: int) -> list[Message]:
    topic = settings.topic(Topic.WEBHOOKS_RAW.dead)
    return read_until(settings.kafka_bootstrap_servers, topic, lambda found: len(found) >= count)


def is_committed(settings: Settings) -> bool:
    return has_lag(settings, 0)


def has_lag(settings: Settings, records: int) -> bool:
    topic = settings.topic(Topic.WEBHOOKS_RAW)
    return committed_lag(settings.kafka_bootstrap_servers, settings.group("reconciler"), topic) == records


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    # With a static instance name, a restarted process gets the partitions of its predecessor at once.
    return environment(settings.kafka_bootstrap_servers, settings.topic_prefix, CAMPAIGNS_INSTANCE="one", **more)


def test_good_items_become_events_and_bad_ones_harm_only_themselves(settings: Settings, tmp_path: Path) -> None:
    ours = encode(b"callback-secret", "default", CAMPAIGN, RECIPIENT, 3)
    phone = "15550001234"
    good = body(status("wamid.A", "delivered", biz_opaque_callback_data=ours, recipient_id=phone))
    mixed = body(status("wamid.B"), status("wamid.C", timestamp="0"), status("wamid.D", "read"))
    publish(settings, [bundle(good, b"poison", mixed), b"no bundle", bundle(body(status("wamid.E", "in_orbit")))])
    with process(MODULE, environment_of(settings), tmp_path) as running:
        found = events(settings, 3)
        by_wamid = {event.wamid: event for event in (decode(RecipientEvent, value_of(record)) for record in found)}
        assert {str(wamid): event.kind for wamid, event in by_wamid.items()} == {
            "wamid.A": EventKind.DELIVERED,
            "wamid.B": EventKind.SENT,
            "wamid.D": EventKind.READ,
        }
        settled = next(event for event in by_wamid.values() if event.recipient_id is not None)
        assert (settled.campaign_id, settled.recipient_id, settled.attempt) == (CAMPAIGN, RECIPIENT, 3)
        assert settled.origin is not None
        assert settled.origin.topic == settings.topic(Topic.WEBHOOKS_RAW)
        assert {record.key() for record in found} == {str(RECIPIENT).encode(), b"wamid.B", b"wamid.D"}

        letters = dead_letters(settings, 3)
        reasons = {read_headers(letter.headers()).reason: letter for letter in letters}
        assert set(reasons) == {"not_json", "malformed_bundle", "timestamp_too_old"}
        assert read_headers(reasons["not_json"].headers()).origin.item == 1
        assert [stored.raw for stored in decode_bundle(reasons["not_json"].value())] == [b"poison"]
        assert reasons["malformed_bundle"].value() == b"no bundle"
        [partly_bad] = decode_bundle(reasons["timestamp_too_old"].value())
        assert partly_bad.raw == mixed
        assert read_headers(reasons["timestamp_too_old"].headers()).items == (1,)
        eventually(lambda: is_committed(settings), "offsets committed")
        assert running.stop() == 0
        assert phone not in running.log
        assert "wamid." not in running.log


def test_a_killed_reconciler_loses_nothing(settings: Settings, tmp_path: Path) -> None:
    wamids = [f"wamid.{number}" for number in range(6000)]
    records = [bundle(*(body(status(wamid)) for wamid in wamids[at : at + 20])) for at in range(0, len(wamids), 20)]
    publish(settings, records[:150])
    with process(MODULE, environment_of(settings), tmp_path) as running:
        events(settings, 1)
        publish(settings, records[150:])
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
    with process(MODULE, environment_of(settings), tmp_path) as running:
        eventually(lambda: is_committed(settings), "everything read after the kill")
        assert running.stop() == 0
    found = read_all(settings.kafka_bootstrap_servers, settings.topic(Topic.RECIPIENT_EVENTS))
    assert {str(decode(RecipientEvent, value_of(record)).wamid) for record in found} == set(wamids)


def test_a_stop_during_a_batch_repeats_nothing(settings: Settings, tmp_path: Path) -> None:
    wamids = [f"wamid.{number}" for number in range(4000)]
    publish(settings, [bundle(*(body(status(wamid)) for wamid in wamids[at : at + 4])) for at in range(0, 4000, 4)])
    with process(MODULE, environment_of(settings), tmp_path) as running:
        events(settings, 1)
        assert running.stop() == 0
    with process(MODULE, environment_of(settings), tmp_path) as running:
        eventually(lambda: is_committed(settings), "the rest read")
        assert running.stop() == 0
    records = read_all(settings.kafka_bootstrap_servers, settings.topic(Topic.RECIPIENT_EVENTS))
    found = Counter(str(decode(RecipientEvent, value_of(record)).wamid) for record in records)
    assert found == Counter(wamids)


@pytest.mark.slow
def test_a_stage_dead_letters_up_to_its_limit_halts_and_gets_further_after_a_restart(
    settings: Settings, tmp_path: Path
) -> None:
    publish(settings, [bundle(b"poison")] * 25)
    for letters in (10, 20):
        with process(MODULE, environment_of(settings, CAMPAIGNS_DEAD_LETTER_RATE_MAX="10"), tmp_path) as running:
            eventually(lambda: "CAMPAIGNS_DEAD_LETTER_RATE_MAX" in running.log, "it logs why it has halted")
            eventually(partial(has_lag, settings, 25 - letters), "the records up to the limit are acknowledged")
            assert running.stop() == EXIT_TRANSIENT, "it was alive; the rest is left to the next process"
        assert len(dead_letters(settings, letters)) == letters
    with process(MODULE, environment_of(settings, CAMPAIGNS_DEAD_LETTER_RATE_MAX="10"), tmp_path) as running:
        eventually(lambda: is_committed(settings), "the rest is within the limit")
        assert running.stop() == 0
    assert len(read_all(settings.kafka_bootstrap_servers, settings.topic(Topic.WEBHOOKS_RAW.dead))) == 25


def test_a_thousand_bad_items_of_one_body_are_one_letter_and_stop_nothing(settings: Settings, tmp_path: Path) -> None:
    worst = b'{"statuses": [' + b",".join([b"{}"] * 1001) + b"]}"
    deep = b'{"statuses": [{"id": "wamid.D", "status": "sent", "timestamp": "1767225600", "x": %s}]}' % (
        b"[" * 500 + b"]" * 500
    )
    publish(settings, [bundle(worst), bundle(deep, b"[" * 100_000, b"")])
    with process(MODULE, environment_of(settings), tmp_path) as running:
        assert len(events(settings, 1)) == 1
        assert len(dead_letters(settings, 3)) == 3
        eventually(lambda: is_committed(settings), "offsets committed")
        assert running.stop() == 0


@pytest.mark.slow
def test_a_record_that_kills_each_process_is_dead_lettered_and_the_others_become_events(
    settings: Settings, tmp_path: Path
) -> None:
    wamids = [f"wamid.{number}" for number in range(40)]
    publish(settings, [bundle(body(status(wamid))) for wamid in wamids[:20]])
    publish(settings, [bundle(b"killer")])
    publish(settings, [bundle(body(status(wamid))) for wamid in wamids[20:]])
    for _ in range(EXITS_MAX + 1):
        with process("tests.support.programs.killed_reconciler", environment_of(settings), tmp_path) as running:
            assert running.wait() == -signal.SIGKILL
    with process("tests.support.programs.killed_reconciler", environment_of(settings), tmp_path) as running:
        eventually(lambda: is_committed(settings), "the stage gets further")
        assert running.stop() == 0
    [letter] = read_all(settings.kafka_bootstrap_servers, settings.topic(Topic.WEBHOOKS_RAW.dead))
    assert (read_headers(letter.headers()).reason, letter.value()) == ("bug", bundle(b"killer"))
    records = read_all(settings.kafka_bootstrap_servers, settings.topic(Topic.RECIPIENT_EVENTS))
    assert {str(decode(RecipientEvent, value_of(record)).wamid) for record in records} == set(wamids)
