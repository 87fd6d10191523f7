"""The ends of many partitions in two requests. `get_watermark_offsets` sends two for each partition, one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from schemas.places import Watermarks


def read_watermarks(consumer: Consumer, topic: str, partitions: Iterable[int], timeout_s: float) -> Watermarks:
    """The low and the high watermark of each partition. Raises KafkaException if one is not known in time.

    The low one is read first, so it is never above the high one.
    """
    wanted = sorted(partitions)
    if not wanted:
        return {}
    low, high = read_lows(consumer, topic, wanted, timeout_s), read_highs(consumer, topic, wanted, timeout_s)
    return {partition: (low[partition], high[partition]) for partition in wanted}


def read_lows(consumer: Consumer, topic: str, partitions: Collection[int], timeout_s: float) -> dict[int, int]:
    """The low watermarks alone, as `read_watermarks`."""
    return _offsets(consumer, topic, partitions, OFFSET_BEGINNING, timeout_s) if partitions else {}


def read_highs(consumer: Consumer, topic: str, partitions: Collection[int], timeout_s: float) -> dict[int, int]:
    """The high watermarks alone, as `read_watermarks`."""
    return _offsets(consumer, topic, partitions, OFFSET_END, timeout_s) if partitions else {}


def _offsets(consumer: Consumer, topic: str, partitions: Collection[int], end: int, timeout_s: float) -> dict[int, int]:
    """The protocol has a query for offsets by time, in which these two numbers stand for the ends."""
    found = consumer.offsets_for_times([TopicPartition(topic, each, end) for each in partitions], timeout=timeout_s)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return {place.partition: place.offset for place in found}
