"""The bounds on the ingress' memory: bytes of requests that are read and not yet answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

SMALL_BYTES = 64 * 1024
"""Nearly every webhook is smaller."""


class PendingBytes:
    """Counts the bytes of requests in one state. Their maximum bounds the memory in a burst, an outage or an attack.

    Requests above `SMALL_BYTES` may use the share `large_share` of it, so a few of them cannot keep small ones out.
    """

    def __init__(self, bytes_max: int, gauge: Gauge, large_share: float = 1.0) -> None:
        self._max = bytes_max
        self._max_of_large = int(bytes_max * large_share)
        self._held = 0
        self._gauge = gauge

    @contextmanager
    def request(self) -> Iterator[Callable[[int], bool]]:
        """Yield a function that reserves bytes for one request. All are released at its end."""
        taken = 0

        def take(count: int) -> bool:
            nonlocal taken
            limit = self._max if taken + count <= SMALL_BYTES else self._max_of_large
            if self._held + count > limit:
                return False
            taken += count
            self._held += count
            self._gauge.set(self._held)
            return True

        try:
            yield take
        finally:
            self._held -= taken
            self._gauge.set(self._held)
