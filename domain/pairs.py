"""The pair limit: one message from a number to a human in six seconds, under whichever key. Pure.

Meta takes about one message in six seconds between a business number and a person, and refuses more with the code
131056 once a small burst is used up. Source: whatsapp.com's page on rate limits, as quoted by providers (2026-09).
The release keeps the second message back, so that it is neither posted nor counted as an attempt.

A message is posted after its release and before its answer is in the ledger. So a pair is busy while an attempt is
released or being sent, and for six seconds after an answer. `is_pair_busy` in SQL repeats this rule, and a test
compares both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PAIR_S = 6.0
"""Seconds between two messages of a pair."""
REMEMBERED_S = 900.0
"""An attempt that was released longer ago does not hold its pair: its job waits for a sender that does not run."""


class PairState(StrEnum):
    """How far an attempt of the pair is."""

    RELEASED = "released"
    CLAIMED = "claimed"
    POSTED = "posted"
    """It has an answer, or its outcome is unknown."""
    UNPOSTED = "unposted"
    """It was surely not posted."""


@dataclass(frozen=True, slots=True)
class PairAttempt:
    """One attempt of a number for a human."""

    state: PairState
    released_at: datetime
    outcome_at: datetime | None = None


def is_busy(attempts: Iterable[PairAttempt], now: datetime, pair_s: float = PAIR_S) -> bool:
    """Whether a message that is released now may come too soon after one of these attempts."""
    return any(_holds(each, now, pair_s) for each in attempts)


def _holds(attempt: PairAttempt, now: datetime, pair_s: float) -> bool:
    if attempt.released_at <= now - timedelta(seconds=REMEMBERED_S):
        return False
    match attempt.state:
        case PairState.RELEASED | PairState.CLAIMED:
            return True
        case PairState.UNPOSTED:
            return False
        case PairState.POSTED:
            return attempt.outcome_at is None or attempt.outcome_at > now - timedelta(seconds=pair_s)
