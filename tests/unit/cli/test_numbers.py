"""The sending numbers in lines."""

from __future__ import annotations

from datetime import UTC, datetime

from api.limit_answers import ForeignReportOut, NumberOut, NumbersOut
from cli.numbers import number_lines

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_each_number_has_its_line_and_its_last_report() -> None:
    number = NumberOut(
        phone_number_id="106", is_default=True, is_in_settings=True, messages_per_second=1000, has_own_token=True,
        display_phone_number="+1***1234", quality="RED", throughput="HIGH", state="FLAGGED", read_at=NOON,
        report="Meta flagged the number.", reported_at=NOON, sent_last_day=1200,
    )  # fmt: skip
    foreign = ForeignReportOut(number="+1***9876", report="Meta banned the number.", reported_at=NOON)
    first, report, *others = number_lines(NumbersOut(numbers=[number], foreign_reports=[foreign]))
    words = "1,000/s, quality RED, throughput HIGH, FLAGGED, 1,200 sent in 24 hours, the default, own token"
    assert first == f"106  +1***1234, {words}"
    assert report == "  2026-11-26 12:00Z  Meta flagged the number."
    assert others == [
        "+1***9876  none of ours; nothing was paused", "  2026-11-26 12:00Z  Meta banned the number."
    ]  # fmt: skip


def test_without_a_number_the_next_step_is_shown() -> None:
    (line,) = number_lines(NumbersOut(numbers=[], foreign_reports=[]))
    assert "campaigns create --number" in line


def test_a_number_that_was_not_read_is_shown_as_such() -> None:
    number = NumberOut(
        phone_number_id="107", is_default=False, is_in_settings=False, messages_per_second=80, has_own_token=False,
        display_phone_number=None, quality=None, throughput=None, state=None, read_at=None, report=None,
        reported_at=None, sent_last_day=0,
    )  # fmt: skip
    (line,) = number_lines(NumbersOut(numbers=[number], foreign_reports=[]))
    assert "not read from the Cloud API (`campaigns check` shows why)" in line
    assert "not in the settings" in line
