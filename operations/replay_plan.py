"""The first half of a replay: a range of a topic merged into shadow tables, to learn what it would change.

It reports the rows that would change and those that would become due for sending. No live row is read under a lock.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from operations.readers import Reader, portions
from operations.row_changes import Change, rows_shown
from operations.shadow import ShadowTables
from operations.tally import CHANGES_MAX
from runtime.settings import Settings
from schemas.events import RecipientEvent
from schemas.model import CampaignId
from schemas.places import Ranges, count
from tables import row_changes
from topics import scan

OnProgress = Callable[[str, int, int], None]
"""Called with the phase, the records that are done, and all records of the range."""


@dataclass(slots=True)
class ReplayPlan:
    """The changes that a replay would make."""

    records: int = 0
    events: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    foreign: int = 0
    changed: int = 0
    made_due: int = 0
    changes: list[Change] = field(default_factory=list)


async def plan(
    settings: Settings, shadow: ShadowTables, topic: str, ranges: Ranges, reader: Reader, campaign: CampaignId | None,
    stop: asyncio.Event, progress: OnProgress = lambda *_: None,
) -> ReplayPlan | None:  # fmt: skip
    """Merge the range into the shadow tables and compare. Returns None if it was stopped before the end."""
    result = ReplayPlan()
    total = count(ranges)
    async for batch in scan.scan(settings, topic, ranges):
        for records, read in portions(batch, reader, result.refused):
            events = await shadow.of_campaign(read, campaign)
            foreign = await shadow.foreign_among(events)
            ours = [event for event in events if not is_foreign(event, foreign)]
            applied = await shadow.apply(ours)
            result.refused.update(reason.value for reason in applied.refused.values())
            result.foreign += len(events) - len(ours)
            result.records += len(records)
            result.events += len(ours)
            progress("planning", result.records, total)
            if stop.is_set():
                return None
    async with shadow.free_planning():
        result.changed, result.made_due = await row_changes.count_changes(shadow.schema, campaign)
        result.changes = rows_shown(await row_changes.find_changes(shadow.schema, campaign, CHANGES_MAX))
    return result


def is_foreign(event: RecipientEvent, foreign: set[str]) -> bool:
    """Whether it is a status of another system on a number that is not ours."""
    return event.recipient_id is None and event.phone_number_id in foreign
