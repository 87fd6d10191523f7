"""Reads all rows that a replay or a rebuild could change, so that a test can compare them before and after."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.support.world import World

REPLAYED_TABLES = ("campaign_recipients", "messages", "double_sends", "foreign_statuses", "sink_offsets")


async def replayed_rows(world: World, *, without: Iterable[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """The rows by table, without the columns that record the time of a change."""
    left_out = {"updated_at", "first_seen_at", *without}
    found = {}
    for table in REPLAYED_TABLES:
        columns = await world.run(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = %s AND table_schema = current_schema() ORDER BY 1", table)  # fmt: skip
        names = ", ".join(row[0] for row in columns if row[0] not in left_out)
        found[table] = await world.run(f"SELECT {names} FROM {table} ORDER BY {names}")
    found["counters"] = await world.run(
        "SELECT campaign_id, dimension, key, sum(n) FROM (SELECT * FROM campaign_counters"
        " UNION ALL SELECT campaign_id, dimension, key, n FROM campaign_counter_deltas) AS c GROUP BY 1, 2, 3"
        " HAVING sum(n) <> 0 ORDER BY 1, 2, 3"
    )
    return found
