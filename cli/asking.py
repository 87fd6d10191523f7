"""How a command that asks Kafka or Postgres ends where one of them is away, or a setting is wrong: in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psycopg

from cli.processes import say_wrong_settings
from runtime.logs import mask_text
from runtime.process import EXIT_TRANSIENT, Transient
from runtime.settings import WrongSettings
from sinks.database import is_transient


def told(command: Callable[[], int]) -> int:
    """The exit code of the command: its own, 64 for wrong settings, 75 where a server is away. A bug is raised."""
    try:
        return command()
    except WrongSettings as wrong:
        return say_wrong_settings(wrong)
    except Transient as error:
        said = str(error)
    except psycopg.Error as error:
        if not is_transient(error):
            raise
        said = str(error).strip()
    print(f"not done: {mask_text(said)}", file=sys.stderr)
    return EXIT_TRANSIENT
