"""Brings a database to the schema of this version: numbered files, each applied once, in its own transaction.

Several processes may start at the same time: a session advisory lock lets one of them migrate and the others wait.
Migrations are append-only. A change of the schema is a new file in `tables/migrations/`, and the same change in
`tables/sql/schema.sql`, which shows the schema as a whole. An applied file that was edited or removed is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources.abc import Traversable

import psycopg

from tables import locks
from tables.database import UNLIMITED_S, connect_now
from tables.schema_version import FOLDER

_FILE_NAME = re.compile(r"^(?P<version>\d{4})_[a-z0-9_]+\.sql$")

_CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""

RECREATE = (
    "If this is a development database from before the first release, recreate it: stop all processes, drop the"
    " database, create it, and run `campaigns db migrate`. For embedded Postgres, delete its folder"
    " (docs/operations/run.md)."
)
"""What to do about a database whose migrations were squashed: its data cannot be carried over."""


class SchemaMismatch(Exception):
    """The database was migrated by other files than these: edited ones, or those of a newer version."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text. The database stores it when the file is applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How the migrations of a database compare with those of this version. Equal: only `newest` is set."""

    newest: int
    """The newest migration of this version."""
    missing: int
    """Migrations that the database does not have yet."""
    unknown: int
    """Migrations of the database that this version does not know: the database is newer."""
    changed: tuple[str, ...]
    """Names of applied migrations whose text is another one here."""


def migrations(folder: Traversable = FOLDER) -> list[Migration]:
    """All migrations, in order. Raises ValueError for a malformed file name, and for a number used twice."""
    found: dict[int, Migration] = {}
    for path in folder.iterdir():
        if not path.name.endswith(".sql"):
            continue
        match = _FILE_NAME.match(path.name)
        if match is None or int(match["version"]) in found:
            raise ValueError(f"tables/migrations/{path.name}: expects NNNN_verb_noun.sql, each number once")
        version = int(match["version"])
        found[version] = Migration(version, path.name.removesuffix(".sql"), path.read_text(encoding="utf-8"))
    return [found[version] for version in sorted(found)]


def migrate(url: str, folder: Traversable = FOLDER) -> list[str]:
    """Apply the missing migrations; returns their names.

    Raises SchemaMismatch where an applied file differs, and psycopg.Error where a file fails (it is rolled back as a
    whole).
    """
    with connect_now(url, application_name="campaigns-migrate", statement_timeout_s=UNLIMITED_S) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [locks.MIGRATION])  # It ends with the session.
        connection.execute("SET client_min_messages = warning")
        connection.execute(_CREATE_TABLE)
        missing = _missing(connection, migrations(folder))
        for step in missing:
            _apply(connection, step)
        return [step.name for step in missing]


def find_missing(url: str, folder: Traversable = FOLDER) -> list[str]:
    """The names of the migrations that the database does not have yet. It changes nothing. Raises SchemaMismatch."""
    with connect_now(url, application_name="campaigns-migrate") as connection:
        exists = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
        steps = migrations(folder)
        missing = _missing(connection, steps) if exists and exists[0] else steps
        return [step.name for step in missing]


def read_state(connection: psycopg.Connection) -> SchemaState:
    """Compare the migrations of a database with those of this version. It changes nothing."""
    exists = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    applied = _applied(connection) if exists and exists[0] else {}
    ours = {step.version: step for step in migrations()}
    return SchemaState(
        newest=max(ours),
        missing=len(ours.keys() - applied.keys()),
        unknown=len(applied.keys() - ours.keys()),
        changed=tuple(
            name for version, (name, checksum) in applied.items()
            if version in ours and ours[version].checksum != checksum
        ),
    )  # fmt: skip


def _applied(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    rows = connection.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version").fetchall()
    return {version: (name, checksum) for version, name, checksum in rows}


def _missing(connection: psycopg.Connection, steps: Iterable[Migration]) -> list[Migration]:
    applied = _applied(connection)
    ours = {step.version: step for step in steps}
    for version, (name, checksum) in applied.items():
        if version not in ours:
            raise SchemaMismatch(
                f"The database has migration {name}, which this version does not know: the database is newer than this"
                " version. Nothing was changed. Install the version that migrated it, or a later one."
            )
        if ours[version].checksum != checksum:
            raise SchemaMismatch(
                f"Migration {name} was changed after it had been applied to this database. Nothing was changed."
                f" Restore the file as it was released, and put the change in a new migration. {RECREATE}"
            )
    return [step for step in ours.values() if step.version not in applied]


def _apply(connection: psycopg.Connection, step: Migration) -> None:
    with connection.transaction():
        connection.execute(step.text.encode())
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
            [step.version, step.name, step.checksum],
        )
