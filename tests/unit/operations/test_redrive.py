"""A dead letter with a value just below the limit of its topic can be published again, in spite of its headers."""

from datetime import UTC, datetime

from operations.dead_letters import Letter
from operations.redrive import Acted, _send_back
from schemas.dead_letters import DeadLetter
from schemas.places import Place, Record
from schemas.topics import TopicSpec
from topics.memory import MemoryPublisher

HEADERS = tuple(DeadLetter("sink", "malformed", Place("recipient.events", 0, 7)).headers("test"))


def letter(size: int) -> Letter:
    record = Record("t.dead", 0, size, b"k", b"x" * size, datetime(2026, 3, 1, tzinfo=UTC), HEADERS)
    return Letter(Place("t.dead", 0, size), "id", record, None, None)


async def test_only_a_record_that_is_too_large_without_headers_stays() -> None:
    publisher, done = MemoryPublisher([TopicSpec("t", 1, -1, record_bytes_max=1000)]), Acted()
    small, fitting, larger = letter(10), letter(999), letter(1000)
    assert await _send_back(publisher, [small, fitting, larger], done) == [small, fitting]
    assert done.too_large == 1
    assert [(len(value or b""), headers) for _, _, value, headers in publisher.records] == [(10, HEADERS), (999, None)]
