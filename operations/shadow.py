"""Tables beside the live ones, on which the sink's own statements run: what events WOULD make of rows.

They stand in a schema of their own that comes first on this connection's search path, unlogged, and are dropped at the
end. So replay, audit and rebuild use the very merge of the sink, in bounded memory, and never touch or lock a live row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

from psycopg import sql

from domain.fold import Fold, merge_parked
from domain.parked import Learned
from runtime.settings import Settings
from schemas.events import RecipientEvent
from schemas.model import CampaignId, RecipientId
from sinks.apply import Applied, KnownPhoneNumbers, apply_by_halves, apply_events, is_caused_by_events
from tables import messages
from tables.arrays import plain
from tables.database import Connection, connect
from tables.recipients import COLUMNS, MERGE_SESSION, find_recipients, merge_facts
from tables.statements import load

STATEMENT_TIMEOUT_S = 3600.0
MEANINGS = ("status", "next_attempt_at", "retry_count", "failure_reason")
SHOWN = (*COLUMNS, *MEANINGS)
"""What is compared and shown of a row: its facts, and what they mean."""
_NEVER_NULL = frozenset({"attempt", "accepted_attempts", "failed_attempts", "held_back_attempts", "held_for_quality"})
_RAISED = {
    "attempt": "raised.attempt", "status": "meant", "next_attempt_at": "meant_at",
    "failure_reason": "CASE WHEN meant = 'skipped' THEN r.skip_reason ELSE r.failure_text END",
}  # fmt: skip
"""What a row means with another attempt than its own; the names are those of `find_differences`."""

_SQL = load("replay")


class Start(Enum):
    """What a row holds here before any event."""

    NOTHING = "add_bare_rows"
    """Rebuilt from the events alone."""
    AS_IT_IS = "copy_rows"
    """As the live row, copied when it is first needed."""


def statement(name: str, live: str, **more: sql.Composable) -> sql.Composed:
    """A statement of replay.sql with the live schema and the lists of columns in it."""
    rest = [name for name in COLUMNS if name != "attempt"]
    lists = {
        "facts": _columns(COLUMNS), "r_facts": _columns(COLUMNS, "r"), "b_facts": _columns(COLUMNS, "b"),
        "r_shown": _columns(SHOWN, "r"), "b_shown": _columns(SHOWN, "b"), "live_shown": _columns(SHOWN, "l"),
        "r_rest": _columns(rest, "r"), "live_rest": _columns(rest, "l"),
        "swap": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(each), sql.Identifier("r", each)) for each in rest),
        "may_be_null": _columns(name for name in COLUMNS if name not in _NEVER_NULL),
        "r_raised": sql.SQL(", ").join(
            sql.SQL(_RAISED[each]) if each in _RAISED else sql.Identifier("r", each) for each in SHOWN),
        "is_released": sql.SQL(_SQL["is_released"]),
    }  # fmt: skip
    return sql.SQL(_SQL[name]).format(live=sql.Identifier(live), **lists, **more)


def _columns(names: Iterable[str], table: str | None = None) -> sql.Composed:
    parts = [sql.Identifier(name) if table is None else sql.Identifier(table, name) for name in names]
    return sql.SQL(", ").join(parts)


class ShadowTables:
    """The tables and the connection that sees them first."""

    def __init__(self, connection: Connection, live: str, start: Start) -> None:
        self.connection = connection
        self._live = live
        self._start = start
        self._numbers = KnownPhoneNumbers()

    async def run(self, name: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement of replay.sql here."""
        cursor = await self.connection.execute(statement(name, self._live), values or {})
        return await cursor.fetchall() if cursor.description else []

    async def has_campaign(self, campaign: CampaignId) -> bool:
        """Whether the live table has this campaign."""
        return bool((await self.run("find_campaign", {"campaign": campaign}))[0][0])

    async def hold(self, name: str) -> bool:
        """Take the session's lock of this name. Returns False if another session has it."""
        return bool((await self.run("hold_side", {"name": name}))[0][0])

    async def apply(self, events: Sequence[RecipientEvent]) -> Applied:
        """Apply events here as the sink would. Opens no transaction of its own where none is needed."""
        await self._bring_rows(events)
        try:
            async with self.connection.transaction():
                return await apply_events(self.connection, events, self._numbers)
        except Exception as error:
            if not is_caused_by_events(error):
                raise
        return await apply_by_halves(self.connection, events, self._numbers)

    async def _bring_rows(self, events: Sequence[RecipientEvent]) -> None:
        ids: set[UUID] = {event.recipient_id for event in events if event.recipient_id is not None}
        if self._start is Start.AS_IT_IS:
            wamids = sorted({event.wamid for event in events if event.wamid is not None})
            ids |= {row[0] for row in await self.run("copy_messages", {"wamids": wamids})}
        if ids:
            await self.run(self._start.value, {"ids": plain(sorted(ids))})

    async def of_campaign(self, events: Sequence[RecipientEvent], campaign: CampaignId | None) -> list[RecipientEvent]:
        """Those that may concern a campaign: whose recipient is of it, whatever they say, or is not known yet."""
        if campaign is None:
            return list(events)
        ids: set[UUID] = {event.recipient_id for event in events if event.recipient_id is not None}
        whose = dict(await self.run("find_campaigns", {"ids": plain(sorted(ids))})) if ids else {}
        return [
            event for event in events
            if event.recipient_id is None or whose.get(event.recipient_id, event.campaign_id) == campaign
        ]  # fmt: skip

    async def foreign_among(self, events: Sequence[RecipientEvent]) -> set[str]:
        """The numbers of these events that are not ours."""
        return await self._numbers.foreign_among(self.connection, events)

    async def adopt(self, events: Sequence[RecipientEvent]) -> None:
        """Give these statuses to recipients whom only the live table of messages knows: their acceptance is older."""
        wamids = sorted({event.wamid for event in events if event.recipient_id is None and event.wamid is not None})
        rows = await self.run("find_known_messages", {"wamids": wamids}) if wamids else []
        if not rows:
            return
        await self.run(self._start.value, {"ids": plain(sorted({row[1] for row in rows}))})
        learned = {wamid: Learned(RecipientId(recipient), attempt) for wamid, recipient, attempt in rows}
        changed = await messages.merge_messages(self.connection, learned)
        folded = Fold(created_at=await find_recipients(self.connection, {RecipientId(row[1]) for row in rows}))
        merge_parked(folded, changed, folded.created_at)
        await merge_facts(self.connection, folded.facts)

    @asynccontextmanager
    async def free_planning(self) -> AsyncIterator[None]:
        """A transaction for statements over whole tables."""
        async with self.connection.transaction():
            await self.run("allow_joins")
            yield


