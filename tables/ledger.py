"""The ledger of sends: claims, renewals, outcomes, and the outbox of their events.

The claim guarantees at most one send per attempt (the rule is in sql/schema.sql, "releases and ledger"). The ledger row
is committed before anything depends on it: the sender commits its Kafka offset after the claim, posts after the claim,
and publishes the event after the outcome. Every function runs one statement on an autocommit connection, and none
retries. A caller that gets no answer repeats the call: a claim by the same token returns the same result, and a
settlement is written once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from psycopg import AsyncConnection

from domain.breakers import ProbePauses
from domain.signals import NO_SIGNALS, Signals
from schemas.codec import PRODUCER
from schemas.jobs import SendJob
from tables.binary_arrays import BinaryArray, integers, smallints, texts, times, uuids
from tables.statements import load

Key: TypeAlias = tuple[UUID, int]
"""A recipient and the number of its attempt: the ledger's primary key."""


class ClaimResult(StrEnum):
    """The verdict of a claim or a renewal."""

    CLAIMED = "claimed"
    PROBE = "probe"
    """Claimed, as the one message that an open breaker lets through."""
    RENEWED = "renewed"
    DEFERRED = "deferred"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    PAUSED = "paused"
    """Nothing was written. The job is published again after the campaign is resumed."""
    BUSY = "busy"
    """Another transaction has locked the recipient or, for a renewal, the ledger row. Nothing was written. The job is
    published again, and a renewal is repeated."""
    STALE = "stale"
    """Not the newest attempt, or it has an outcome, or the recipient does not exist."""
    HELD = "held"
    """Another token has claimed or refused it."""
    LOST = "lost"
    """The renewal found another token or an outcome."""


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """The verdict for one attempt. `event` (JSON) is set where the call settled the attempt."""

    verdict: ClaimResult
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that this process owns."""

    recipient_id: UUID
    attempt: int
    token: UUID

    @property
    def key(self) -> Key:
        """The ledger's primary key."""
        return (self.recipient_id, self.attempt)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of a claim. `event` is the RecipientEvent as JSON, as it is published."""

    claim: Claim
    outcome: str
    event: str
    wamid: str | None = None
    signals: Signals = NO_SIGNALS
    """What the outcome says about the scopes of the breakers."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a call settled. An attempt in neither set has an outcome or another token already."""

    written: frozenset[Key]
    busy: frozenset[Key]
    """Another transaction has locked their rows; the caller tries them again."""


@dataclass(frozen=True, slots=True)
class UnpublishedOutcome:
    """An outcome whose event must be published, byte for byte."""

    recipient_id: UUID
    attempt: int
    outcome: str
    event: str

    @property
    def kafka_key(self) -> bytes:
        """The key of the record on `recipient.events`."""
        return str(self.recipient_id).encode()


PAUSES = ProbePauses()
_SQL = load("ledger")


async def claim(
    connection: AsyncConnection[Any], token: UUID, jobs: Sequence[SendJob], lease_s: float
) -> dict[Key, ClaimAnswer]:
    """Claim or refuse each job. After a lost answer, repeat the call with the same token for the same result."""
    cursor = await connection.execute(
        _SQL["claim_attempts"],
        {
            "token": token,
            "recipients": uuids([job.recipient_id.bytes for job in jobs]),
            "attempts": smallints([job.attempt for job in jobs]),
            "deadlines": times([job.send_before for job in jobs]),
            "lease_s": lease_s,
            "producer": PRODUCER,
        },
    )
    answers = _answers(await cursor.fetchall())
    return {
        key: answers.get(key, ClaimAnswer(ClaimResult.STALE)) for key in ((j.recipient_id, j.attempt) for j in jobs)
    }


async def renew(connection: AsyncConnection[Any], claims: Collection[Claim], lease_s: float) -> dict[Key, ClaimAnswer]:
    """Renew each claim for another lease, or settle it as certainly not sent."""
    cursor = await connection.execute(
        _SQL["renew_claims"], {**_owned(claims), "lease_s": lease_s, "producer": PRODUCER}
    )
    answers = _answers(await cursor.fetchall())
    return {each.key: answers.get(each.key, ClaimAnswer(ClaimResult.LOST)) for each in claims}


async def settle(
    connection: AsyncConnection[Any], settlements: Collection[Settlement], pauses: ProbePauses = PAUSES
) -> Settled:
    """Write outcomes and their events, and feed the breakers of their scopes. What is not written feeds nothing."""
    cursor = await connection.execute(
        _SQL["settle_attempts"],
        {
            **_owned([each.claim for each in settlements]),
            "outcomes": texts([each.outcome for each in settlements]),
            "wamids": texts([each.wamid for each in settlements]),
            "events": texts([each.event for each in settlements]),
            "letters": texts([each.signals.letters for each in settlements]),
            "codes": integers([each.signals.code for each in settlements]),
            "reasons": texts([each.signals.reason for each in settlements]),
            "first_s": pauses.first_s,
            "max_s": pauses.max_s,
        },
    )
    rows = await cursor.fetchall()
    return Settled(
        frozenset((row[0], row[1]) for row in rows if row[2]), frozenset((row[0], row[1]) for row in rows if not row[2])
    )


async def mark_published(connection: AsyncConnection[Any], published: Collection[UnpublishedOutcome]) -> None:
    """Mark these events as published: Kafka has acknowledged them."""
    await connection.execute(
        _SQL["mark_published"],
        {
            "recipients": uuids([each.recipient_id.bytes for each in published]),
            "attempts": smallints([each.attempt for each in published]),
            "outcomes": texts([each.outcome for each in published]),
        },
    )


async def unpublished(
    connection: AsyncConnection[Any], limit: int, older_than_s: float = 2.0
) -> list[UnpublishedOutcome]:
    """Outcomes whose sender has not published them in time. The caller publishes, then calls `mark_published`."""
    cursor = await connection.execute(_SQL["read_unpublished"], {"limit": limit, "older_than_s": older_than_s})
    return [UnpublishedOutcome(*row) for row in await cursor.fetchall()]


async def declare_unknown(connection: AsyncConnection[Any], limit: int) -> list[UnpublishedOutcome]:
    """Settle claims whose lease has ended as unknown. The caller publishes the events, then calls `mark_published`."""
    cursor = await connection.execute(_SQL["declare_unknown"], {"limit": limit, "producer": PRODUCER})
    return [UnpublishedOutcome(*row) for row in await cursor.fetchall()]


def _owned(claims: Collection[Claim]) -> dict[str, BinaryArray]:
    return {
        "recipients": uuids([each.recipient_id.bytes for each in claims]),
        "attempts": smallints([each.attempt for each in claims]),
        "tokens": uuids([each.token.bytes for each in claims]),
    }


def _answers(rows: Sequence[Sequence[Any]]) -> dict[Key, ClaimAnswer]:
    return {(row[0], row[1]): ClaimAnswer(ClaimResult(row[2]), row[3]) for row in rows}
