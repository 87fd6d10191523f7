"""The opt-outs of people, each with the recipient whose message it follows. The rule is pure: `domain.opt_outs`.

A batch of `subscription.events` notes its opt-outs in the transaction that applies them. They are attributed in
transactions of their own, so a locked counter holds up no opt-out. Each is attributed several times, because messages
and links may become known later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.opt_outs import CLOCKS_DIFFER, FOLLOWS_WITHIN, ROUND_PAUSES_S, PersonalOptOut
from domain.people import PersonKey
from tables.arrays import text, times
from tables.database import Connection
from tables.statements import load

_SQL = load("opt_outs")
ATTRIBUTION_SESSION = {
    # A few opt-outs are joined with large tables, and the planner cannot know how few.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}
"""Session settings of a connection that attributes opt-outs."""


@dataclass(frozen=True, slots=True)
class NotedOptOut:
    """An opt-out with the key of its person."""

    person: PersonKey
    opt_out: PersonalOptOut


async def note(connection: Connection, opt_outs: Sequence[NotedOptOut]) -> None:
    """Note opt-outs. They are due at once, also those that were noted before."""
    if opt_outs:
        values = {
            "persons": text(each.person for each in opt_outs),
            "times": times(each.opt_out.occurred_at for each in opt_outs),
            "wamids": text(each.opt_out.wamid for each in opt_outs),
        }
        await connection.execute(_SQL["note"], values)


async def attribute_due(connection: Connection, limit: int) -> int:
    """Attribute opt-outs that are due, and count them in their campaigns. Returns how many were due."""
    values = {
        "limit": limit, "follows_s": FOLLOWS_WITHIN.total_seconds(), "clocks_differ_s": CLOCKS_DIFFER.total_seconds(),
        "pauses_s": list(ROUND_PAUSES_S),
    }  # fmt: skip
    row = await (await connection.execute(_SQL["attribute_due"], values)).fetchone()
    assert row is not None, "the statement counts"
    return int(row[0])
