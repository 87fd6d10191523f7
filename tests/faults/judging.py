"""Judges a campaign after faults like the demo: the rows and the sends are compared with the simulator's ledger.

A recipient may stay `unknown` only if the simulator never accepted the attempt. Otherwise webhooks must have resolved
it. The faults limit the number of sends that were `unknown` at any time.
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
from verdict.rows import JudgeConnection, read_counters, read_opt_outs, read_rows
from verdict.truth import Post, TimeSpan, post_of

UNANSWERED = """
    SELECT recipient_id::text, attempt FROM send_ledger WHERE campaign_id = %s AND outcome = 'unknown'
"""
"""Attempts whose answer no sender recorded. For these, only webhooks can report the result."""
DEFERRED = """
    SELECT recipient_id::text, attempt FROM send_ledger WHERE campaign_id = %s AND outcome = 'deferred'
"""
"""Attempts that a breaker held, and probes that were refused for a transient reason."""


@dataclass(frozen=True)
class Judged:
    """The verdict, and the numbers of unknown sends."""

    verdict: Verdict
    unknown_ever: int
    unknown_left: int

    @property
    def resolved(self) -> int:
        """The number of unknown sends that a webhook resolved."""
        return self.unknown_ever - self.unknown_left


def posts_of(settings: Settings, campaign: str, entries: Iterable[Mapping[str, Any]]) -> tuple[list[Post], int]:
    """The posts of one campaign, and the number of posts without callback data of this deployment."""
    secret = settings.callback_secret.get_secret_value().encode()
    posts, strangers = [], 0
    for entry in entries:
        callback_data = callback.decode(secret, settings.deployment, entry["callback_data"] or "")
        if isinstance(callback_data, callback.NotOurs):
            strangers += 1
        elif str(callback_data.campaign_id) == campaign:
            posts.append(post_of(entry, str(callback_data.recipient_id), callback_data.attempt))
    return posts, strangers


def judge_campaign(
    settings: Settings,
    connection: JudgeConnection,
    campaign: str,
    people: Sequence[Person],
    entries: Sequence[Mapping[str, Any]],
    stats: Mapping[str, Any],
    trouble: tuple[str, ...],
    frozen: tuple[TimeSpan, ...],
) -> Judged:
    """Compare rows, counters and stats with the simulator's ledger. `entries` may contain other campaigns' posts."""
    posts, strangers = posts_of(settings, campaign, entries)
    rows = read_rows(connection, campaign)
    unknown = frozenset((found[0], found[1]) for found in connection.execute(UNANSWERED, [campaign]).fetchall())
    deferred = frozenset((found[0], found[1]) for found in connection.execute(DEFERRED, [campaign]).fetchall())
    evidence = Evidence(
        rows=rows,
        posts=posts,
        numbers=frozenset(person.number for person in people),
        parameters={person.number: person.parameters for person in people},
        opted_out=frozenset(),
        held_by_killed=unknown,
        counters=read_counters(connection, campaign),
        recount=recount(rows, read_opt_outs(connection, campaign)),
        reported=stats,
        recount_reported=reported(rows),
        trouble=trouble + ((f"{strangers} posts without callback data of this deployment",) if strangers else ()),
        frozen=frozen,
        deferred=deferred,
    )
    return Judged(judge(evidence), len(unknown), sum(row.status == "unknown" for row in rows))
