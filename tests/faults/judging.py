"""The verdict of the demo, on a campaign that went through faults: rows and conduct against the simulator's ledger.

An `unknown` may remain only where the simulator never accepted the attempt (else its webhooks would have healed it),
and no more sends may ever have been unknown than the fault explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.demo.people import Person
from runtime.settings import Settings
from schemas import callback
from verdict.judge import Evidence, Verdict, judge
from verdict.recount import recount, reported
from verdict.rows import JudgeConnection, read_counters, read_rows
from verdict.truth import Post, TimeSpan, post_of

UNANSWERED = """
    SELECT recipient_id::text, attempt FROM send_ledger WHERE campaign_id = %s AND outcome = 'unknown'
"""
"""Attempts whose answer no sender noted: the simulator's word for those is in its statuses alone."""


@dataclass(frozen=True)
class Judged:
    """The verdict, and the unknown ones."""

    verdict: Verdict
    unknown_ever: int
    unknown_left: int

    @property
    def healed(self) -> int:
        """Unknown sends that a webhook settled."""
        return self.unknown_ever - self.unknown_left


def posts_of(settings: Settings, campaign: str, entries: Iterable[Mapping[str, Any]]) -> tuple[list[Post], int]:
    """The posts of one campaign, and how many of all were none of ours."""
    secret = settings.callback_secret.get_secret_value().encode()
    posts, strangers = [], 0
    for entry in entries:
        said = callback.decode(secret, settings.deployment, entry["callback_data"] or "")
        if isinstance(said, callback.NotOurs):
            strangers += 1
        elif str(said.campaign_id) == campaign:
            posts.append(post_of(entry, str(said.recipient_id), said.attempt))
    return posts, strangers


def judge_campaign(
    settings: Settings,
    connection: JudgeConnection,
    campaign: str,
    everybody: Sequence[Person],
    entries: Sequence[Mapping[str, Any]],
    stats: Mapping[str, Any],
    trouble: tuple[str, ...],
    frozen: tuple[TimeSpan, ...],
) -> Judged:
    """Compare everything with everything. `entries`: the simulator's ledger, other campaigns' posts included."""
    posts, strangers = posts_of(settings, campaign, entries)
    rows = read_rows(connection, campaign)
    unknown = frozenset((found[0], found[1]) for found in connection.execute(UNANSWERED, [campaign]).fetchall())
    evidence = Evidence(
        rows=rows,
        posts=posts,
        numbers=frozenset(person.number for person in everybody),
        parameters={person.number: person.parameters for person in everybody},
        opted_out=frozenset(),
        held_by_killed=unknown,
        counters=read_counters(connection, campaign),
        recount=recount(rows),
        reported=stats,
        recount_reported=reported(rows),
        trouble=trouble + ((f"{strangers} posts without callback data of ours",) if strangers else ()),
        frozen=frozen,
    )
    return Judged(judge(evidence), len(unknown), sum(row.status == "unknown" for row in rows))
