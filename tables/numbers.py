"""Our numbers as Meta shows them, and what Meta reported about numbers.

The leader of the scheduler reads the numbers, and the sink notes the reports. `domain.number_reports` has the rule by
which a report is about a number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.control import ControlEvent
from tables.arrays import text, times
from tables.database import Connection
from tables.statements import load

_SQL = load("numbers")

NUMBERS_MAX = 500
"""Most numbers that are read or listed. A portfolio has 25 at most, or as many as Meta agreed to."""


@dataclass(frozen=True, slots=True)
class ShownNumber:
    """A number as Meta shows it."""

    digits: str | None
    """The number as people see it, in digits."""
    quality: str | None
    """GREEN, YELLOW, RED or UNKNOWN."""
    throughput: str | None
    """STANDARD or HIGH."""
    state: str | None
    """CONNECTED, FLAGGED, RESTRICTED and more."""


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """A number of ours."""

    phone_number_id: str
    shown: ShownNumber
    read_at: datetime | None
    """When it was read; None: not yet."""
    report: str | None
    """What Meta reported last about it."""
    reported_at: datetime | None
    sent_last_day: int
    """Messages that it sent in the last 24 hours."""


@dataclass(frozen=True, slots=True)
class ForeignReport:
    """A report about a number that is none of ours."""

    number: str
    """The id, or a + and the digits that people see."""
    report: str
    reported_at: datetime


async def list_used(connection: Connection) -> list[str]:
    """The numbers of the campaigns that are not over."""
    return [row[0] for row in await (await connection.execute(_SQL["list_used"], {"limit": NUMBERS_MAX})).fetchall()]


async def write_read(connection: Connection, number: str, shown: ShownNumber) -> None:
    """Store what Meta shows of a number."""
    values = {
        "number": number,
        "digits": shown.digits,
        "quality": shown.quality,
        "throughput": shown.throughput,
        "state": shown.state,
    }
    await connection.execute(_SQL["write_read"], values)


async def note_reports(connection: Connection, reports: Sequence[ControlEvent]) -> list[tuple[str, str]]:
    """Store the latest reports about numbers. Returns number and reason of new ones about numbers that are not ours."""
    if not reports:
        return []
    values = {
        "numbers": text(each.key for each in reports),
        "reasons": text(each.reason or "Meta gave no reason." for each in reports),
        "times": times(each.occurred_at for each in reports),
    }
    cursor = await connection.execute(_SQL["note_reports"], values)
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def read_numbers(connection: Connection, ids: Collection[str]) -> list[KnownNumber]:
    """The numbers of the settings, those of campaigns that are not over, and those that were read."""
    values = {"ids": sorted(ids), "limit": NUMBERS_MAX}
    rows = await (await connection.execute(_SQL["read_numbers"], values)).fetchall()
    return [KnownNumber(row[0], ShownNumber(*row[1:5]), *row[5:]) for row in rows]


async def read_foreign(connection: Connection) -> list[ForeignReport]:
    """The last reports about numbers that are none of ours, the latest first."""
    rows = await (await connection.execute(_SQL["read_foreign"], {"limit": NUMBERS_MAX})).fetchall()
    return [ForeignReport(*row) for row in rows]
