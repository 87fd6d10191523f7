"""`campaigns subscriptions`: lists, enters, imports and exports opt-outs and opt-ins."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Json, LineLimit, PhoneColumn, Yes, country_code
from schemas.sources import Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from cli.confirmation import Consent
    from domain.recipient_files.columns import Choices
    from domain.recipient_files.reader import FileLine
    from tables.database import Connection
    from tables.subscription_pages import StatementRow

PAGE_ROWS = 1000
EXIT_NOT_ALL = 1
REFUSED_SHOWN = 100

subscriptions = typer.Typer(
    help="List opt-outs and opt-ins; opt people out and in; import and export opt-outs.", no_args_is_help=True
)

People = Annotated[list[str], typer.Argument(metavar="PERSON...", help="Phone numbers or user ids")]
OfCountry = Annotated[
    str | None, typer.Option("--country", callback=country_code, help="Country of numbers without + or 00")
]
OfSource = Annotated[list[Source] | None, typer.Option("--source", help="Only of this source; may be repeated")]


@subscriptions.command("list")
def subscriptions_list(
    source: OfSource = None,
    subscribed: Annotated[bool | None, typer.Option("--in/--out", help="Only opt-ins, or only opt-outs")] = None,
    limit: LineLimit = 100,
    json: Json = False,
) -> None:
    """List the latest opt-out or opt-in of each person and source, by person."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected(
        "subscriptions", lambda _, found: list_statements(found, source, subscribed, limit, as_json=json)
    ))  # fmt: skip


@subscriptions.command("opt-out")
def subscriptions_opt_out(
    people: People, country: OfCountry = None, yes: Yes = False, dry_run: DryRun = False, json: Json = False
) -> None:
    """Opt people out of all campaigns, as an operator. It holds at once, for every spelling of a number."""
    _enter(people, country, yes=yes, dry_run=dry_run, json=json, subscribed=False)


@subscriptions.command("opt-in")
def subscriptions_opt_in(
    people: People, country: OfCountry = None, yes: Yes = False, dry_run: DryRun = False, json: Json = False
) -> None:
    """Revoke opt-outs that an operator has entered. It does not revoke what people stated themselves."""
    _enter(people, country, yes=yes, dry_run=dry_run, json=json, subscribed=True)


def _enter(people: list[str], country: str | None, *, yes: bool, dry_run: bool, json: bool, subscribed: bool) -> None:
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from cli.console import note, printable_lines
    from cli.import_recipients import checked_country
    from cli.subscription_acts import enter, named_people
    from operations.options import InvalidOptions
    from runtime.process import EXIT_USAGE

    try:
        named = named_people(people, checked_country(country))
    except InvalidOptions as invalid:
        note(printable_lines(str(invalid)))
        raise typer.Exit(EXIT_USAGE) from None
    consent = Consent(yes, dry_run)
    raise typer.Exit(run_connected(
        "subscriptions", lambda _, found: enter(found, named, consent, subscribed=subscribed, as_json=json)
    ))  # fmt: skip


