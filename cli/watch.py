"""`campaigns watch`: follows the progress of one campaign until it is completed or cancelled, or until Ctrl-C.

On a terminal one frame is drawn anew, with a plot of the timeline. Elsewhere, and with --json, each change is a line.
"""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from schemas.stats import CampaignProgress
    from tables.database import Connection
    from tables.stats import Minute

    Show = Callable[[CampaignProgress, float | None, Sequence[Minute]], None]
    """Shows the progress, the recipients handled per second, and the minutes of the timeline."""

ENDED = frozenset({"completed", "cancelled"})
MINUTES_SHOWN = 24 * 60
"""Minutes of the plot: the last ones in which something happened."""


def watch(
    campaign: CampaignName,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks")] = 2.0,
    json: Json = False,
) -> None:
    """Follow the progress of a campaign until it is completed or cancelled, or until Ctrl-C."""
    from cli.connected import run_connected
    from runtime.process import EXIT_OK

    try:
        ending = run_connected("watch", lambda _, found: watch_campaign(found, campaign, every, as_json=json))
    except KeyboardInterrupt:
        ending = EXIT_OK
    raise typer.Exit(ending)


async def watch_campaign(
    connection: Connection, name: str, every_s: float, *, as_json: bool, console: Console | None = None
) -> int:
    """Show the campaign whenever something has changed; `console` draws frames. Raises NotOneCampaign."""
    from cli.campaign_report import handled_per_second
    from cli.console import note
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from schemas.model import CampaignId
    from tables import stats
    from tables.campaign_names import short_id

    found = await find_campaign(connection, name)
    drawn_on = console or (None if as_json else terminal())
    before: CampaignProgress | None = None
    with lines(as_json=as_json) if drawn_on is None else frames(drawn_on) as show:
        while True:
            now = (await stats.read(connection, [CampaignId(found.id)])).get(CampaignId(found.id))
            if now is None:
                break
            # A frame also shows that nothing moves, and at which time it is true.
            if before is None or drawn_on is not None or _differs(before, now):
                minutes = [] if drawn_on is None else await stats.read_timeline(connection, found.id, MINUTES_SHOWN)
                show(now, None if before is None else handled_per_second(before, now), minutes)
            if before is None and now.status in ("draft", "paused"):
                step = "activate" if now.status == "draft" else "resume"
                note(f"It is {now.status}, so nothing is sent. To send: campaigns {step} {short_id(found.id)}")
            if now.status in ENDED:
                return EXIT_OK
            before = now
            await asyncio.sleep(every_s)
    note("The campaign was deleted.")
    return EXIT_OK


def terminal() -> Console | None:
    """The terminal on which frames can be drawn, or None if stdout is none or cannot move its cursor."""
    if not sys.stdout.isatty() or os.get_terminal_size(sys.stdout.fileno()).columns == 0:
        return None
    from rich.console import Console

    console = Console()
    return None if console.is_dumb_terminal else console


@contextmanager
def lines(*, as_json: bool) -> Iterator[Show]:
    """Print one line for each change: text or JSON."""
    from cli.campaign_report import watch_line
    from cli.console import printable

    def show(progress: CampaignProgress, per_s: float | None, _minutes: Sequence[Minute]) -> None:
        print(progress.model_dump_json() if as_json else printable(watch_line(progress, per_s)), flush=True)

    yield show


@contextmanager
def frames(console: Console) -> Iterator[Show]:
    """Draw one frame anew for each change. The last one stays on the terminal."""
    from rich.live import Live

    from cli.watch_view import watch_view

    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=True) as live:

        def show(progress: CampaignProgress, per_s: float | None, minutes: Sequence[Minute]) -> None:
            live.update(watch_view(progress, per_s, minutes, console.width), refresh=True)

        yield show


def _differs(before: CampaignProgress, now: CampaignProgress) -> bool:
    moving = {"as_of", "version", "eta"}
    return before.model_dump(exclude=moving) != now.model_dump(exclude=moving)
