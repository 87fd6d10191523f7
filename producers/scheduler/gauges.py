"""The gauges that need a query. The leader alone reads them, and a process that leads no more shows none of them."""

from __future__ import annotations

import asyncio

from runtime import metrics
from runtime.settings import Settings
from runtime.waiting import pause
from tables import backlog, portfolio
from tables.leadership import Leader
from tables.releases import Rates

ROUND_S = 10.0


async def show_gauges(leader: Leader, settings: Settings, stop: asyncio.Event) -> None:
    """Read and show the gauges every 10 s, until `stop`. Raises psycopg.Error when the connection is lost."""
    rates = Rates.of(settings)
    shown: set[str] = set()
    try:
        while True:
            shown = await _show(leader, rates, shown)
            if await pause(stop, ROUND_S):
                return
    finally:
        _forget()


async def _show(leader: Leader, rates: Rates, shown: set[str]) -> set[str]:
    async with leader.turn() as connection:
        waiting = await backlog.count_waiting(connection)
    async with leader.turn() as connection:
        released = await backlog.count_released(connection)
    async with leader.turn() as connection:
        daily = await backlog.read_daily_budgets(connection)
    async with leader.turn() as connection:
        people = await portfolio.read(connection)
    metrics.PARKED.set(waiting.parked)
    metrics.PARKED_OLDEST_SECONDS.set(waiting.parked_s)
    metrics.FOREIGN_TODAY.set(waiting.foreign_today)
    metrics.UNKNOWN.set(waiting.unknown)
    metrics.PAST_LEASE.set(waiting.past_lease)
    metrics.UNPUBLISHED.set(waiting.unpublished)
    metrics.UNPUBLISHED_OLDEST_SECONDS.set(waiting.unpublished_s)
    metrics.HELD.set(waiting.held)
    metrics.RECOVERY_NEEDED.set(waiting.is_unrecovered)
    for number in shown - released.keys():
        metrics.RELEASED.remove_by_labels({"number": number})
    for number, (count, _) in released.items():
        metrics.RELEASED.labels(number).set(count)
    metrics.RELEASED_MAX.set(rates.unclaimed_max)
    metrics.RELEASED_OLDEST_SECONDS.set(max((age_s for _, age_s in released.values()), default=0))
    metrics.DAILY_BUDGET_USED.set(daily.used)
    metrics.DAILY_BUDGET_LIMIT.set(daily.limit)
    metrics.DAILY_BUDGETS_EXHAUSTED.set(daily.exhausted)
    metrics.PORTFOLIO_USED.set(people.used)
    metrics.PORTFOLIO_LIMIT.set(people.limit or 0)
    return set(released)


def _forget() -> None:
    """Show nothing: the next leader shows the present state, and old figures beside it would be wrong."""
    metrics.RELEASED.clear()
    metrics.BREAKERS_OPEN.clear()
    for gauge in (
        metrics.PARKED,
        metrics.PARKED_OLDEST_SECONDS,
        metrics.FOREIGN_TODAY,
        metrics.UNKNOWN,
        metrics.PAST_LEASE,
        metrics.UNPUBLISHED,
        metrics.UNPUBLISHED_OLDEST_SECONDS,
        metrics.HELD,
        metrics.RECOVERY_NEEDED,
        metrics.WEBHOOKS_APPLIED_AGE_SECONDS,
        metrics.RELEASED_MAX,
        metrics.RELEASED_OLDEST_SECONDS,
        metrics.DAILY_BUDGET_USED,
        metrics.DAILY_BUDGET_LIMIT,
        metrics.DAILY_BUDGETS_EXHAUSTED,
        metrics.PORTFOLIO_USED,
        metrics.PORTFOLIO_LIMIT,
    ):
        gauge.set(0)
