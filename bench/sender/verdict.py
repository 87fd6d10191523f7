"""Judges a run of a sender: each message was posted once, and its acceptance is in the topic and in the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson
import psycopg

from runtime.settings import Settings
from schemas.topics import Topic
from topics.scan import find_ranges, scan

SETTLED: LiteralString = """
SELECT l.recipient_id::text, l.wamid FROM send_ledger AS l
WHERE l.attempt = 1 AND l.outcome = 'accepted' AND l.published_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM releases AS r WHERE r.recipient_id = l.recipient_id)
"""


@dataclass(frozen=True, slots=True)
class ReceivedPost:
    """A post, as the stand-in of the Cloud API received it. `at`: seconds on the monotonic clock."""

    callback: str
    number: str
    wamid: str
    at: float


def double_sends(posts: Iterable[ReceivedPost]) -> int:
    """Posts of attempts that had been posted before."""
    return sum(count - 1 for count in Counter(post.callback for post in posts).values())


def late_p99_ms(posts: Sequence[ReceivedPost], rate: float) -> float:
    """How late the posts of a number came, as the 99th percentile over all numbers, in milliseconds.

    Each number has a plan of `rate` posts a second, which begins as early as its posts allow. A sender that is too
    slow, or pauses and never catches up, is later with every post.
    """
    by_number: dict[str, list[float]] = defaultdict(list)
    for post in posts:
        by_number[post.number].append(post.at)
    late: list[float] = []
    for times in by_number.values():
        behind = [at - place / rate for place, at in enumerate(sorted(times))]
        late += [each - min(behind) for each in behind]
    return sorted(late)[int(len(late) * 0.99)] * 1e3


def right_share(
    expected: Mapping[str, str],
    posts: Iterable[ReceivedPost],
    events: Mapping[str, set[str]],
    ledger: Mapping[str, str],
) -> float:
    """The share of the messages that are right.

    `expected`: the recipient by the callback data of its message. `events`: what the topic states of each recipient.
    `ledger`: the wamid of each settled attempt.
    """
    wamids: dict[str, list[str]] = defaultdict(list)
    for post in posts:
        wamids[post.callback].append(post.wamid)
    right = 0
    for data, recipient in expected.items():
        theirs = wamids.get(data, [])
        right += len(theirs) == 1 and events.get(recipient) == {theirs[0]} and ledger.get(recipient) == theirs[0]
    return right / len(expected)


def published(settings: Settings) -> dict[str, set[str]]:
    """What `recipient.events` states of each recipient: the wamid of an acceptance, else the kind of the event."""
    return asyncio.run(_published(settings))


async def _published(settings: Settings) -> dict[str, set[str]]:
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    found: dict[str, set[str]] = defaultdict(set)
    async for records in scan(settings, topic, await find_ranges(settings, topic)):
        for record in records:
            event = orjson.loads(record.value or b"{}")
            found[event["recipient_id"]].add(event["wamid"] if event["kind"] == "accepted" else event["kind"])
    return found


def settled(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, str]:
    """The wamid of each attempt that is settled, published, and no release any more."""
    return dict(connection.execute(SETTLED).fetchall())
