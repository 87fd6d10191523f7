"""Folds and writes the usual events of a batch: accepted, sent, delivered and read, of recipients that have a row.

It decides nothing that the general way (`sinks.apply`) decides. Whatever is unusual is left to that way: other records,
recipients without a row, times that are refused, parked statuses. A property test compares both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter

from domain.times import AHEAD_MAX
from domain.usual_fold import UsualFacts, UsualFold, fold_more
from runtime.slices import in_slices, let_others_run, never
from schemas.model import RecipientId
from schemas.places import Record
from schemas.usual_events import decode_usual
from sinks.apply import Applied, Unusual, alarm, naming_our_own_errors
from sinks.received import NEVER_RECEIVED, ReceivedTimes, received_times
from sinks.refused_search import RefusedSearch
from tables import messages, person_links, recipients
from tables.binary_arrays import BinaryArray
from tables.database import Connection, Cursor
from tables.pipelines import answered

_ID = attrgetter("id")
SEARCHED_TOGETHER = 2_500
"""Records after which Postgres searches for their recipients."""
DECODED_TOGETHER = 50
"""Records that are decoded before somebody looks whether Postgres has answered, about a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class UsualPart:
    """The usual events of a batch, folded and not written yet, and its other records."""

    folded: UsualFold = field(default_factory=UsualFold)
    facts: Sequence[UsualFacts] = ()
    """The facts in the order of ids, in which the merge locks the rows."""
    others: Sequence[Record] = ()
    received: ReceivedTimes = NEVER_RECEIVED
    """When the webhooks of the usual events arrived."""
    columns: UsualColumns | None = None
    """What is sent. None: it is not made yet, because the other records may have to be written with them."""


@dataclass(frozen=True, slots=True)
class UsualColumns:
    """What is sent of a batch."""

    rows: Mapping[str, BinaryArray]
    messages: Mapping[str, BinaryArray]


async def take_usual(
    connection: Connection, records: Sequence[Record], is_awaited: Callable[[], bool] = never
) -> UsualPart:
    """Decode and fold the usual events of these records. It locks nothing. Raises psycopg.Error and CodeRaised.

    Other tasks run in between, at once if `is_awaited` says so. Postgres searches for the recipients of the first
    records while the next ones are decoded.
    """
    latest = datetime.now(UTC) + AHEAD_MAX
    folded = UsualFold()
    search = RefusedSearch(connection)
    try:
        for start in range(0, len(records), SEARCHED_TOGETHER):
            await _fold(folded, records[start : start + SEARCHED_TOGETHER], latest, is_awaited)
            await search.begin(folded.facts.values())
        part = await _part_of(folded, records)
        refused = await search.end()
    finally:
        await search.cancel()
    if not refused:
        return part
    without = frozenset(text for text, each in folded.facts.items() if each.id in refused)
    folded = UsualFold()
    await _fold(folded, records, latest, is_awaited, without)
    return await _part_of(folded, records)


async def _fold(
    folded: UsualFold,
    records: Sequence[Record],
    latest: datetime,
    is_awaited: Callable[[], bool],
    without: frozenset[str] = frozenset(),
) -> None:
    with naming_our_own_errors(len(records)):
        async for some in in_slices(records, DECODED_TOGETHER, is_awaited):
            fold_more(folded, [decode_usual(record.value) for record in some], latest, without)


async def _part_of(folded: UsualFold, records: Sequence[Record]) -> UsualPart:
    with naming_our_own_errors(len(records)):
        facts = sorted(folded.facts.values(), key=_ID)
        await let_others_run()
        others = [records[at] for at in folded.unusual]
        part = UsualPart(folded, facts, others, received_times(folded.received_at))
        await let_others_run()
        return part if others or not facts else replace(part, columns=await _columns_of(part))


async def _columns_of(part: UsualPart) -> UsualColumns:
    """Make what is sent. Other tasks run in between. Raises CodeRaised."""
    with naming_our_own_errors(part.folded.events):
        rows = recipients.usual_columns(part.facts)
        await let_others_run()
        return UsualColumns(rows, messages.usual_columns(part.folded.messages))


async def write_usual(connection: Connection, part: UsualPart) -> Applied:
    """Write usual events inside the caller's transaction. Raises psycopg.Error, CodeRaised and Unusual."""
    if not part.facts:
        return Applied()
    with naming_our_own_errors(part.folded.events):
        columns = part.columns or await _columns_of(part)
        merged = await messages.merge_usual(connection, columns.messages)
        rows = await recipients.merge_usual(connection, columns.rows)
        doubles = await record_double_sends(connection, merged)
        if part.folded.links:
            await person_links.link_people(connection, part.folded.links)
        alarm(doubles, ())
    return Applied(rows.rowcount, double_sends=len(doubles))


async def record_double_sends(connection: Connection, merged: Cursor) -> Sequence[tuple[RecipientId, int, str]]:
    """Record the double sends that the merge of messages shows, after that of the recipients.

    Both merges may still be unanswered: Postgres works on the second one without waiting for this process. Raises
    Unusual if one of the messages has parked statuses, which the merge of the recipients lacks.
    """
    await answered(connection)
    changed = messages.changed_attempts(merged)
    if changed is None:
        return ()
    if changed.has_parked:
        raise Unusual("statuses are parked for one of these wamids")
    return await messages.record_usual_double_sends(connection, changed)
