"""`campaigns import`: adds the recipients of a CSV file or of JSON lines, of any size. A wrong line stops no other."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, NumbersCountry, PhoneColumn, Yes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import BinaryIO

    from cli.confirmation import Consent
    from cli.import_report import ImportReport
    from domain.recipient_files.columns import Choices
    from domain.recipient_files.reader import FileLine, RecipientFile
    from runtime.template_reader import TemplateReader
    from tables.database import Connecting, Connection

EXIT_NOT_ALL = 1
BLOCK_BYTES = 256 * 1024
STANDARD_INPUT = "-"


def import_recipients(
    campaign: CampaignName,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, or JSON lines; - reads standard input")],
    phone_column: PhoneColumn = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=COLUMN", help="Template parameter and its column; may be repeated"),
    ] = None,
    country: NumbersCountry = None,
    refused: Annotated[
        Path | None, typer.Option("--refused", help="File for the refused lines; else FILE with .refused in its name")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add the recipients of a file to a campaign. The refused lines go to a file to correct and import again."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from cli.console import note, printable_lines
    from cli.import_adding import another_connection
    from cli.import_report import ImportReport, refused_path
    from domain.recipient_files.columns import Choices
    from operations.options import InvalidOptions
    from runtime.process import EXIT_USAGE
    from runtime.template_reader import TemplateReader

    consent = Consent(yes, dry_run)
    try:
        choices = Choices(phone_column, parameters_of(parameter), checked_country(country))
        report = ImportReport(refused_path(file, refused, is_dry=dry_run))
        source = open_source(file)
    except InvalidOptions as invalid:
        note(printable_lines(str(invalid)))
        raise typer.Exit(EXIT_USAGE) from None
    with source, report:
        raise typer.Exit(run_connected(
            "import",
            lambda settings, found: import_source(
                found, campaign, file, source, choices, consent, report, as_json=json, reader=TemplateReader(settings),
                connecting=partial(another_connection, settings),
            ),
        ))  # fmt: skip


async def import_source(
    connection: Connection,
    name: str,
    file_name: str,
    source: BinaryIO,
    choices: Choices,
    consent: Consent,
    report: ImportReport,
    *,
    as_json: bool,
    reader: TemplateReader | None = None,
    connecting: Connecting | None = None,
) -> int:
    """Show what the file has, and add its recipients if the operator consents. Raises InvalidOptions.

    With `connecting`, two connections add at the same time.
    """
    import dataclasses

    from api.template_checks import known_template
    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.import_adding import adding
    from cli.lifecycle import label
    from domain.lifecycle import ActionNotAllowed
    from domain.recipient_files.columns import UnusableFile
    from domain.recipient_files.reader import RecipientFile
    from operations.campaign_names import find_campaign
    from operations.options import InvalidOptions
    from runtime.process import EXIT_OK
    from tables import campaigns

    found = await find_campaign(connection, name)
    known = await campaigns.read(connection, found.id)
    country = choices.country or known.country
    template = None
    if reader is not None:
        template = await known_template(reader, known.template_name, known.language_code)
    choices = dataclasses.replace(choices, country=country, template=template)
    try:
        probe, head, blocks = await begin(source, choices)
        file = RecipientFile(choices)
        at_once = ". They are sent to at once, as its limits allow" if found.status in ("active", "completed") else ""
        change = f"import {file_name} into {label(found)}, which is {found.status}{at_once}\n"
        if consent.is_dry:
            await report.judge_all(blocks, file, country)
            change += report.describe(file)
        else:
            change += report.describe(probe)
            change += "" if consent.may_act_at_once else f"\n{report.preview(head, country)}"
        if (ending := decline(consent, change)) is not None:
            return EXIT_NOT_ALL if not ending and report.totals.refused else ending

        async with adding(connection, found.id, connecting) as add_judged:
            await report.run(blocks, file, country, add_judged)
    except UnusableFile as unusable:
        raise InvalidOptions(f"{file_name}: {with_options(str(unusable))}") from None
    except ActionNotAllowed as error:
        note(printable(f"not added: {error}"))
        return EXIT_NOT_ALL
    except BaseException:
        note(
            f"{report.totals.added:,} recipient(s) were added before the error. To add the others, run the command "
            "again: it adds nobody twice."
        )
        raise
    report.end(file, found.id, label(found), as_json=as_json)
    return EXIT_NOT_ALL if report.totals.refused else EXIT_OK


async def begin(source: BinaryIO, choices: Choices) -> tuple[RecipientFile, Sequence[FileLine], AsyncIterator[bytes]]:
    """The file as its first blocks show it, their lines, and all blocks. Raises UnusableFile."""
    from domain.recipient_files.reader import RecipientFile

    probe = RecipientFile(choices)
    head: list[bytes] = []
    lines: list[FileLine] = []
    while probe.layout is None:
        block = await _read(source)
        head.append(block)
        lines += probe.feed(block, is_last=not block)

    async def blocks() -> AsyncIterator[bytes]:
        for each in head:
            yield each
        while block := await _read(source):
            yield block

    return probe, lines, blocks()


async def _read(source: BinaryIO) -> bytes:
    import asyncio

    return await asyncio.to_thread(source.read, BLOCK_BYTES)


def open_source(file: str) -> BinaryIO:
    """The file, or standard input. Raises InvalidOptions."""
    import sys

    from operations.options import InvalidOptions

    if file == STANDARD_INPUT:
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidOptions(f"{file} cannot be read: {reason}.") from None


def parameters_of(given: Sequence[str] | None) -> Mapping[str, str] | None:
    """Parameter to column, from options as 1=first_name. Raises InvalidOptions."""
    from domain.recipient_files.columns import InvalidMapping, read_mapping
    from operations.options import InvalidOptions

    try:
        return read_mapping(given or ())
    except InvalidMapping as invalid:
        raise InvalidOptions(f"--parameter {invalid}") from None


def checked_country(country: str | None) -> str | None:
    """The code of a country with phone numbers. Raises InvalidOptions."""
    from pydantic import TypeAdapter, ValidationError

    from api.field_types import Country
    from api.validation import HINTS
    from operations.options import InvalidOptions

    try:
        return TypeAdapter(Country | None).validate_python(country)
    except ValidationError:
        raise InvalidOptions(f"--country: {HINTS['country']}") from None


def with_options(message: str) -> str:
    """A message about a file, with the names of the options instead of those of the REST API."""
    return message.replace("with phone_column", "with --phone-column").replace("with parameter.", "with --parameter.")
