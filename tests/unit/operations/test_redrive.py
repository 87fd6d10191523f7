"""A dead letter with a value just below the limit of its topic can be published again, in spite of its headers."""

from dataclasses import replace
from datetime import UTC, datetime

from operations.dead_letters import Letter
from operations.redrive import Acted, _send_back
from schemas.dead_letters import DeadLetter
from schemas.places import Place, Record
from schemas.reasons import DeadLetterReason
from schemas.topics import TopicSpec
from topics.dead_letter_limit import DeadLetterLimit
from topics.dead_letters import DeadLetters
from topics.decoding import dead_item
from topics.memory import MemoryPublisher

HEADERS = tuple(DeadLetter("sink", "malformed", Place("recipient.events", 0, 7)).headers("test"))


def letter(size: int) -> Letter:
    record = Record("t.dead", 0, size, b"k", b"x" * size, datetime(2026, 3, 1, tzinfo=UTC), HEADERS)
    return Letter(Place("t.dead", 0, size), "id", record, None, None)


async def test_only_a_record_that_is_too_large_without_headers_stays() -> None:
    publisher, done = MemoryPublisher([TopicSpec("t", 1, -1, record_bytes_max=1000)]), Acted()
    small, fitting, larger = letter(10), letter(990), letter(1000)
    assert await _send_back(publisher, [small, fitting, larger], done) == [small, fitting]
    assert done.too_large == 1
    counted = (("redriven", b"1"),)
    assert [(len(value or b""), headers) for _, _, value, headers in publisher.records] == [
        (10, HEADERS + counted), (990, counted),
    ]  # fmt: skip


async def test_each_redrive_is_counted_and_the_third_return_is_quarantined() -> None:
    publisher = MemoryPublisher()
    waiting = letter(10)
    for times in (1, 2, 3):
        assert not waiting.is_quarantined
        await _send_back(publisher, [waiting], Acted())
        redriven = publisher.records[-1].headers
        assert redriven is not None
        assert [value for name, value in redriven if name == "redriven"] == [str(times).encode()]
        refused = dead_item(Record("t", 0, times, b"k", b"x", headers=tuple(redriven)), DeadLetterReason.MALFORMED)
        await DeadLetters(publisher, "sink", DeadLetterLimit(9)).publish([refused], 1)
        again = publisher.records[-1]
        waiting = replace(waiting, record=waiting.record._replace(headers=tuple(again.headers or ())))
    assert (waiting.redriven, waiting.is_quarantined) == (3, True)
