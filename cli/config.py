"""`campaigns config`: prints the effective settings, secrets masked, each with where its value comes from."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import Json

if TYPE_CHECKING:
    from runtime.settings import Settings


def config(json: Json = False) -> None:
    """Show the effective settings, secrets masked, each with its source: environment, .campaigns/env or default."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: show_config(settings, as_json=json)))


def show_config(settings: Settings, *, as_json: bool) -> int:
    """Print a line for each setting. It connects to nothing."""
    from dataclasses import asdict

    import orjson

    from cli.console import printable
    from runtime.process import EXIT_OK
    from runtime.settings_sources import effective_settings

    found = effective_settings(settings)
    if as_json:
        print(orjson.dumps([asdict(each) for each in found]).decode())
        return EXIT_OK
    for each in found:
        match each.value:
            case dict() as options:
                value = ";".join(f"{name}={option}" for name, option in options.items())
            case list() as items:
                value = ",".join(items)
            case None:
                value = ""
            case plain:
                value = str(plain)
        print(printable(f"{each.variable}={value}  ({each.source.value})"))
    return EXIT_OK
