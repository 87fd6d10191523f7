"""Campaigns and their recipients: create, add, and change the status. This module does not release or send.

A function that changes a campaign locks its row until the end of the transaction, so that actions on one campaign run
one after the other. Claims, releases and plans never wait for that lock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import ForeignKeyViolation, UniqueViolation

from domain import windows
from domain.canary import CanarySize
from domain.exclusions import ExcludedRecipients
from domain.lifecycle import Action, ActionNotAllowed, CampaignStatus, after
from domain.shares import ShareLimits
from domain.template_edits import TemplateFit
from domain.windows import WEEK, Hours, SendingWindow, WindowZone, make_window
from tables import breakers, canaries, new_recipients, planning
from tables.database import Connection
from tables.new_recipients import NewRecipient, RecipientBatch, batch_of
from tables.server import read_clock
from tables.statements import load
from tables.turns import OutOfTurn, Turn

_SQL = load("campaigns")

_DAYS_PLACE, _EXCLUDED_PLACE, _STATUS_PLACE, _FIT_PLACE = 8, 27, 30, 38
"""Positions of the days of the window, the excluded campaigns, the status and the fit of the template in a row of the
campaign statements."""

Insert = Callable[[], Awaitable[list[str]]]
"""Inserts recipients, and returns the names of those that the campaign has."""

PAUSED_BY_OPERATOR = "operator"
"""The pause reason of the API and the command line."""


WINDOW_SETTINGS = ("window_days", "window_from", "window_to", "quiet_from", "quiet_to")
"""The settings that make a window."""
STALE_AFTER_HOURS = 24
CANARY_WAIT_MINUTES = 10
CAP_WAIT_DAYS = 7
FIRST, LIMITS = CanarySize(), ShareLimits()
"""The usual size of a canary, and the usual limits."""


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
    window_days: tuple[str, ...] = WEEK
    window_from: str = "00:00"
    window_to: str = "24:00"
    window_zone: str = WindowZone.CAMPAIGN
    quiet_from: str | None = None
    quiet_to: str | None = None
    start_at: datetime | None = None
    stale_after_hours: int | None = STALE_AFTER_HOURS
    canary: bool = True
    canary_percent: float = FIRST.percent
    canary_min: int = FIRST.least
    canary_max: int = FIRST.most
    canary_wait_minutes: int = CANARY_WAIT_MINUTES
    failure_limit_percent: float = LIMITS.failed
    opt_out_limit_percent: float = LIMITS.opted_out
    block_limit_percent: float = LIMITS.blocked
    unknown_limit_percent: float = LIMITS.unknown
    frequency_capped: bool = True
    cap_wait_days: int = CAP_WAIT_DAYS
    exclude_campaigns: tuple[UUID, ...] = ()
    exclude_recipients: str = ExcludedRecipients.SENT
    endpoint: str | None = None


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
    window_days: tuple[str, ...]
    window_from: str
    window_to: str
    window_zone: str
    quiet_from: str | None
    quiet_to: str | None
    start_at: datetime | None
    stale_after_hours: int | None
    canary: bool
    canary_percent: float
    canary_min: int
    canary_max: int
    canary_wait_minutes: int
    failure_limit_percent: float
    opt_out_limit_percent: float
    block_limit_percent: float
    unknown_limit_percent: float
    frequency_capped: bool
    cap_wait_days: int
    exclude_campaigns: tuple[UUID, ...]
    exclude_recipients: str
    endpoint: str | None
    """Where its messages are posted; None: as the settings say."""
    status: CampaignStatus
    pause_reason: str | None
    activated_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    planning: bool
    """The scheduler still plans recipients in the background."""
    template_edited_at: datetime | None = None
    """When Meta last reported that the template was edited while the campaign was active."""
    template_fit: TemplateFit | None = None
    """Whether the parameters fit the edited template. None: it was not edited, or they are not compared yet."""


@dataclass(frozen=True, slots=True)
class NotAdded:
    """The names of recipients that were not added, because the campaign has them or their people."""

    present: frozenset[str] = field(repr=False)
    """Names that the campaign has."""
    other_spellings: frozenset[str] = field(repr=False)
    """Names of people that the campaign has under another name."""

    def __contains__(self, name: str) -> bool:
        """Whether the recipient of this name was not added."""
        return name in self.present or name in self.other_spellings

    def __bool__(self) -> bool:
        """Whether there is such a recipient."""
        return bool(self.present or self.other_spellings)


def stored_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their names in NewCampaign, as parameters of a statement. Raises InvalidWindow."""
    window_of(settings)
    return {
        **settings,
        "window_days": list(map(str, settings["window_days"])),
        "window_zone": str(settings["window_zone"]),
        "exclude_campaigns": list(settings["exclude_campaigns"]),
        "exclude_recipients": str(settings["exclude_recipients"]),
    }


