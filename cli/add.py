"""`campaigns add`: adds recipients by the rules of the REST API. A number that is refused stops no other."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, NumbersCountry, Yes

if TYPE_CHECKING:
    from api.recipient_answers import InvalidRecipient
    from cli.confirmation import Consent
    from cli.recipient_input import GivenRecipient
    from tables.database import Connection

EXIT_NOT_ALL = 1


def add(
    campaign: CampaignName,
    recipients: Annotated[
        list[str],
        typer.Argument(
            metavar="NUMBER|FILE|-...",
            help="Phone numbers; files with a number per line or the JSON of the REST API; - reads standard input",
        ),
    ],
    country: NumbersCountry = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add recipients to a campaign. Each one that is refused is reported with its reason, and the others are added."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from cli.console import note, printable_lines
    from cli.recipient_input import read_recipients
    from operations.options import InvalidOptions
    from runtime.process import EXIT_USAGE

    consent = Consent(yes, dry_run)
    try:
        given = read_recipients(recipients)
    except InvalidOptions as invalid:
        note(printable_lines(str(invalid)))
        raise typer.Exit(EXIT_USAGE) from None
    raise typer.Exit(
        run_connected("add", lambda _, found: add_recipients(found, campaign, given, country, consent, as_json=json))
    )


async def add_recipients(
    connection: Connection,
    name: str,
    given: Sequence[GivenRecipient],
    country: str | None,
    consent: Consent,
    *,
    as_json: bool,
) -> int:
    """Judge all recipients, add those that are valid if the operator consents, and report the others."""
    import orjson

    from api.additions import add, judge
    from api.bodies import RECIPIENTS_MAX
    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.import_recipients import checked_country
    from cli.lifecycle import label
    from domain.lifecycle import ActionNotAllowed
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import campaigns

    found = await find_campaign(connection, name)
    country = checked_country(country) or (await campaigns.read(connection, found.id)).country
    chunks = [given[start : start + RECIPIENTS_MAX] for start in range(0, len(given), RECIPIENTS_MAX)]
    judged = [judge([each.item for each in chunk], country) for chunk in chunks]
    invalid = [(chunk[each.index], each) for chunk, done in zip(chunks, judged, strict=True) for each in done.refused]
    for where, each in invalid:
        note(_refusal_line(where, each))
    valid = sum(len(each.people) for each in judged)
    if not valid:
        note("Nothing was added: no recipient is valid.")
        return EXIT_NOT_ALL
    at_once = ". They are sent to at once, as its limits allow" if found.status in ("active", "completed") else ""
    refused = f" ({len(invalid):,} refused)" if invalid else ""
    change = f"add {valid:,} recipient(s){refused} to {label(found)}, which is {found.status}{at_once}"
    if (ending := decline(consent, change)) is not None:
        return EXIT_NOT_ALL if invalid and not ending else ending
    added, repeated = 0, []
    try:
        for chunk, done in zip(chunks, judged, strict=True):
            result = await add(connection, found.id, done)
            added += result.added
            repeated += [(chunk[each.index], each) for each in result.duplicates]
    except ActionNotAllowed as error:
        note(printable(f"not added: {error}"))
        return EXIT_NOT_ALL
    except BaseException:
        note(f"{added:,} recipient(s) were added before the error. To add the others, run the command again.")
        raise
    for where, each in repeated:
        note(_refusal_line(where, each))
    if as_json:
        print(orjson.dumps({
            "campaign_id": found.id, "added": added,
            "duplicates": [_document(*each) for each in repeated], "invalid": [_document(*each) for each in invalid],
        }).decode())  # fmt: skip
    note(
        printable(
            f"added {added:,} recipient(s) to {label(found)}; {len(repeated):,} were there, {len(invalid):,} refused"
        )
    )
    return EXIT_NOT_ALL if invalid else EXIT_OK


def _refusal_line(where: GivenRecipient, each: InvalidRecipient) -> str:
    from cli.console import printable

    return printable(f"{where.place}: {each.value}: {each.reason}: {each.message}")


def _document(where: GivenRecipient, each: InvalidRecipient) -> dict[str, object]:
    return {"place": where.place, "value": each.value, "reason": each.reason, "message": each.message}
