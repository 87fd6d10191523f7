"""Changes the settings of campaigns. This module does not change statuses, release or send."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from domain.days import UnknownTimeZone, day_of
from domain.editing import REPLANNED, judge_edit
from tables import campaigns, planning, releases
from tables.campaigns import Campaign, NewCampaign
from tables.database import Connection
from tables.server import read_clock
from tables.statements import load

_SQL = load("editing")
_LIMIT = "daily_send_limit"


async def edit(connection: Connection, campaign_id: UUID, changes: Mapping[str, Any]) -> Campaign:
    """Change settings, by their names in NewCampaign. A setting that keeps its value is not a change.

    A new daily limit holds for every release from the commit on. The recipients that are not released get a new plan;
    the first of them at once, and the scheduler plans the others. Raises UnknownCampaign and SettingNotEditable.
    """
    async with connection.transaction():
        if _LIMIT in changes:
            await _lock_today(connection, campaign_id)
        known = await campaigns.lock(connection, campaign_id)
        changed = {name: value for name, value in changes.items() if getattr(known, name) != value}
        judge_edit(known.status, changed)
        if not changed:
            return known
        values = {name: changed.get(name, getattr(known, name)) for name in NewCampaign.__slots__}
        await connection.execute(_SQL["change_settings"], {**values, "id": campaign_id})
        is_replanned = _LIMIT in changed and known.status in REPLANNED
        if is_replanned:
            await planning.request_new_plan(connection, campaign_id)
    if is_replanned:
        await planning.plan_now(connection, campaign_id)
    return await campaigns.read(connection, campaign_id)


async def _lock_today(connection: Connection, campaign_id: UUID) -> None:
    """Lock today's budget: a release that has read the old limit ends first, and the next one reads the new limit.

    It comes before the lock of the campaign, so that a pause does not wait for a release. Nothing is released of a
    campaign with an unknown time zone.
    """
    zone_name = (await campaigns.read(connection, campaign_id)).time_zone
    now = await read_clock(connection)
    with suppress(UnknownTimeZone):
        await releases.lock_day(connection, campaign_id, day_of(now, zone_name))
