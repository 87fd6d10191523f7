"""`campaigns demo`: its options. `run.py` holds the run itself."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    recipients: Annotated[int, typer.Option(min=20, max=1_000_000, help="Number of recipients")] = 5000,
    mps: Annotated[int, typer.Option(min=1, max=5000, help="Messages per second")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed repeats the people and each outcome")] = 1,
    time_scale: Annotated[
        float, typer.Option(min=1, max=10_000, help="Divides backoffs, which take hours", show_default=True)
    ] = 100.0,
    running: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address of a running API: start nothing, kill nothing, and use it"),
    ] = None,
    simulator: Annotated[
        str, typer.Option(metavar="URL", help="Address of the simulator that the running sender uses")
    ] = "http://127.0.0.1:8002",
    json: Annotated[bool, typer.Option("--json", help="Print the verdict as one line of JSON on stdout")] = False,
) -> None:
    """Run a campaign against a simulated WhatsApp, kill a sender meanwhile, and prove the result.

    With --running the processes and servers of an installation run the campaign. Its settings decide the rate and the
    time scale, and no sender is killed.
    """
    from cli.demo.run import DemoOptions, run_demo

    site = None if running is None else (running, simulator)
    raise typer.Exit(run_demo(DemoOptions(recipients, mps, seed, time_scale, site), as_json=json))
