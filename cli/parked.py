"""`campaigns parked list`: statuses that wait for a message id nobody has claimed, and those of other systems."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import orjson

from cli.console import run_command
from operations import unknowns
from runtime.logs import mask_wamid
from runtime.process import EXIT_OK
from runtime.settings import Settings
from tables.database import connect
from tables.parked import read_foreign


def run_parked(limit: int, *, as_json: bool) -> int:
    """List them, the oldest first."""
    return run_command(lambda settings: asyncio.run(_list(settings, limit, as_json=as_json)))


async def _list(settings: Settings, limit: int, *, as_json: bool) -> int:
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-parked") as connection:
        parked, total = await unknowns.find_parked(connection, limit)
        foreign = await read_foreign(connection)
    now = datetime.now(UTC)
    ages = [int((now - each.first_seen_at).total_seconds()) for each in parked]
    if as_json:
        print(orjson.dumps({
            "total": total,
            "parked": [
                {"wamid": mask_wamid(each.wamid), "phone_number_id": each.phone_number_id, "age_s": age,
                 "first_seen_at": each.first_seen_at, "statuses": each.statuses}
                for each, age in zip(parked, ages, strict=True)
            ],
            "foreign": [{"phone_number_id": number, "statuses": n, "last_day": day} for number, n, day in foreign],
        }).decode())  # fmt: skip
        return EXIT_OK
    for each, age in zip(parked, ages, strict=True):
        print(
            f"{mask_wamid(each.wamid)}  number {each.phone_number_id or '?'}  for {age // 60} min"
            f"  {', '.join(each.statuses)}"
        )
    print(f"{total} parked" + (f", {len(parked)} shown" if total > len(parked) else ""), file=sys.stderr)
    for number, n, day in foreign:
        print(f"foreign on number {number or '?'}: {n} status(es), last on {day}", file=sys.stderr)
    return EXIT_OK
