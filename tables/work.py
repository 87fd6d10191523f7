"""What the scheduler's leader has to do, by one statement. Without it each loop would ask for itself every second."""

from __future__ import annotations

from enum import Enum, auto

from tables.database import Connection
from tables.statements import load

_SQL = load("work")


class WorkKind(Enum):
    """A kind of work. Its name in lower case is the column of `find_work`."""

    ACTIVE = auto()
    """Active campaigns."""
    CANCELLED = auto()
    """Cancelled campaigns, whose recipients may have to be skipped."""
    COMPLETED = auto()
    """Completed campaigns, which may have to be reopened."""
    PLANS = auto()
    """Campaigns with recipients without a planned time."""
    RELEASED = auto()
    """Releases that are not claimed."""
    OUTCOMES = auto()
    """Claims without an outcome, and outcomes that are not published."""
    RETURNS = auto()
    """Budget of a day that is to be given back."""
    PORTFOLIO = auto()
    """Charges to the budget of the portfolio, which are given back or expire."""
    BREAKERS = auto()
    """Breakers and their changes."""
    SUBSCRIPTIONS = auto()
    """Changes of subscriptions that are not published."""


EVERY = frozenset(WorkKind)


async def find_work(connection: Connection) -> frozenset[WorkKind]:
    """The kinds of work that there are now."""
    cursor = await connection.execute(_SQL["find_work"])
    row = await cursor.fetchone()
    assert row is not None
    assert cursor.description is not None
    found = zip(cursor.description, row, strict=True)
    return frozenset(WorkKind[column.name.upper()] for column, is_there in found if is_there)
