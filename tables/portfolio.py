"""The rolling budget of the portfolio in Postgres. A release takes from it; what was not posted is given back, once.

Everything that changes the buckets locks the row of `portfolio` first, after the number and before the day of a
campaign. A settlement only notes what it gives back, and waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.portfolio import WINDOW_S, BudgetOutlook, PortfolioBudget, PortfolioUse, lower_limit
from schemas.jobs import SendJob
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("portfolio")
RETURNS_MAX = 2000
"""Most attempts that are given back in one transaction."""
PRUNED_MAX = 5000


@dataclass(frozen=True, slots=True)
class LockedBudget:
    """The budget, locked until the end of the transaction."""

    budget: PortfolioBudget
    now: datetime
    left: int

    @property
    def post_before(self) -> datetime:
        """Until when what is released now may be posted."""
        return self.budget.post_before(self.budget.bucket_of(self.now))


@dataclass(frozen=True, slots=True)
class BucketDifference:
    """A bucket whose people differ from those of the charges."""

    began_at: datetime
    stored: int
    counted: int


async def configure(connection: Connection, budget: PortfolioBudget | None) -> None:
    """Store the budget of the settings, so that every reader knows what releases obey."""
    people_max, window_s = (None, WINDOW_S) if budget is None else (budget.people_max, budget.window_s)
    await connection.execute(_SQL["configure"], {"people_max": people_max, "window_s": window_s})


async def lock(connection: Connection, budget: PortfolioBudget) -> LockedBudget:
    """Lock the budget, and store it if the settings have changed. Raises LockNotAvailable."""
    row = await (await connection.execute(_SQL["lock_budget"])).fetchone()
    if row is None or row[:2] != (budget.people_max, budget.window_s):
        await configure(connection, budget)
        row = await (await connection.execute(_SQL["lock_budget"])).fetchone()
    assert row is not None
    _, _, reported, now = row
    used, _ = await _used(connection, budget, now)
    return LockedBudget(budget, now, max(0, lower_limit(budget.people_max, reported) - used))


async def read_left(connection: Connection, budget: PortfolioBudget) -> int:
    """How many more people may get a message now, without a lock: to divide it among the campaigns."""
    row = await (await connection.execute(_SQL["read_budget"])).fetchone()
    if row is None:
        return budget.people_max
    used, _ = await _used(connection, budget, row[4])
    return max(0, lower_limit(budget.people_max, row[2]) - used)


async def charge(connection: Connection, locked: LockedBudget, jobs: Sequence[SendJob]) -> None:
    """Charge released attempts, in the transaction that releases them."""
    if jobs:
        values = {
            "ids": plain(job.recipient_id for job in jobs),
            "attempts": [job.attempt for job in jobs],
            "bucket": locked.budget.bucket_of(locked.now),
            "counts_after": locked.budget.counts_after(locked.now),
        }
        await connection.execute(_SQL["charge"], values)


async def read(connection: Connection) -> PortfolioUse:
    """How much of the budget is used now."""
    row = await (await connection.execute(_SQL["read_budget"])).fetchone()
    if row is None:
        return PortfolioUse(None, None, None, 0, None)
    people_max, window_s, reported, reported_at, now = row
    budget = PortfolioBudget(people_max or 1, window_s)
    used, first = await _used(connection, budget, now)
    return PortfolioUse(people_max, reported, reported_at, used, None if first is None else budget.free_at(first))


async def read_outlook(connection: Connection) -> BudgetOutlook | None:
    """How the budget becomes free; None: there is none."""
    row = await (await connection.execute(_SQL["read_budget"])).fetchone()
    if row is None or row[0] is None:
        return None
    people_max, window_s, reported, _, now = row
    budget = PortfolioBudget(lower_limit(people_max, reported), window_s)
    return BudgetOutlook.of(budget, await read_buckets(connection, budget, now))


async def read_buckets(
    connection: Connection, budget: PortfolioBudget, now: datetime
) -> Sequence[tuple[datetime, int]]:
    """The people of each bucket that counts now, the first bucket first."""
    values = {"counts_after": budget.counts_after(now)}
    return [(row[0], row[1]) for row in await (await connection.execute(_SQL["read_buckets"], values)).fetchall()]


async def _used(connection: Connection, budget: PortfolioBudget, now: datetime) -> tuple[int, datetime | None]:
    values = {"counts_after": budget.counts_after(now)}
    row = await (await connection.execute(_SQL["read_used"], values)).fetchone()
    assert row is not None
    return row[0], row[1]


async def settle(connection: Connection) -> int:
    """Give back attempts that were not posted, and delete what counts no more. Returns how many were given back.

    Without work it only reads: a transaction that locks the row writes to the disk. Raises LockNotAvailable.
    """
    if not await _has_work(connection):
        return 0
    async with connection.transaction():
        row = await (await connection.execute(_SQL["lock_budget"])).fetchone()
        assert row is not None
        _, window_s, _, now = row
        values = {"counts_after": PortfolioBudget(1, window_s).counts_after(now)}
        cursor = await connection.execute(_SQL["apply_returns"], {**values, "limit": RETURNS_MAX})
        returned = await cursor.fetchone()
        assert returned is not None
        await connection.execute(_SQL["prune_charges"], {**values, "limit": PRUNED_MAX})
        await connection.execute(_SQL["prune_buckets"], values)
        return int(returned[0])


async def _has_work(connection: Connection) -> bool:
    row = await (await connection.execute(_SQL["read_budget"])).fetchone()
    if row is None:  # nothing was ever charged
        return False
    values = {"counts_after": PortfolioBudget(1, row[1]).counts_after(row[4])}
    found = await (await connection.execute(_SQL["has_work"], values)).fetchone()
    assert found is not None
    return bool(found[0])


async def report_limit(connection: Connection, limit: int, at: datetime) -> None:
    """Store a limit that Meta reported, unless a later report is known."""
    await connection.execute(_SQL["report_limit"], {"limit": limit, "at": at})


async def recount(connection: Connection) -> list[BucketDifference]:
    """Compare the buckets with the charges. An empty list proves that they are equal."""
    row = await (await connection.execute(_SQL["read_budget"])).fetchone()
    if row is None:
        return []
    values = {"counts_after": PortfolioBudget(1, row[1]).counts_after(row[4])}
    return [BucketDifference(*each) for each in await (await connection.execute(_SQL["recount"], values)).fetchall()]
