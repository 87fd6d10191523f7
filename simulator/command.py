"""The command `campaigns simulator`, or `python -m simulator`: reads options, and runs the simulator until a signal.

It reads no environment variables. The JSON file of `--config` can have all settings, also those without an option.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from pydantic import ValidationError

from simulator.config import SimulatorConfig, rules_for_all_codes
from simulator.presets import PRESETS
from simulator.server import Simulator

EXIT_USAGE = 64
EXIT_TRANSIENT = 75
COLLECTED_OBJECTS = 20_000
"""Objects that come to exist until the youngest ones are searched for cycles. Messages make none, and those in flight
are as many objects. With Python's 700, the search came with every 40 messages and read the objects of all of them."""

app = typer.Typer(
    help="Run a WhatsApp Cloud API for tests: it accepts sends, sends signed statuses and keeps a ledger.",
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def simulate(
    *,
    preset: Annotated[str, typer.Option(help="Preset to start from: " + " or ".join(PRESETS))] = "tidy",
    config: Annotated[Path | None, typer.Option(help="JSON file with settings; it overrides the preset")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [8002]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the decisions; the same seed repeats them [1]")] = None,
    webhook_url: Annotated[
        str | None, typer.Option(help="URL that receives the webhooks; without it no statuses are sent")
    ] = None,
    app_secret: Annotated[str | None, typer.Option(help="Secret that signs webhooks [simulator-app-secret]")] = None,
    access_token: Annotated[
        str | None, typer.Option(help="The only accepted token; without it any token is accepted")
    ] = None,
    phone_number_id: Annotated[
        list[str] | None, typer.Option(help="A known phone number id (repeatable); without it every id is known")
    ] = None,
    mps: Annotated[
        float | None, typer.Option(help="Limit of messages per second and number; above it the answer is 130429")
    ] = None,
    time_scale: Annotated[float | None, typer.Option(help="Every delay is divided by this [1]")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Maximum of statuses in one webhook; 1 disables batches [100]")
    ] = None,
    codes_by_number: Annotated[
        bool, typer.Option(help="A phone number that ends with a seven-digit error code (0131026) gets that code")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the address as one line of JSON on stdout")] = False,
) -> None:
    """Run the simulator until SIGTERM or Ctrl-C."""
    values: dict[str, Any] = {
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
    settings = {name: value for name, value in values.items() if value is not None}
    try:
        options = build_config(preset, config, settings, batch, codes_by_number)
    except (ValidationError, ValueError, OSError) as invalid:
        typer.echo(f"simulator: {invalid}", err=True)
        raise typer.Exit(EXIT_USAGE) from invalid
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raise typer.Exit(runner.run(_serve(options, json)))


def build_config(
    preset: str, file: Path | None, settings: dict[str, Any], batch: int | None, codes_by_number: bool
) -> SimulatorConfig:
    """The configuration. The file overrides the preset, and the settings (from the options) override the file."""
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; the presets are {', '.join(PRESETS)}")
    tree = PRESETS[preset]().model_dump()
    if file is not None:
        _overlay(tree, orjson.loads(file.read_bytes()))
    _overlay(tree, settings)
    if batch is not None:
        _overlay(tree, {"webhooks": {"batch_statuses_max": batch}})
    options = SimulatorConfig.model_validate(tree)
    return options.model_copy(update={"rules": options.rules + rules_for_all_codes()}) if codes_by_number else options


def _overlay(tree: dict[str, Any], over: dict[str, Any]) -> None:
    """Replace the settings in `tree` by those in `over`, at any depth. Lists and `errors` are replaced completely."""
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict) and name != "errors":
            _overlay(tree[name], value)
        else:
            tree[name] = value


async def _serve(config: SimulatorConfig, json: bool) -> int:
    """Run the simulator until a signal. Returns the exit code."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(config)
    gc.freeze()  # what exists now stays, and is never searched
    gc.set_threshold(COLLECTED_OBJECTS)
    try:
        try:
            port = await simulator.start()
        except OSError as taken:
            typer.echo(f"simulator: cannot listen on {config.host}:{config.port}: {taken}", err=True)
            return EXIT_TRANSIENT
        _announce(config, port, json)
        await simulator.wait_until_stopped(stop)
    finally:
        await simulator.stop()
    return 0


def _announce(config: SimulatorConfig, port: int, json: bool) -> None:
    """Print the address of the simulator."""
    url = f"http://{config.host}:{port}"
    if json:
        sys.stdout.write(orjson.dumps({"url": url, "port": port, "seed": config.seed}).decode() + "\n")
        sys.stdout.flush()
    statuses = f"statuses are sent to {config.webhook_url}" if config.webhook_url else "no statuses (set --webhook-url)"
    typer.echo(f"simulator: listening on {url}, {statuses}, seed {config.seed}", err=True)
