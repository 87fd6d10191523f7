"""Changes the settings of campaigns. This module does not change statuses, release or send."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from domain.days import UnknownTimeZone, day_of
from domain.editing import OPENED_BY, PLANNED_BY, REPLANNED, WINDOW, judge_edit
from domain.exclusions import InvalidExclusion
from tables import campaigns, planning, releases
from tables.campaigns import Campaign, NewCampaign
from tables.database import Connection
from tables.server import read_clock
from tables.statements import load

_SQL = load("editing")
_RELEASED_BY = PLANNED_BY | WINDOW
"""The settings that a release reads under the lock of the day."""


async def edit(connection: Connection, campaign_id: UUID, changes: Mapping[str, Any]) -> Campaign:
    """Change settings, by their names in NewCampaign. A setting that keeps its value is not a change.

    A new daily limit, window or start holds for every release from the commit on. With a new limit or start, the
    recipients that are not released get a new plan; the first of them at once, and the scheduler plans the others. With
    a new window or start, what is released and not posted expires, and is released again in the new window.
    Raises UnknownCampaign, SettingNotEditable, InvalidWindow and InvalidExclusion.
    """
    async with connection.transaction():
        if changes.keys() & _RELEASED_BY:
            await _lock_today(connection, campaign_id)
        known = await campaigns.lock(connection, campaign_id)
        changed = {name: value for name, value in changes.items() if getattr(known, name) != value}
        judge_edit(known.status, changed)
        if campaign_id in changed.get("exclude_campaigns", ()):
            raise InvalidExclusion("A campaign cannot exclude its own recipients.")
        if not changed:
            return known
        values = {name: changed.get(name, getattr(known, name)) for name in NewCampaign.__slots__}
        if changed.keys() & OPENED_BY:
            await campaigns.require_opening(connection, values)
        await connection.execute(_SQL["change_settings"], {**campaigns.stored_settings(values), "id": campaign_id})
        if changed.keys() & WINDOW:
            await connection.execute(_SQL["expire_released"], {"id": campaign_id})
        is_replanned = bool(changed.keys() & PLANNED_BY) and known.status in REPLANNED
        if is_replanned:
            await planning.request_new_plan(connection, campaign_id)
    if is_replanned:
        await planning.plan_now(connection, campaign_id)
    return await campaigns.read(connection, campaign_id)


async def _lock_today(connection: Connection, campaign_id: UUID) -> None:
    """Lock today's budget: a release that has read the old settings ends first, and the next one reads the new ones.

    It comes before the lock of the campaign, so that a pause does not wait for a release. Nothing is released of a
    campaign with an unknown time zone.
    """
    zone_name = (await campaigns.read(connection, campaign_id)).time_zone
    now = await read_clock(connection)
    with suppress(UnknownTimeZone):
        await releases.lock_day(connection, campaign_id, day_of(now, zone_name))
