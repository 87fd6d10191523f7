"""The bounds on the ingress' memory: bytes of requests that are read and not yet answered."""

from __future__ import annotations

from prometheus_client import Gauge

SMALL_BYTES = 64 * 1024
"""Nearly every webhook is smaller."""


class PendingBytes:
    """Counts the bytes of requests in one state. Their maximum bounds the memory in a burst, an outage or an attack.

    Requests above `SMALL_BYTES` may use the share `large_share` of it, so a few of them cannot keep small ones out.
    """

    def __init__(self, bytes_max: int, gauge: Gauge, large_share: float = 1.0) -> None:
        self._held = 0
        self._max = bytes_max
        self._max_of_large = int(bytes_max * large_share)
        gauge.set_function(lambda: self._held)  # it is read when metrics are collected, and costs a request nothing

    def take(self, count: int, taken: int = 0) -> bool:
        """Reserve bytes for a request that has `taken` so many before. Returns whether there was room."""
        limit = self._max if taken + count <= SMALL_BYTES else self._max_of_large
        if self._held + count > limit:
            return False
        self._held += count
        return True

    def release(self, count: int) -> None:
        """Release bytes that were reserved."""
        self._held -= count