@subscriptions.command("export")
def subscriptions_export(source: OfSource = None) -> None:
    """Write all opt-outs to stdout, as CSV. `campaigns subscriptions import` reads the same form."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected("subscriptions", lambda _, found: export_opt_outs(found, source)))


@subscriptions.command("import")
def subscriptions_import(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, or JSON lines; - reads standard input")],
    phone_column: PhoneColumn = None,
    country: OfCountry = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Opt out each person in a file, as an operator. A number that is not valid is opted out too."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from cli.console import note, printable_lines
    from cli.import_recipients import checked_country, open_source
    from domain.recipient_files.columns import Choices
    from operations.options import InvalidOptions
    from runtime.process import EXIT_USAGE

    try:
        choices = Choices(phone_column, None, checked_country(country))
        source = open_source(file)
    except InvalidOptions as invalid:
        note(printable_lines(str(invalid)))
        raise typer.Exit(EXIT_USAGE) from None
    consent = Consent(yes, dry_run)
    with source:
        raise typer.Exit(run_connected(
            "subscriptions", lambda _, found: import_opt_outs(found, file, source, choices, consent, as_json=json)
        ))  # fmt: skip


async def list_statements(
    connection: Connection, sources: Sequence[Source] | None, subscribed: bool | None, limit: int, *, as_json: bool
) -> int:
    """Print the statements, by person."""
    from contextlib import nullcontext

    import orjson

    from cli.console import note
    from runtime.process import EXIT_OK
    from tables.subscription_pages import subscription_pages

    rows: list[StatementRow] = []
    is_more = False
    async for page in subscription_pages(lambda: nullcontext(connection), PAGE_ROWS, sources, subscribed):
        rows += page
        if is_more := len(rows) > limit:
            break
    shown = rows[:limit]
    if as_json:
        print(orjson.dumps({"subscriptions": shown, "is_complete": not is_more}).decode())
        return EXIT_OK
    for each in shown:
        kind = "opted in" if each.subscribed else "opted out"
        print(f"{each.person:<20} {each.source:<9} {kind:<9} {each.occurred_at:%Y-%m-%d %H:%M:%S}Z")
    if is_more:
        note(f"{limit} shown, and there are more: --limit, or campaigns subscriptions export")
    if not shown:
        note("there is no opt-out or opt-in of this kind")
    return EXIT_OK


async def export_opt_outs(connection: Connection, sources: Sequence[Source] | None) -> int:
    """Print the opt-outs as CSV."""
    import csv
    import sys
    from contextlib import nullcontext

    from runtime.process import EXIT_OK
    from tables.subscription_pages import subscription_pages

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["phone_number", "source", "opted_out_at"])
    async for page in subscription_pages(lambda: nullcontext(connection), PAGE_ROWS, sources, subscribed=False):
        writer.writerows([each.person, each.source.value, each.occurred_at.isoformat()] for each in page)
    return EXIT_OK


async def import_opt_outs(
    connection: Connection, name: str, source: BinaryIO, choices: Choices, consent: Consent, *, as_json: bool
) -> int:
    """Opt out the people of a file, in chunks. Raises InvalidOptions for a file that cannot be read."""
    import orjson

    from api.imports import with_end
    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.import_recipients import begin, with_options
    from domain.recipient_files.columns import UnusableFile
    from domain.recipient_files.reader import RecipientFile
    from operations.options import InvalidOptions
    from runtime.process import EXIT_OK
    from tables.subscriptions import opt_out_by_operator

    result = OptOutImport(choices.country)
    try:
        _, head, blocks = await begin(source, choices)
        first = ", ".join(repr(line.text[:40]) for line in head[:3])
        change = f"opt out each person in {name}, for all campaigns. Its first lines are {first}"
        if not consent.is_dry and (ending := decline(consent, change)) is not None:
            return ending
        file = RecipientFile(choices)
        async for block, is_last in with_end(blocks):
            persons = result.judge(file.feed(block, is_last=is_last))
            for start in range(0, len(persons), PAGE_ROWS):
                if not consent.is_dry:
                    result.added += await opt_out_by_operator(connection, persons[start : start + PAGE_ROWS])
    except UnusableFile as unusable:
        raise InvalidOptions(f"{name}: {with_options(str(unusable))}") from None
    for line in (*result.refused, *result.doubts):
        note(printable(line))
    if (more := result.refused_lines + result.doubtful - len(result.refused) - len(result.doubts)) > 0:
        note(f"... and {more} more")
    if as_json:
        print(orjson.dumps({
            "lines": result.lines, "named": result.named, "opted_out": result.added, "doubtful": result.doubtful,
            "refused": result.refused_lines, "dry_run": consent.is_dry,
        }).decode())  # fmt: skip
    done = "nobody was opted out, because of --dry-run" if consent.is_dry else f"{result.added} newly opted out"
    note(
        f"{result.lines} line(s): {result.named} name a person, {result.doubtful} of them by a number that is not"
        f" valid, and {result.refused_lines} name nobody; {done}"
    )
    return EXIT_NOT_ALL if result.refused_lines else EXIT_OK


class OptOutImport:
    """The people of the lines that were read."""

    def __init__(self, country: str | None) -> None:
        self._country = country
        self.lines = 0
        self.named = 0
        """Lines that name a person."""
        self.added = 0
        self.doubtful = 0
        self.refused_lines = 0
        self.refused: list[str] = []
        """The first refused lines, with their reasons."""
        self.doubts: list[str] = []
        """The first lines with a number that is not valid, with the number that is opted out and the reason."""

    def judge(self, lines: Sequence[FileLine]) -> list[str]:
        """The people of these lines. A line that names nobody, or several people, is refused."""
        from cli.subscription_acts import doubt_of
        from domain.phone_numbers import person_named
        from domain.written_numbers import InvalidPhoneNumber

        people: list[str] = []
        for line in lines:
            self.lines += 1
            item = line.item.get("phone_number") if isinstance(line.item, dict) else line.item
            if line.fault is not None or item is None:
                self._refuse(line, "It has no phone number." if line.fault is None else line.fault.reason.meaning)
                continue
            try:
                named = person_named(str(item), self._country)
            except InvalidPhoneNumber as invalid:
                self._refuse(line, invalid.reason.meaning)
                continue
            self.named += 1
            if named.doubt is not None:
                self.doubtful += 1
                if len(self.doubts) < REFUSED_SHOWN:
                    self.doubts.append(f"line {line.number}: {doubt_of(named.person, named.doubt)}")
            people.append(named.person)
        return people

    def _refuse(self, line: FileLine, reason: str) -> None:
        self.refused_lines += 1
        if len(self.refused) < REFUSED_SHOWN:
            self.refused.append(f"line {line.number}: {reason}")
