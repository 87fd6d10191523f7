"""Ranges from a command line, and the size limits of batches. A fake consumer replaces Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition

from runtime.process import Transient
from runtime.settings import Settings, read_settings
from schemas.topics import Topic
from topics import identity
from topics import scan as scan_module
from topics.identity import identify
from topics.scan import InvalidBound, find_ranges, parse_bound, resolve_bounds, scan

MIB = 1024 * 1024


class Played:
    """A fake consumer with two partitions of offsets 10 to 500. A test sets its answers."""

    requested: tuple[int, ...] = ()
    error: KafkaError | None = None
    marks: tuple[int, int] | None = (10, 500)
    records: Iterator[Any] = iter(())

    def __init__(self, _config: dict[str, Any]) -> None:
        pass

    def list_topics(self, topic: str, _timeout_s: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions={0: None, 1: None})})

    def get_watermark_offsets(self, _place: TopicPartition, timeout: float) -> tuple[int, int] | None:
        assert timeout > 0
        return self.marks

    def offsets_for_times(self, places: Sequence[TopicPartition], timeout: float) -> list[Any]:
        assert timeout > 0
        type(self).requested = tuple(place.offset for place in places)
        return [SimpleNamespace(partition=place.partition, offset=-1, error=self.error) for place in places]

    def assign(self, _places: Sequence[TopicPartition]) -> None:
        pass

    def consume(self, count: int, _timeout_s: float) -> list[Any]:
        return [record for _, record in zip(range(count), type(self).records, strict=False)]

    def close(self) -> None:
        pass


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in (("requested", ()), ("error", None), ("marks", (10, 500))):
        monkeypatch.setattr(Played, name, value)
    monkeypatch.setattr(scan_module, "Consumer", Played)
    return read_settings({"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "nowhere:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x"})


@pytest.mark.parametrize(
    ("first", "end"),
    [
        ("2026-03-02", "2026-03-01T12:00Z"),
        ("2026-03-01T12:00Z", "2026-03-01T13:00+01:00"),
        ("100", "50"),
        ("100", "100"),
        ("0:100", "0:50"),
        ("0:100,1:5", "0:200,1:4"),
        ("0:100", "1:200"),
    ],
)
async def test_an_empty_range_is_refused(settings: Settings, first: str, end: str) -> None:
    with pytest.raises(InvalidBound):
        await resolve_bounds(settings, "t", parse_bound(first), parse_bound(end))


async def test_a_missing_partition_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidBound, match="no partition 7"):
        await resolve_bounds(settings, "t", parse_bound("0:20,7:30"), None)


async def test_the_requested_range_and_the_stored_range_are_reported(settings: Settings) -> None:
    found = await resolve_bounds(settings, "t", parse_bound("0:3"), parse_bound("40"))
    assert (found.ranges, found.kept) == ({0: (10, 40)}, {0: (10, 500), 1: (10, 500)})


async def test_a_time_before_1970_is_queried_as_1970(settings: Settings) -> None:
    await find_ranges(settings, "t", parse_bound("1969-12-31T23:59:59.999Z"))
    assert Played.requested == (0, 0)


async def test_a_partition_without_an_answer_does_not_count_as_empty(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Played, "error", KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
    with pytest.raises(Transient):
        await find_ranges(settings, "t", parse_bound("2026-03-01"))
    monkeypatch.setattr(Played, "marks", None)
    with pytest.raises(Transient):
        await find_ranges(settings, "t")


def record(offset: int, value: bytes) -> Any:
    return SimpleNamespace(
        partition=lambda: 0, offset=lambda: offset, error=lambda: None, headers=list, key=lambda: None,
        value=lambda: value, timestamp=lambda: (1, 0),
    )  # fmt: skip


async def test_a_batch_is_bounded_by_its_bytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Played, "records", (record(offset, bytes(MIB)) for offset in range(200)))
    sizes = [len(batch) async for batch in scan(settings, "t", {0: (0, 200)})]
    assert sum(sizes) == 200
    assert max(sizes) * MIB <= scan_module.BATCH_BYTES_MAX + scan_module.STEP_RECORDS * MIB


async def test_a_batch_is_bounded_by_its_records(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Played, "records", (record(offset, b"x") for offset in range(2500)))
    assert [len(batch) async for batch in scan(settings, "t", {0: (0, 2500)})] == [2000, 500]


@pytest.mark.parametrize(
    ("error", "names_command"),
    [
        (TimeoutError(), False),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), False),
        (KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), True),
    ],
)
async def test_only_a_missing_topic_needs_creation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, names_command: bool
) -> None:
    class Away:
        def __init__(self, _config: dict[str, Any]) -> None:
            pass

        def describe_topics(self, _topics: TopicCollection, request_timeout: float) -> Any:
            raise error

    monkeypatch.setattr(identity, "AdminClient", Away)
    with pytest.raises(Transient) as raised:
        await identify(settings, Topic.RECIPIENT_EVENTS)
    assert ("topics apply" in str(raised.value)) is names_command
