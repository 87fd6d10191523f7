"""The schema that this version needs, and the check of a database against it.

The first connection of each process and command compares the numbers of the applied migrations with those of this
version. Later connections do not: a running process must survive the migration that precedes its own replacement.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from psycopg import AsyncConnection, errors

from runtime.settings import InvalidSettings

FOLDER: Traversable = files("tables").joinpath("migrations")
_APPLIED = "SELECT version FROM schema_migrations"


class WrongSchema(InvalidSettings):
    """The database has the schema of another version. Nothing was read or written."""


@cache
def needed_versions() -> frozenset[int]:
    """The numbers of all migrations of this version."""
    return frozenset(int(path.name[:4]) for path in FOLDER.iterdir() if path.name.endswith(".sql"))


async def require_schema(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Raise WrongSchema unless exactly the migrations of this version are applied."""
    try:
        rows = await (await connection.execute(_APPLIED)).fetchall()
    except errors.UndefinedTable:
        raise WrongSchema("the database has no schema yet: run `campaigns db migrate`") from None
    judge({int(str(version)) for (version,) in rows})


def judge(applied: set[int], needed: frozenset[int] | None = None) -> None:
    """Raise WrongSchema if the applied migrations are not those that are needed."""
    needed = needed_versions() if needed is None else needed
    if newer := applied - needed:
        raise WrongSchema(
            f"the database has the schema of a newer version (migration {max(newer):04}; this version knows "
            f"{max(needed):04}): run the newer version, or restore the database from before its migration"
        )
    if missing := needed - applied:
        raise WrongSchema(
            f"the database has the schema of an older version ({len(missing)} migrations are missing, the first is "
            f"{min(missing):04}): run `campaigns db migrate`"
        )
