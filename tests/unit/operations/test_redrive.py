"""A letter that just fitted its topic goes back to it, though it has more headers now."""

from collections.abc import Sequence
from datetime import UTC, datetime

from operations.dead_letters import Letter, Place
from operations.redrive import Acted, _send_back
from schemas.dead_letters import DeadLetter
from schemas.places import Record
from topics.publisher import Outgoing, RecordTooLarge

HEADERS = tuple(DeadLetter("sink", "malformed", "recipient.events", 0, 7).headers("test"))


class Narrow:
    """A publisher whose topic takes so many bytes of value, and a hundred less where there are headers."""

    def __init__(self, bytes_max: int) -> None:
        self.taken: list[Outgoing] = []
        self._bytes_max = bytes_max

    async def publish_batch(self, records: Sequence[Outgoing]) -> None:
        sizes = [len(value or b"") + 100 * bool(headers) for _, _, value, headers in records]
        self.taken += [record for record, size in zip(records, sizes, strict=True) if size <= self._bytes_max]
        if too_large := [index for index, size in enumerate(sizes) if size > self._bytes_max]:
            raise RecordTooLarge(too_large)


def letter(size: int) -> Letter:
    record = Record("t.dead", 0, size, b"k", b"x" * size, datetime(2026, 3, 1, tzinfo=UTC), HEADERS)
    return Letter(Place("t.dead", 0, size), "id", record, None, None)


async def test_only_what_is_too_large_without_its_headers_stays() -> None:
    publisher, done = Narrow(1000), Acted()
    small, fitting, larger = letter(10), letter(1000), letter(1001)
    assert await _send_back(publisher, [small, fitting, larger], done) == [small, fitting]  # type: ignore[arg-type]
    assert done.too_large == 1
    assert [(len(value or b""), headers) for _, _, value, headers in publisher.taken] == [(10, HEADERS), (1000, None)]
