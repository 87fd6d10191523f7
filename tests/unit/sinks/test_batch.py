"""A batch is decoded record by record, and its partitions move to the offsets after their last records."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.places import Record
from sinks import batch
from sinks.batch import DECODED_EVENT, count_fitting, decode_batch, last_offsets, moves_of, webhook_delays_s
from tests.support.histories import START
from topics import decoding

SOUND = RecipientEvent(kind=EventKind.SENT, wamid=Wamid("wamid.one"), occurred_at=START, received_at=START)


def test_a_record_that_crashes_the_decoder_is_dead_lettered_and_its_neighbours_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raising(model: type[RecipientEvent], value: bytes | None) -> RecipientEvent:
        if value == b"crash":
            raise ZeroDivisionError
        return decode(model, value)

    monkeypatch.setattr(decoding, "decode", raising)
    values = [encode(SOUND), b"crash", b"poison", encode(SOUND)]
    records = [Record("t", 0, offset, None, value) for offset, value in enumerate(values)]
    events, sources, refused = decode_batch(records)
    assert events == [SOUND, SOUND]
    assert [source.offset for source in sources] == [0, 3]
    assert [(item.origin.offset, item.reason) for item in refused] == [(1, "bug"), (2, "malformed")]


def test_each_partition_moves_behind_its_last_record() -> None:
    records = [Record("t", partition, offset, None, b"") for partition, offset in ((0, 4), (1, 9), (0, 7))]
    assert moves_of(last_offsets(records), {0: 4, 1: 9, 2: 0}) == {0: (4, 8), 1: (9, 10)}


def test_the_delay_of_a_webhook_is_counted_from_its_receipt_and_ours_and_refused_events_are_left_out() -> None:
    def event(kind: EventKind, seconds_ago: float) -> RecipientEvent:
        received_at = START - timedelta(seconds=seconds_ago)
        return RecipientEvent(
            kind=kind,
            recipient_id=RecipientId(UUID(int=1)),
            attempt=1,
            wamid=Wamid("wamid.one"),
            occurred_at=received_at,
            received_at=received_at,
        )

    events = [
        event(EventKind.DELIVERED, 3.5),
        event(EventKind.ACCEPTED, 9),
        event(EventKind.READ, 60),
        event(EventKind.SENT, -0.2),
    ]
    assert list(webhook_delays_s(events, {2}, START)) == [3.5, 0.0]


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.booleans()), min_size=1, max_size=60),
    st.integers(20_000, 200_000),
)
def test_a_batch_has_no_more_other_events_than_fit_into_memory(sizes: list[tuple[int, bool]], most: int) -> None:
    """Unless one event alone is larger. Usual events do not count: they are not decoded as RecipientEvent."""
    records = [Record("t", 0, offset, None, b"x" * size) for offset, (size, _) in enumerate(sizes)]
    others = [offset for offset, (_, is_other) in enumerate(sizes) if is_other]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "DECODED_MAX", most)
        count = count_fitting(records, others)
    taken = [DECODED_EVENT + len(records[at].value or b"") for at in others if at < count]
    assert sum(taken) <= most or count == 1
    following = [DECODED_EVENT + len(records[at].value or b"") for at in others if at == count]
    assert count == len(records) or sum(taken + following) > most


def test_ten_thousand_statuses_without_a_recipient_are_several_batches() -> None:
    value = encode(SOUND)
    records = [Record("t", 0, offset, None, value) for offset in range(10_000)]
    assert 2_000 < count_fitting(records, range(10_000)) < 3_500
    assert count_fitting(records, ()) == 10_000
