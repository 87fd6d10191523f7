"""Writes the usual events of a batch and its other events together: one merge of the messages and one of the rows.

An ordinary batch has both, because some messages fail. Only the recipients and wamids of the other events are folded in
the general way; the rest stays as the fast way made it. One statement merges all rows, because two statements would not
lock them in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from domain.usual_fold import UsualFold, UsualMessage, add_usual, divide, usual_of_learned
from runtime.slices import let_others_run
from sinks.apply import Applied, FoldedEvents, Unusual, alarm, naming_our_own_errors, write_beside, write_folded
from sinks.usual import UsualColumns, UsualPart, record_double_sends
from tables import messages, recipients
from tables.database import Connection
from tables.fact_columns import merge_parameters


@dataclass(frozen=True, slots=True)
class MixedPart:
    """A batch that is folded and not written yet."""

    others: FoldedEvents
    """The other events, and what usual events state of their recipients and wamids."""
    rest: UsualFold
    messages: Mapping[str, UsualMessage] | None
    """What the batch states per wamid. None: it has statuses without a recipient, and `others` has everything."""
    columns: UsualColumns | None = None
    """What is sent, if it is made already."""


def mix(others: FoldedEvents, part: UsualPart) -> MixedPart:
    """Join the fold of other events, which it changes, with that of the usual ones. Raises Unusual."""
    linked = replace(others, links=[*others.links, *part.folded.links])
    named = {wamid: usual_of_learned(learned) for wamid, learned in others.folded.messages.items()}
    if None in named.values():
        if not add_usual(others.folded, part.folded):
            raise Unusual("events name different recipients for one wamid")
        return MixedPart(linked, UsualFold(), None)
    rest = divide(others.folded, part.folded)
    if rest is None:
        raise Unusual("events name different recipients for one wamid")
    joined = {wamid: usual_of_learned(learned) for wamid, learned in others.folded.messages.items()}
    stated = {wamid: message for wamid, message in joined.items() if message is not None}
    return MixedPart(linked, rest, {**rest.messages, **stated})


async def columns_of(part: MixedPart, stated: Mapping[str, UsualMessage]) -> UsualColumns:
    """What is sent. Other tasks run in between. Raises CodeRaised."""
    with naming_our_own_errors(len(part.others.folded.facts)):
        rows = merge_parameters(part.others.folded.facts, part.rest.facts.values())
        await let_others_run()
        return UsualColumns(rows, messages.usual_columns(stated))


async def write_mixed(connection: Connection, part: MixedPart) -> Applied:
    """Write a batch inside the caller's transaction. Raises psycopg.Error, CodeRaised and Unusual."""
    if part.messages is None:
        return await write_folded(connection, part.others)
    folded = part.others.folded
    columns = part.columns or await columns_of(part, part.messages)
    with naming_our_own_errors(len(folded.facts)):
        merged = await messages.merge_usual(connection, columns.messages)
        rows = await recipients.merge_columns(connection, columns.rows)
        doubles = await record_double_sends(connection, merged)
        await write_beside(connection, part.others)
        alarm(doubles, ())
    return Applied(rows.rowcount, folded.refused, len(doubles), folded.foreign.total(), folded.erased)
