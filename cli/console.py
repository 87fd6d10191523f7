"""What every command shares: its settings, its messages on stderr, text that is safe to print, and its exit code.

Results go to stdout and everything else to stderr, so that the output of `--json` can be piped.
"""

from __future__ import annotations

import logging
import sys
import traceback
import unicodedata
from collections.abc import Callable

import psycopg

from operations.options import InvalidOptions
from operations.startup import usable_settings
from runtime import logs
from runtime.logs import mask_text
from runtime.process import EXIT_BUG, EXIT_TRANSIENT, EXIT_USAGE, Transient
from runtime.settings import InvalidSettings, Settings
from tables.database import is_transient
from tables.schema_version import WrongSchema
from tables.status import OTHER_SCHEMA

NO_SCHEMA = "the database does not have the schema of this version: run campaigns db migrate"
_LINE_BREAKS = frozenset("\n\t")
_JOINERS = frozenset("\u200c\u200d")


def run_command(command: Callable[[Settings], int]) -> int:
    """Run the command with its settings and return its exit code.

    That is the command's own code; 64 for invalid settings, invalid options or another schema, 75 if Kafka or
    PostgreSQL does not answer, 70 for a bug.
    """
    try:
        return command(command_settings())
    except WrongSchema as wrong:
        note(f"not done: {wrong}")
        return EXIT_USAGE
    except InvalidSettings as invalid:
        return report_invalid_settings(invalid)
    except BrokenPipeError:
        raise  # the reader of our output closed it (`| head`): Typer ends the command quietly
    except InvalidOptions as invalid:
        note(printable_lines(str(invalid)))
        return EXIT_USAGE
    except OTHER_SCHEMA as error:
        note(f"not done: {NO_SCHEMA} ({reason_of(error)})")
        return EXIT_USAGE
    except Exception as error:  # noqa: BLE001 - every failure becomes an exit code here
        if not (isinstance(error, Transient) or is_transient(error)):
            note(printable_lines(mask_text("".join(traceback.format_exception(error)))).rstrip())
            note("This is a bug in campaigns; the lines above show where. Please report them.")
            return EXIT_BUG
        note(f"not done: {reason_of(error)}. To find the cause, run campaigns check")
        return EXIT_TRANSIENT


def command_settings() -> Settings:
    """Read the settings and configure logging for a command: masked, on stderr. Raises InvalidSettings."""
    settings = usable_settings()
    logs.configure(settings)
    if settings.log_level != "debug":
        # Kafka's client logs each failure that the command reports anyway.
        logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
    return settings


def report_invalid_settings(invalid: InvalidSettings) -> int:
    """Print which settings are invalid to stderr; returns the exit code for it."""
    note(
        f"invalid settings:\n{invalid}\n"
        "docs/reference/settings.md describes each one. `campaigns up` needs none: it starts servers of its own, and "
        "other commands in its directory find them."
    )
    return EXIT_USAGE


def note(text: str) -> None:
    """Print a message for the operator to stderr."""
    print(text, file=sys.stderr, flush=True)


def note_details(error: BaseException) -> None:
    """Print the notes of an error (`add_note`) to stderr: what was done before it, and how to continue."""
    for line in getattr(error, "__notes__", ()):
        note(line)


def reason_of(error: BaseException) -> str:
    """The text of an error on one line, phone numbers and message ids masked; errors of PostgreSQL name it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    server = "PostgreSQL: " if isinstance(error, psycopg.Error) else ""
    return server + printable(mask_text("; ".join(lines) or type(error).__name__))


def printable(text: str) -> str:
    """Text from outside (names, errors, records) on one line; control and direction characters become escapes."""
    return "".join(each if _is_shown(each) else _escaped(each) for each in text)


def printable_lines(text: str) -> str:
    """The same for the body of a record: line breaks and tabs stay."""
    return "".join(each if _is_shown(each) or each in _LINE_BREAKS else _escaped(each) for each in text)


def _is_shown(character: str) -> bool:
    """Spaces of every width, and the joiners of emoji and of Persian words, steer no terminal."""
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
