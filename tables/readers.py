"""Roles that read the reports and nothing else: for a dashboard or an analyst.

No report contains a whole phone number, and such a role has no right on a table. Its queries are limited in time and
number, because each of them holds back the cleaning of old row versions.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from tables.database import Connection
from tables.statements import load

_SQL = load("readers")

REPORTS = (
    "report_campaigns", "report_failures", "report_skips", "report_prices", "report_timeline", "report_recipients",
)  # fmt: skip
"""The views that it reads."""
PASSWORD_CHARACTERS_MIN = 16
_STEPS = (
    "limit_role", "end_long_queries", "end_idle_transactions", "only_read", "revoke_tables", "use_schema",
    "grant_reports",
)  # fmt: skip


class ReaderRefused(ValueError):
    """The role cannot be made or changed. The text says what to do."""


async def role_exists(connection: Connection, role: str) -> bool:
    """Whether there is such a role. Raises ReaderRefused for one that may do more than read the reports."""
    row = await (await connection.execute(_SQL["find_role"], {"role": role})).fetchone()
    if row is not None and row[0]:
        raise ReaderRefused(
            f"{role} owns tables, is a member of another role, or is the role of this command. Name another role."
        )
    return row is not None


async def make_reader(connection: Connection, role: str, password: str) -> None:
    """Create the role, or give it this password and exactly these rights, in one transaction.

    Postgres gets a verifier of the password (SCRAM), so the password is in no log. Raises ReaderRefused.
    """
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise ReaderRefused(f"The password of a reader needs {PASSWORD_CHARACTERS_MIN} characters.")
    if password == connection.info.password:
        raise ReaderRefused("The reader needs a password of its own. This is the one of the owner of the database.")
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    try:
        async with connection.transaction():
            steps = _STEPS if await role_exists(connection, role) else ("create_role", *_STEPS)
            schema = await (await connection.execute("SELECT current_schema")).fetchone()
            assert schema is not None
            values = {
                "role": sql.Identifier(role),
                "password": sql.Literal(verifier),
                "schema": sql.Identifier(schema[0]),
                "reports": sql.SQL(", ").join(map(sql.Identifier, REPORTS)),
            }
            for step in steps:
                await connection.execute(sql.SQL(_SQL[step]).format(**values))
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReaderRefused(
            f"The owner of the database may not create roles: {error.diag.message_primary}. Ask the administrator of "
            "the server for the right CREATEROLE, or to run the statements of docs/dashboards.md."
        ) from None
