"""How fast a number may send: a token bucket, a brake that throttled answers pull, and a hold while nobody answers.

Pure: every method takes the caller's clock (seconds, monotonic). A bucket gives
reservations instead of refusals, so that waiters keep their order and none polls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
        return max(0.0, -self.tokens / self.rate)


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


SILENT_POSTS_MIN = 5
"""Fewer unanswered posts are no sign."""
SILENCE_MIN_S, SILENCE_MAX_S = 0.5, 3.0
SILENCE_FACTOR = 8.0
"""So many usual latencies without any answer are silence, within the two limits."""
LATENCY_START_S = 0.1
LATENCY_WEIGHT = 0.1


@dataclass(slots=True)
class Silence:
    """Notices that a server answers nobody any more, long before the first post times out.

    At 80 posts a second, a timeout of 20 s comes after 1,600 posts whose outcome is unknown. So new posts wait while
    several are unanswered and no answer at all has come for a while. Any answer ends the wait, so slow answers among
    others hold up nobody.
    """

    open_since: dict[int, float] = field(default_factory=dict)
    """Start of each unanswered post, the oldest first."""
    answered_at: float = 0.0
    latency_s: float = LATENCY_START_S
    posts: int = 0

    def posted(self, now: float) -> int:
        """A post leaves; returns its ticket."""
        self.posts += 1
        self.open_since[self.posts] = now
        return self.posts

    def ended(self, ticket: int, now: float, *, is_answer: bool) -> None:
        """A post ended, with an answer of the server or without."""
        started = self.open_since.pop(ticket)
        if is_answer:
            self.answered_at = now
            self.latency_s += LATENCY_WEIGHT * (now - started - self.latency_s)

    def holds(self, now: float) -> bool:
        """Whether new posts must wait."""
        if len(self.open_since) < SILENT_POSTS_MIN:
            return False
        limit_s = min(SILENCE_MAX_S, max(SILENCE_MIN_S, SILENCE_FACTOR * self.latency_s))
        if now - self.answered_at <= limit_s:
            return False  # as nearly always; to find the oldest post takes longer, because a dict keeps deleted places
        oldest = next(iter(self.open_since.values()))
        return now - oldest > limit_s
