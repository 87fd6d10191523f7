"""The gate before every post: the rate of a phone number, and the brakes that throttled answers pull.

After a throttled answer the rate of its number drops and recovers slowly, because refused posts prolong a throttle.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import structlog

from domain.error_codes import ThrottleScope
from domain.outcomes import Outcome, has_answer
from domain.pacing import Brake, Silence, TokenBucket
from streams.sender.stage import STAGE

BURST_S = 0.05
"""The token bucket holds so many seconds of the rate."""
RATE_AFTER_THROTTLE = 0.7
RATE_MIN_SHARE = 0.02
RATE_RECOVERY_SHARE = 0.001
"""Share of the full rate that each accepted message restores: a halved rate has recovered after 500 messages."""
SILENCE_POLL_S = 0.1
_log = structlog.get_logger(STAGE)
BRAKE_BASE_S, BRAKE_FACTOR, BRAKE_CAP_S = 1.0, 2.0, 120.0


class Gate:
    """Permits for every number, in the order of their reservation. `rates`: of the numbers with a rate of their own."""

    def __init__(
        self,
        rate: float,
        rates: Mapping[str, float] = MappingProxyType({}),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._whole_rate = rate
        self._whole_rates = rates
        self._share = 1.0
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}
        self._brakes: dict[str, Brake] = {}
        self._silence = Silence()

    def share(self, share: float) -> None:
        """Use this share of each number's rate, because other senders use the rest.

        Jobs are spread evenly over the partitions of `send.jobs`, so a sender's share of the partitions is its share of
        the jobs, and the shares of all senders add up to the rate.
        """
        share = min(1.0, share)
        if share == self._share:
            return
        for bucket in self._buckets.values():
            bucket.rate *= share / self._share
        self._share = share

    def reserve(self, phone_number_id: str) -> tuple[float, bool]:
        """Seconds to wait, and whether a permit was reserved; if not, only a brake ends after the wait."""
        held_s = self.held_s(phone_number_id)
        if held_s > 0:
            return held_s, False
        return self._bucket(phone_number_id).reserve(self._clock()), True

    def held_s(self, phone_number_id: str) -> float:
        """Seconds for which a brake holds this number, or the interval of the checks while the server is silent."""
        silent_s = SILENCE_POLL_S if self._silence.holds(self._clock()) else 0.0
        return max(silent_s, self.braked_s(phone_number_id))

    @contextlib.contextmanager
    def posting(self) -> Iterator[Callable[[Outcome], None]]:
        """A post is on its way inside the block; the block passes its outcome to what it gets."""
        ticket, is_answer = self._silence.posted(self._clock()), False

        def ended(outcome: Outcome) -> None:
            nonlocal is_answer
            is_answer = has_answer(outcome)

        try:
            yield ended
        finally:
            self._silence.ended(ticket, self._clock(), is_answer=is_answer)

    def braked_s(self, phone_number_id: str) -> float:
        """Seconds for which a brake holds this number, without the checks for a silent server."""
        now = self._clock()
        return max(self._brake(phone_number_id).wait_s(now), self._brake(ACCOUNT).wait_s(now))

    def backlog_s(self, phone_number_id: str) -> float:
        """Seconds until a permit reserved now would be due."""
        bucket = self._bucket(phone_number_id)
        owed = -bucket.tokens - max(0.0, self._clock() - bucket.at) * bucket.rate
        return max(self.held_s(phone_number_id), owed / bucket.rate)

    def room(self, phone_number_id: str, ahead_s: float) -> int:
        """How many permits reserved now would be due within `ahead_s`; at least one if the backlog is shorter."""
        left_s = ahead_s - self.backlog_s(phone_number_id)
        return max(1, int(left_s * self._bucket(phone_number_id).rate)) if left_s > 0 else 0

    def throttled(self, phone_number_id: str, scope: ThrottleScope, retry_after_s: float | None) -> float:
        """Record a throttled answer: hold the number or the account, and return for how many seconds."""
        brake = self._brake(ACCOUNT if scope is ThrottleScope.ACCOUNT else phone_number_id)
        strikes = brake.strikes
        wait_s = brake.pull(self._clock(), retry_after_s)
        if brake.strikes > strikes:
            bucket = self._bucket(phone_number_id)
            bucket.rate = max(self._full_rate(phone_number_id) * RATE_MIN_SHARE, bucket.rate * RATE_AFTER_THROTTLE)
            _log.warning(
                "Meta throttles; messages wait, and the rate drops",
                scope=scope.value,
                phone_number_id=phone_number_id,
                wait_s=round(wait_s, 1),
                rate=round(bucket.rate, 1),
            )
        return wait_s

    def answered(self, phone_number_id: str) -> None:
        """Record an answer that was not a throttle."""
        now = self._clock()
        self._brake(phone_number_id).release(now)
        self._brake(ACCOUNT).release(now)
        bucket = self._bucket(phone_number_id)
        full_rate = self._full_rate(phone_number_id)
        bucket.rate = min(full_rate, bucket.rate + full_rate * RATE_RECOVERY_SHARE)

    def _full_rate(self, phone_number_id: str) -> float:
        return self._whole_rates.get(phone_number_id, self._whole_rate) * self._share

    def _bucket(self, phone_number_id: str) -> TokenBucket:
        bucket = self._buckets.get(phone_number_id)
        if bucket is None:
            rate = self._full_rate(phone_number_id)
            burst = max(1.0, rate * BURST_S)
            bucket = self._buckets[phone_number_id] = TokenBucket(rate, burst, burst, self._clock())
        return bucket

    def _brake(self, name: str) -> Brake:
        return self._brakes.setdefault(name, Brake(BRAKE_BASE_S, BRAKE_FACTOR, BRAKE_CAP_S))


ACCOUNT = ""
"""The name of the brake of the account. No phone number has it."""
