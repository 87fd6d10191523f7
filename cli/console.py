"""How a command that asks Kafka or Postgres ends where one of them is away, or a setting is wrong: in one place."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable

import psycopg

from cli.processes import EXIT_USAGE, say_wrong_settings
from cli.terminal import printable, printable_lines
from runtime import logs
from runtime.logs import mask_text
from runtime.process import EXIT_BUG, EXIT_TRANSIENT, Transient
from runtime.settings import Settings, WrongSettings, read_settings
from tables.database import is_transient

NO_SCHEMA = "the schema is not of this version: campaigns db migrate"
OTHER_SCHEMA = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction)


def run_command(command: Callable[[], int]) -> int:
    """The exit code of the command: its own, 64 for wrong settings or schema, 75 where a server is away, 70: a bug."""
    try:
        _configure_logs(read_settings())
        return command()
    except WrongSettings as wrong:
        return say_wrong_settings(wrong)
    except BrokenPipeError:
        raise  # whoever read the answer has read enough: typer ends quietly
    except OTHER_SCHEMA as error:
        _say(f"not done: {NO_SCHEMA} ({reason_of(error)})")
        return EXIT_USAGE
    except Exception as error:  # noqa: BLE001 - the end of the command, whatever it is
        if not (isinstance(error, Transient) or is_transient(error)):
            _say(printable_lines(mask_text("".join(traceback.format_exception(error)))).rstrip())
            _say("a bug: the lines above say where")
            return EXIT_BUG
        _say(f"not done: {reason_of(error)}; `campaigns check` looks at what is there")
        return EXIT_TRANSIENT


def _configure_logs(settings: Settings) -> None:
    """What our parts log must not stand between the JSON on stdout, nor Kafka's client repeat what the answer says."""
    logs.configure(settings)
    if settings.log_level != "debug":
        logging.getLogger("librdkafka").setLevel(logging.CRITICAL)


def reason_of(error: BaseException) -> str:
    """Why a server did not do it, and which: on one line, without numbers and message ids."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    who = "PostgreSQL: " if isinstance(error, psycopg.Error) else ""
    return who + printable(mask_text("; ".join(lines) or type(error).__name__))


def _say(line: str) -> None:
    print(line, file=sys.stderr)
