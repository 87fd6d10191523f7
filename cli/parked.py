"""`campaigns parked list`: lists statuses whose message id no attempt has claimed, and counts foreign statuses."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from cli.options import Json, LineLimit

if TYPE_CHECKING:
    from runtime.settings import Settings

parked = typer.Typer(help="List statuses that wait for the attempt they belong to.", no_args_is_help=True)


@parked.command("list")
def parked_list(limit: LineLimit = 100, json: Json = False) -> None:
    """List statuses whose message id no attempt has claimed yet, and count those of other systems."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(list_parked(settings, limit, as_json=json))))


async def list_parked(settings: Settings, limit: int, *, as_json: bool) -> int:
    """Print parked statuses, the oldest first."""
    import orjson

    from api import unknowns
    from cli.console import note
    from runtime.logs import mask_wamid
    from runtime.process import EXIT_OK
    from tables.database import connect
    from tables.parked import read_foreign

    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-parked") as connection:
        found, total = await unknowns.find_parked(connection, limit)
        foreign = await read_foreign(connection)
    now = datetime.now(UTC)
    ages = [int((now - each.first_seen_at).total_seconds()) for each in found]
    if as_json:
        print(orjson.dumps({
            "total": total,
            "parked": [
                {"wamid": mask_wamid(each.wamid), "phone_number_id": each.phone_number_id, "age_s": age,
                 "first_seen_at": each.first_seen_at, "statuses": each.statuses}
                for each, age in zip(found, ages, strict=True)
            ],
            "foreign": [{"phone_number_id": number, "statuses": n, "last_day": day} for number, n, day in foreign],
        }).decode())  # fmt: skip
        return EXIT_OK
    for each, age in zip(found, ages, strict=True):
        print(
            f"{mask_wamid(each.wamid)}  number {each.phone_number_id or '?'}  for {age // 60} min"
            f"  {', '.join(each.statuses)}"
        )
    note(f"{total} parked" + (f", {len(found)} shown" if total > len(found) else ""))
    for number, n, day in foreign:
        note(f"of other systems, on number {number or '?'}: {n} status(es), the last on {day}")
    return EXIT_OK
