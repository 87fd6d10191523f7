"""The command `campaigns simulator`, or `python -m simulator`: options to a configuration, then run until a signal.

It reads no environment. Settings without an option are in the JSON file of `--config`.
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
    help="Run a WhatsApp Cloud API for tests: it accepts sends, sends signed statuses and keeps a ledger.",
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def simulate(
    *,
    preset: Annotated[str, typer.Option(help="Preset to start from: " + " or ".join(PRESETS))] = "tidy",
    config: Annotated[Path | None, typer.Option(help="JSON file with any settings; it overrides the preset")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [8002]")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same decisions [1]")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Address for statuses; without it none are sent")] = None,
    app_secret: Annotated[str | None, typer.Option(help="Secret that signs webhooks [simulator-app-secret]")] = None,
    access_token: Annotated[
        str | None, typer.Option(help="The only accepted token; without it any token is accepted")
    ] = None,
    phone_number_id: Annotated[
        list[str] | None, typer.Option(help="The only known phone number ids; without it any is known")
    ] = None,
    mps: Annotated[
        float | None, typer.Option(help="Messages per second and number; above it the answer is 130429")
    ] = None,
    time_scale: Annotated[float | None, typer.Option(help="Divides all delays [1]")] = None,
    batch: Annotated[int | None, typer.Option(help="Most statuses per webhook; 1 disables batches [100]")] = None,
    codes_by_number: Annotated[
        bool, typer.Option(help="A number that ends in a seven-digit code (0131026) gets this code")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the address as one line of JSON on stdout")] = False,
) -> None:
    """Run the simulator until SIGTERM or Ctrl-C."""
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
        options = configured(preset, config, settings, batch, codes_by_number)
    except (ValidationError, ValueError, OSError) as invalid:
        typer.echo(f"simulator: {invalid}", err=True)
        raise typer.Exit(EXIT_USAGE) from invalid
    raise typer.Exit(asyncio.run(serve(options, json)))


def configured(
    preset: str, file: Path | None, settings: dict[str, Any], batch: int | None, codes_by_number: bool
) -> SimulatorConfig:
    """The configuration: the preset, overridden by the file, overridden by the options."""
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; the presets are {', '.join(PRESETS)}")
    tree = PRESETS[preset]().model_dump()
    if file is not None:
        overlay(tree, orjson.loads(file.read_bytes()))
    overlay(tree, settings)
    if batch is not None:
        overlay(tree, {"webhooks": {"batch_statuses_max": batch}})
    options = SimulatorConfig.model_validate(tree)
    return options.model_copy(update={"rules": options.rules + every_code_by_number()}) if codes_by_number else options


def overlay(tree: dict[str, Any], over: dict[str, Any]) -> None:
    """Override settings deeply. Lists and tables of shares by code are replaced as a whole."""
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict) and name != "errors":
            overlay(tree[name], value)
        else:
            tree[name] = value


async def serve(config: SimulatorConfig, json: bool) -> int:
    """Run with signal handlers; return the exit code."""
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
    """Print the address."""
    url = f"http://{config.host}:{port}"
    if json:
        sys.stdout.write(orjson.dumps({"url": url, "port": port, "seed": config.seed}).decode() + "\n")
        sys.stdout.flush()
    where = config.webhook_url or "no address (set --webhook-url)"
    typer.echo(f"simulator: listening on {url}, statuses go to {where}, seed {config.seed}", err=True)
