"""How fast a number may send: a token bucket, and a brake that throttled answers pull.

Pure: every method takes the caller's clock (seconds, monotonic). A bucket gives
reservations instead of refusals, so that waiters keep their order and none polls.
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.backoff import exponential


@dataclass(slots=True)
class TokenBucket:
    """`rate` permits a second, at most `burst` at once. A reservation may be used after its wait."""

    rate: float
    burst: float
    tokens: float = 0.0
    at: float = 0.0

    def reserve(self, now: float) -> float:
        """Take one permit and return the seconds until it is valid (0: now)."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = max(self.at, now)
        self.tokens -= 1.0
        return 0.0 if self.tokens >= 0 else -self.tokens / self.rate


@dataclass(slots=True)
class Brake:
    """Holds a throttled scope back: exponentially longer with each throttle, released by the first success.

    Answers of sends that were in flight together arrive together. Those that arrive while the brake holds are not
    new information and do not lengthen it.
    """

    base_s: float
    factor: float
    cap_s: float
    strikes: int = 0
    until: float = 0.0

    def pull(self, now: float, retry_after_s: float | None = None) -> float:
        """Record a throttled answer: hold the scope, and return for how many seconds from now."""
        if now >= self.until:
            self.strikes += 1
            wait = exponential(self.strikes, base_s=self.base_s, factor=self.factor, cap_s=self.cap_s)
            self.until = now + wait
        if retry_after_s is not None:
            self.until = max(self.until, now + retry_after_s)
        return self.until - now

    def release(self, now: float) -> None:
        """Record an answer without a throttle: the next throttle starts from the base again."""
        if now >= self.until:
            self.strikes = 0

    def wait_s(self, now: float) -> float:
        """Seconds until the scope may send again."""
        return max(0.0, self.until - now)