def window_of(settings: Mapping[str, Any]) -> SendingWindow:
    """The window of settings with the names of NewCampaign. Raises InvalidWindow."""
    days, opens, closes, quiet_from, quiet_to = (settings[name] for name in WINDOW_SETTINGS)
    return make_window(days, opens, closes, quiet_from, quiet_to)


async def require_opening(connection: Connection, settings: Mapping[str, Any]) -> None:
    """Refuse a window that never opens for the campaign's country. `settings`: of NewCampaign. Raises InvalidWindow."""
    hours = Hours(window_of(settings), WindowZone(settings["window_zone"]), settings["time_zone"])
    windows.require_opening(hours, settings["country"], await read_clock(connection))


async def create(connection: Connection, new: NewCampaign) -> Campaign:
    """Create a draft. Raises InvalidWindow."""
    settings = {name: getattr(new, name) for name in NewCampaign.__slots__}
    await require_opening(connection, settings)
    return await _campaign(connection, "create_campaign", stored_settings(settings))


async def read(connection: Connection, campaign_id: UUID) -> Campaign:
    """Read one campaign. Raises UnknownCampaign."""
    return await _campaign(connection, "read_campaign", {"id": campaign_id})


async def lock(connection: Connection, campaign_id: UUID) -> Campaign:
    """Read one campaign, and lock it against other writers until the end of the transaction. Raises UnknownCampaign."""
    return await _campaign(connection, "lock_campaign", {"id": campaign_id})


async def newest(connection: Connection, limit: int, before: UUID | None = None) -> list[Campaign]:
    """Read a page of campaigns, the newest first."""
    cursor = await connection.execute(_SQL["list_campaigns"], {"limit": limit, "before": before})
    return [_from_row(row) for row in await cursor.fetchall()]


async def read_some(connection: Connection, ids: Sequence[UUID]) -> list[Campaign]:
    """Read these campaigns. Those that do not exist are missing."""
    cursor = await connection.execute(_SQL["read_campaigns"], {"ids": list(ids)})
    return [_from_row(row) for row in await cursor.fetchall()]


async def newest_by_status(
    connection: Connection, statuses: Sequence[CampaignStatus], limit: int, before: UUID | None = None
) -> list[Campaign]:
    """Read the newest campaigns of each of these statuses, in the order of the statuses."""
    values = {"statuses": [each.value for each in statuses], "limit": limit, "before": before}
    return [_from_row(row) for row in await (await connection.execute(_SQL["list_by_status"], values)).fetchall()]


async def active_ids(connection: Connection) -> list[UUID]:
    """The ids of the active campaigns."""
    return [row[0] for row in await (await connection.execute(_SQL["list_active"])).fetchall()]


