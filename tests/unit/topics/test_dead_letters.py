"""Dead letters of every stage: limits, letters that are too large, and the order of publishing and counting."""

from dataclasses import replace

import pytest
import structlog

from runtime import metrics
from schemas.dead_letters import DeadItem, read_headers
from schemas.places import Place
from schemas.reasons import DeadLetterReason
from schemas.topics import TopicSpec
from topics.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters
from topics.dead_letters import EXCERPTS_BYTES, DeadLetters
from topics.memory import MemoryPublisher
from topics.publisher import PublishFailed


def item(offset: int = 0, value: bytes = b"x", raised: Exception | None = None) -> DeadItem:
    return DeadItem(Place("t", 0, offset), b"key", value, "malformed", "error text", raised)


def test_the_counters_of_a_stage_begin_at_zero() -> None:
    """Prometheus sees no increase between no series and a first letter, so no alert would fire."""
    DeadLetters(MemoryPublisher(), "a-new-stage", DeadLetterLimit(3))
    for reason in DeadLetterReason:
        labels = {"stage": "a-new-stage", "reason": reason.value}
        assert metrics.REGISTRY.get_sample_value("campaigns_dead_letters_total", labels) == 0


async def test_dead_letters_above_the_limit_of_a_minute_stop_the_stage() -> None:
    now = 0.0
    publisher = MemoryPublisher()
    letters = DeadLetters(publisher, "sink", DeadLetterLimit(3), clock=lambda: now)
    two = [item(offset) for offset in range(2)]
    await letters.publish(two, 100)
    with pytest.raises(TooManyDeadLetters):
        await letters.publish(two, 100)
    now = 61.0
    await letters.publish(two, 100)
    assert len(publisher.records) == 4


async def test_a_dead_letter_has_the_bytes_the_key_and_the_origin() -> None:
    publisher = MemoryPublisher()
    await DeadLetters(publisher, "sink", DeadLetterLimit(3)).publish([item(7, b"raw")], 1)
    [letter] = publisher.records
    assert (letter.topic, letter.key, letter.value) == ("t.dead", b"key", b"raw")
    headers = read_headers(letter.headers)
    assert (headers.stage, headers.reason, str(headers.origin), headers.error) == (
        "sink", "malformed", "t/0@7[0]", "error text",
    )  # fmt: skip


@pytest.mark.parametrize(("bytes_max", "kept"), [(5000, EXCERPTS_BYTES[0]), (500, 0)])
async def test_a_letter_that_is_too_large_names_its_place_and_its_neighbours_are_whole(
    bytes_max: int, kept: int
) -> None:
    publisher = MemoryPublisher([TopicSpec("t.dead", 1, -1, record_bytes_max=bytes_max)])
    large = b"y" * 5000
    await DeadLetters(publisher, "sink", DeadLetterLimit(9)).publish([item(0), item(1, large), item(2)], 3)
    assert [letter.value for letter in publisher.records] == [b"x", b"x", large[:kept]]
    letters = [read_headers(letter.headers) for letter in publisher.records]
    assert [(letter.origin.offset, letter.is_by_place) for letter in letters] == [(0, False), (2, False), (1, True)]


async def test_only_evidence_about_our_code_counts_for_the_limits() -> None:
    letters = DeadLetters(MemoryPublisher(), "sink", DeadLetterLimit(2), clock=lambda: 0.0)
    deleted = [replace(item(offset), reason="unknown_recipient") for offset in range(5000)]
    again = [replace(item(offset), redriven=1) for offset in range(5000)]
    await letters.publish([*deleted, *again, item(), item()], 10_002)
    with pytest.raises(TooManyDeadLetters):
        await letters.publish([item()], 1)


async def test_unacknowledged_dead_letters_do_not_count() -> None:
    publisher = MemoryPublisher()
    letters = DeadLetters(publisher, "sink", DeadLetterLimit(1), clock=lambda: 0.0)
    publisher.is_down = True
    for _ in range(2):
        with pytest.raises(PublishFailed):
            await letters.publish([item()], 1)
    publisher.is_down = False
    await letters.publish([item()], 1)
    assert len(publisher.records) == 1


async def test_a_bug_is_logged_with_its_exception() -> None:
    raised = ZeroDivisionError("x")
    with structlog.testing.capture_logs() as lines:
        await DeadLetters(MemoryPublisher(), "sink", DeadLetterLimit(9)).publish([item(raised=raised)], 1)
    assert [line["exc_info"] for line in lines if "exc_info" in line] == [raised]
