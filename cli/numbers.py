"""`campaigns numbers`: the sending numbers, their pace, their quality, and what Meta reported about them."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from cli.options import Json

if TYPE_CHECKING:
    from api.limit_answers import NumbersOut
    from runtime.settings import Settings
    from tables.database import Connection


def numbers(json: Json = False) -> None:
    """Show the sending numbers, their quality, and what Meta reported about them."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected("numbers", lambda settings, found: show_numbers(settings, found, as_json=json)))


async def show_numbers(settings: Settings, connection: Connection, *, as_json: bool) -> int:
    """Print the numbers."""
    from api.numbers import read_numbers
    from cli.console import printable
    from runtime.process import EXIT_OK

    found = await read_numbers(connection, settings)
    if as_json:
        print(found.model_dump_json())
    else:
        for line in number_lines(found):
            print(printable(line))
    return EXIT_OK


def number_lines(found: NumbersOut) -> Iterator[str]:
    """The numbers in lines."""
    if not found.numbers:
        yield "no number is known: set CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID, or name one with `campaigns create --number`"
    for each in found.numbers:
        words = [
            each.display_phone_number or "not read from the Cloud API (`campaigns check` shows why)",
            f"{each.messages_per_second:,}/s",
            f"quality {each.quality or '?'}",
            f"throughput {each.throughput or '?'}",
            each.state or "state ?",
            f"{each.sent_last_day:,} sent in 24 hours",
            *(["the default"] if each.is_default else []),
            *(["own token"] if each.has_own_token else []),
            *([] if each.is_in_settings else ["not in the settings"]),
        ]
        yield f"{each.phone_number_id}  {', '.join(words)}"
        if each.report is not None:
            yield f"  {each.reported_at:%Y-%m-%d %H:%M}Z  {each.report}"
    for foreign in found.foreign_reports:
        yield f"{foreign.number}  none of ours; nothing was paused"
        yield f"  {foreign.reported_at:%Y-%m-%d %H:%M}Z  {foreign.report}"