async def act(connection: Connection, campaign_id: UUID, action: Action, reason: str = PAUSED_BY_OPERATOR) -> Campaign:
    """Change the status by an action. An activation also plans the first recipients; the scheduler plans the rest.

    A resume also lets the open breakers of the campaign's scopes send a probe at once. An activation begins a canary,
    and so does a resume after the figures had stopped the campaign.

    Raises UnknownCampaign, ActionNotAllowed where the action is not allowed, and EmptyCampaign for an activation
    without recipients.
    """
    async with connection.transaction():
        campaign = await lock(connection, campaign_id)
        is_empty = action is Action.ACTIVATE and await _is_empty(connection, campaign_id)
        status = after(action, campaign.status, is_empty=is_empty)
        pause_reason = reason if status is CampaignStatus.PAUSED else None
        changed = await _change_status(connection, campaign_id, status, pause_reason)
        if action is Action.ACTIVATE:
            await planning.request(connection, campaign_id)
            await canaries.begin(connection, campaign_id)
        if action is Action.RESUME:
            await breakers.reset(connection, campaign_id)
            await canaries.begin_again(connection, campaign_id)
    if action is not Action.ACTIVATE:
        return changed
    await planning.plan_now(connection, campaign_id)
    return await read(connection, campaign_id)


async def add_recipients(connection: Connection, campaign_id: UUID, people: Sequence[NewRecipient]) -> NotAdded:
    """Add recipients, in a transaction. A number or a person that the campaign has already is not added again.

    Recipients of an activated campaign are planned at once. A completed campaign becomes active again. The campaign is
    locked only after the recipients are inserted, so that a pause does not wait for them.
    Raises UnknownCampaign, and ActionNotAllowed for a cancelled campaign.
    """
    return await add_batch(connection, campaign_id, batch_of(people))


async def add_batch(
    connection: Connection, campaign_id: UUID, batch: RecipientBatch, turn: Turn | None = None
) -> NotAdded:
    """The same for recipients that are ready. They are committed in their turn, and the caller ends it."""
    turn = turn or Turn()

    async def insert_sooner() -> list[str]:
        names = await new_recipients.insert_sooner(connection, campaign_id, batch, turn)
        await turn.comes_soon()
        return names

    try:
        return await _add(connection, campaign_id, batch, insert_sooner)
    except (UniqueViolation, OutOfTurn):  # another client has just added one of them, or the batch has one twice
        await turn.comes()
        return await _add(
            connection, campaign_id, batch, lambda: new_recipients.insert(connection, campaign_id, batch, turn)
        )


async def _add(connection: Connection, campaign_id: UUID, batch: RecipientBatch, insert: Insert) -> NotAdded:
    async with connection.transaction():
        await _campaign(connection, "read_campaign", {"id": campaign_id})
        try:
            others = await insert()
        except ForeignKeyViolation:
            raise UnknownCampaign from None  # the draft was deleted meanwhile
        names = frozenset(others)
        has_new = any(each.name not in names for _, each in batch.keyed)
        present = await new_recipients.find_present(connection, campaign_id, others)
        campaign = await lock(connection, campaign_id)
        if campaign.status is CampaignStatus.CANCELLED:
            raise ActionNotAllowed("the campaign is cancelled: no recipients can be added", campaign.status)
        if campaign.status is not CampaignStatus.DRAFT and has_new:
            await planning.request(connection, campaign_id)
            await canaries.begin_late(connection, campaign_id)
        if campaign.status is CampaignStatus.COMPLETED and has_new:
            await _change_status(connection, campaign_id, CampaignStatus.ACTIVE, None)
    if campaign.status is not CampaignStatus.DRAFT and has_new:
        await planning.plan_now(connection, campaign_id)
    return NotAdded(present, names - present)


async def _is_empty(connection: Connection, campaign_id: UUID) -> bool:
    row = await (await connection.execute(_SQL["is_empty"], {"campaign": campaign_id})).fetchone()
    return row is not None and bool(row[0])


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
    values[_DAYS_PLACE] = tuple(values[_DAYS_PLACE])
    values[_EXCLUDED_PLACE] = tuple(values[_EXCLUDED_PLACE])
    values[_STATUS_PLACE] = CampaignStatus(values[_STATUS_PLACE])
    values[_FIT_PLACE] = None if values[_FIT_PLACE] is None else TemplateFit(values[_FIT_PLACE])
    return Campaign(*values)
