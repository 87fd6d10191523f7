"""The sink's intake handles errors that a restarting broker explains, and waits for no partition without limit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, TopicPartition

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import EPOCH, OffsetMismatch, Record, Watermarks
from topics import intake
from topics.errors import NOT_READY
from topics.intake import BUSY_RECORDS, BYTES_MAX, GATHER_BUSY_S, GATHER_S, READ_TOGETHER, RecordIntake, gather_s

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate(
    {"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x", "stall_limit_s": 1.2}
)


class Message:
    """The error that librdkafka returns instead of a record."""

    def __init__(self, error: KafkaError) -> None:
        self._error = error

    def error(self) -> KafkaError:
        return self._error


class Read:
    """A message with a record."""

    def __init__(self, partition: int = 0, offset: int = 0, size: int = 1) -> None:
        self._partition, self._offset, self._value = partition, offset, b"x" * size

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_NOT_AVAILABLE, 0

    def key(self) -> None:
        return None

    headers = error = key


class Backlog:
    """A consumer of a long topic."""

    def __init__(self, record: Read) -> None:
        self._record = record

    def poll(self, _timeout_s: float) -> Read:
        return self._record

    def consume(self, count: int, _timeout_s: float) -> list[Read]:
        return [self._record] * count


class Consumer:
    """A consumer that returns the given answers, and raises the given exceptions."""

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


async def test_a_fenced_sink_requests_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a broker's restart, librdkafka reports this in an event without the mark `fatal`. The next call raises."""
    fenced = KafkaError(KafkaError._FATAL, "Fatal error: Broker: Static consumer fenced")
    assert not fenced.fatal()
    taken = an_intake(Consumer(Message(fenced)), monkeypatch)
    with pytest.raises(Transient, match="fenced"):
        await taken.take()


class Fenced(Consumer):
    """A consumer after a fatal error, as librdkafka answers."""

    is_closed = False

    def unsubscribe(self) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL, "Failed to remove subscription: Local: Fatal error"))

    def commit(self, **_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL, "Local: Fatal error"))

    def close(self) -> None:
        self.is_closed = True


async def test_a_fenced_sink_is_closed_without_a_further_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else that error would hide the fencing, and the process would end as if by a bug."""
    consumer = Fenced((0, 9))
    taken = an_intake(consumer, monkeypatch)
    taken.positions[0] = 5
    await taken.close()
    assert consumer.is_closed
    assert not taken.positions


@pytest.mark.parametrize("code", sorted(NOT_READY))
async def test_a_partition_without_a_leader_is_retried(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WATERMARK_PAUSE_S", 0.0)
    consumer = Consumer(*[KafkaException(KafkaError(code))] * 2, (3, 9))
    taken = an_intake(consumer, monkeypatch)
    assert taken._watermarks(consumer, TopicPartition("recipient.events", 0)) == (3, 9)


async def starts(consumer: Consumer, stored: int, monkeypatch: pytest.MonkeyPatch) -> Mapping[int, int]:
    """The start offsets of a member with partition 0, if Postgres contains the offset `stored`."""

    async def positions_of(_available: Watermarks) -> Mapping[int, int]:
        return {0: stored}

    monkeypatch.setattr(intake, "Consumer", lambda _config: consumer)
    taken = RecordIntake(SETTINGS, "sink", "recipient.events", positions_of)
    return await asyncio.to_thread(taken._starts, consumer, [TopicPartition("recipient.events", 0)])


async def test_an_offset_that_another_sink_advances_meanwhile_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other sink applies records faster than all watermarks can be read, so only a later watermark is evidence."""
    assert await starts(Consumer((3, 9), (3, 12)), 11, monkeypatch) == {0: 11}


@pytest.mark.parametrize(("stored", "problem"), [(13, "beyond the end"), (2, "were deleted")])
async def test_an_offset_outside_the_topic_is_refused(
    stored: int, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OffsetMismatch, match=problem):
        await starts(Consumer((3, 9), (3, 12)), stored, monkeypatch)


async def test_a_partition_that_never_gets_a_leader_is_not_retried_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WATERMARK_TIMEOUT_S", 0.0)
    monkeypatch.setattr(intake, "WATERMARK_PAUSE_S", 0.0)
    consumer = Consumer(*[KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))] * 1000)
    with pytest.raises(KafkaException):
        an_intake(consumer, monkeypatch)._watermarks(consumer, TopicPartition("recipient.events", 0))
    assert consumer.answers


async def test_only_records_of_our_partitions_from_the_stored_offset_on_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The consumer may still return records of a partition that was revoked, or from before the offset in Postgres."""
    taken = an_intake(Consumer(), monkeypatch)
    read = [Read(partition, offset) for partition, offset in ((0, 4), (0, 5), (1, 9))]
    monkeypatch.setattr(taken, "_poll", lambda: read)
    taken.positions = {0: 5}
    assert await taken.take() == [Record("recipient.events", 0, 5, None, b"x", EPOCH)]
    taken._revoked(None, [TopicPartition("recipient.events", 0)])
    assert await taken.take() == []


@pytest.mark.parametrize(("size", "count"), [(1, 7000), (BYTES_MAX, 1 + READ_TOGETHER), (BYTES_MAX // 5000, 7000)])
async def test_a_batch_ends_at_its_number_of_records_or_at_its_size(
    size: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "Consumer", lambda _config: Backlog(Read(size=size)))
    taken = RecordIntake(SETTINGS, "sink", "recipient.events", no_positions, records_max=7000)
    monkeypatch.setattr(taken, "_commit", lambda: None)
    taken.positions = {0: 0}
    assert len(await taken.take()) == count


async def test_a_partition_is_given_away_after_what_was_taken_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, waiting = asyncio.Event(), asyncio.Event()

    async def settled() -> None:
        waiting.set()
        await stored.wait()

    monkeypatch.setattr(intake, "Consumer", lambda _config: Consumer())
    taken = RecordIntake(SETTINGS, "sink", "recipient.events", no_positions, settled)
    taken.positions = {0: 5}
    revoking = asyncio.create_task(asyncio.to_thread(taken._revoked, None, [TopicPartition("recipient.events", 0)]))
    await waiting.wait()
    assert taken.positions == {0: 5}
    stored.set()
    await revoking
    assert taken.positions == {}


def test_a_batch_waits_for_longer_after_one_of_many_records() -> None:
    assert gather_s(0) == gather_s(BUSY_RECORDS - 1) == GATHER_S
    assert gather_s(BUSY_RECORDS) == gather_s(10_000) == GATHER_BUSY_S > GATHER_S
