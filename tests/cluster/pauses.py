"""How long a fault paused the sends and the acknowledgements of webhooks. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pauses:
    """The longest time without a send, and the longest time without an acknowledged webhook, in seconds."""

    sends_s: float
    acknowledgements_s: float
    refused: int
    """Probes that no ingress acknowledged."""
    longest_wait_s: float
    """The longest time from the import of a recipient to the claim of its first attempt."""


def longest_gap(times: Iterable[float], start: float, end: float) -> float:
    """The longest time between two neighbours among the start, the times within the span, and the end."""
    inside = sorted(time for time in times if start < time < end)
    edges: Sequence[float] = [start, *inside, end]
    return max(later - earlier for earlier, later in itertools.pairwise(edges))
