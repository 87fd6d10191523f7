"""Breakers in Postgres: what is open, the probes that the scheduler releases, resets, pauses, and changes to publish.

Settlements feed the breakers and claims obey them inside the functions of sql/schema.sql. This module holds the
statements of everyone else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.breakers import ProbePauses, Scope
from domain.signals import Signals
from runtime.logs import mask_phone
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("breakers")
LIST_MAX = 1000
REPORTED_FRESH_S = 60.0
"""Meta's webhooks come within seconds. An old report, or a sink with a backlog, must not stop the sending of today."""
REPORTED_LOCK_MS = 50
"""The sink gives up a report rather than wait for a breaker. Settlements hold these locks for some milliseconds."""


@dataclass(frozen=True, slots=True)
class KnownBreaker:
    """One row of breakers, as operators see it."""

    scope: Scope
    key: str
    opened_at: datetime | None
    code: int | None
    reason: str | None
    needs_human: bool
    streak: int
    recent_bad: int
    """Bad outcomes among the last 20."""
    probe_at: datetime | None
    is_probing: bool
    """Whether a probe is on its way."""
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """An opening, a closing or a reset of a breaker, or a pause of a campaign because of one."""

    id: int
    change: str
    scope: str
    """A `Scope`, or `campaign` where the figures of a campaign paused it; the key is the reason code then."""
    key: str
    campaign_id: UUID | None
    code: int | None
    reason: str | None
    needs_human: bool
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """A webhook's `failed` with a code of a whole scope."""

    recipient_id: UUID
    attempt: int
    signals: Signals
    at: datetime


async def feed_reported(connection: Connection, failures: Sequence[ReportedFailure], pauses: ProbePauses) -> None:
    """Feed the breakers with fresh failures of attempts that are newer than the last act on campaign and breaker.

    It waits for locks for `REPORTED_LOCK_MS` at most. Raises psycopg.Error.
    """
    values = {
        "recipients": [each.recipient_id for each in failures],
        "attempts": [each.attempt for each in failures],
        "letters": [each.signals.letters for each in failures],
        "codes": [each.signals.code for each in failures],
        "reasons": [each.signals.reason for each in failures],
        "times": [each.at for each in failures],
        "fresh_s": REPORTED_FRESH_S,
        "first_s": pauses.first_s,
        "max_s": pauses.max_s,
    }
    async with connection.transaction():
        await connection.execute(_SQL["limit_lock_wait"], {"limit": f"{REPORTED_LOCK_MS}ms"})
        await connection.execute(_SQL["lock_reported"], values)
        await connection.execute(_SQL["feed_reported"], values)


def shown_key(scope: str, key: str) -> str:
    """The key of a breaker without the phone number of a person."""
    if scope != Scope.RECIPIENT:
        return key
    number, _, phone = key.partition("/")
    return f"{number}/{mask_phone(phone)}"


async def known(connection: Connection, limit: int = LIST_MAX) -> list[KnownBreaker]:
    """The breakers with something to remember, the open ones first."""
    cursor = await connection.execute(_SQL["list_breakers"], {"limit": limit})
    return [KnownBreaker(Scope(row[0]), *row[1:]) for row in await cursor.fetchall()]


async def holding(connection: Connection, ids: Collection[UUID]) -> dict[UUID, list[KnownBreaker]]:
    """The open breakers that hold the messages of these campaigns to everybody, the oldest first."""
    held: dict[UUID, list[KnownBreaker]] = {}
    cursor = await connection.execute(_SQL["list_holding"], {"ids": plain(ids)})
    for campaign_id, scope, *values in await cursor.fetchall():
        held.setdefault(campaign_id, []).append(KnownBreaker(Scope(scope), *values))
    return held


async def take_release_probe(connection: Connection, number: str, template: str, language: str) -> bool:
    """Whether a message of this number and template may be released now as the probe of all its open breakers."""
    values = {"number": number, "template": template, "language": language}
    return bool(await (await connection.execute(_SQL["take_release_probe"], values)).fetchall())


async def reset(connection: Connection, campaign_id: UUID) -> list[tuple[Scope, str]]:
    """Let the open breakers of a campaign send a probe at once, and return them. Only a probe closes one."""
    cursor = await connection.execute(_SQL["reset_campaign"], {"campaign": campaign_id})
    return [(Scope(scope), key) for scope, key in await cursor.fetchall()]


async def pause_held(connection: Connection, limit_s: float) -> list[tuple[UUID, str]]:
    """Pause active campaigns that a breaker holds until a human acts, or for longer than the limit: id and reason."""
    cursor = await connection.execute(_SQL["pause_held"], {"limit_s": limit_s})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def unpublished_changes(connection: Connection, limit: int) -> list[BreakerChange]:
    """Changes that are not published yet, the oldest first."""
    cursor = await connection.execute(_SQL["unpublished_changes"], {"limit": limit})
    return [BreakerChange(*row) for row in await cursor.fetchall()]


async def mark_changes(connection: Connection, changes: Collection[BreakerChange]) -> None:
    """Mark these changes as published: Kafka has acknowledged them."""
    await connection.execute(_SQL["mark_changes"], {"ids": plain(each.id for each in changes)})


async def count_open(connection: Connection) -> dict[Scope, int]:
    """How many breakers are open, by scope. A scope without one has 0."""
    found: dict[str, int] = dict(await (await connection.execute(_SQL["count_open"])).fetchall())
    return {scope: found.get(scope.value, 0) for scope in Scope}


async def forget_recovered(connection: Connection, limit: int) -> None:
    """Delete what is not needed any more: recovered breakers, and changes that were published a month ago.

    At most `limit` of each are deleted.
    """
    await connection.execute(_SQL["forget_recovered"], {"limit": limit})


async def close(connection: Connection, scope: Scope, key: str) -> bool:
    """Close one breaker on the word of an operator; False if it was not open."""
    cursor = await connection.execute(_SQL["close_breaker"], {"scope": scope.value, "key": key})
    return cursor.rowcount > 0


async def open_by_operator(connection: Connection, scope: Scope, key: str, reason: str) -> None:
    """Open one breaker until an operator closes it or resumes a campaign of its scope."""
    await connection.execute(_SQL["open_breaker"], {"scope": scope.value, "key": key, "reason": reason})
