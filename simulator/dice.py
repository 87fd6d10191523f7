"""Repeatable randomness: every decision about a message is a named draw from one digest.

The digest is made from the seed, the key of the message and the number of its posts, never from the order of arrival or
the clock. Draws have names, so that an additional decision changes no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import exp, log
from statistics import NormalDist

UNIT = 2.0**-64
Z_OF_P99 = 2.3263478740408408
STANDARD_NORMAL = NormalDist()


class Dice:
    """The draws of one message."""

    __slots__ = ("digest",)

    def __init__(self, seed: int, key: str, nth: int) -> None:
        self.digest = blake2b(f"{seed}|{nth}|{key}".encode(), digest_size=16).digest()

    def draw(self, name: str) -> float:
        """A number in [0, 1), the same each time for the same name."""
        drawn = blake2b(name.encode(), key=self.digest, digest_size=8).digest()
        return int.from_bytes(drawn, "big") * UNIT

    def happens(self, name: str, share: float) -> bool:
        """Whether an event with this share happens to the message."""
        return share > 0.0 and self.draw(name) < share

    def pick(self, name: str, shares: Mapping[int, float]) -> int | None:
        """One of the codes by their shares; None for the rest."""
        if not shares:
            return None
        left = self.draw(name)
        for code, share in shares.items():
            left -= share
            if left < 0.0:
                return code
        return None

    def seconds(self, name: str, median_s: float, p99_s: float) -> float:
        """A log-normal delay with this median and 99th percentile, cut at three times the latter."""
        if p99_s <= median_s or median_s <= 0.0:
            return median_s
        z = STANDARD_NORMAL.inv_cdf(max(self.draw(name), UNIT))
        return min(median_s * exp(log(p99_s / median_s) / Z_OF_P99 * z), 3.0 * p99_s)
