"""`campaigns lag`: prints how far each stage is behind, by partition. It works while Postgres is away."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from cli.options import Json

if TYPE_CHECKING:
    from runtime.settings import Settings


def lag(json: Json = False) -> None:
    """Show for each stage and partition the records behind, their statuses, and the age of the oldest."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(show_lag(settings, as_json=json))))


async def show_lag(settings: Settings, *, as_json: bool) -> int:
    """Print a line for each partition. Raises Transient if Kafka does not answer."""
    import orjson

    from cli.console import note
    from operations.backlogs import read_backlogs
    from runtime.process import EXIT_OK

    positions = await _sink_positions(settings)
    found = await asyncio.to_thread(read_backlogs, settings, positions)
    now = datetime.now(UTC)
    ages = [None if each.oldest_at is None else max(0, int((now - each.oldest_at).total_seconds())) for each in found]
    if as_json:
        print(orjson.dumps({
            "sink_offsets_from": "kafka" if positions is None else "postgres",
            "partitions": [
                {"stage": each.stage, "topic": each.topic, "partition": each.partition, "next_offset": each.next_offset,
                 "end": each.end, "records": each.records, "statuses": each.statuses, "oldest_at": each.oldest_at,
                 "oldest_age_s": age}
                for each, age in zip(found, ages, strict=True)
            ],
        }).decode())  # fmt: skip
        return EXIT_OK
    for each, age in zip(found, ages, strict=True):
        statuses = "" if each.statuses is None else f"  {each.statuses} status(es)"
        oldest = "" if age is None else f"  the oldest for {age} s"
        print(f"{each.stage:<10}  {each.topic}/{each.partition}  {each.records} record(s){statuses}{oldest}")
    note(f"{sum(each.records for each in found)} record(s) behind")
    return EXIT_OK


async def _sink_positions(settings: Settings) -> Mapping[int, int] | None:
    """The sink's offsets in Postgres; None while it does not answer."""
    from cli.console import note, reason_of
    from schemas.topics import Topic
    from tables.database import connect, is_transient
    from tables.offsets import read_positions

    url = settings.database_url.get_secret_value()
    try:
        async with await connect(url, application_name="campaigns-lag") as connection:
            return await read_positions(connection, settings.topic(Topic.RECIPIENT_EVENTS))
    except Exception as error:
        if not is_transient(error):
            raise
        note(f"the sink's offsets are those in Kafka, which may be some seconds old: {reason_of(error)}")
        return None
