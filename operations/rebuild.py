"""Rows of one campaign put back to what the kept events say, after a bad release wrote wrong facts into them.

The one writer that may take facts away, so it is careful: never in an active campaign, never a lower attempt, never a
row whose events are deleted, never the ledger; each chunk holds its rows, and reads the topic on to what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from operations.recompute import LOWEST_ID, Kind, Pair, Recomputation, recompute, recomputing
from operations.replay_apply import MakesDue
from operations.replay_plan import OnProgress
from operations.row_changes import Change, ShownRow, change_of
from operations.shadow import ShadowTables
from operations.tally import CHANGES_MAX
from runtime.settings import Settings
from schemas.model import CampaignId
from tables.arrays import plain
from tables.shadow import SHOWN

CHUNK = 500


class RefusedRow(Exception):
    """The campaign is not one that may be rebuilt now; nothing was done. `reason` is a code."""

    def __init__(self, reason: str, said: str) -> None:
        super().__init__(said)
        self.reason = reason


@dataclass(slots=True)
class Rebuilt:
    """What differs from the topic, and what was put right."""

    records: int = 0
    differs: int = 0
    waiting: int = 0
    outside_retention: int = 0
    rows_swapped: int = 0
    changes: list[Change] = field(default_factory=list)
    """The first of them: those that differ, or those that were swapped."""


async def rebuild(
    settings: Settings, campaign: CampaignId, *, is_applied: bool, allow_retries: bool,
    progress: OnProgress = lambda *_: None,
) -> Rebuilt:  # fmt: skip
    """Say what differs, and put it right where asked. Raises Refused, MakesDue (chunks before are applied)."""
    async with recomputing(settings, "rebuild") as side:
        await _require(side, campaign, may_be_active=not is_applied)
        found = await recompute(settings, side, campaign, progress)
        await found.add_missing()
        result = Rebuilt()
        after = LOWEST_ID
        while pairs := await found.differences(after, is_any_ahead=True, rows_max=CHUNK):
            before, after = after, pairs[-1].live.id
            if is_applied:
                ids = [pair.live.id for pair in pairs]
                await found.catch_up()  # most of it while no row is held
                pairs = await _swap(found, campaign, before, ids, result, allow_retries=allow_retries)
            _count(result, pairs)
        result.records = found.records
        return result


async def _swap(
    found: Recomputation, campaign: CampaignId, after: UUID, ids: Sequence[UUID], result: Rebuilt, *,
    allow_retries: bool,
) -> list[Pair]:  # fmt: skip
    """Swap a chunk in one transaction; what was different while it was held."""
    side = found.side
    async with side.connection.transaction():
        await _require(side, campaign, may_be_active=False)
        await side.run("hold_rows", {"ids": plain(ids)})
        # Whoever wrote these rows before us has committed its offsets with them; nobody can write them now.
        await found.catch_up()
        pairs = await found.differences(after, is_any_ahead=True, last=ids[-1], rows_max=len(ids), ids=ids)
        wrong = [pair for pair in pairs if pair.kind is Kind.DIFFERS and pair.is_whole]
        if wrong:
            swapped = plain(pair.live.id for pair in wrong)
            await side.run("swap_rows", {"ids": swapped})
            _guard(wrong, await side.run("read_live", {"ids": swapped}), allow_retries=allow_retries)
    result.rows_swapped += len(wrong)
    return pairs


def _guard(wrong: Sequence[Pair], rows: Sequence[tuple[object, ...]], *, allow_retries: bool) -> None:
    before = {pair.live.id: pair.live for pair in wrong}
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


def _count(result: Rebuilt, pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        match pair.kind:
            case Kind.WAITING:
                result.waiting += 1
            case Kind.OUTSIDE:
                result.outside_retention += 1
            case Kind.DIFFERS if not pair.is_whole:
                result.outside_retention += 1  # a replay merges what the topic knows; nothing may be taken away
            case Kind.DIFFERS:
                result.differs += 1
                change = change_of(pair.live, pair.topic)
                if change is not None and len(result.changes) < CHANGES_MAX:
                    result.changes.append(change)


async def _require(side: ShadowTables, campaign: CampaignId, *, may_be_active: bool) -> None:
    """Hold the campaign's status until the end of the transaction, and refuse an active one."""
    rows = await side.run("hold_campaign", {"campaign": campaign})
    if not rows:
        raise RefusedRow("no_such_campaign", f"there is no campaign {campaign}")
    if rows[0][0] == "active" and not may_be_active:
        raise RefusedRow(
            "campaign_active", "the campaign is active: pause it first, so that nobody is sent to meanwhile"
        )
