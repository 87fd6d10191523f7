"""Adopts a `campaign_recipients` table of the original shape: its rows become recipients of a draft.

A batch of rows is one transaction: the recipients are added, and the events that state what happened to them are merged
by the sink's own code. So nobody is in the campaign without the facts that keep a second message from being sent. Then
the events are published, so that `verify --from-topic` and `rebuild` know them, and the adoption notes the last key. An
interrupted adoption begins again after that key. Doing a batch twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.adoption import AdoptedRow, AdoptingCampaign, RefusedRow, adopt, earliest
from domain.lifecycle import ActionNotAllowed, CampaignStatus
from domain.status import Status
from runtime.settings import Settings
from schemas.codec import encode
from schemas.model import CampaignId
from schemas.places import Outgoing
from schemas.reasons import AdoptionRefusal
from schemas.topics import Topic
from sinks.apply import KnownPhoneNumbers, fold_events, write_folded
from tables import adoptions, campaigns
from tables.adoptions import SourceTable
from tables.campaigns import Campaign
from tables.database import Connection
from topics.publisher import Publisher

BATCH_ROWS = 1000
TakeRefused = Callable[[Sequence[RefusedRow]], None]


class AnotherSource(Exception):
    """The campaign takes over another table already."""

    def __init__(self, source: str) -> None:
        super().__init__(f"the campaign takes over {source} already: go on with that, or create another draft")


class EventsRefused(Exception):
    """The sink's code refuses events of the rows, so the batch was not written."""


@dataclass(slots=True)
class AdoptionTotals:
    """What became of the rows, or would become of them."""

    rows: int = 0
    adopted: Counter[Status] = field(default_factory=Counter)
    """Rows by the status that they have now."""
    refused: Counter[str] = field(default_factory=Counter)
    """Rows by the reason for which they are left out."""

    def count(self, rows: Sequence[AdoptedRow], refused: Sequence[RefusedRow]) -> None:
        """Count a batch."""
        self.rows += len(rows) + len(refused)
        self.adopted.update(each.status for each in rows)
        self.refused.update(str(each.reason) for each in refused)


async def judge_table(
    connection: Connection, table: SourceTable, campaign: Campaign, refused: TakeRefused
) -> AdoptionTotals:
    """Judge every row of the table, and write nothing. The people of the campaign are not compared with it."""
    totals, after = AdoptionTotals(), None
    while batch := await adoptions.read_batch(connection, table, after, BATCH_ROWS):
        rows, wrong = judge(batch, campaign, datetime.now(UTC))
        totals.count(rows, wrong)
        refused(wrong)
        after = batch[-1]["key"]
    return totals


async def adopt_table(
    settings: Settings,
    connection: Connection,
    publisher: Publisher,
    table: SourceTable,
    campaign: Campaign,
    refused: TakeRefused,
    progressed: Callable[[AdoptionTotals], None] = lambda _: None,
) -> AdoptionTotals:
    """Take over the rows that an earlier run has not taken over.

    The connection needs the session of `tables.recipients.MERGE_SESSION`. Raises ActionNotAllowed for a campaign that
    is no draft, AnotherSource, EventsRefused, and PublishFailed. What was taken over before stays, and a repetition
    goes on.
    """
    _require_draft(campaign)
    progress = await adoptions.begin(connection, campaign.id, table.text)
    if progress.source != table.text:
        raise AnotherSource(progress.source)
    totals, after = AdoptionTotals(), progress.done_through
    while batch := await adoptions.read_batch(connection, table, after, BATCH_ROWS):
        rows, wrong = judge(batch, campaign, datetime.now(UTC))
        present = await _write(connection, campaign, rows)
        added = [each for each in rows if each.id in present]
        known = AdoptionRefusal.ALREADY_PRESENT
        wrong += [RefusedRow(each.key, known, known.meaning) for each in rows if each.id not in present]
        topic = settings.topic(Topic.RECIPIENT_EVENTS)
        events = [event for each in added for event in each.events]
        await publisher.publish_batch([Outgoing(topic, event.key, encode(event)) for event in events])
        after = batch[-1]["key"]
        await adoptions.advance(connection, campaign.id, after, len(added), len(wrong))
        totals.count(added, wrong)
        refused(wrong)
        progressed(totals)
    await adoptions.end(connection, campaign.id)
    return totals


def judge(
    batch: Sequence[dict[str, object]], campaign: Campaign, now: datetime
) -> tuple[list[AdoptedRow], list[RefusedRow]]:
    """The rows of a batch that can be taken over, and the others."""
    into = AdoptingCampaign(CampaignId(campaign.id), campaign.phone_number_id, campaign.country)
    judged = [adopt({**row, "id": row["key"]}, into, now) for row in batch]
    rows = [each for each in judged if isinstance(each, AdoptedRow)]
    return rows, [each for each in judged if isinstance(each, RefusedRow)]


async def _write(connection: Connection, campaign: Campaign, rows: Sequence[AdoptedRow]) -> frozenset[object]:
    """Add the rows with their facts, in one transaction; returns the ids that the campaign has now."""
    if not rows:
        return frozenset()
    async with connection.transaction():
        _require_draft(await campaigns.lock(connection, campaign.id))
        present = await adoptions.add_rows(connection, campaign.id, rows, min(map(earliest, rows)))
        events = [event for each in rows if each.id in present for event in each.events]
        applied = await write_folded(connection, await fold_events(connection, events, KnownPhoneNumbers()))
        if applied.refused:
            raise EventsRefused(f"{len(applied.refused)} event(s): {next(iter(applied.refused.values()))}")
        await adoptions.note_sends(connection, campaign.id, [each for each in rows if each.id in present])
    return frozenset(present)


def _require_draft(campaign: Campaign) -> None:
    if campaign.status is not CampaignStatus.DRAFT:
        raise ActionNotAllowed(f"the campaign is {campaign.status}: only a draft can adopt rows", campaign.status)
