"""Faults that are switched on and off while the simulator runs: held answers, outages, and the rate limit."""

from __future__ import annotations

import asyncio
from typing import Literal

OutageKind = Literal["abort", "503"]


class Faults:
    """The current faults."""

    def __init__(self, mps: float | None) -> None:
        self.hold_s: float | None = None
        self.hold_share = 0.0
        self.released = asyncio.Event()
        self.outage: OutageKind | None = None
        self.outage_until = 0.0
        self.mps = mps
        self.tokens: dict[str, tuple[float, float]] = {}

    def hold(self, seconds: float, share: float) -> None:
        """Delay this share of the answers by so much, or until `release`."""
        self.release()
        self.hold_s, self.hold_share, self.released = seconds, share, asyncio.Event()

    def release(self) -> None:
        """Stop holding. Held requests get their answer at once."""
        self.hold_share = 0.0
        self.released.set()

    def break_api(self, kind: OutageKind, seconds: float) -> None:
        """Take the API down for so long; 0 brings it up."""
        self.outage, self.outage_until = kind, asyncio.get_running_loop().time() + seconds

    def outage_now(self) -> OutageKind | None:
        """The kind of the outage, or None."""
        return self.outage if asyncio.get_running_loop().time() < self.outage_until else None

    def within_rate(self, phone_number_id: str) -> bool:
        """Take a token from the bucket of this number, which holds the tokens of one second."""
        if self.mps is None:
            return True
        now, room = asyncio.get_running_loop().time(), max(1.0, self.mps)
        tokens, at = self.tokens.get(phone_number_id, (room, now))
        tokens = min(room, tokens + (now - at) * self.mps)
        allowed = tokens >= 1.0
        self.tokens[phone_number_id] = (tokens - 1.0 if allowed else tokens, now)
        return allowed
