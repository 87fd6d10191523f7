"""Reads what the list and the page of a campaign show, and reports it to the board. Nothing here counts rows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from api.pages.board import Board, KnownCampaign
from api.pages.views import STATUS_WORDS
from domain.lifecycle import CampaignStatus
from schemas.model import CampaignId
from tables import breakers, campaigns, canaries, stats
from tables.campaigns import Campaign
from tables.database import Connection

GROUP_MAX = 50
"""Most campaigns of one status on the list. Older ones are on further pages."""


async def read_list(connection: Connection, board: Board) -> list[KnownCampaign]:
    """The newest campaigns of each status, and one more than a group has if there are older ones."""
    found = await campaigns.newest_by_status(connection, list(STATUS_WORDS), GROUP_MAX + 1)
    known = await report(connection, board, found)
    board.arrange([(each.campaign.status, each.campaign.id) for each in known])
    return known


async def read_older(
    connection: Connection, board: Board, status: CampaignStatus, before: UUID | None
) -> list[KnownCampaign]:
    """Campaigns of one status that are older than one of it."""
    return await report(
        connection, board, await campaigns.newest_by_status(connection, [status], GROUP_MAX + 1, before)
    )


async def read_campaign(connection: Connection, board: Board, campaign_id: UUID) -> KnownCampaign:
    """One campaign. Raises UnknownCampaign."""
    [known] = await report(connection, board, [await campaigns.read(connection, campaign_id)])
    return known


async def report(connection: Connection, board: Board, found: Sequence[Campaign]) -> list[KnownCampaign]:
    """Read the figures of these campaigns, report them, and return what is known of each then."""
    ids = [each.id for each in found]
    progress = await stats.read(connection, [CampaignId(each) for each in ids])
    held = await breakers.holding(connection, ids)
    limited = await canaries.limiting(connection, ids)
    return [
        board.report(each, progress[CampaignId(each.id)], held.get(each.id, ()), limited.get(each.id))
        for each in found
        if each.id in progress  # a draft may have been deleted between the statements
    ]
