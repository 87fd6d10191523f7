"""`campaigns adopt`: takes over a `campaign_recipients` table of the original shape into a draft."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.confirmation import Consent
    from domain.adoption import RefusedRow
    from operations.adoption import AdoptionTotals
    from runtime.settings import Settings
    from tables.database import Connection

EXIT_NOT_ALL = 1
REFUSED_SHOWN = 20


def adopt(
    campaign: CampaignName,
    *,
    table: Annotated[str, typer.Option("--table", help="The other table with its schema, in the same database")],
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="OURS=THEIRS", help="A column with another name")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="COLUMN=VALUE", help="Only these rows, as campaign_id=42")
    ] = None,
    refused: Annotated[Path | None, typer.Option("--refused", help="CSV file for the rows that do not fit")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take over the rows of another campaign_recipients table into a draft, with all that happened to them."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from tables.recipients import MERGE_SESSION

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_connected(
        "adopt",
        lambda settings, found: adopt_rows(
            settings, found, campaign, table, column or [], only, RefusedRows(refused), consent, as_json=json
        ),
        session=MERGE_SESSION,
    ))  # fmt: skip


class RefusedRows:
    """Keeps the first rows that do not fit, and writes all of them to a file."""

    def __init__(self, file: Path | None) -> None:
        self.first: list[RefusedRow] = []
        self._file = file
        self._has_head = False

    def __call__(self, rows: Sequence[RefusedRow]) -> None:
        """Take the refused rows of a batch."""
        self.first += rows[: REFUSED_SHOWN - len(self.first)]
        if self._file is None or not rows:
            return
        with self._file.open("a" if self._has_head else "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            if not self._has_head:
                writer.writerow(("key", "reason", "message"))
            writer.writerows((each.key, str(each.reason), each.detail) for each in rows)
        self._has_head = True

    def restart(self) -> None:
        """Forget the rows of a first pass."""
        self.first, self._has_head = [], False


async def adopt_rows(
    settings: Settings,
    connection: Connection,
    name: str,
    table: str,
    column: Sequence[str],
    only: str | None,
    refused: RefusedRows,
    consent: Consent,
    *,
    as_json: bool,
) -> int:
    """Show what the table has, and take it over if the operator consents. Raises NotOneCampaign and InvalidOptions."""
    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.lifecycle import label
    from domain.lifecycle import ActionNotAllowed
    from operations.adoption import AnotherSource, adopt_table, judge_table
    from operations.campaign_names import find_campaign
    from operations.options import InvalidOptions
    from tables import adoptions, campaigns
    from tables.adoptions import UnusableTable
    from topics.publisher import AsyncPublisher

    found = await find_campaign(connection, name)
    campaign = await campaigns.read(connection, found.id)
    try:
        source = await adoptions.find_table(connection, table, pairs(column, "--column"), _only(only))
    except UnusableTable as unusable:
        raise InvalidOptions(f"--table: {unusable}") from None
    if not consent.may_act_at_once:
        judged = await judge_table(connection, source, campaign, refused)
        shown = "\n".join(total_lines(judged, refused.first))
        refused.restart()
        change = f"take over {source.text} into {label(found)}, which is {campaign.status}\n{shown}"
        if (ending := decline(consent, change)) is not None:
            return EXIT_NOT_ALL if not ending and judged.refused else ending
    publisher = AsyncPublisher(settings)
    try:
        totals = await adopt_table(settings, connection, publisher, source, campaign, refused)
    except (ActionNotAllowed, AnotherSource) as error:
        note(printable(f"not adopted: {error}"))
        return EXIT_NOT_ALL
    finally:
        await publisher.close()
    _print(totals, refused.first, as_json=as_json)
    note(printable(f"adopted into {label(found)}. To send to those who wait: campaigns activate {found.id}"))
    return EXIT_NOT_ALL if totals.refused else 0


def total_lines(totals: AdoptionTotals, first: Sequence[RefusedRow]) -> Iterator[str]:
    """The rows by status, those that are left out by reason, and the first of them."""
    none = "" if totals.rows else ": no row fits, or all that fit were taken over before"
    yield f"{totals.rows:,} row(s){none}"
    for status, count in totals.adopted.most_common():
        yield f"  {count:>12,}  {status}"
    for reason, count in totals.refused.most_common():
        yield f"  {count:>12,}  left out: {reason}"
    for each in first:
        yield f"    {each.key}: {each.detail}"


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """Names and values, from texts as phone_number=msisdn. Raises InvalidOptions."""
    from operations.options import InvalidOptions

    found: dict[str, str] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not (separator and name.strip() and value.strip()):
            raise InvalidOptions(f"{option} {each}: write a name, = and a value.")
        found[name.strip()] = value.strip()
    return found


def _only(given: str | None) -> tuple[str, str] | None:
    return None if given is None else next(iter(pairs([given], "--only").items()))


def _print(totals: AdoptionTotals, first: Sequence[RefusedRow], *, as_json: bool) -> None:
    import orjson

    from cli.console import printable

    if as_json:
        print(orjson.dumps({
            "rows": totals.rows,
            "adopted": {str(status): count for status, count in totals.adopted.items()},
            "refused": dict(totals.refused),
            "first_refused": [
                {"key": each.key, "reason": str(each.reason), "message": each.detail} for each in first
            ],
        }).decode())  # fmt: skip
        return
    for line in total_lines(totals, first):
        print(printable(line))
