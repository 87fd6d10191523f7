"""Reads a range of a topic once, without joining a group: for replay, audit and dead letters.

The range is fixed at the start, so new records cannot make a scan endless. It commits nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import Ranges, Record
from topics.clients import consumer_config
from topics.errors import as_transient, needs_operator
from topics.intake import FETCHED_TOGETHER
from topics.records import record_of

RECORDS_MAX = 2000
"""Most records of a batch. The caller stores a batch in one short transaction."""
BATCH_BYTES_MAX = 16 * 1024 * 1024
"""Most bytes of a batch: 2,000 bundles of webhooks would be gigabytes."""
STEP_RECORDS = 32
"""Records taken from librdkafka at a time. A batch exceeds its bytes by so many records at most."""
POLL_S = 0.5
SILENCE_S = 30.0
"""After this time without a record before the end of the range, the scan fails."""
TIMEOUT_S = 15.0


class InvalidBound(ValueError):
    """A bound is neither a time nor an offset, or no record can lie between two bounds."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The beginning or the end of a range: a time, one offset for all partitions, or an offset for each of some."""

    at: datetime | None = None
    offset: int | None = None
    by_partition: Mapping[int, int] | None = None


_PAIRS = re.compile(r"\d+:\d+(,\d+:\d+)*")


def parse_bound(text: str) -> Bound:
    """Read `2026-03-01T12:00Z` (UTC), `1500`, or `0:1500,3:90` (partition:offset). Raises InvalidBound."""
    if text.isdecimal():
        return Bound(offset=int(text))
    if _PAIRS.fullmatch(text):
        pairs = [pair.split(":") for pair in text.split(",")]
        return Bound(by_partition={int(partition): int(offset) for partition, offset in pairs})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidBound(
            f"{text!r} is neither a time (2026-03-01T12:00Z) nor an offset (1500, or 0:1500,3:90)"
        ) from None
    return Bound(at=at.replace(tzinfo=UTC) if at.tzinfo is None else at)


@dataclass(frozen=True, slots=True)
class ResolvedBounds:
    """The ranges between the bounds that an operator gave."""

    ranges: Ranges
    kept: Ranges
    """All records that the topic has. Records before its first offsets are deleted."""


async def resolve_bounds(settings: Settings, topic: str, first: Bound | None, end: Bound | None) -> ResolvedBounds:
    """Like `find_ranges`, for bounds that an operator typed. Raises InvalidBound for impossible ones, and Transient."""
    _require_order(first, end)
    kept = await find_ranges(settings, topic)
    named = {p for bound in (first, end) if bound is not None for p in bound.by_partition or ()}
    if unknown := sorted(named - kept.keys()):
        raise InvalidBound(f"{topic} has no partition {unknown[0]}: it has 0 to {len(kept) - 1}")
    return ResolvedBounds(await find_ranges(settings, topic, first, end) if first or end else kept, kept)


def _require_order(first: Bound | None, end: Bound | None) -> None:
    if first is None or end is None:
        return
    holds = True
    if first.at is not None and end.at is not None:
        holds = first.at < end.at
    elif first.offset is not None and end.offset is not None:
        holds = first.offset < end.offset
    elif first.by_partition is not None and end.by_partition is not None:
        both = first.by_partition.keys() & end.by_partition.keys()
        holds = bool(both) and all(first.by_partition[p] <= end.by_partition[p] for p in both)
    if not holds:
        raise InvalidBound(
            "no record can lie between --from and --to: --to is before --from, or names other partitions"
        )


async def find_ranges(settings: Settings, topic: str, first: Bound | None = None, end: Bound | None = None) -> Ranges:
    """The offsets of a topic (by its real name) between two bounds, now. Raises Transient if Kafka does not answer.

    A bound that names partitions excludes the others.
    """
    return await asyncio.to_thread(_find_ranges, settings, topic, first, end)


def _find_ranges(settings: Settings, topic: str, first: Bound | None, end: Bound | None) -> Ranges:
    consumer = Consumer(consumer_config(settings, "scan"))
    try:
        listed = consumer.list_topics(topic, TIMEOUT_S).topics[topic]
        if listed.error is not None:
            raise Transient(f"topic {topic}: {listed.error.str()}; create topics with `campaigns topics apply`")
        partitions = [TopicPartition(topic, p) for p in listed.partitions]
        whole = {each.partition: _watermarks(consumer, each) for each in partitions}
        starts = _offsets(consumer, topic, whole, first, {p: low for p, (low, _) in whole.items()})
        ends = _offsets(consumer, topic, whole, end, {p: high for p, (_, high) in whole.items()})
        ranges = {p: (max(low, starts[p]), min(high, ends[p])) for p, (low, high) in whole.items()
                  if p in starts and p in ends}  # fmt: skip
        return {p: (start, max(start, stop)) for p, (start, stop) in sorted(ranges.items())}
    except KafkaException as error:
        raise as_transient(error, f"topic {topic}") from error
    finally:
        consumer.close()


