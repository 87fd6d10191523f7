"""Faust as a library: a stage that fails ends without acknowledging its batch."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.settings import Settings
from schemas.topics import BY_NAME, Topic
from tests.support.kafka_topics import committed_lag
from tests.support.processes import environment, process
from tests.support.webhooks import bundle, publish
from topics.apply import apply


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> Settings:
    made = Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": topic_prefix}
    )
    apply(made, [BY_NAME[Topic.WEBHOOKS_RAW]])
    publish(made, [bundle(b"{}")])
    return made


@pytest.mark.parametrize(
    ("stage", "code", "log"),
    [
        ("stalling", 75, "stalled"),
        ("failing", 70, "ZeroDivisionError"),
        ("unfinished", 75, "a batch unfinished"),
        ("cancelled", 75, "cancelled in the middle of a batch"),
        ("unbootstrapped", 75, "the consumer ended: KafkaError"),
    ],
)
def test_the_process_ends_with_the_batch_unacknowledged(
    settings: Settings, tmp_path: Path, stage: str, code: int, log: str
) -> None:
    quick = environment(
        settings.kafka_bootstrap_servers, settings.topic_prefix, CAMPAIGNS_STALL_LIMIT_S="2", CAMPAIGNS_INSTANCE="one"
    )
    with process(f"tests.support.programs.{stage}", quick, tmp_path) as running:
        assert running.wait() == code
        assert log in running.log
    assert [path.suffix for path in tmp_path.iterdir()] == [".log"], "Faust creates no folder"
    lag = committed_lag(settings.kafka_bootstrap_servers, settings.group(stage), settings.topic(Topic.WEBHOOKS_RAW))
    assert lag == 1


@pytest.mark.parametrize(("servers", "log"), [("127.0.0.1:1", "Kafka"), ("", "campaigns topics apply")])
def test_without_a_broker_or_its_topic_the_process_ends_with_75(
    kafka: str, topic_prefix: str, tmp_path: Path, servers: str, log: str
) -> None:
    with process("streams.reconciler.process", environment(servers or kafka, topic_prefix), tmp_path) as running:
        assert running.wait() == 75
        assert log in running.log
        assert "Traceback" not in running.log


def test_a_stop_does_not_wait_for_a_start_that_gets_no_answer(tmp_path: Path) -> None:
    with ExitStack() as held:
        silent = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        silent.settimeout(30)
        servers = f"127.0.0.1:{silent.getsockname()[1]}"
        running = held.enter_context(process("tests.support.programs.starting", environment(servers, ""), tmp_path))
        heard = b""
        while b"faust" not in heard:  # another client of the stage connects as well
            client = held.enter_context(silent.accept()[0])
            client.settimeout(30)
            heard = client.recv(1000)
        since = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - since < 15
        assert "stopped before the consumer had started" in running.log
