"""`campaigns templates`: lists the message templates of the account, previews one, and checks a campaign."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import CampaignName, Json, LineLimit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from api.template_checks import TemplateCheck
    from domain.templates import MessageTemplate
    from runtime.settings import Settings
    from tables.campaigns import Campaign
    from tables.database import Connection
    from tables.template_checks import RecipientParameters

EXIT_REFUSED = 1

templates = typer.Typer(help="List, preview and check the message templates of the account.", no_args_is_help=True)

RecipientChoice = Annotated[
    str | None, typer.Option("--recipient", help="A recipient of the campaign, by id or number; else the first")
]
ParametersJson = Annotated[
    str | None, typer.Option("--parameters", help="Parameters as JSON in place of those of a recipient")
]


@templates.command("list")
def templates_list(
    name: Annotated[str | None, typer.Option("--name", help="Only names with this part")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only this status, as approved or paused")] = None,
    category: Annotated[str | None, typer.Option("--category", help="Only this category, as marketing")] = None,
    language: Annotated[str | None, typer.Option("--language", help="Only this language, as en_US")] = None,
    limit: LineLimit = 1000,
    json: Json = False,
) -> None:
    """List the templates with their language, status, category, quality and parameters, as Meta has them now."""
    from cli.console import run_command

    wanted = {"status": status and status.upper(), "category": category and category.upper(), "language": language}
    raise typer.Exit(run_command(lambda settings: list_templates(settings, name or "", wanted, limit, as_json=json)))


@templates.command("show")
def templates_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the template")],
    language: Annotated[str | None, typer.Option("--language", help="Only this language, as en_US")] = None,
    json: Json = False,
) -> None:
    """Show a template as a person would read it, with its variables, in each of its languages."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: show_template(settings, name, language, as_json=json)))


@templates.command("preview")
def templates_preview(
    campaign: CampaignName, recipient: RecipientChoice = None, parameters: ParametersJson = None, json: Json = False
) -> None:
    """Fill the template of a campaign with the parameters of one recipient, as that person would read it."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected(
        "templates",
        lambda settings, found: preview_campaign(settings, found, campaign, recipient, parameters, as_json=json),
    ))  # fmt: skip


@templates.command("check")
def templates_check(campaign: CampaignName, json: Json = False) -> None:
    """Compare a campaign and the parameters of its recipients with the template. Exits with 1 if Meta would refuse."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected(
        "templates", lambda settings, found: check_campaign(settings, found, campaign, as_json=json)
    ))  # fmt: skip


def list_templates(settings: Settings, name: str, wanted: dict[str, str | None], limit: int, *, as_json: bool) -> int:
    """Print the templates that pass the filters, by name and language."""
    import orjson

    from api.templates import has, template_out
    from cli.console import note, printable
    from runtime.process import EXIT_OK

    known = _read(settings, None)
    if known is None:
        return _unreadable_exit()
    found = sorted((each for each in known if name in each.name and has(each, wanted)), key=_order)
    if as_json:
        shown = [template_out(each).model_dump(mode="json") for each in found[:limit]]
        print(orjson.dumps({"templates": shown, "is_complete": len(found) <= limit}).decode())
        return EXIT_OK
    for each in found[:limit]:
        print(printable(_line(each)))
    if len(found) > limit:
        note(f"{len(found) - limit:,} more: raise --limit, or filter")
    elif not found:
        note("no template passes the filters")
    return EXIT_OK


def show_template(settings: Settings, name: str, language: str | None, *, as_json: bool) -> int:
    """Print each language of a template."""
    import orjson

    from api.templates import template_out
    from cli.console import note, printable
    from domain.template_preview import preview
    from runtime.process import EXIT_OK

    known = _read(settings, name)
    if known is None:
        return _unreadable_exit()
    found = sorted((each for each in known if language in (None, each.language)), key=_order)
    if not found:
        note(printable(f"the account has no template {name}" + (f" in {language}" if language else "")))
        return EXIT_REFUSED
    if as_json:
        print(orjson.dumps({"templates": [template_out(each).model_dump(mode="json") for each in found]}).decode())
        return EXIT_OK
    for each in found:
        print(printable(_line(each)))
        for line in preview(each, None).lines:
            print(printable(f"  {line}"))
    return EXIT_OK


async def preview_campaign(
    settings: Settings,
    connection: Connection,
    name: str,
    recipient: str | None,
    parameters: str | None,
    *,
    as_json: bool,
) -> int:
    """Print the message of one recipient. Raises NotOneCampaign and InvalidOptions."""
    from api.templates import filled
    from cli.console import note, printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from runtime.template_reader import TemplateReader, TemplatesUnreadable
    from tables import campaigns

    found = await campaigns.read(connection, (await find_campaign(connection, name)).id)
    given, recipient_id = await chosen_parameters(connection, found, recipient, parameters)
    try:
        known = await TemplateReader(settings).read_named(found.template_name)
    except TemplatesUnreadable as why:
        note(printable(f"not shown: {why}"))
        return _unreadable_exit()
    template = next((each for each in known if each.language == found.language_code), None)
    if template is None:
        note(printable(f"the account has no template {found.template_name} in {found.language_code}"))
        return EXIT_REFUSED
    message = filled(template, given, recipient_id)
    if as_json:
        print(message.model_dump_json())
    else:
        for line in message.lines:
            print(printable(line))
        for each in message.misfits:
            note(printable(f"does not fit: {each.field}: {each.detail}"))
    return EXIT_REFUSED if message.misfits else EXIT_OK