def _watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    marks: tuple[int, int] | None = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
    if marks is None:
        raise Transient(f"{place.topic}/{place.partition}: no offsets within {TIMEOUT_S:.0f} s")
    return marks


def _offsets(
    consumer: Consumer, topic: str, whole: Ranges, bound: Bound | None, default: dict[int, int]
) -> dict[int, int]:
    if bound is None:
        return default
    if bound.by_partition is not None:
        return dict(bound.by_partition)
    if bound.offset is not None:
        return dict.fromkeys(whole, bound.offset)
    assert bound.at is not None, "a bound has one of three forms"
    at_ms = max(0, int(bound.at.timestamp() * 1000))  # Kafka gives -1 and -2 a special meaning
    times = [TopicPartition(topic, p, at_ms) for p in whole]
    found = consumer.offsets_for_times(times, timeout=TIMEOUT_S) if times else []
    for each in found:
        if each.error is not None:  # its offset would look like the end, and the partition would be skipped
            raise Transient(f"{topic}/{each.partition}: {each.error.str()}")
    # A partition without a record at or after that time starts at its end.
    return {each.partition: whole[each.partition][1] if each.offset < 0 else each.offset for each in found}


async def scan(
    settings: Settings, topic: str, ranges: Mapping[int, tuple[int, int]], records_max: int = RECORDS_MAX
) -> AsyncGenerator[list[Record], None]:
    """Every record of the ranges, in order per partition, in batches bounded by records and by bytes.

    Raises Transient if Kafka returns no record for a while.
    """
    todo = {p: (start, end) for p, (start, end) in ranges.items() if start < end}
    if not todo:
        return
    loop = asyncio.get_running_loop()
    consumer = Consumer(
        consumer_config(
            settings,
            "scan",
            enable_partition_eof=True,
            queued_max_messages_kbytes=16 * 1024,
            fetch_message_max_bytes=FETCHED_TOGETHER,
        )
    )
    places = [TopicPartition(topic, p, start) for p, (start, _) in todo.items()]
    with ThreadPoolExecutor(1, "topic-scan") as thread:  # its calls block
        try:
            await loop.run_in_executor(thread, consumer.assign, places)
            silent_since = loop.time()
            batch: list[Record] = []
            size = 0
            while todo:
                # The client waits until it has all records that it is asked for, so it is asked for no more than come.
                left = sum(end - following for following, end in todo.values())
                step = min(STEP_RECORDS, records_max - len(batch), left)
                messages = await loop.run_in_executor(thread, consumer.consume, step, POLL_S)
                if messages:
                    silent_since = loop.time()
                elif loop.time() - silent_since > SILENCE_S:
                    raise Transient(f"topic {topic}: no record for {SILENCE_S:.0f} s before the end of the range")
                taken = _take(topic, messages, todo)
                batch += taken
                size += sum(len(record.value or b"") for record in taken)
                is_full = len(batch) >= records_max or size >= BATCH_BYTES_MAX
                if batch and (is_full or not messages or not todo):
                    yield batch
                    batch, size = [], 0
                    silent_since = loop.time()  # time that the caller spent on a batch does not count
        finally:
            await loop.run_in_executor(thread, consumer.close)


def _take(topic: str, messages: list[Message], todo: dict[int, tuple[int, int]]) -> list[Record]:
    """The records before the end of their partition. Partitions that have reached their end leave `todo`.

    `todo` has the next offset and the end of each partition.
    """
    batch = []
    for message in messages:
        partition, offset = message.partition() or 0, message.offset() or 0
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name for it
            if needs_operator(error):
                raise Transient(f"topic {topic}: {error.str()}")
            continue
        if partition not in todo:
            continue
        _, end = todo[partition]
        following = offset + (error is None)
        if error is None and offset < end:
            batch.append(record_of(topic, message))
        if following >= end:
            del todo[partition]
        else:
            todo[partition] = (following, end)
    return batch
