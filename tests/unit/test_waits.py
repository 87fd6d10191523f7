"""No wait is for ever, and none that a broker or a database explains is called a stall or a bug."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime.process import EXIT_TRANSIENT, Transient
from runtime.pulse import Pulse
from runtime.settings import Settings
from schemas.places import Watermarks
from sinks import stats_publisher
from streams import faust_app
from tables import database, leadership
from tests.support.paths import ROOT
from topics import clients, intake, snapshots
from topics.errors import NOT_READY
from topics.intake import RecordIntake
from topics.snapshots import SnapshotPublisher

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate(
    {"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x", "stall_limit_s": 1.2}
)
DEADLINE_S = 20.0

SERVING = """
import asyncio, os, sys, time
from runtime.process import run_process
from runtime.settings import Settings
from runtime.pulse import watched_loop

async def run(settings, stop):
    async with watched_loop(settings, "test"):
        print("serving", flush=True)
        if sys.argv[1] == "blocks":
            time.sleep(60)
        await stop.wait()

settings = Settings.model_validate({"kafka_bootstrap_servers": "k:1", "database_url": "x", "stall_limit_s": 1.2})
sys.exit(run_process("test", run, settings))
"""


class Message:
    """What librdkafka hands out instead of a record when something is wrong."""

    def __init__(self, error: KafkaError) -> None:
        self._error = error

    def error(self) -> KafkaError:
        return self._error


class Consumer:
    """A consumer that answers with what it was given, an exception by raising it."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def _answer(self, *_: object, **__: object) -> object:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    poll = get_watermark_offsets = _answer

    def consume(self, *_: object) -> list[Message]:
        return []


async def no_positions(_available: Watermarks) -> Mapping[int, int]:
    return {}


def an_intake(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> RecordIntake:
    monkeypatch.setattr(intake, "Consumer", lambda _config: consumer)
    return RecordIntake(SETTINGS, "sink", "recipient.events", no_positions)


@contextmanager
def serving(how: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", SERVING, how]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield process
        finally:
            process.kill()


async def test_a_sink_that_is_fenced_asks_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a broker's restart librdkafka says so in an event that it does not mark as fatal; the next call raises."""
    fenced = KafkaError(KafkaError._FATAL, "Fatal error: Broker: Static consumer fenced")
    assert not fenced.fatal()
    taken = an_intake(Consumer(Message(fenced)), monkeypatch)
    with pytest.raises(Transient, match="fenced"):
        await taken.take()


@pytest.mark.parametrize("code", sorted(NOT_READY))
async def test_a_partition_without_a_leader_yet_is_asked_again(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WATERMARK_PAUSE_S", 0.0)
    consumer = Consumer(*[KafkaException(KafkaError(code))] * 2, (3, 9))
    taken = an_intake(consumer, monkeypatch)
    assert taken._watermarks(consumer, TopicPartition("recipient.events", 0)) == (3, 9)


async def test_a_partition_that_never_gets_a_leader_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WATERMARK_TIMEOUT_S", 0.0)
    monkeypatch.setattr(intake, "WATERMARK_PAUSE_S", 0.0)
    consumer = Consumer(*[KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))] * 1000)
    with pytest.raises(KafkaException):
        an_intake(consumer, monkeypatch)._watermarks(consumer, TopicPartition("recipient.events", 0))
    assert consumer.answers


async def test_an_error_at_the_close_does_not_hide_why_the_stats_publisher_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unable:
        def flush(self, _timeout_s: float) -> int:
            raise KafkaException(KafkaError(KafkaError._FENCED))

    monkeypatch.setattr(snapshots, "Producer", lambda _config: Unable())
    publisher = SnapshotPublisher(SETTINGS)

    async def failing() -> None:
        try:
            raise Transient("the reason")
        finally:
            await publisher.close()

    with pytest.raises(Transient, match="the reason"):
        await failing()


async def test_a_stats_publisher_whose_servers_are_away_does_not_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    tried = asyncio.Semaphore(0)
    monkeypatch.setattr(stats_publisher, "Pulse", functools.partial(Pulse, end=ends.append))
    monkeypatch.setattr(stats_publisher.log, "warning", lambda *_, **__: tried.release(), raising=False)
    stop = asyncio.Event()
    running = asyncio.create_task(stats_publisher.run(SETTINGS, stop))
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(5):  # with its pauses that is longer than the limit
            await tried.acquire()
    stop.set()
    await running
    assert ends == []


@pytest.mark.parametrize("is_kafka_there", [True, False])
async def test_a_stats_publisher_that_stands_ends_only_while_both_servers_answer(
    is_kafka_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, asked = threading.Semaphore(0), threading.Semaphore(0)
    ends: list[int] = []

    def end(code: int) -> None:
        ends.append(code)
        ended.release()

    def answers() -> bool:
        asked.release()
        return is_kafka_there

    async def stand(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stats_publisher, "Pulse", functools.partial(Pulse, end=end))
    monkeypatch.setattr(clients, "answering", lambda _settings: answers)
    monkeypatch.setattr(database, "answering", lambda _settings: lambda: True)
    monkeypatch.setattr(leadership, "connect", stand)
    running = asyncio.create_task(stats_publisher.run(SETTINGS, asyncio.Event()))
    waited = ended if is_kafka_there else asked
    assert await asyncio.to_thread(waited.acquire, timeout=DEADLINE_S)
    if not is_kafka_there:
        assert await asyncio.to_thread(asked.acquire, timeout=DEADLINE_S), "asked again after another limit"
    running.cancel()
    assert set(ends) == ({EXIT_TRANSIENT} if is_kafka_there else set())


def test_a_loop_that_is_blocked_ends_the_process_for_a_restart() -> None:
    with serving("blocks") as process:
        assert process.wait(DEADLINE_S) == EXIT_TRANSIENT
        assert process.stderr is not None
        assert "stalled: a loop completed no round" in process.stderr.read()


def test_a_loop_that_waits_and_one_that_was_frozen_go_on() -> None:
    with serving("waits") as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 * SETTINGS.stall_limit_s)
        os.kill(process.pid, signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 * SETTINGS.stall_limit_s)
        process.terminate()
        assert process.wait(DEADLINE_S) == 0


def test_a_broker_that_is_away_does_not_answer() -> None:
    assert not clients.answering(SETTINGS, 0.5)()


def test_a_watchdog_does_not_wait_for_a_database_that_lets_it_in_and_says_no_more() -> None:
    """Silent after the greeting, it would hold the watchdog for ever, which then watches nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def greet() -> None:
            client, _ = server.accept()
            held.append(client)
            client.recv(4096)
            client.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")

        threading.Thread(target=greet, daemon=True).start()
        url = f"postgresql://x@127.0.0.1:{server.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        told: list[bool] = []
        ask = database.answering(SETTINGS.model_copy(update={"database_url": type(SETTINGS.database_url)(url)}))
        asking = threading.Thread(target=lambda: told.append(ask()), daemon=True)
        asking.start()
        asking.join(DEADLINE_S)
        for client in held:
            client.close()
        assert told == [True]


async def test_a_start_that_hangs_ends_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def start(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(faust_app, "START_LIMIT_S", 0.05)
    monkeypatch.setattr(faust_app, "START_PATIENCE_S", 0.05)
    monkeypatch.setattr(faust_app, "require_topic", lambda *_: None)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(Transient, match="could not start"):
            await faust_app._started(Hanging(), SETTINGS, "t", asyncio.Event())
