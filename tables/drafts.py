"""Deletes drafts, and clones campaigns into new drafts. A draft sends nothing, so no release waits for this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.lifecycle import ActionNotAllowed, CampaignStatus
from tables import campaigns
from tables.campaigns import Campaign, NewCampaign, UnknownCampaign
from tables.database import Connection
from tables.release_memory import FIRST_ID
from tables.statements import load

_SQL = load("drafts")

CHUNK_ROWS = 10_000
"""Recipients of one statement, far below the statement timeout."""
CLONED_MAX = 100_000
"""Most recipients that one clone copies: several seconds in one transaction."""


class TooManyToClone(ActionNotAllowed):
    """The campaign has more recipients than one clone copies; nothing was changed."""

    def __init__(self, status: CampaignStatus) -> None:
        super().__init__(
            f"the campaign has more than {CLONED_MAX:,} recipients, and one clone copies at most that many: "
            "clone it without recipients, and add them in parts",
            status,
        )


async def delete(connection: Connection, campaign_id: UUID) -> None:
    """Delete a draft with its recipients and counters, in one transaction.

    Raises UnknownCampaign, and ActionNotAllowed for a campaign that is no draft.
    """
    async with connection.transaction():
        row = await (await connection.execute(_SQL["lock_draft"], {"id": campaign_id})).fetchone()
        if row is None:
            raise UnknownCampaign
        status = CampaignStatus(row[0])
        if row[1]:
            raise ActionNotAllowed(
                "the campaign has adopted the recipients of another table: what was sent to them stays on record",
                status,
            )
        if status is not CampaignStatus.DRAFT:
            raise ActionNotAllowed(
                f"the campaign is {status}: only a draft can be deleted. What was sent stays on record", status
            )
        await _in_chunks(connection, "delete_recipients", {"campaign": campaign_id})
        for statement in ("delete_deltas", "delete_counters", "delete_campaign"):
            await connection.execute(_SQL[statement], {"campaign": campaign_id})


async def clone(
    connection: Connection, campaign_id: UUID, name: str | None = None, *, with_recipients: bool
) -> Campaign:
    """Create a draft with the settings of a campaign, and with its recipients if wanted, in one transaction.

    It has no start time: that of the campaign is over, or it is the campaign's own.

    Raises UnknownCampaign and TooManyToClone.
    """
    async with connection.transaction():
        source = await campaigns.read(connection, campaign_id)
        settings = {each: getattr(source, each) for each in NewCampaign.__slots__}
        new = NewCampaign(**{**settings, "name": name or source.name, "start_at": None})
        created = await campaigns.create(connection, new)
        if with_recipients:
            copied = await _in_chunks(
                connection, "clone_recipients", {"campaign": campaign_id, "clone": created.id}, CLONED_MAX
            )
            if copied > CLONED_MAX:
                raise TooManyToClone(source.status)
    return created


async def _in_chunks(
    connection: Connection, statement: str, values: Mapping[str, Any], enough: int | None = None
) -> int:
    """Run a statement chunk by chunk over all recipients, or until it has passed `enough`; returns their number."""
    total, after = 0, FIRST_ID
    while enough is None or total <= enough:
        cursor = await connection.execute(_SQL[statement], {**values, "after": after, "limit": CHUNK_ROWS})
        row = await cursor.fetchone()
        assert row is not None
        total += row[0]
        if row[0] < CHUNK_ROWS:
            break
        after = row[1]
    return total
