"""The comparison of rows with the ledger of the simulator."""

from __future__ import annotations

import pytest

from bench.loop.ledger import StoredRow, expected_status, right_share


def entry(to: str, wamid: str, *statuses: str, accepted: bool = True) -> dict[str, object]:
    return {"to": to, "wamid": wamid, "accepted": accepted, "statuses": [{"status": each} for each in statuses]}


@pytest.mark.parametrize(
    ("statuses", "status"),
    [(("sent", "delivered", "read"), "read"), (("delivered", "sent"), "delivered"), ((), "sent")],
)
def test_the_furthest_status_counts(statuses: tuple[str, ...], status: str) -> None:
    assert expected_status(statuses) == status


def test_a_row_is_right_with_the_message_and_the_status_of_the_ledger() -> None:
    entries = [entry("+1", "a", "sent", "read"), entry("2", "b", "sent"), entry("3", "c", accepted=False)]
    assert right_share(entries, [StoredRow("1", "read", "a"), StoredRow("2", "sent", "b")]) == 1.0
    assert right_share(entries, [StoredRow("1", "delivered", "a"), StoredRow("2", "sent", "b")]) == 0.5
    assert right_share(entries, [StoredRow("1", "read", "x"), StoredRow("2", "sent", "b")]) == 0.5


def test_a_missing_row_or_a_second_message_makes_everything_wrong() -> None:
    entries = [entry("1", "a", "sent"), entry("2", "b", "sent")]
    rows = [StoredRow("1", "sent", "a"), StoredRow("2", "sent", "b")]
    assert right_share(entries, rows[:1]) == 0.0
    assert right_share([*entries, entry("1", "again")], rows) == 0.0
    assert right_share([], []) == 0.0
