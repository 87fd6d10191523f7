"""Claims and renewals of one sender: the attempts that it owns, and when each ownership was issued.

The age of a claim counts from the moment when its statement was issued, on a clock that counts the sleep of the machine
(`freshness` has the reasons). The claim token belongs to the batch, not to a try: when the answer to a claim is lost,
the same statement under the same token reads back the claims that the first try made. Nothing here posts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog

from schemas.jobs import SendJob
from streams.sender.rounds import Rounds
from streams.sender.stage import STAGE
from tables import ledger
from tables.database import Pool, is_transient
from tables.ledger import Claim, ClaimAnswer, ClaimResult, Key
from tables.retrying import retrying

STATEMENT_TIMEOUT_S = 1.0
"""Limit of every claim and renewal, waiting for locks included: a statement that waited longer judged old rows."""
CLAIM_PATIENCE_S = 600.0
"""How long a claim is repeated while Postgres is away: as long as answers are kept, and below Faust's poll limit."""
OWNED = frozenset({ClaimResult.CLAIMED, ClaimResult.PROBE})
"""The verdicts after which this sender may post."""
SESSION = {"lock_timeout": "1000"}

_log = structlog.get_logger(STAGE)
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_time() -> float:
    """Seconds since boot, the machine's sleep included (CLOCK_MONOTONIC counts it where there is no CLOCK_BOOTTIME)."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answers to one claim statement, and when it was issued (seconds since boot)."""

    answers: dict[Key, ClaimAnswer]
    claims: dict[Key, Claim]
    issued_at: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """The answer to a renewal (None if Postgres did not answer), and when it was issued (seconds since boot)."""

    answer: ClaimAnswer | None
    issued_at: float


class Claims:
    """Claims one batch per statement and renews in rounds. `run` must be a task while anyone renews."""

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

    async def claim(self, jobs: Sequence[SendJob], unless_closed: Callable[[], None] = lambda: None) -> Claimed:
        """Claim or refuse each job. A lost answer is read back by repeating the claim under the same token.

        The tries outlast the lease: claims that nobody reads back become `unknown`, although nothing was posted.
        `unless_closed` is called after each failed try and may raise. Raises PostgresUnreachable after
        CLAIM_PATIENCE_S.
        """
        token = uuid4()
        first_issued_at: list[float] = []

        async def once() -> dict[Key, ClaimAnswer]:
            async with self._pool.connection() as connection:
                first_issued_at.append(self._clock())
                return await ledger.claim(connection, token, jobs, self._lease_s)

        def tried() -> None:
            self._progressed()
            unless_closed()

        answers = await retrying(STAGE, "claim", once, give_up_after_s=CLAIM_PATIENCE_S, tried=tried)
        claims = {key: Claim(key[0], key[1], token) for key in answers}
        # The time of the first try: a claim that is read back was judged then.
        return Claimed(answers, claims, first_issued_at[0])

    async def renew(self, claim: Claim) -> Renewed:
        """Renew one claim. Renewals requested at the same time share a statement."""
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
            _log.warning(
                "Postgres did not answer renewals; their messages wait", claims=len(claims), error=type(error).__name__
            )
            return [Renewed(None, issued_at) for _ in claims]
        return [_renewed(answers[claim.key], issued_at) for claim in claims]


def _renewed(answer: ClaimAnswer, issued_at: float) -> Renewed:
    """The answer; none if another transaction has locked the claim, which is like a Postgres that does not answer."""
    return Renewed(None if answer.verdict is ClaimResult.BUSY else answer, issued_at)
