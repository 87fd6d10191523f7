"""The campaign that grows: its sizes, and what has to be done after each step."""

from __future__ import annotations

from tables import stats
from tables.database import connect

SIZES, SMOKE_SIZES = (10_000, 100_000, 1_000_000, 10_000_000), (100, 400)
"""Rows at each step."""


async def fold_counters(url: str) -> None:
    """Fold the counters, as the stats publisher does all the time."""
    async with await connect(url, application_name="bench") as connection:
        while await stats.fold(connection) != stats.FIRST_PLACE:
            pass
        await connection.execute("VACUUM campaign_counter_deltas, campaign_counters")
