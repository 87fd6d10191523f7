"""Our own processes: the module of each, and how one is run."""

from __future__ import annotations

from importlib import import_module

from runtime.settings import WrongSettings, read_settings

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
    """Run one process until a signal and exit with its code; returns only if the settings are invalid."""
    try:
        settings = read_settings()
    except WrongSettings as invalid:
        from cli.console import report_invalid_settings  # noqa: PLC0415 - only a failed start needs it

        return report_invalid_settings(invalid)
    from runtime.process import leave, run_process  # noqa: PLC0415 - invalid settings are reported without loading it

    return leave(run_process(name, import_module(MODULES[name]).run, settings))
