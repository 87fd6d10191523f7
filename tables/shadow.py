"""Shadow tables: copies of the live tables in a schema of their own, on which the sink's statements run.

The shadow schema comes first on the search path of its connection, so a statement without a schema name reads and
writes the shadow tables. The tables are unlogged, and their schema is dropped at the end. Its creator holds an advisory
lock of the schema's name, so a schema whose lock is free was left behind by a process that died.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID, uuid4

from psycopg import sql

from schemas.model import CampaignId
from tables.arrays import plain
from tables.database import Connection
from tables.shadow_template import ShadowSchema, run
from tables.statements import load

_SQL = load("shadow")


async def reserve(connection: Connection) -> tuple[str, str]:
    """Choose a name for a shadow schema and lock it; returns the names of the live and of the shadow schema."""
    rows = await (await connection.execute(_SQL["read_current_schema"])).fetchall()
    live: str = rows[0][0]
    name = f"campaigns_side_{uuid4().hex[:16]}"
    await try_name(connection, name)
    return live, name


async def create(schema: ShadowSchema, name: str) -> None:
    """Create the shadow tables, and put their schema first on the search path of this connection."""
    shadow = sql.Identifier(name)
    await run(
        schema, _SQL["create_shadow"],
        shadow=shadow, shadow_name=sql.Literal(name), live_name=sql.Literal(schema.live),
    )  # fmt: skip
    await run(schema, _SQL["see_shadow_first"], shadow=shadow)


async def drop(connection: Connection, name: str) -> None:
    """Drop a shadow schema."""
    await connection.execute(sql.SQL(_SQL["drop_shadow"]).format(shadow=sql.Identifier(name)))


async def drop_left_behind(connection: Connection) -> None:
    """Drop the shadow schemas of processes that died."""
    for (name,) in await (await connection.execute(_SQL["list_shadows"])).fetchall():
        if await try_name(connection, name):
            await drop(connection, name)
            await connection.execute(_SQL["unlock_name"], {"name": name})


async def try_name(connection: Connection, name: str) -> bool:
    """Take the session lock of a shadow schema's name or of a replay run's id. False: another session holds it."""
    row = await (await connection.execute(_SQL["lock_name"], {"name": name})).fetchone()
    return row is not None and bool(row[0])


async def allow_joins(schema: ShadowSchema) -> None:
    """Permit every kind of join until the end of the transaction."""
    await run(schema, _SQL["allow_joins"])


async def copy_messages(schema: ShadowSchema, wamids: Collection[str]) -> set[UUID]:
    """Copy live messages that are not in the shadow table yet; returns their recipients."""
    return {row[0] for row in await run(schema, _SQL["copy_messages"], {"wamids": list(wamids)})}


async def copy_rows(schema: ShadowSchema, ids: Iterable[UUID]) -> None:
    """Copy live rows that are not in the shadow table yet, and keep a second copy of each as it was before."""
    await run(schema, _SQL["copy_rows"], {"ids": plain(ids)})


async def add_bare_rows(schema: ShadowSchema, ids: Iterable[UUID]) -> None:
    """Add live rows that are not in the shadow table yet, without their facts."""
    await run(schema, _SQL["add_bare_rows"], {"ids": plain(ids)})


async def add_missing_rows(schema: ShadowSchema, campaign: CampaignId | None) -> None:
    """Add every live row that has facts and is not in the shadow table yet, without its facts."""
    await run(schema, _SQL["add_missing_rows"], {"campaign": campaign})


async def find_campaigns(schema: ShadowSchema, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The campaigns of those recipients that have a live row."""
    return dict(await run(schema, _SQL["find_campaigns"], {"ids": plain(ids)}))


async def has_campaign(schema: ShadowSchema, campaign: CampaignId) -> bool:
    """Whether the live table has this campaign."""
    return bool((await run(schema, _SQL["find_campaign"], {"campaign": campaign}))[0][0])


async def find_known_messages(schema: ShadowSchema, wamids: Collection[str]) -> list[tuple[str, UUID, int]]:
    """Messages that have no recipient in the shadow table, but one in the live table: wamid, recipient, attempt."""
    rows = await run(schema, _SQL["find_known_messages"], {"wamids": list(wamids)})
    return [(row[0], row[1], row[2]) for row in rows]


async def find_claimants(schema: ShadowSchema, wamids: Collection[str]) -> dict[str | None, UUID | None]:
    """The campaigns of messages in the shadow table; None for a message without a recipient."""
    return dict(await run(schema, _SQL["find_claimants"], {"wamids": list(wamids)}))


async def find_wamids(schema: ShadowSchema, ids: Iterable[UUID]) -> dict[str, UUID]:
    """The wamids of these recipients in the shadow table, each with its recipient."""
    return dict(await run(schema, _SQL["find_wamids"], {"ids": plain(ids)}))
