"""Notes edited templates at the campaigns that send with them, and what their comparison showed.

The rule is in `domain.template_edits`. An edit from before the last start of a campaign is not noted: the person who
started it could know the template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.template_edits import EditVerdict
from schemas.control import ControlEvent
from tables.arrays import text, times
from tables.database import Connection
from tables.statements import load

_SQL = load("template_edits")

EDITS_MAX = 100
"""Most campaigns of one round."""


@dataclass(frozen=True, slots=True)
class EditedCampaign:
    """An active campaign whose template was edited and is not compared with its recipients yet."""

    id: UUID
    template_name: str
    language_code: str
    endpoint: str | None
    edited_at: datetime


async def note(connection: Connection, edits: Sequence[ControlEvent]) -> None:
    """Note the latest edits at the active campaigns that they are about. Repeating it changes nothing."""
    if edits:
        values = {"keys": text(each.key for each in edits), "times": times(each.occurred_at for each in edits)}
        await connection.execute(_SQL["note"], values)


async def read_uncompared(connection: Connection) -> list[EditedCampaign]:
    """The campaigns to compare, the earliest edit first."""
    rows = await (await connection.execute(_SQL["read_uncompared"], {"limit": EDITS_MAX})).fetchall()
    return [EditedCampaign(*row) for row in rows]


async def settle(connection: Connection, campaign: EditedCampaign, verdict: EditVerdict) -> bool:
    """Store the verdict on an edit, and pause the campaign if it has a reason.

    False: the campaign is not active any more, was started again, or has a later edit, so nothing was changed.
    """
    values = {
        "campaign": campaign.id,
        "edited_at": campaign.edited_at,
        "fit": verdict.fit.value,
        "reason": verdict.reason,
    }
    return (await (await connection.execute(_SQL["settle"], values)).fetchone()) is not None
