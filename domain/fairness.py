"""Divides what may be sent now over those that wait, so that over time each gets its share. Pure.

One step may have less to give than there are claimants: a rate of 80 messages a second has 8 of them in a tenth of a
second, and 20 campaigns may wait. Each claimant therefore has a credit: the share that it was due, minus the messages
that it got. The highest credit gets the next message. A claimant that wants nothing keeps no credit, so it cannot save
up turns and then hold up the others.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


def due_shares(room: int, demands: Mapping[K, int], weights: Mapping[K, float]) -> dict[K, float]:
    """The exact shares of `room` by weight. None exceeds its demand; the rest of a small demand goes to the others."""
    shares = dict.fromkeys(demands, 0.0)
    waiting = {key for key, demand in demands.items() if demand > 0}
    left = float(min(room, sum(demands.values())))
    while waiting:
        level = left / sum(weights[key] for key in waiting)
        filled = {key for key in waiting if demands[key] <= level * weights[key]}
        for key in filled or waiting:
            shares[key] = float(demands[key]) if filled else level * weights[key]
        if not filled:
            break
        left -= sum(demands[key] for key in filled)
        waiting -= filled
    return shares


@dataclass(slots=True)
class Turns(Generic[K]):
    """The credits of the claimants. One object lives as long as the process that divides."""

    credits: dict[K, float] = field(default_factory=dict)

    def divide(self, room: int, demands: Mapping[K, int], weights: Mapping[K, float] | None = None) -> dict[K, int]:
        """Divide `room` over the demands, and remember what each claimant is owed.

        The shares are whole, none exceeds its demand, and together they use the room as far as there is demand. Where
        credits are equal, the first claimants come first. Weights default to 1.
        """
        due = due_shares(room, demands, weights or dict.fromkeys(demands, 1.0))
        owed = {key: self.credits.get(key, 0.0) + due[key] for key, demand in demands.items() if demand > 0}
        shares = dict.fromkeys(demands, 0)
        queue = [(-owed[key], place, key) for place, key in enumerate(owed)]
        heapify(queue)
        for _ in range(min(room, sum(demands.values()))):
            _, place, key = queue[0]
            shares[key] += 1
            owed[key] -= 1
            rank = math.inf if shares[key] == demands[key] else -owed[key]
            heapreplace(queue, (rank, place, key))
        self.credits = owed
        return shares
