"""Restores the rows of one campaign from the kept events, after a bad release wrote incorrect facts into them.

It is the only writer that may remove facts. So it never touches an active campaign, a row whose events may be deleted,
or the ledger, and it never lowers an attempt. Each chunk locks its rows and first reads the topic up to their state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from operations.recompute import LOWEST_ID, DifferenceKind, Recomputation, RowPair, recompute, recomputing
from operations.replay_apply import MakesDue
from operations.replay_plan import OnProgress
from operations.row_changes import Change, ShownRow, change_of
from operations.shadow import ShadowTables
from operations.tally import CHANGES_MAX
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.reasons import RepairRefusal
from tables import row_differences
from tables.shadow_template import SHOWN

CHUNK = 500


class RebuildRefused(Exception):
    """The campaign does not exist, or is active. Rows of chunks that ended before it became active are restored."""

    def __init__(self, reason: RepairRefusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """The campaign, and what is allowed."""

    campaign: UUID
    is_applied: bool = False
    """Restore the rows; else only report those that differ."""
    allow_retries: bool = False


@dataclass(slots=True)
class Rebuilt:
    """The rows that differ from the topic, and those that were restored."""

    records: int = 0
    differs: int = 0
    waiting: int = 0
    outside_retention: int = 0
    rows_swapped: int = 0
    changes: list[Change] = field(default_factory=list)
    """The first rows that differ, or that were restored."""


async def rebuild(settings: Settings, options: RebuildOptions, progress: OnProgress = lambda *_: None) -> Rebuilt:
    """Find the rows that differ, and restore them if `is_applied`. Raises RebuildRefused, OffsetMismatch, MakesDue."""
    campaign = CampaignId(options.campaign)
    async with recomputing(settings, "rebuild") as shadow:
        await _require(shadow, campaign, may_be_active=not options.is_applied)
        found = await recompute(settings, shadow, campaign, progress)
        await found.add_missing()
        result = Rebuilt()
        after = LOWEST_ID
        while pairs := await found.differences(after, is_any_ahead=True, rows_max=CHUNK):
            before, after = after, pairs[-1].live.id
            if options.is_applied:
                ids = [pair.live.id for pair in pairs]
                await found.catch_up()  # most events are read before rows are locked
                pairs = await _swap(found, campaign, before, ids, result, allow_retries=options.allow_retries)
            _count(result, pairs)
        result.records = found.records
        return result


async def _swap(
    found: Recomputation, campaign: CampaignId, after: UUID, ids: Sequence[UUID], result: Rebuilt, *,
    allow_retries: bool,
) -> list[RowPair]:  # fmt: skip
    """Restore a chunk in one transaction. Returns the pairs as they were while the rows were locked."""
    shadow = found.shadow
    async with shadow.connection.transaction():
        await _require(shadow, campaign, may_be_active=False)
        await row_differences.hold_rows(shadow.schema, ids)
        # Earlier writers have committed their offsets with these rows, and no other transaction can write them now.
        await found.catch_up()
        pairs = await found.differences(after, is_any_ahead=True, last=ids[-1], rows_max=len(ids), ids=ids)
        different = [pair for pair in pairs if pair.kind is DifferenceKind.DIFFERS and pair.is_whole]
        if different:
            swapped = [pair.live.id for pair in different]
            await row_differences.swap_rows(shadow.schema, swapped)
            rows = await row_differences.read_live(shadow.schema, swapped)
            _guard(different, rows, allow_retries=allow_retries)
    result.rows_swapped += len(different)
    return pairs


def _guard(different: Sequence[RowPair], rows: Sequence[tuple[object, ...]], *, allow_retries: bool) -> None:
    before = {pair.live.id: pair.live for pair in different}
    due = []
    for id_, campaign, status, *values in rows:
        assert isinstance(id_, UUID)
        assert isinstance(campaign, UUID)
        after = ShownRow(id_, campaign, str(status), dict(zip(SHOWN, values, strict=True)))
        change = change_of(before[id_], after)
        if change is not None and change.makes_due:
            due.append(change)
    if due and not allow_retries:
        raise MakesDue(due)


def _count(result: Rebuilt, pairs: Sequence[RowPair]) -> None:
    for pair in pairs:
        match pair.kind:
            case DifferenceKind.WAITING:
                result.waiting += 1
            case DifferenceKind.OUTSIDE:
                result.outside_retention += 1
            case DifferenceKind.DIFFERS if not pair.is_whole:
                result.outside_retention += 1  # a replay may merge the events of the topic, but no fact may be removed
            case DifferenceKind.DIFFERS:
                result.differs += 1
                change = change_of(pair.live, pair.topic)
                if change is not None and len(result.changes) < CHANGES_MAX:
                    result.changes.append(change)


async def _require(shadow: ShadowTables, campaign: CampaignId, *, may_be_active: bool) -> None:
    """Lock the status of the campaign until the end of the transaction. Raises RebuildRefused for an active one."""
    status = await row_differences.hold_campaign(shadow.schema, campaign)
    if status is None:
        raise RebuildRefused(RepairRefusal.NO_SUCH_CAMPAIGN, f"there is no campaign {campaign}")
    if status == "active" and not may_be_active:
        raise RebuildRefused(
            RepairRefusal.CAMPAIGN_ACTIVE,
            "the campaign is active; pause it first, so that no message is sent during the rebuild",
        )
