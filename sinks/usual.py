"""Folds and writes the usual events of a batch: accepted, sent, delivered and read, of recipients that have a row.

It decides nothing that the general way (`sinks.apply`) decides. Whatever is unusual is left to that way: other records,
recipients without a row, times that are refused, parked statuses. A property test compares both ways.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.fold import BEFORE_CAMPAIGN_MAX
from domain.times import AHEAD_MAX
from domain.usual_fold import UsualFacts, UsualFold, fold_more
from runtime.slices import in_slices, never
from schemas.places import Record
from schemas.usual_events import decode_usual
from sinks.apply import Applied, Unusual, alarm, naming_our_own_errors
from tables import messages, person_links, recipients
from tables.binary_arrays import BinaryArray
from tables.database import Connection

DECODED_TOGETHER = 50
"""Records that are decoded before somebody looks whether Postgres has answered, about a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class UsualPart:
    """The usual events of a batch, folded and not written yet, and its other records."""

    folded: UsualFold = field(default_factory=UsualFold)
    facts: Sequence[UsualFacts] = ()
    """The facts in the order of ids, in which the merge locks the rows."""
    others: Sequence[Record] = ()
    dated: Mapping[str, BinaryArray] = field(default_factory=dict)
    """The ids of the facts and their earliest times, by which Postgres refuses some."""
    columns: UsualColumns | None = None
    """What is sent. None: the other records may have to be written with them, so it is not known yet."""


@dataclass(frozen=True, slots=True)
class UsualColumns:
    """What is sent of a batch."""

    rows: Mapping[str, BinaryArray]
    messages: Mapping[str, BinaryArray]


@dataclass(frozen=True, slots=True)
class DecodedRecords:
    """Records whose usual events are decoded and folded, without Postgres."""

    records: Sequence[Record]
    latest: datetime
    """Later events are left to the general way."""
    part: UsualPart


async def decode_records(records: Sequence[Record], is_awaited: Callable[[], bool] = never) -> DecodedRecords:
    """Decode and fold records. Other tasks run in between, at once if `is_awaited` says so. Raises CodeRaised."""
    latest = datetime.now(UTC) + AHEAD_MAX
    return DecodedRecords(records, latest, await _fold(records, latest, is_awaited=is_awaited))


async def take_usual(connection: Connection, records: Sequence[Record]) -> UsualPart:
    """Fold the usual events of these records. It locks nothing. Raises psycopg.Error and CodeRaised."""
    return await take_decoded(connection, await decode_records(records))


async def take_decoded(connection: Connection, decoded: DecodedRecords) -> UsualPart:
    """As `take_usual`, of decoded records."""
    part = decoded.part
    if not part.facts:
        return part
    refused = await recipients.find_refused(connection, part.dated, BEFORE_CAMPAIGN_MAX)
    if not refused:
        return part
    ids = {part.facts[at].id for at in refused}
    without = frozenset(text for text, each in part.folded.facts.items() if each.id in ids)
    return await _fold(decoded.records, decoded.latest, without)


async def _fold(
    records: Sequence[Record],
    latest: datetime,
    without: frozenset[str] = frozenset(),
    is_awaited: Callable[[], bool] = never,
) -> UsualPart:
    folded = UsualFold()
    with naming_our_own_errors(len(records)):
        async for some in in_slices(records, DECODED_TOGETHER, is_awaited):
            fold_more(folded, [decode_usual(record.value) for record in some], latest, without)
        facts = sorted(folded.facts.values(), key=lambda each: each.id)
        others = [records[at] for at in folded.unusual]
        if not facts or others:
            return UsualPart(folded, facts, others, recipients.dated_columns(facts))
        rows = recipients.usual_columns(facts)
        await asyncio.sleep(0)
        return UsualPart(folded, facts, others, rows, UsualColumns(rows, messages.usual_columns(folded.messages)))


def _columns_of(part: UsualPart) -> UsualColumns:
    return UsualColumns(recipients.usual_columns(part.facts), messages.usual_columns(part.folded.messages))


async def write_usual(connection: Connection, part: UsualPart) -> Applied:
    """Write usual events inside the caller's transaction. Raises psycopg.Error, CodeRaised and Unusual."""
    if not part.facts:
        return Applied()
    with naming_our_own_errors(part.folded.events):
        columns = part.columns or _columns_of(part)
        changed = await messages.merge_usual(connection, columns.messages)
        if changed is not None and changed.has_parked:
            raise Unusual("statuses are parked for one of these wamids")
        rows = await recipients.merge_usual(connection, columns.rows)
        if part.folded.links:
            await person_links.link_people(connection, part.folded.links)
        doubles = [] if changed is None else await messages.record_usual_double_sends(connection, changed)
        alarm(doubles, ())
    return Applied(rows, double_sends=len(doubles))
