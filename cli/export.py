"""`campaigns export`: writes the recipients of a campaign, or their events, as a table to a file or to stdout."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName
from domain.table_files import TableForm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from domain.status import Status
    from tables.database import Connection


def export(
    campaign: CampaignName,
    status: Annotated[list[str] | None, typer.Option(help="Only recipients with this status; may be repeated")] = None,
    phone_number: Annotated[
        str | None, typer.Option("--phone-number", help="Only this person: a number in any spelling, or a user id")
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="What happened to them, a line per event")] = False,
    form: Annotated[
        TableForm, typer.Option("--format", help="csv for programs, excel for a spreadsheet")
    ] = TableForm.CSV,
    output: Annotated[Path | None, typer.Option("--output", help="A new file; without it stdout")] = None,
) -> None:
    """Export the recipients of a campaign, or their events, as CSV or for Excel."""
    from cli.connected import run_connected
    from cli.console import note
    from domain.status import Status
    from runtime.process import EXIT_USAGE

    known = [each.value for each in Status]
    if wrong := [each for each in status or () if each not in known]:
        note(f"there is no status {wrong[0]}; the statuses are {', '.join(known)}")
        raise typer.Exit(EXIT_USAGE)
    statuses = [Status(each) for each in status or ()]
    raise typer.Exit(run_connected(
        "export",
        lambda _, found: export_campaign(found, campaign, statuses, phone_number, form, output, has_events=events),
    ))  # fmt: skip


async def export_campaign(
    connection: Connection,
    name: str,
    statuses: Sequence[Status],
    phone_number: str | None,
    form: TableForm,
    output: Path | None,
    *,
    has_events: bool,
) -> int:
    """Write the table. Raises InvalidOptions for a file that exists, and for an unreadable phone number."""
    from contextlib import nullcontext

    from api.exports import Selection, export_events, export_recipients
    from cli.console import note
    from domain.phone_numbers import person_named
    from domain.written_numbers import InvalidPhoneNumber
    from operations.campaign_names import find_campaign
    from operations.options import InvalidOptions
    from runtime.process import EXIT_OK
    from tables import campaigns

    found = await find_campaign(connection, name)
    country = (await campaigns.read(connection, found.id)).country
    try:
        person = None if phone_number is None else person_named(phone_number, country).person
    except InvalidPhoneNumber as invalid:
        raise InvalidOptions(f"--phone-number: {invalid.reason.meaning}") from None
    write = export_events if has_events else export_recipients
    content = write(lambda: nullcontext(connection), Selection(found.id, statuses, person), form)
    with opened(output) as file:
        async for piece in content:
            file.write(piece)
        file.flush()
    if output is not None:
        note(f"{output} is written.")
    return EXIT_OK


def opened(output: Path | None) -> AbstractContextManager[BinaryIO]:
    """The new file, or stdout, which stays open. Raises InvalidOptions if it exists or cannot be written."""
    import sys
    from contextlib import nullcontext

    from cli.private_files import new_private_file

    return nullcontext(sys.stdout.buffer) if output is None else new_private_file(output)
