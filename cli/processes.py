"""Our own processes: which module runs each, and how a command line becomes a running one."""

from __future__ import annotations

import sys
from importlib import import_module

from runtime.settings import WrongSettings, read_settings

EXIT_USAGE = 64

MODULES = {
    "ingress": "producers.ingress.process",
    "api": "api.server",
    "scheduler": "producers.scheduler.process",
    "sender": "streams.sender.process",
    "reconciler": "streams.reconciler.process",
    "sink": "sinks.sink",
    "stats": "sinks.stats_publisher",
}
"""Process to module; each has `async def run(settings, stop)`."""


def run_named(name: str) -> int:
    """Run one process until a signal, and end with its exit code; returns only for wrong settings."""
    try:
        settings = read_settings()
    except WrongSettings as wrong:
        return say_wrong_settings(wrong)
    from runtime.process import leave, run_process  # noqa: PLC0415 - a wrong setting is said without loading all

    return leave(run_process(name, import_module(MODULES[name]).run, settings))


def say_wrong_settings(wrong: WrongSettings) -> int:
    """Name what is wrong on stderr; returns the exit code for it."""
    print(
        f"wrong settings:\n{wrong}\nSee docs/reference/settings.md, or `campaigns up` for a stack of its own.",
        file=sys.stderr,
    )
    return EXIT_USAGE
