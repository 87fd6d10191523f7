"""Measures how long recipients are `unknown` until webhooks resolve them. It queries Postgres every half second."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Self

import psycopg

from tests.faults.world import World

EVERY_S = 0.5
UNKNOWN = "SELECT id::text FROM campaign_recipients WHERE campaign_id = %s AND status = 'unknown'"


class ResolutionTimes:
    """The measured times of one campaign. A thread measures them within the block."""

    def __init__(self, world: World, campaign: str) -> None:
        self._world = world
        self._campaign = campaign
        self._since: dict[str, float] = {}
        self._took_s: list[float] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resolution", daemon=True)

    def median_s(self) -> float | None:
        """The median of the measured times."""
        return round(statistics.median(self._took_s), 1) if self._took_s else None

    def max_s(self) -> float | None:
        """The longest measured time."""
        return round(max(self._took_s), 1) if self._took_s else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                with self._world.connect() as connection:
                    found = {row[0] for row in connection.execute(UNKNOWN, [self._campaign]).fetchall()}
            except psycopg.OperationalError:
                continue  # Postgres is down: try again
            now = time.monotonic()
            for resolved in self._since.keys() - found:
                self._took_s.append(now - self._since.pop(resolved))
            for fresh in found - self._since.keys():
                self._since[fresh] = now