async def chosen_parameters(
    connection: Connection, campaign: Campaign, recipient: str | None, parameters: str | None
) -> tuple[Any, UUID | None]:
    """The parameters of the options, or of a recipient, and its id. Raises InvalidOptions."""
    from domain.json_values import MalformedJson, read_json
    from domain.parameter_texts import InvalidTemplateParameters
    from domain.parameters import parse, stored
    from operations.options import InvalidOptions

    if parameters is not None:
        try:
            return stored(parse(read_json(parameters.encode("utf-8", "surrogateescape")))), None
        except (MalformedJson, InvalidTemplateParameters) as error:
            raise InvalidOptions(f"--parameters: {error}") from None
    found = await _recipient(connection, campaign, recipient)
    if found is None:
        who = "no recipients" if recipient is None else "no such recipient"
        raise InvalidOptions(f"The campaign has {who}. Name one with --recipient, or give --parameters.")
    return found.template_parameters, found.id


async def _recipient(connection: Connection, campaign: Campaign, written: str | None) -> RecipientParameters | None:
    from contextlib import suppress
    from uuid import UUID

    from domain.phone_numbers import person_named
    from domain.written_numbers import InvalidPhoneNumber
    from operations.options import InvalidOptions
    from tables import template_checks

    if written is None:
        return await template_checks.read_one(connection, campaign.id)
    with suppress(ValueError):
        return await template_checks.read_one(connection, campaign.id, UUID(written))
    try:
        person = person_named(written, campaign.country).person
    except InvalidPhoneNumber as invalid:
        raise InvalidOptions(f"--recipient: {invalid.reason.meaning}") from None
    return await template_checks.read_one(connection, campaign.id, person=person)


async def check_campaign(settings: Settings, connection: Connection, name: str, *, as_json: bool) -> int:
    """Print what a campaign and its template have against each other. Raises NotOneCampaign."""
    from contextlib import nullcontext

    from api.template_answers import TemplateCheckOut
    from api.template_checks import check_template
    from cli.console import printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from runtime.template_reader import TemplateReader
    from tables import campaigns

    found = await campaigns.read(connection, (await find_campaign(connection, name)).id)
    check = await check_template(lambda: nullcontext(connection), settings, TemplateReader(settings), found)
    if as_json:
        print(TemplateCheckOut.model_validate(check).model_dump_json())
    else:
        for line in check_lines(check):
            print(printable(line))
    return EXIT_REFUSED if check.refuses else EXIT_OK


def check_lines(check: TemplateCheck) -> Iterator[str]:
    """The result of a check: the template, the recipients by reason, and the first of them."""
    if check.template is not None:
        yield _line(check.template)
    for finding in check.findings:
        yield f"{'refused' if finding.refuses else 'warning'}  {finding.fault}: {finding.detail}"
    if check.template is None:
        return
    fitting = check.compared - check.misfitting
    yield f"{fitting:,} of {check.compared:,} recipient(s) fit"
    for count in check.counts:
        yield f"  {count.recipients:>12,}  {count.reason}  {count.field}: {count.detail}"
    for line in check.lines:
        reasons = ", ".join(dict.fromkeys(str(each.reason) for each in line.misfits))
        name = f"+{line.phone_number}" if line.phone_number.isdigit() else line.phone_number
        yield f"  {line.recipient_id}  {name}  {reasons}"


def _read(settings: Settings, name: str | None) -> Sequence[MessageTemplate] | None:
    """The templates, or None with a message if they cannot be read."""
    import asyncio

    from cli.console import note, printable
    from runtime.template_reader import TemplateReader, TemplatesUnreadable

    reader = TemplateReader(settings)
    try:
        return asyncio.run(reader.read_all() if name is None else reader.read_named(name))
    except TemplatesUnreadable as why:
        note(printable(f"the templates cannot be read: {why}"))
        return None


def _unreadable_exit() -> int:
    from runtime.process import EXIT_TRANSIENT

    return EXIT_TRANSIENT


def _order(template: MessageTemplate) -> tuple[str, str]:
    return template.name, template.language


def _line(template: MessageTemplate) -> str:
    from domain.template_slots import slots_of

    parameters = ", ".join(slots_of(template)) or "none"
    why = f" ({template.rejected_for})" if template.rejected_for else ""
    return (
        f"{template.name}  {template.language}  {template.status}{why}  {template.category}  "
        f"quality {template.quality}  parameters: {parameters}"
    )
