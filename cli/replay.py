"""`campaigns replay`: parses the options and prints the report."""

from __future__ import annotations

import asyncio
import signal
import sys

import orjson

from cli.console import note, run_command
from cli.progress import ProgressLine
from cli.replay_answer import document_of, exit_code, lines_of
from operations.options import InvalidOptions
from operations.replay import ReplayOptions, run
from runtime.process import EXIT_USAGE
from runtime.settings import Settings
from topics.scan import WrongBound


def run_replay(options: ReplayOptions, *, as_json: bool) -> int:
    """`campaigns replay`."""
    return run_command(lambda settings: asyncio.run(_run(settings, options, as_json=as_json)))


async def _run(settings: Settings, options: ReplayOptions, *, as_json: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    progress = ProgressLine(sys.stderr)
    try:
        report = await run(settings, options, stop, progress.say)
    except (InvalidOptions, WrongBound) as invalid:
        progress.end()
        note(str(invalid))
        return EXIT_USAGE
    except Exception as error:
        progress.end()
        for line in getattr(error, "__notes__", ()):
            note(line)
        raise
    progress.end()
    print(orjson.dumps(document_of(report)).decode() if as_json else "\n".join(lines_of(report)))
    return exit_code(report)
