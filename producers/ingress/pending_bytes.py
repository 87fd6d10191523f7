"""The bound on the ingress' memory: bytes of requests that are read and not yet answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtime import metrics


class PendingBytes:
    """Counts the bytes of unanswered requests. Their maximum bounds the memory in a burst or an outage."""

    def __init__(self, bytes_max: int) -> None:
        self._max = bytes_max
        self._held = 0

    @contextmanager
    def request(self) -> Iterator[Callable[[int], bool]]:
        """Yield a function that reserves bytes for one request. All are released at its end."""
        taken = 0

        def take(count: int) -> bool:
            nonlocal taken
            if self._held + count > self._max:
                return False
            taken += count
            self._held += count
            metrics.INGRESS_PENDING_BYTES.set(self._held)
            return True

        try:
            yield take
        finally:
            self._held -= taken
            metrics.INGRESS_PENDING_BYTES.set(self._held)
