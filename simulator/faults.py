"""Troubles switched on and off from outside while the simulator runs: held answers, outages, and the rate limit."""

from __future__ import annotations

import asyncio
from typing import Literal

OutageKind = Literal["abort", "503"]


class Faults:
    """The troubles in force."""

    def __init__(self, mps: float | None) -> None:
        self.hold_s: float | None = None
        self.hold_share = 0.0
        self.released = asyncio.Event()
        self.outage: OutageKind | None = None
        self.outage_until = 0.0
        self.mps = mps
        self.tokens: dict[str, tuple[float, float]] = {}

    def hold(self, seconds: float, share: float) -> None:
        """From now on this share of the answers takes so much longer, or until `release`."""
        self.release()
        self.hold_s, self.hold_share, self.released = seconds, share, asyncio.Event()

    def release(self) -> None:
        """Ends holding; what is held gets its answer at once."""
        self.hold_share = 0.0
        self.released.set()

    def break_api(self, kind: OutageKind, seconds: float) -> None:
        """The API is down for so long (0 = up again)."""
        self.outage, self.outage_until = kind, asyncio.get_running_loop().time() + seconds

    def outage_now(self) -> OutageKind | None:
        """How the API is down, None = it is not."""
        return self.outage if asyncio.get_running_loop().time() < self.outage_until else None

    def within_rate(self, phone_number_id: str) -> bool:
        """Takes a token of this number's bucket, which holds those of one second."""
        if self.mps is None:
            return True
        now, room = asyncio.get_running_loop().time(), max(1.0, self.mps)
        tokens, at = self.tokens.get(phone_number_id, (room, now))
        tokens = min(room, tokens + (now - at) * self.mps)
        allowed = tokens >= 1.0
        self.tokens[phone_number_id] = (tokens - 1.0 if allowed else tokens, now)
        return allowed
