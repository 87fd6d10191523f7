"""What a replay takes at a time, passes over, and has read already."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest

from cli.row_changes import as_document, as_line
from cli.verify_report import document_of, lines_of
from operations import readers
from operations.audit import Audit, CounterDifference
from operations.coverage import Interval, rounds, uncovered
from operations.readers import EVENTS_MAX, ReadRecord, portions, read_event, reader_of
from operations.row_changes import Change
from operations.verify import VerifyReport
from runtime.settings import InvalidSettings, read_settings
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId
from schemas.places import Record
from schemas.topics import Topic
from tables.stats import Difference

AT = datetime(2026, 3, 1, tzinfo=UTC)
EVENT = RecipientEvent(
    kind=EventKind.UNKNOWN, recipient_id=RecipientId(UUID(int=1)), attempt=1, occurred_at=AT, received_at=AT
)


def scanned(value: bytes = b"") -> Record:
    return Record("t", 0, 0, None, value, AT)


def test_a_transaction_gets_whole_records_and_few_events() -> None:
    taken = list(portions([scanned()] * 100, lambda _: ReadRecord([EVENT] * 700), Counter()))
    assert sum(len(records) for records, _ in taken) == 100
    assert all(len(events) == 700 * len(records) < EVENTS_MAX + 700 for records, events in taken)


def test_a_record_that_makes_our_code_raise_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("bug")

    assert read_event(scanned(encode(EVENT))).events == [EVENT]
    assert read_event(scanned(b"{")).refused == {"malformed": 1}
    monkeypatch.setattr(readers, "decode", fail)
    assert read_event(scanned(encode(EVENT))).refused == {"bug": 1}


def test_webhooks_are_not_read_without_the_secret_that_makes_them_ours() -> None:
    settings = read_settings({"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x"})
    with pytest.raises(InvalidSettings, match="CALLBACK_SECRET"):
        reader_of(settings, Topic.WEBHOOKS_RAW)
    assert reader_of(settings, Topic.RECIPIENT_EVENTS) is read_event


def test_a_change_is_shown_masked_and_escaped() -> None:
    text = "\x1b[2Jto 14690000001 failed"
    told = {"status": "sent", "failure_text": None}
    change = Change(
        UUID(int=1), UUID(int=2), "active", ("failure_text",), told, told | {"failure_text": text}, makes_due=False
    )
    assert "\x1b" not in as_line(change)
    assert "1469" not in as_line(change) + str(as_document(change))
    wrong = Difference("failure", text, told=1, counted=0)
    found = Audit(AT, 1, (CounterDifference(UUID(int=2), wrong),), ())
    lines = "".join(lines_of(VerifyReport(found)))
    assert "\x1b" not in lines
    assert "1469" not in lines + str(document_of(VerifyReport(found)))


@pytest.mark.parametrize(
    ("wanted", "covered", "left"),
    [
        ((0, 10), [], [(0, 10)]),
        ((0, 10), [(0, 10)], []),
        ((0, 10), [(2, 4), (6, 20)], [(0, 2), (4, 6)]),
        ((5, 10), [(0, 3), (20, 30)], [(5, 10)]),
        ((5, 10), [(7, 8), (0, 6), (6, 7)], [(8, 10)]),
        ((5, 5), [], []),
    ],
)
def test_nothing_is_read_twice(wanted: Interval, covered: list[Interval], left: list[Interval]) -> None:
    assert uncovered(wanted, covered) == left


def test_a_round_has_one_interval_of_a_partition() -> None:
    assert rounds([(0, (1, 2)), (0, (5, 6)), (1, (3, 4))]) == [{0: (1, 2), 1: (3, 4)}, {0: (5, 6)}]
