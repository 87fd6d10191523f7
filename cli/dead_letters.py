"""`campaigns dead-letters`: lists and shows the dead letters of all stages, redrives them, or drops them."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Json, Limit, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from operations.dead_letters import DeadLetterOptions
    from operations.redrive import LetterAct
    from runtime.settings import Settings
    from tables.database import Connection

EXIT_REFUSED = 1


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-03-01T12:00Z") from None


OfTopic = Annotated[str | None, typer.Option("--topic", help="Of this topic, with or without .dead")]
OfStage = Annotated[str | None, typer.Option("--stage", help="Dead-lettered by this stage")]
OfReason = Annotated[str | None, typer.Option("--reason", help="With this reason code")]
Since = Annotated[
    datetime | None,
    typer.Option("--since", parser=_moment, metavar="TIME", help="At or after this time (UTC): 2026-03-01T12:00Z"),
]
Quarantined = Annotated[bool, typer.Option("--quarantined", help="Only letters that came back after three redrives")]
At = Annotated[str | None, typer.Argument(help="One dead letter by its place, such as webhooks.raw.dead/0@17")]

dead_letters = typer.Typer(help="List, show, redrive or drop the records that stages refused.", no_args_is_help=True)


@dead_letters.command("list")
def dead_letters_list(
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    since: Since = None,
    limit: Limit = 100,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were redriven or dropped")] = False,
    quarantined: Quarantined = False,
    json: Json = False,
) -> None:
    """List dead letters with stage, reason, error, origin and time."""
    from operations.dead_letters import DeadLetterOptions

    options = DeadLetterOptions(topic, stage, reason, since, None, limit, everything, is_quarantined=quarantined)
    _run(options, lambda settings, connection: list_dead_letters(settings, connection, options, as_json=json))


@dead_letters.command("show")
def dead_letters_show(
    place: Annotated[str, typer.Argument(help="Such as webhooks.raw.dead/0@17")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes unchanged and unmasked")] = False,
    json: Json = False,
) -> None:
    """Show one dead letter. Phone numbers and message ids are masked."""
    from operations.dead_letters import DeadLetterOptions

    options = DeadLetterOptions(place=place, is_all=True)
    _run(
        options,
        lambda settings, connection: show_dead_letter(settings, connection, options, is_raw=raw, as_json=json),
    )


def _acting_command(act_name: str) -> Callable[..., None]:
    """The command of an act. All acts select dead letters by the same options."""

    def command(
        place: At = None,
        topic: OfTopic = None,
        stage: OfStage = None,
        reason: OfReason = None,
        since: Since = None,
        limit: Limit = 1_000_000,
        everything: Annotated[bool, typer.Option("--all", help="Every dead letter that waits")] = False,
        quarantined: Quarantined = False,
        *,
        yes: Yes = False,
        dry_run: DryRun = False,
        json: Json = False,
    ) -> None:
        from cli.confirmation import Consent
        from operations.dead_letters import DeadLetterOptions
        from operations.redrive import LetterAct

        act = LetterAct[act_name]
        options = DeadLetterOptions(topic, stage, reason, since, place, limit, everything, is_quarantined=quarantined)
        _run(
            options,
            lambda settings, connection: act_on_dead_letters(
                settings, connection, act, options, Consent(yes, dry_run), as_json=json
            ),
        )

    return command


dead_letters.command("redrive", help="Publish dead letters to the stage that refused them, once each.")(
    _acting_command("REDRIVE")
)
dead_letters.command("drop", help="Mark dead letters as dropped. Their bytes stay in the topic until retention.")(
    _acting_command("DROP")
)


def _run(options: DeadLetterOptions, command: Callable[[Settings, Connection], Awaitable[int]]) -> None:
    """Run a command with a connection, and exit with its code. Invalid options exit with 64, without a server."""
    from cli.console import note, run_command
    from operations.dead_letters import filter_of
    from operations.options import InvalidOptions
    from runtime.process import EXIT_USAGE
    from tables.database import connect

    async def run(settings: Settings) -> int:
        url = settings.database_url.get_secret_value()
        try:
            filter_of(settings, options)
            async with await connect(url, application_name="campaigns-dead-letters") as connection:
                return await command(settings, connection)
        except InvalidOptions as invalid:
            note(str(invalid))
            return EXIT_USAGE

    raise typer.Exit(run_command(lambda settings: asyncio.run(run(settings))))


async def list_dead_letters(
    settings: Settings, connection: Connection, options: DeadLetterOptions, *, as_json: bool
) -> int:
    """Print dead letters, and their numbers by topic and reason."""
    from cli.dead_letter_report import print_list
    from operations.dead_letters import list_letters
    from runtime.process import EXIT_OK

    print_list(await list_letters(settings, connection, options), with_done=options.is_all, as_json=as_json)
    return EXIT_OK


async def show_dead_letter(
    settings: Settings, connection: Connection, options: DeadLetterOptions, *, is_raw: bool, as_json: bool
) -> int:
    """Print one dead letter with its content."""
    import sys

    from cli.console import note
    from cli.dead_letter_report import NO_SUCH_LETTER, print_letter
    from operations.dead_letters import filter_of, find_first
    from runtime.process import EXIT_OK, EXIT_USAGE

    wanted = filter_of(settings, options)
    if is_raw and sys.stdout.isatty():
        note("These bytes may contain terminal control sequences. Redirect them to a file or a pipe.")
        return EXIT_USAGE
    letter = await find_first(settings, connection, wanted)
    if letter is None:
        note(NO_SUCH_LETTER)
        return EXIT_REFUSED
    print_letter(letter, is_raw=is_raw, as_json=as_json)
    return EXIT_OK


async def act_on_dead_letters(
    settings: Settings,
    connection: Connection,
    act: LetterAct,
    options: DeadLetterOptions,
    consent: Consent,
    *,
    as_json: bool,
) -> int:
    """Show the selected dead letters and ask, unless that is not needed; then redrive or drop them."""
    from dataclasses import replace

    from cli.confirmation import decline
    from cli.console import note
    from cli.dead_letter_report import NO_SUCH_LETTER, ActPrinter, change_of
    from operations.redrive import Acted, Busy, NoSuchLetter, act_on_letters
    from runtime.process import EXIT_OK
    from schemas.reasons import RepairRefusal

    async def perform(*, is_dry: bool) -> tuple[ActPrinter, Acted]:
        """Act, or only select. Each letter is printed as soon as it is done."""
        printer = ActPrinter(act, is_dry=is_dry, as_json=as_json)
        wanted = replace(options, is_dry=is_dry)
        try:
            return printer, await act_on_letters(settings, connection, act, wanted, printer.add)
        except (Busy, NoSuchLetter):
            raise
        except BaseException:
            printer.print_interrupted()
            raise

    try:
        if not consent.may_act_at_once:
            printer, found = await perform(is_dry=True)
            if consent.is_dry or not found.count:
                printer.print_result(found)
                return EXIT_OK
            if (ending := decline(consent, change_of(act, found.count))) is not None:
                return ending
        printer, done = await perform(is_dry=False)
        printer.print_result(done)
    except Busy as busy:
        note(f"refused, {RepairRefusal.BUSY}: {busy}")
        return EXIT_REFUSED
    except NoSuchLetter:
        note(NO_SUCH_LETTER)
        return EXIT_REFUSED
    return EXIT_OK
