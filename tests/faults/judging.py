"""Judges a campaign after faults like the demo: the rows and the sends are compared with the simulator's ledger.

A recipient may stay `unknown` only if the simulator never accepted the attempt. Otherwise webhooks must have resolved
it. The faults limit the number of sends that were `unknown` at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    opted_out: frozenset[str] = frozenset(),
) -> Judged:
    """Compare rows, counters and stats with the simulator's ledger. `entries` may contain other campaigns' posts.

    `opted_out`: the numbers of people who opted out while the campaign was sent. Those without a post must be skipped.
    """
    posts, strangers = posts_of(settings, campaign, entries)
    rows = read_rows(connection, campaign)
    unknown = frozenset((found[0], found[1]) for found in connection.execute(UNANSWERED, [campaign]).fetchall())
    deferred = frozenset((found[0], found[1]) for found in connection.execute(DEFERRED, [campaign]).fetchall())
    evidence = Evidence(
        rows=rows,
        posts=posts,
        numbers=frozenset(person.number for person in people),
        parameters={person.number: person.parameters for person in people},
        opted_out=opted_out - {post.number for post in posts} - {row.number for row in rows if row.status == "unknown"},
        held_by_killed=unknown,
        counters=read_counters(connection, campaign),
        recount=recount(rows, read_opt_outs(connection, campaign)),
        reported=stats,
        recount_reported=reported(rows),
        trouble=trouble + ((f"{strangers} posts without callback data of this deployment",) if strangers else ()),
        frozen=frozen,
        deferred=deferred,
    )
    verdict = judge(evidence)
    # An opt-out between two attempts skips the second one, which the ledger of the simulator cannot show.
    stopped = {row.id for row in rows if row.number in opted_out and row.failure_reason == "opted_out"}
    failed = {post.recipient_id for post in posts} - {post.recipient_id for post in posts if _is_delivered(post)}
    wrong = tuple(row for row in verdict.wrong_rows if row.row_id not in stopped & failed)
    return Judged(replace(verdict, wrong_rows=wrong), len(unknown), sum(row.status == "unknown" for row in rows))


def _is_delivered(post: Post) -> bool:
    """Whether the simulator accepted the message, and no status says that it failed."""
    return post.accepted and not any(status.word == "failed" for status in post.statuses)
