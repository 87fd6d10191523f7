"""`campaigns up`: its options. `local_run.py` holds the run itself."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import Annotated

import typer


def up(
    api_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of API and page; 0 = a free one")] = 8000,
    ingress_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for webhooks; 0 = a free one")] = 8001,
    simulator_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the simulator, which runs if no access token is set")
    ] = 8002,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="First of seven ports of /metrics, /health and /ready, one for each process; 0 = free ones",
            show_default="10 above --api-port",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the addresses as one line of JSON on stdout")] = False,
) -> None:
    """Run every process in this directory until Ctrl-C; the data stays in .campaigns/."""
    from cli.local_run import Ports, run_up

    raise typer.Exit(run_up(Ports(api_port, ingress_port, simulator_port), metrics_port, as_json=json))
