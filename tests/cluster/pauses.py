"""How long a fault paused the sends and the acknowledgements of webhooks. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """A time without an event."""

    seconds: float
    start: float


@dataclass(frozen=True, slots=True)
class Pauses:
    """What a fault delayed."""

    sends: Gap
    """The longest time without a send."""
    acknowledgements: Gap
    """The longest time without an acknowledged webhook."""
    refused: int
    """Probes that no ingress acknowledged."""
    longest_wait_s: float
    """The longest time from the import of a recipient to the claim of its first attempt."""


def longest_gap(times: Iterable[float], start: float, end: float) -> Gap:
    """The longest time between two neighbours among the start, the times within the span, and the end."""
    inside = sorted(time for time in times if start < time < end)
    return max(Gap(later - earlier, earlier) for earlier, later in itertools.pairwise([start, *inside, end]))
