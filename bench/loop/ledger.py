"""Compares the rows of an installation with the ledger of the simulator, which knows what really happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ORDER = ("sent", "delivered", "read")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A recipient as the installation knows it."""

    phone_number: str
    status: str
    wamid: str | None


def expected_status(statuses: Iterable[str]) -> str:
    """The status after all these: the furthest one, in any order. An accepted message is sent."""
    return max(statuses, key=ORDER.index, default="sent")


def right_share(entries: Iterable[Mapping[str, object]], rows: Iterable[StoredRow]) -> float:
    """The share of the rows that have the message and the status of the ledger. 0 if anybody got two messages."""
    accepted = [entry for entry in entries if entry["accepted"]]
    if any(count > 1 for count in Counter(str(entry["to"]) for entry in accepted).values()):
        return 0.0
    truth = {
        str(entry["to"]).lstrip("+"): (str(entry["wamid"]), expected_status(_statuses(entry))) for entry in accepted
    }
    listed = list(rows)
    right = sum(truth.get(row.phone_number) == (row.wamid, row.status) for row in listed)
    return right / len(listed) if listed and len(listed) == len(truth) else 0.0


def _statuses(entry: Mapping[str, object]) -> list[str]:
    found = entry["statuses"]
    assert isinstance(found, list), "the ledger lists the statuses of an entry"
    return [each["status"] for each in found]
