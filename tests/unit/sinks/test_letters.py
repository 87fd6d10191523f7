"""The dead letters of a batch are published once, and its records are counted once, until they are stored."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas.dead_letters import DeadItem
from schemas.places import Place, Record
from sinks.letters import BatchLetters
from topics.dead_letters import DeadLetters
from topics.publisher import PublishFailed

RECORDS = [Record("events", 0, offset, None, b"") for offset in range(3)]


class Recorded(DeadLetters):
    """Records each publication instead of making it."""

    def __init__(self) -> None:
        self.published: list[tuple[list[int], int, bool]] = []
        self.is_away = False

    async def publish(self, dead: Sequence[DeadItem], items: int, *, is_divisible: bool = True) -> None:
        if self.is_away:
            raise PublishFailed("away")
        self.published.append(([item.origin.offset for item in dead], items, is_divisible))


def dead(*offsets: int) -> list[DeadItem]:
    return [DeadItem(Place("events", 0, offset), None, b"", "malformed") for offset in offsets]


async def test_a_retry_publishes_only_new_letters_and_counts_no_record_again() -> None:
    kafka = Recorded()
    letters = BatchLetters(kafka)
    await letters.publish(dead(1), RECORDS)
    await letters.publish(dead(1), RECORDS)
    await letters.publish(dead(1, 2), RECORDS)
    assert kafka.published == [([1], 3, True), ([2], 0, True)]


async def test_a_batch_without_dead_letters_is_counted_once() -> None:
    kafka = Recorded()
    letters = BatchLetters(kafka)
    for _ in range(2):
        await letters.publish([], RECORDS[:1])
    assert kafka.published == [([], 1, False)]


async def test_letters_that_were_not_acknowledged_are_published_again() -> None:
    kafka = Recorded()
    letters = BatchLetters(kafka)
    kafka.is_away = True
    with pytest.raises(PublishFailed):
        await letters.publish(dead(0), RECORDS)
    kafka.is_away = False
    await letters.publish(dead(0), RECORDS)
    assert kafka.published == [([0], 3, True)]


@pytest.mark.parametrize("is_stored_by_another", [False, True])
async def test_only_records_that_are_stored_are_forgotten(is_stored_by_another: bool) -> None:
    kafka = Recorded()
    letters = BatchLetters(kafka)
    await letters.publish(dead(0, 1), RECORDS)
    if is_stored_by_another:
        letters.forget_all()
    else:
        letters.forget(RECORDS[:1])
    await letters.publish(dead(0, 1), RECORDS)
    assert kafka.published[1] == (([0, 1], 3, True) if is_stored_by_another else ([0], 1, True))
