"""Folds and writes the usual events of a batch: accepted, sent, delivered and read, of recipients that have a row.

It decides nothing that the general way (`sinks.apply`) decides. Whatever is unusual is left to that way: other records,
recipients without a row, times that are refused, parked statuses. A property test compares both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.fold import BEFORE_CAMPAIGN_MAX
from domain.times import AHEAD_MAX
from domain.usual_fold import UsualFacts, UsualFold, fold_usual
from schemas.places import Record
from schemas.usual_events import decode_usual
from sinks.apply import Applied, Unusual, alarm, naming_our_own_errors
from tables import messages, person_links, recipients
from tables.database import Connection


@dataclass(frozen=True, slots=True)
class UsualPart:
    """The usual events of a batch, folded and not written yet, and its other records."""

    folded: UsualFold = field(default_factory=UsualFold)
    facts: Sequence[UsualFacts] = ()
    """The facts in the order of ids, in which the merge locks the rows."""
    others: Sequence[Record] = ()


async def take_usual(connection: Connection, records: Sequence[Record]) -> UsualPart:
    """Fold the usual events of these records. It locks nothing. Raises psycopg.Error and CodeRaised."""
    with naming_our_own_errors(len(records)):
        events = [decode_usual(record.value) for record in records]
        latest = datetime.now(UTC) + AHEAD_MAX
        folded = fold_usual(events, latest)
        facts = _in_order(folded)
        if refused := await recipients.find_refused(connection, facts, BEFORE_CAMPAIGN_MAX):
            ids = {facts[at].id for at in refused}
            folded = fold_usual(events, latest, frozenset(t for t, each in folded.facts.items() if each.id in ids))
            facts = _in_order(folded)
        return UsualPart(folded, facts, [records[at] for at in folded.unusual])


async def write_usual(connection: Connection, part: UsualPart) -> Applied:
    """Write usual events inside the caller's transaction. Raises psycopg.Error, CodeRaised and Unusual."""
    with naming_our_own_errors(part.folded.events):
        changed = await messages.merge_usual(connection, part.folded.messages)
        if changed is not None and changed.has_parked:
            raise Unusual("statuses are parked for one of these wamids")
        rows = await recipients.merge_usual(connection, part.facts)
        if part.folded.links:
            await person_links.link_people(connection, part.folded.links)
        doubles = [] if changed is None else await messages.record_usual_double_sends(connection, changed)
        alarm(doubles, ())
    return Applied(rows, double_sends=len(doubles))


def _in_order(folded: UsualFold) -> list[UsualFacts]:
    return sorted(folded.facts.values(), key=lambda each: each.id)
