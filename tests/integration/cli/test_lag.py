"""`campaigns lag` shows each partition, also while Postgres is away."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import SecretStr

from cli.lag import show_lag
from runtime.process import Transient
from runtime.settings import Settings
from schemas.bundles import Body, encode_bundle
from tests.support.kafka_topics import create_all_topics, put
from topics import lag

STATUS = {"id": "wamid.x", "status": "sent", "timestamp": "1"}


def body(statuses: int) -> Body:
    return Body(1, json.dumps({"statuses": [STATUS] * statuses}).encode())


@pytest.mark.usefixtures("world")
async def test_the_lag_of_each_partition_is_shown_with_and_without_postgres(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(create_all_topics, settings)
    broker = settings.kafka_bootstrap_servers
    put(broker, settings.topic("webhooks.raw"), [(None, encode_bundle([body(3), body(1)]))])
    put(broker, settings.topic("recipient.events"), [(None, b"{}")])
    assert await show_lag(settings, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sink_offsets_from"] == "postgres"
    waiting = {each["topic"]: each for each in found["partitions"] if each["records"]}
    assert {topic: (each["records"], each["statuses"]) for topic, each in waiting.items()} == {
        "webhooks.raw": (1, 4),
        "recipient.events": (1, 1),
    }
    assert 0 <= waiting["webhooks.raw"]["oldest_age_s"] < 60
    assert {each["stage"] for each in found["partitions"]} == {
        "reconciler",
        "sender",
        "sink",
        "subscriptions",
        "control",
    }

    away = settings.model_copy(update={"database_url": SecretStr("postgresql://u:p@127.0.0.1:1/d")})
    assert await show_lag(away, as_json=False) == 0
    printed = capsys.readouterr()
    assert "1 record(s)  4 status(es)  the oldest for" in printed.out
    assert "the sink's offsets are those in Kafka" in printed.err
    assert "2 record(s) behind" in printed.err


@pytest.mark.usefixtures("world")
async def test_without_kafka_the_command_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "TIMEOUT_S", 0.5)
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(Transient):
        await show_lag(away, as_json=True)
