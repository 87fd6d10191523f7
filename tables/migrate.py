"""Brings a database to the schema that this version expects: numbered files, each applied once, in its own transaction.

Safe when several start at once (a session advisory lock). It never edits what was applied: a file whose text
changed afterwards is refused. The schema is in `tables/migrations/`, and as a whole in `tables/sql/schema.sql`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

import psycopg

from tables import locks

_FILE_NAME = re.compile(r"^(?P<version>\d{4})_[a-z0-9_]+\.sql$")

_CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""


class SchemaMismatch(Exception):
    """The database was migrated by other files than these: changed ones, or those of a newer version."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What is remembered of an applied file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All files in order. Raises ValueError for a name that is none, or a number used twice."""
    found: dict[int, Migration] = {}
    for path in files("tables").joinpath("migrations").iterdir():
        if not path.name.endswith(".sql"):
            continue
        match = _FILE_NAME.match(path.name)
        if match is None or int(match["version"]) in found:
            raise ValueError(f"tables/migrations/{path.name}: expects NNNN_verb_noun.sql, each number once")
        version = int(match["version"])
        found[version] = Migration(version, path.name.removesuffix(".sql"), path.read_text(encoding="utf-8"))
    return [found[version] for version in sorted(found)]


def migrate(url: str) -> list[str]:
    """Apply what is missing; the names of the files applied now.

    Raises SchemaMismatch where an applied file differs, and psycopg.Error where one fails (it is rolled back whole).
    """
    with psycopg.connect(url, autocommit=True, application_name="campaigns-migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [locks.MIGRATION])  # ends with the session
        connection.execute("SET client_min_messages = warning")
        connection.execute(_CREATE_TABLE)
        return [step.name for step in _missing(connection) if _apply(connection, step)]


def _missing(connection: psycopg.Connection) -> list[Migration]:
    rows = connection.execute("SELECT version, name, checksum FROM schema_migrations").fetchall()
    applied = {version: (name, checksum) for version, name, checksum in rows}
    ours = {step.version: step for step in migrations()}
    for version, (name, checksum) in sorted(applied.items()):
        if version not in ours:
            raise SchemaMismatch(f"the database has migration {name}, which this version does not know: it is newer")
        if ours[version].checksum != checksum:
            raise SchemaMismatch(f"migration {name} was changed after it had been applied")
    return [step for step in ours.values() if step.version not in applied]


def _apply(connection: psycopg.Connection, step: Migration) -> bool:
    with connection.transaction():
        connection.execute(step.text.encode())
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
            [step.version, step.name, step.checksum],
        )
    return True
