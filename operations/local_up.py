"""The `campaigns up` of this directory: whether it runs, and which servers are its own."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

from runtime.settings import STATE_FOLDER, InvalidSettings, read_environment

EMBEDDED_LINE = "# embedded: "
"""Starts the line of `.campaigns/env` that names the servers of `up` itself."""


@dataclass(frozen=True, slots=True)
class LocalUp:
    """What the state folder tells about `up`."""

    pid: str
    """The process that runs now; empty if none does."""
    embedded: frozenset[str]
    """The names of its own servers: Kafka, PostgreSQL."""
    variables: dict[str, str]
    """The variables that it has written for other commands."""

    def owns(self, server: str, variable: str, address: str) -> bool:
        """Whether an address is that of an embedded server of this `up`, also of one that was killed."""
        return server in self.embedded and self.variables.get(variable) == address


def find_local_up(state_folder: Path = STATE_FOLDER) -> LocalUp:
    """Read the state folder. An `up` that was killed has left its variables there."""
    try:
        variables = read_environment({}, state_folder)
        lines = (state_folder / "env").read_text(encoding="utf-8").splitlines()
    except (InvalidSettings, OSError):
        variables, lines = {}, []
    named = next((line.removeprefix(EMBEDDED_LINE) for line in lines if line.startswith(EMBEDDED_LINE)), "")
    return LocalUp(_running(state_folder / "up.lock"), frozenset(filter(None, named.split(", "))), variables)


def _running(lock: Path) -> str:
    """The process that holds the lock; empty if it is free."""
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(32).decode(errors="replace").strip() or "unknown"
    except OSError:
        pass
    return ""