@asynccontextmanager
async def shadow_tables(settings: Settings, start: Start, purpose: str) -> AsyncIterator[ShadowTables]:
    """Make the tables, and drop them at the end; what others left behind is dropped, too."""
    connection = await connect(
        settings.database_url.get_secret_value(), application_name=f"campaigns-{purpose}",
        statement_timeout_s=STATEMENT_TIMEOUT_S, session=MERGE_SESSION,
    )  # fmt: skip
    async with connection:
        await _drop_left_behind(connection)
        live = await _one(connection, "SELECT current_schema()")
        name = f"campaigns_side_{uuid4().hex[:16]}"
        await connection.execute(_SQL["hold_side"], {"name": name})
        try:
            await connection.execute(
                statement(
                    "create_side",
                    live,
                    side=sql.Identifier(name),
                    side_name=sql.Literal(name),
                    live_name=sql.Literal(live),
                )
            )
            await connection.execute(
                sql.SQL("SET search_path TO {}, {}").format(sql.Identifier(name), sql.Identifier(live))
            )
            yield ShadowTables(connection, live, start)
        finally:
            if not connection.closed:
                await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


async def _drop_left_behind(connection: Connection) -> None:
    for (name,) in await (await connection.execute(_SQL["list_sides"])).fetchall():
        if await _one(connection, _SQL["hold_side"], {"name": name}):
            await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
            await connection.execute(_SQL["free_side"], {"name": name})


async def _one(connection: Connection, query: Any, values: Mapping[str, Any] | None = None) -> Any:
    row = await (await connection.execute(query, values)).fetchone()
    assert row is not None, "it always answers with a row"
    return row[0]
