"""Campaigns and their recipients: create, add, plan, and change the status. This module does not release or send.

A function that changes a campaign locks its row until the end of the transaction, so that actions on one campaign run
one after the other. Claims and releases never wait for that lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson

from domain.days import day_of
from domain.lifecycle import Action, ActionNotAllowed, CampaignStatus, after
from domain.spreading import Slot, spread
from tables import breakers
from tables.arrays import plain, times
from tables.database import Connection
from tables.statements import load

_SQL = load("campaigns")

PLAN_CHUNK_ROWS = 10_000
"""Recipients planned in one transaction. Far below the statement timeout; a pause waits for one transaction."""
_LOWEST_ID = UUID(int=0)

_STATUS_PLACE = 8
"""Position of the status in a row of the campaign statements."""

PAUSED_BY_OPERATOR = "operator"
"""The pause reason of the API and the command line."""


class UnknownCampaign(LookupError):
    """No campaign has this id."""


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """The values that create a campaign."""

    name: str
    template_name: str
    language_code: str
    daily_send_limit: int | None
    phone_number_id: str
    time_zone: str
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """One row of marketing_campaigns."""

    id: UUID
    name: str
    template_name: str
    language_code: str
    daily_send_limit: int | None
    phone_number_id: str
    time_zone: str
    country: str | None
    status: CampaignStatus
    pause_reason: str | None
    activated_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """A recipient to add. The phone number is normalised to digits."""

    phone_number: str = field(repr=False)
    template_parameters: list[Any] | dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Added:
    """The phone numbers that were added, and those that the campaign had. The others are of people whom it had."""

    added: frozenset[str] = field(repr=False)
    present: frozenset[str] = field(repr=False)


async def create(connection: Connection, new: NewCampaign) -> Campaign:
    """Create a draft."""
    values = {name: getattr(new, name) for name in NewCampaign.__slots__}
    return await _campaign(connection, "create_campaign", values)


async def read(connection: Connection, campaign_id: UUID) -> Campaign:
    """Read one campaign. Raises UnknownCampaign."""
    return await _campaign(connection, "read_campaign", {"id": campaign_id})


async def newest(connection: Connection, limit: int, before: UUID | None = None) -> list[Campaign]:
    """Read a page of campaigns, the newest first."""
    cursor = await connection.execute(_SQL["list_campaigns"], {"limit": limit, "before": before})
    return [_from_row(row) for row in await cursor.fetchall()]


async def active_ids(connection: Connection) -> list[UUID]:
    """The ids of the active campaigns."""
    return [row[0] for row in await (await connection.execute(_SQL["list_active"])).fetchall()]


async def act(
    connection: Connection, campaign_id: UUID, action: Action, now: datetime, reason: str = PAUSED_BY_OPERATOR
) -> Campaign:
    """Change the status by an action, in a transaction. Activation first plans every recipient.

    A resume also lets the open breakers of the campaign's scopes send a probe at once.

    Raises UnknownCampaign, and ActionNotAllowed where the action is not allowed.
    """
    if action is Action.ACTIVATE:
        await _plan_draft(connection, campaign_id, now)
    async with connection.transaction():
        campaign = await _campaign(connection, "lock_campaign", {"id": campaign_id})
        status = after(action, campaign.status)
        last: UUID | None = _LOWEST_ID if action is Action.ACTIVATE else None
        while last is not None:  # Recipients may have been added since _plan_draft.
            last = await _plan_chunk(connection, campaign, now, last)
        pause_reason = reason if status is CampaignStatus.PAUSED else None
        changed = await _change_status(connection, campaign_id, status, pause_reason)
        if action is Action.RESUME:
            await breakers.reset(connection, campaign_id)
        return changed


async def add_recipients(
    connection: Connection, campaign_id: UUID, people: Sequence[NewRecipient], now: datetime
) -> Added:
    """Add recipients, in a transaction. A number or a person that the campaign has already is not added again.

    Recipients of an activated campaign are planned at once. A completed campaign becomes active again.
    Raises UnknownCampaign, and ActionNotAllowed for a cancelled campaign.
    """
    async with connection.transaction():
        campaign = await _campaign(connection, "lock_campaign", {"id": campaign_id})
        if campaign.status is CampaignStatus.CANCELLED:
            raise ActionNotAllowed("the campaign is cancelled: no recipients can be added", campaign.status)
        rows = await _insert(connection, campaign_id, people)
        if campaign.status is not CampaignStatus.DRAFT:
            await _plan(connection, campaign, [row[0] for row in rows], await _planned(connection, campaign, now), now)
        if campaign.status is CampaignStatus.COMPLETED and rows:
            await _change_status(connection, campaign_id, CampaignStatus.ACTIVE, None)
        added = {row[1] for row in rows}
        others = [each.phone_number for each in people if each.phone_number not in added]
        return Added(frozenset(added), await _present(connection, campaign_id, others))


async def _insert(connection: Connection, campaign_id: UUID, people: Sequence[NewRecipient]) -> list[tuple[UUID, str]]:
    parameters = [
        None if each.template_parameters is None else orjson.dumps(each.template_parameters).decode() for each in people
    ]
    values = {
        "campaign": campaign_id,
        "phone_numbers": [each.phone_number for each in people],
        "template_parameters": parameters,
    }
    cursor = await connection.execute(_SQL["add_recipients"], values)
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def _present(connection: Connection, campaign_id: UUID, phone_numbers: Sequence[str]) -> frozenset[str]:
    if not phone_numbers:
        return frozenset()
    values = {"campaign": campaign_id, "phone_numbers": list(phone_numbers)}
    cursor = await connection.execute(_SQL["find_present"], values)
    return frozenset(row[0] for row in await cursor.fetchall())


# ------------------------------------------------------------------------------------------------------------ the plan


async def _plan_draft(connection: Connection, campaign_id: UUID, now: datetime) -> None:
    """Plan a draft before it becomes active, one chunk per transaction. Nothing is released from a draft."""
    last: UUID | None = _LOWEST_ID
    while last is not None:
        async with connection.transaction():
            campaign = await _campaign(connection, "lock_campaign", {"id": campaign_id})
            after(Action.ACTIVATE, campaign.status)
            last = await _plan_chunk(connection, campaign, now, last)


async def _plan_chunk(connection: Connection, campaign: Campaign, now: datetime, after_id: UUID) -> UUID | None:
    """Plan a chunk of recipients without a planned time; returns the last id, or None if there was none."""
    values = {"campaign": campaign.id, "after": after_id, "limit": PLAN_CHUNK_ROWS}
    cursor = await connection.execute(_SQL["find_unplanned"], values)
    ids: list[UUID] = [row[0] for row in await cursor.fetchall()]
    if not ids:
        return None
    await _plan(connection, campaign, ids, await _planned(connection, campaign, now), now)
    return ids[-1]


async def _planned(connection: Connection, campaign: Campaign, now: datetime) -> dict[date, int]:
    """The number of recipients planned or released per day. Overdue recipients count for today."""
    if campaign.daily_send_limit is None:
        return {}
    today = day_of(now, campaign.time_zone).date
    planned: dict[date, int] = {}
    cursor = await connection.execute(_SQL["count_planned"], {"campaign": campaign.id})
    for at, count in await cursor.fetchall():
        day = max(today, day_of(at, campaign.time_zone).date)
        planned[day] = planned.get(day, 0) + count
    cursor = await connection.execute(_SQL["read_day_used"], {"campaign": campaign.id, "day": today})
    for (used,) in await cursor.fetchall():
        planned[today] = planned.get(today, 0) + used
    return planned


async def _plan(
    connection: Connection, campaign: Campaign, ids: Sequence[UUID], planned: Mapping[date, int], now: datetime
) -> None:
    slots = spread(
        len(ids),
        now=now,
        today=day_of(now, campaign.time_zone),
        zone_name=campaign.time_zone,
        daily_limit=campaign.daily_send_limit,
        planned=planned,
    )
    values = {"ids": plain(ids), "times": times(_each(slots))}
    await connection.execute(_SQL["plan_recipients"], values)


def _each(slots: Sequence[Slot]) -> list[datetime]:
    return [slot.at for slot in slots for _ in range(slot.count)]


# ------------------------------------------------------------------------------------------------------------ one row


async def _change_status(
    connection: Connection, campaign_id: UUID, status: CampaignStatus, pause_reason: str | None
) -> Campaign:
    values = {"id": campaign_id, "status": status.value, "pause_reason": pause_reason}
    return await _campaign(connection, "change_status", values)


async def _campaign(connection: Connection, statement: str, values: Mapping[str, object]) -> Campaign:
    row = await (await connection.execute(_SQL[statement], values)).fetchone()
    if row is None:
        raise UnknownCampaign
    return _from_row(row)


def _from_row(row: Sequence[Any]) -> Campaign:
    values = list(row)
    values[_STATUS_PLACE] = CampaignStatus(values[_STATUS_PLACE])
    return Campaign(*values)
