"""The command `campaigns simulator`, or `python -m simulator`: options to a configuration, then run until a signal.

It reads no environment; what has no option of its own is in the JSON file of `--config`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError

from simulator.config import SimulatorConfig, every_code_by_number
from simulator.presets import PRESETS
from simulator.server import Simulator, until_stopped

EXIT_USAGE = 64
EXIT_TRANSIENT = 75

app = typer.Typer(
    help="A WhatsApp Cloud API for tests: takes sends, says signed statuses, keeps the truth.", add_completion=False
)


@app.callback(invoke_without_command=True)
def simulate(
    *,
    preset: Annotated[str, typer.Option(help="What to start from: " + " or ".join(PRESETS))] = "tidy",
    config: Annotated[Path | None, typer.Option(help="A JSON file with any settings; goes over the preset")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 = a free one [8002]")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same decisions [1]")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Where statuses go; without it none are said")] = None,
    app_secret: Annotated[str | None, typer.Option(help="Signs webhooks [simulator-app-secret]")] = None,
    access_token: Annotated[str | None, typer.Option(help="The only token taken; without it any")] = None,
    phone_number_id: Annotated[list[str] | None, typer.Option(help="The only numbers known; without it any")] = None,
    mps: Annotated[float | None, typer.Option(help="Messages a second per number; above it 130429")] = None,
    time_scale: Annotated[float | None, typer.Option(help="All delays are divided by it [1]")] = None,
    batch: Annotated[int | None, typer.Option(help="Statuses per webhook at most, 1 = not batched [100]")] = None,
    codes_by_number: Annotated[
        bool, typer.Option(help="A number ending in a seven-digit code (0131026) gets that code")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Say the address as a line of JSON on stdout")] = False,
) -> None:
    """Runs the simulator until SIGTERM or Ctrl-C."""
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "seed": seed,
        "webhook_url": webhook_url,
        "app_secret": app_secret,
        "access_token": access_token,
        "phone_number_ids": phone_number_id or None,
        "mps": mps,
        "time_scale": time_scale,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    try:
        told = configured(preset, config, settings, batch, codes_by_number)
    except (ValidationError, ValueError, OSError) as wrong:
        typer.echo(f"simulator: {wrong}", err=True)
        raise typer.Exit(EXIT_USAGE) from wrong
    raise typer.Exit(asyncio.run(serve(told, json)))


def configured(
    preset: str, file: Path | None, settings: dict[str, Any], batch: int | None, codes_by_number: bool
) -> SimulatorConfig:
    """The configuration: the preset, then the file over it, then the options."""
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}, there are {', '.join(PRESETS)}")
    tree = PRESETS[preset]().model_dump()
    if file is not None:
        overlay(tree, orjson.loads(file.read_bytes()))
    overlay(tree, settings)
    if batch is not None:
        overlay(tree, {"webhooks": {"batch_statuses_max": batch}})
    told = SimulatorConfig.model_validate(tree)
    return told.model_copy(update={"rules": told.rules + every_code_by_number()}) if codes_by_number else told


def overlay(tree: dict[str, Any], over: dict[str, Any]) -> None:
    """Lays settings over others, deep; lists, and tables of shares by code, are replaced whole."""
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict) and name != "errors":
            overlay(tree[name], value)
        else:
            tree[name] = value


async def serve(config: SimulatorConfig, json: bool) -> int:
    """Runs with signal handlers; returns the exit code."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(config)
    try:
        try:
            port = await simulator.start()
        except OSError as taken:
            typer.echo(f"simulator: cannot listen on {config.host}:{config.port}: {taken}", err=True)
            return EXIT_TRANSIENT
        announce(config, port, json)
        await until_stopped(simulator, stop)
    finally:
        await simulator.stop()
    return 0


def announce(config: SimulatorConfig, port: int, json: bool) -> None:
    """Says where it listens."""
    url = f"http://{config.host}:{port}"
    if json:
        sys.stdout.write(orjson.dumps({"url": url, "port": port, "seed": config.seed}).decode() + "\n")
        sys.stdout.flush()
    where = config.webhook_url or "nobody (no --webhook-url)"
    typer.echo(f"simulator: listening on {url}, statuses go to {where}, seed {config.seed}", err=True)
