"""Shadow copies of the live tables, on which the statements of the sink run.

They are unlogged tables in a separate schema that is first on the search path of this connection, and they are dropped
at the end. So replay, audit and rebuild use the merge of the sink itself, in bounded memory, without a lock on a live
row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto
from uuid import UUID

from domain.fold import Fold, merge_parked
from domain.parked import Learned
from runtime.settings import Settings
from schemas.events import RecipientEvent
from schemas.model import CampaignId, RecipientId
from sinks.apply import Applied, KnownPhoneNumbers, apply_batch
from tables import messages, shadow
from tables.database import Connection, connect
from tables.recipients import MERGE_SESSION, find_recipients, merge_facts
from tables.shadow_template import ShadowSchema

STATEMENT_TIMEOUT_S = 3600.0


class RowsStart(Enum):
    """The state of a shadow row before any event."""

    NOTHING = auto()
    """Without facts: the row is rebuilt from events alone."""
    AS_IT_IS = auto()
    """A copy of the live row, made when it is first needed."""


class ShadowTables:
    """The shadow tables, and the connection that uses them instead of the live tables."""

    def __init__(self, schema: ShadowSchema, start: RowsStart) -> None:
        self.schema = schema
        self._start = start
        self._numbers = KnownPhoneNumbers()

    @property
    def connection(self) -> Connection:
        """The connection on which table names mean the shadow tables."""
        return self.schema.connection

    async def has_campaign(self, campaign: CampaignId) -> bool:
        """Whether the live table has this campaign."""
        return await shadow.has_campaign(self.schema, campaign)

    async def hold(self, name: str) -> bool:
        """Take the session's lock of this name. Returns False if another session has it."""
        return await shadow.try_name(self.connection, name)

    async def apply(self, events: Sequence[RecipientEvent]) -> Applied:
        """Apply events to the shadow tables, as the sink would."""
        await self._bring_rows(events)
        return await apply_batch(self.connection, events, self._numbers)

    async def _bring_rows(self, events: Sequence[RecipientEvent]) -> None:
        ids: set[UUID] = {event.recipient_id for event in events if event.recipient_id is not None}
        if self._start is RowsStart.AS_IT_IS:
            wamids = sorted({event.wamid for event in events if event.wamid is not None})
            ids |= await shadow.copy_messages(self.schema, wamids)
        if ids:
            await self._add_rows(sorted(ids))

    async def _add_rows(self, ids: Iterable[UUID]) -> None:
        if self._start is RowsStart.AS_IT_IS:
            await shadow.copy_rows(self.schema, ids)
        else:
            await shadow.add_bare_rows(self.schema, ids)

    async def of_campaign(self, events: Sequence[RecipientEvent], campaign: CampaignId | None) -> list[RecipientEvent]:
        """The events that may concern a campaign: their recipient belongs to it, or is not known yet."""
        if campaign is None:
            return list(events)
        ids: set[UUID] = {event.recipient_id for event in events if event.recipient_id is not None}
        campaigns = await shadow.find_campaigns(self.schema, sorted(ids)) if ids else {}
        return [
            event for event in events
            if event.recipient_id is None or campaigns.get(event.recipient_id, event.campaign_id) == campaign
        ]  # fmt: skip

    async def foreign_among(self, events: Sequence[RecipientEvent]) -> set[str]:
        """The phone number ids among these events that are not ours."""
        return await self._numbers.foreign_among(self.connection, events)

    async def adopt(self, events: Sequence[RecipientEvent]) -> None:
        """Assign statuses to recipients that only the live messages table knows, because their acceptance is older."""
        wamids = sorted({event.wamid for event in events if event.recipient_id is None and event.wamid is not None})
        rows = await shadow.find_known_messages(self.schema, wamids) if wamids else []
        if not rows:
            return
        await self._add_rows(sorted({row[1] for row in rows}))
        learned = {wamid: Learned(RecipientId(recipient), attempt) for wamid, recipient, attempt in rows}
        changed = await messages.merge_messages(self.connection, learned)
        folded = Fold(created_at=await find_recipients(self.connection, {RecipientId(row[1]) for row in rows}))
        merge_parked(folded, changed, folded.created_at)
        await merge_facts(self.connection, folded.facts)

    @asynccontextmanager
    async def free_planning(self) -> AsyncIterator[None]:
        """A transaction for statements that read whole tables, with joins allowed."""
        async with self.connection.transaction():
            await shadow.allow_joins(self.schema)
            yield


@asynccontextmanager
async def shadow_tables(settings: Settings, start: RowsStart, purpose: str) -> AsyncIterator[ShadowTables]:
    """Create shadow tables and drop them at the end. Tables that a killed process left behind are dropped, too."""
    connection = await connect(
        settings.database_url.get_secret_value(), application_name=f"campaigns-{purpose}",
        statement_timeout_s=STATEMENT_TIMEOUT_S, session=MERGE_SESSION,
    )  # fmt: skip
    async with connection:
        await shadow.drop_left_behind(connection)
        live, name = await shadow.reserve(connection)
        schema = ShadowSchema(connection, live)
        try:
            await shadow.create(schema, name)
            yield ShadowTables(schema, start)
        finally:
            if not connection.closed:
                await shadow.drop(connection, name)
