"""`campaigns test-send`: sends the message of a campaign to some numbers, before everybody else gets it."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from api.template_answers import TestSendOut
    from cli.confirmation import Consent
    from runtime.settings import Settings
    from tables.campaigns import Campaign
    from tables.database import Connection
    from tables.new_recipients import NewRecipient

EXIT_NOT_SENT = 1
POLL_S = 0.2
WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class TestOrder:
    """A test send as the operator ordered it: the campaign, the recipients of the test, and the parameters."""

    __test__ = False  # pytest takes classes of this name for tests

    campaign: str
    to: tuple[str, ...]
    recipient: str | None = None
    parameters: str | None = None
    ignore_template: bool = False
    wait_s: float = WAIT_S
    key: str | None = None


def send_test(
    campaign: CampaignName,
    *,
    to: Annotated[list[str], typer.Option("--to", help="A number that gets the message; may be repeated, at most 10")],
    recipient: Annotated[
        str | None, typer.Option("--recipient", help="Whose parameters are used, by id or number; else the first")
    ] = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", help="Parameters as JSON in place of those of a recipient")
    ] = None,
    ignore_template: Annotated[
        bool, typer.Option("--ignore-template", help="Send although the template check refuses the message")
    ] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the outcome")] = WAIT_S,
    key: Annotated[
        str | None, typer.Option("--key", help="A key of your choice: the same command with it sends nothing twice")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Send the message of a campaign to some numbers now, as a test. The campaign and its counters do not change."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    order = TestOrder(campaign, tuple(to), recipient, parameters, ignore_template, wait, key)
    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected("test-send", lambda settings, found: run_test(settings, found, order, consent, as_json=json))
    )


async def run_test(
    settings: Settings, connection: Connection, order: TestOrder, consent: Consent, *, as_json: bool
) -> int:
    """Send the test, wait for its outcome, and print it. Raises NotOneCampaign and InvalidOptions."""
    from api.template_checks import TemplateRefused, require_message
    from api.test_sends import UnsendableTest, testers
    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.lifecycle import label
    from cli.templates import check_lines, chosen_parameters
    from domain.lifecycle import ActionNotAllowed
    from operations.campaign_names import find_campaign
    from operations.options import InvalidOptions
    from runtime.template_reader import TemplateReader
    from tables import campaigns

    found = await find_campaign(connection, order.campaign)
    campaign = await campaigns.read(connection, found.id)
    parameters, _ = await chosen_parameters(connection, campaign, order.recipient, order.parameters)
    try:
        people = testers(order.to, parameters, campaign.country)
        if len(people) > _messages_max():
            raise InvalidOptions(f"--to: a test has at most {_messages_max()} numbers.")
        if not order.ignore_template:
            checked = await require_message(settings, TemplateReader(settings), campaign, parameters)
            for finding in checked.findings:
                note(printable(f"warning: {finding.detail}"))
    except UnsendableTest as unsendable:
        raise InvalidOptions("\n".join(f"--to {each.value}: {each.message}" for each in unsendable.refused)) from None
    except TemplateRefused as refused:
        for line in check_lines(refused.check):
            note(printable(line))
        note("not sent: correct the parameters or the template. To send all the same, add --ignore-template")
        return EXIT_NOT_SENT
    numbers = ", ".join(_shown(each.name) for each in people)
    if (ending := decline(consent, f"send the message of {label(found)} to {numbers} now, as a test")) is not None:
        return ending
    try:
        test = await _started(connection, campaign, people, order)
    except ActionNotAllowed as error:
        note(printable(f"not sent: {error}"))
        return EXIT_NOT_SENT
    return await _outcome(connection, campaign.id, test, order.wait_s, as_json=as_json)


def _shown(name: str) -> str:
    """A phone number with its +, or the key of a user id."""
    return f"+{name}" if name.isdigit() else name


def _messages_max() -> int:
    from tables.test_sends import MESSAGES_MAX

    return MESSAGES_MAX


async def _started(connection: Connection, campaign: Campaign, people: list[NewRecipient], order: TestOrder) -> UUID:
    """Start the test, or find the one that was started with the same key; returns its id. Raises InvalidOptions."""
    import hashlib
    from uuid import UUID

    import orjson

    from api.idempotency import Once
    from api.problems import Problem
    from api.test_sends import read_test
    from operations.options import InvalidOptions
    from tables import planning, test_sends

    async def start(found: Connection) -> TestSendOut:
        return await read_test(found, campaign.id, await test_sends.start(found, campaign, people))

    wanted = repr((campaign.id, [(each.name, each.template_parameters) for each in people]))
    once = Once(connection, order.key and f"cli-{order.key}", hashlib.sha256(wanted.encode()).digest())
    try:
        answer = await once.do(201, start)
    except Problem as problem:
        raise InvalidOptions(f"--key: {problem.detail}") from None
    test = UUID(orjson.loads(bytes(answer.body))["id"])
    await planning.plan_now(connection, test)
    return test


async def _outcome(connection: Connection, campaign: UUID, test: UUID, wait_s: float, *, as_json: bool) -> int:
    """Wait until each message has an outcome, or for `wait_s`, and print them. 0 if each was sent."""
    import asyncio
    import time

    from api.test_sends import read_test
    from cli.console import note, printable
    from runtime.process import EXIT_OK

    until = time.monotonic() + wait_s
    found = await read_test(connection, campaign, test)
    while _waits(found) and time.monotonic() < until:
        await asyncio.sleep(POLL_S)
        found = await read_test(connection, campaign, test)
    if as_json:
        print(found.model_dump_json())
    else:
        for line in outcome_lines(found):
            print(printable(line))
    if _waits(found):
        note(f"no outcome yet. To follow it: campaigns show {test}")
    return EXIT_OK if _is_sent(found) else EXIT_NOT_SENT


def outcome_lines(found: TestSendOut) -> Iterator[str]:
    """A line for each message: the number, the status, and why it was not sent."""
    for each in found.messages:
        why = f"  {each.failure_reason}" if each.failure_reason else ""
        yield f"{_shown(each.phone_number)}  {each.status}{why}"


def _waits(found: TestSendOut) -> bool:
    from domain.status import Status

    return any(each.status in (Status.PENDING, Status.QUEUED) for each in found.messages)


def _is_sent(found: TestSendOut) -> bool:
    from domain.status import Status

    return all(each.status in (Status.SENT, Status.DELIVERED, Status.READ) for each in found.messages)
