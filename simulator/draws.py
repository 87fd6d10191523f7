"""Repeatable random decisions: each decision about a message is a named draw from one digest.

The digest depends on the seed, on the key of the message and on the number of its posts. It does not depend on the
clock or on the order of arrival. Each draw has a name, so a new kind of decision does not change the other decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import exp, log
from statistics import NormalDist

UNIT = 2.0**-64
"""Scales 64 random bits to [0, 1)."""
Z_OF_P99 = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""
STANDARD_NORMAL = NormalDist()


class SeededDraws:
    """The random decisions about one post of a message."""

    __slots__ = ("_digest",)

    def __init__(self, seed: int, key: str, nth: int) -> None:
        self._digest = blake2b(f"{seed}|{nth}|{key}".encode(), digest_size=16).digest()

    def draw(self, name: str) -> float:
        """A number in [0, 1). The same name always gives the same number."""
        number = blake2b(name.encode(), key=self._digest, digest_size=8).digest()
        return int.from_bytes(number, "big") * UNIT

    def happens(self, name: str, share: float) -> bool:
        """Whether an event with this probability happens."""
        return share > 0.0 and (share >= 1.0 or self.draw(name) < share)

    def pick(self, name: str, shares: Mapping[int, float]) -> int | None:
        """One of the codes, each with its share as probability, or None."""
        if not shares:
            return None
        left = self.draw(name)
        for code, share in shares.items():
            left -= share
            if left < 0.0:
                return code
        return None

    def seconds(self, name: str, median_s: float, p99_s: float) -> float:
        """A log-normal delay with this median and 99th percentile, at most three times the 99th percentile."""
        if p99_s <= median_s or median_s <= 0.0:
            return median_s
        z = STANDARD_NORMAL.inv_cdf(max(self.draw(name), UNIT))
        return min(median_s * exp(log(p99_s / median_s) / Z_OF_P99 * z), 3.0 * p99_s)
