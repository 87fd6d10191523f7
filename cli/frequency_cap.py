"""`campaigns frequency-cap`: how many messages all campaigns together may send to one person."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Json, Yes
from domain.frequency import DAYS_MAX, MESSAGES_MAX

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from domain.frequency import FrequencyCap
    from tables.database import Connection

frequency_cap = typer.Typer(help="Show, set and remove the frequency cap of all campaigns.", no_args_is_help=True)
KEPT = "Recipients who wait for the former cap keep their times"


@frequency_cap.command("show")
def frequency_cap_show(json: Json = False) -> None:
    """Show how many messages a person may get in how many days."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected("frequency-cap", lambda _, found: show_cap(found, as_json=json)))


@frequency_cap.command("set")
def frequency_cap_set(
    messages: Annotated[int, typer.Option("--messages", min=1, max=MESSAGES_MAX, help="Most messages to one person")],
    days: Annotated[int, typer.Option("--in-days", min=1, max=DAYS_MAX, help="In so many days of 24 hours")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Set the frequency cap of all campaigns. It counts the messages of the last days too."""
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from domain.frequency import FrequencyCap

    cap, consent = FrequencyCap(messages, days), Consent(yes, dry_run)
    raise typer.Exit(run_connected("frequency-cap", lambda _, found: set_cap(found, cap, consent)))


@frequency_cap.command("remove")
def frequency_cap_remove(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove the frequency cap."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_connected("frequency-cap", lambda _, found: remove_cap(found, consent)))


async def show_cap(connection: Connection, *, as_json: bool) -> int:
    """Print the cap."""
    from api.limit_answers import FrequencyCapOut
    from runtime.process import EXIT_OK
    from tables import frequency

    cap = await frequency.read_cap(connection)
    if as_json:
        shown = FrequencyCapOut() if cap is None else FrequencyCapOut.model_validate(cap)
        print(shown.model_dump_json())
    else:
        print("there is no frequency cap" if cap is None else _words(cap))
    return EXIT_OK


async def set_cap(connection: Connection, cap: FrequencyCap, consent: Consent) -> int:
    """Set the cap, if the operator consents."""
    from cli.confirmation import decline
    from cli.console import note
    from runtime.process import EXIT_OK
    from tables import frequency

    known = await frequency.read_cap(connection)
    before = "there is none now" if known is None else f"it is {_words(known)} now"
    if (ending := decline(consent, f"set the frequency cap of all campaigns to {_words(cap)}; {before}")) is not None:
        return ending
    await frequency.write_cap(connection, cap)
    note(f"set: {_words(cap)}. {KEPT}")
    return EXIT_OK


async def remove_cap(connection: Connection, consent: Consent) -> int:
    """Remove the cap, if the operator consents."""
    from cli.confirmation import decline
    from cli.console import note
    from runtime.process import EXIT_OK
    from tables import frequency

    known = await frequency.read_cap(connection)
    if known is None:
        note("nothing to do: there is no frequency cap")
        return EXIT_OK
    if (ending := decline(consent, f"remove the frequency cap of all campaigns: {_words(known)}")) is not None:
        return ending
    await frequency.remove_cap(connection)
    note(f"removed. {KEPT}")
    return EXIT_OK


def _words(cap: FrequencyCap) -> str:
    return f"at most {cap.messages} message(s) to a person in {cap.days} day(s)"
