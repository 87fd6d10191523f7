"""`campaigns breakers`: lists what sending is stopped for and why, and opens or closes a breaker."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Json, Yes
from domain.breakers import Scope

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from runtime.settings import Settings

breakers = typer.Typer(help="List the breakers that stop sending; open or close one.", no_args_is_help=True)
ScopeArgument = Annotated[Scope, typer.Argument(help="What the breaker stops")]
KeyArgument = Annotated[
    str, typer.Argument(help="TEMPLATE/LANGUAGE, the id of a number, or ID/PHONE; none for account and endpoint")
]


@breakers.command("list")
def breakers_list(json: Json = False) -> None:
    """List open breakers, those that count bad outcomes, and scopes whose rate recovers."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(list_breakers(settings, as_json=json))))


@breakers.command("open")
def breakers_open(
    scope: ScopeArgument,
    key: KeyArgument = "",
    reason: Annotated[str, typer.Option(help="Why; shown with the paused campaigns")] = "an operator opened it",
    yes: Yes = False,  # noqa: ARG001 - a stop acts at once, and `--yes` is accepted everywhere
    dry_run: DryRun = False,
) -> None:
    """Stop sending to a scope at once. Its campaigns are paused; `campaigns resume` sends a probe."""
    from cli.confirmation import Consent
    from cli.console import run_command

    consent = Consent(is_given=True, is_dry=dry_run)
    raise typer.Exit(run_command(lambda settings: asyncio.run(open_breaker(settings, scope, key, reason, consent))))


@breakers.command("close")
def breakers_close(scope: ScopeArgument, key: KeyArgument = "", yes: Yes = False, dry_run: DryRun = False) -> None:
    """Close a breaker without a probe. Campaigns that it paused stay paused."""
    from cli.confirmation import Consent
    from cli.console import run_command

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_command(lambda settings: asyncio.run(close_breaker(settings, scope, key, consent))))


async def list_breakers(settings: Settings, *, as_json: bool) -> int:
    """Print the breakers, the open ones first."""
    import orjson

    from cli.console import note, printable
    from domain.breakers import RECENT_SIZE
    from runtime.process import EXIT_OK
    from tables.breakers import known, shown_key
    from tables.database import connect

    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-breakers") as connection:
        found = await known(connection)
    if as_json:
        print(orjson.dumps([
            {"scope": each.scope, "key": shown_key(each.scope, each.key), "is_open": each.opened_at is not None,
             "opened_at": each.opened_at, "code": each.code, "reason": each.reason, "needs_human": each.needs_human,
             "bad_in_a_row": each.streak, "recent_bad": each.recent_bad, "probe_at": each.probe_at,
             "is_probing": each.is_probing, "closed_at": each.closed_at}
            for each in found
        ]).decode())  # fmt: skip
        return EXIT_OK
    for each in found:
        name = printable(f"{each.scope} {shown_key(each.scope, each.key)}".strip())
        if each.opened_at is not None:
            probe = "a probe is on its way" if each.is_probing else f"next probe {each.probe_at:%H:%M:%S}Z"
            then = "waits for a human: fix the cause, then campaigns resume" if each.needs_human else probe
            print(f"open    {name}  since {each.opened_at:%Y-%m-%d %H:%M:%S}Z  {printable(each.reason or '')}  {then}")
        elif each.closed_at is not None:
            print(f"closed  {name}  the rate recovers since {each.closed_at:%H:%M:%S}Z")
        else:
            print(f"closed  {name}  {each.recent_bad} of the last {RECENT_SIZE} outcomes were bad")
    if not found:
        note("no breaker is open, and none counts")
    return EXIT_OK


async def open_breaker(settings: Settings, scope: Scope, key: str, reason: str, consent: Consent) -> int:
    """Open one breaker. It is a stop, so it acts at once."""
    from cli.confirmation import decline
    from cli.console import note
    from operations.breakers import InvalidKey, named_key
    from runtime.process import EXIT_OK, EXIT_USAGE
    from tables.breakers import open_by_operator
    from tables.database import connect

    try:
        named = named_key(scope, key)
    except InvalidKey as problem:
        note(str(problem))
        return EXIT_USAGE
    if (ending := decline(consent, f"stop sending to {scope} {key}".rstrip())) is not None:
        return ending
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-breakers") as connection:
        await open_by_operator(connection, scope, named, reason)
    note(f"opened: nothing is sent to {scope} {key}".rstrip() + " before campaigns resume or breakers close")
    return EXIT_OK


async def close_breaker(settings: Settings, scope: Scope, key: str, consent: Consent) -> int:
    """Close one breaker."""
    from cli.confirmation import decline
    from cli.console import note
    from operations.breakers import InvalidKey, named_key
    from runtime.process import EXIT_OK, EXIT_USAGE
    from tables.breakers import close
    from tables.database import connect

    try:
        named = named_key(scope, key)
    except InvalidKey as problem:
        note(str(problem))
        return EXIT_USAGE
    change = f"close the breaker {scope} {key}".rstrip() + " and send again, without a probe"
    if (ending := decline(consent, change)) is not None:
        return ending
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-breakers") as connection:
        was_open = await close(connection, scope, named)
    note("closed; the rate recovers within a minute" if was_open else "nothing to do: this breaker is not open")
    return EXIT_OK
