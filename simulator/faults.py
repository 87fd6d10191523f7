"""The faults that control requests switch on and off (held answers and outages), and the rate limits."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Literal

from simulator.draws import SeededDraws

OutageKind = Literal["abort", "503", "refuse"]


BURST = 45
"""Messages that a number may send to a person at once. They are borrowed from the following minutes."""


class PairLimit:
    """The limit of messages from one number to one person (Meta's page "Pair rate limits"; code 131056).

    A pair that sent nothing for the time of a whole burst has its full allowance again, so it is forgotten. Two
    generations of pairs make that cheap: the older one is dropped when the younger one is as old as that time.
    """

    def __init__(self, seconds_per_message: float) -> None:
        self._pace_s = seconds_per_message
        self._young: dict[tuple[str, str], tuple[float, float]] = {}
        self._old: dict[tuple[str, str], tuple[float, float]] = {}
        self._turned_at = 0.0

    def allows(self, pair: tuple[str, str], now: float) -> bool:
        """Whether the pair may send one more message now (seconds of any clock). If so, it counts."""
        if now - self._turned_at > BURST * self._pace_s:
            self._young, self._old, self._turned_at = {}, self._young, now
        left, at = self._young.get(pair) or self._old.get(pair) or (float(BURST), now)
        left = min(float(BURST), left + (now - at) / self._pace_s)
        allowed = left >= 1.0
        self._young[pair] = (left - 1.0 if allowed else left, now)
        return allowed


class Faults:
    """The current faults."""

    def __init__(self, mps: float | None, pair_limit_s: float | None = None) -> None:
        self._hold_s: float | None = None
        self._hold_share = 0.0
        self._released = asyncio.Event()
        self._outage: OutageKind | None = None
        self._outage_until = 0.0
        self._mps = mps
        self._tokens: dict[str, tuple[float, float]] = {}
        self._pairs = PairLimit(pair_limit_s) if pair_limit_s is not None else None

    def hold(self, seconds: float, share: float) -> None:
        """Delay this share of the answers by this time, or until `release`."""
        self.release()
        self._hold_s, self._hold_share, self._released = seconds, share, asyncio.Event()

    def release(self) -> None:
        """End the hold. Held requests get their answer at once."""
        self._hold_share = 0.0
        self._released.set()

    def holds(self, draws: SeededDraws) -> bool:
        """Whether answers are held now, and these draws select this one."""
        return self._hold_s is not None and draws.happens("hold", self._hold_share)

    async def wait_while_held(self) -> None:
        """Wait for the end of the hold."""
        with suppress(TimeoutError):  # the time of the hold is over
            async with asyncio.timeout(self._hold_s):
                await self._released.wait()

    def start_outage(self, kind: OutageKind, seconds: float) -> None:
        """Start an outage of the API for this time. 0 seconds end it."""
        self._outage, self._outage_until = kind, time.monotonic() + seconds

    def outage_now(self) -> OutageKind | None:
        """The kind of the current outage, or None."""
        return self._outage if time.monotonic() < self._outage_until else None

    def within_rate(self, phone_number_id: str) -> bool:
        """Whether a request is within the rate limit. It takes a token from the bucket of this number.

        The bucket has room for the tokens of one second.
        """
        if self._mps is None:
            return True
        now, room = time.monotonic(), max(1.0, self._mps)
        tokens, at = self._tokens.get(phone_number_id, (room, now))
        tokens = min(room, tokens + (now - at) * self._mps)
        allowed = tokens >= 1.0
        self._tokens[phone_number_id] = (tokens - 1.0 if allowed else tokens, now)
        return allowed

    def within_pair_rate(self, phone_number_id: str, recipient: str) -> bool:
        """Whether a message is within the limit for one person. It counts for the limit."""
        if self._pairs is None:
            return True
        return self._pairs.allows((phone_number_id, recipient), time.monotonic())
