"""Claims and renewals of one sender: which attempts it owns, and since when it may rely on it.

The time of a claim counts from when its statement was ISSUED, on a clock that goes on while the machine sleeps:
what the database decided may be as old as that. Nothing here posts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import structlog

from domain.backoff import exponential
from runtime import metrics
from runtime.process import Transient
from schemas.jobs import SendJob
from streams.sender.rounds import Rounds
from tables import ledger
from tables.database import Pool, is_transient
from tables.ledger import Claim, ClaimAnswer, Key

STATEMENT_TIMEOUT_S = 1.0
"""Of every claim and renewal, waiting for locks included: one that waited longer rests on old knowledge."""
SESSION = {"lock_timeout": "1000"}

RETRY_BASE_S = 0.1
RETRY_CAP_S = 2.0

_log = structlog.get_logger("sender")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
T = TypeVar("T")


def boot_time() -> float:
    """Seconds since boot, the machine's sleep included (CLOCK_MONOTONIC counts it where there is no CLOCK_BOOTTIME)."""
    return time.clock_gettime(_CLOCK)


class ClaimsUnreachable(Transient):
    """Postgres did not answer for as long as a claim could have lived."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answers to one claim statement, and when it was issued."""

    answers: dict[Key, ClaimAnswer]
    claims: dict[Key, Claim]
    issued_at: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """The answer to a renewal, None where Postgres gave none, and when it was issued."""

    answer: ClaimAnswer | None
    issued_at: float


class Claims:
    """Claims in batches as asked, renews in rounds. `run` must be a task."""

    def __init__(
        self,
        pool: Pool,
        *,
        lease_s: float,
        clock: Callable[[], float] = boot_time,
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._lease_s = lease_s
        self._clock = clock
        self._progressed = progressed
        self._renewals: Rounds[Claim, Renewed] = Rounds(self._renew_round, linger_s=0.002, round_max=500)

    async def run(self) -> None:
        """Serve renewals until cancelled."""
        await self._renewals.run()

    async def claim(self, jobs: Sequence[SendJob]) -> Claimed:
        """Claim or refuse each job. A lost answer is read back by repeating the claim under the same token.

        Raises ClaimsUnreachable after a lease without an answer.
        """
        token = uuid4()
        first_issued_at: list[float] = []

        async def once() -> dict[Key, ClaimAnswer]:
            async with self._pool.connection() as connection:
                first_issued_at.append(self._clock())
                return await ledger.claim(connection, token, jobs, self._lease_s)

        answers = await retrying("claim", once, give_up_after_s=self._lease_s, tried=self._progressed)
        claims = {key: Claim(key[0], key[1], token) for key in answers}
        # That of the first try: a row that is read back was judged then.
        return Claimed(answers, claims, first_issued_at[0])

    async def renew(self, claim: Claim) -> Renewed:
        """Renew one claim, together with whoever asks at the same time."""
        return await self._renewals.submit(claim)

    async def _renew_round(self, claims: list[Claim]) -> list[Renewed]:
        issued_at = self._clock()
        try:
            async with self._pool.connection() as connection:
                issued_at = self._clock()  # the wait for a connection does not age the answer
                answers = await ledger.renew(connection, claims, self._lease_s)
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("renewals not answered", claims=len(claims), error=type(error).__name__)
            return [Renewed(None, issued_at) for _ in claims]
        return [Renewed(answers[claim.key], issued_at) for claim in claims]


async def retrying(
    what: str, once: Callable[[], Awaitable[T]], *, give_up_after_s: float, tried: Callable[[], None] = lambda: None
) -> T:
    """Repeat what failed for a passing reason, with backoff. Raises ClaimsUnreachable, or what is no such reason."""
    deadline, tries = time.monotonic() + give_up_after_s, 0
    while True:
        try:
            return await once()
        except Exception as error:
            if not is_transient(error):
                raise
            tries += 1
            tried()
            metrics.RETRIES.labels("sender").inc()
            _log.warning("Postgres did not answer", what=what, tries=tries, error=type(error).__name__)
            if time.monotonic() > deadline:
                raise ClaimsUnreachable(f"{what}: {type(error).__name__}") from error
        await asyncio.sleep(exponential(tries, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S))
