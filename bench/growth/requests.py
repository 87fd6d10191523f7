"""The requests of people who watch a campaign, and how long the API takes to answer them."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

CAMPAIGNS = "/api/marketing/campaigns"
LIVE = "/live"
FIGURES = b"event: figures\n"
"""The event of a stream that has the live figures of a campaign."""
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """Times of the answers to one request, in milliseconds."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """Half of the answers were faster."""
        return self._at(0.5)

    @property
    def p99(self) -> float:
        """One of a hundred was slower."""
        return self._at(0.99)

    def _at(self, share: float) -> float:
        return sorted(self.values)[min(len(self.values) - 1, int(len(self.values) * share))]


def paths(campaign: UUID, deep: UUID) -> Mapping[str, str]:
    """What is requested, by its name. `deep`: a recipient near the end of the list."""
    own = f"{CAMPAIGNS}/{campaign}"
    return {
        "list of campaigns": CAMPAIGNS,
        "stats": f"{own}/stats",
        "explain": f"{own}/explain",
        "cost": f"{own}/cost",
        "page of all campaigns": "/",
        "page of the campaign": f"/campaigns/{campaign}",
        "its timeline": f"/campaigns/{campaign}/timeline",
        "its cost": f"/campaigns/{campaign}/cost",
        "its live figures, from a new connection": f"{LIVE}?campaign={campaign}",
        "page of its people": f"/campaigns/{campaign}/people",
        "search by the beginning of a number": f"/campaigns/{campaign}/people?q=1&status=read",
        "the same search for a status of nobody": f"/campaigns/{campaign}/people?q=1&status=unknown",
        "story of one person": f"/campaigns/{campaign}/people/{deep}",
        "recipients, first page": f"{own}/recipients",
        "recipients, deep page": f"{own}/recipients?after={deep}",
        "failed recipients, first page": f"{own}/recipients?status=failed",
        "failed recipients, deep page": f"{own}/recipients?status=failed&after={deep}",
    }


def requested(port: int, wanted: Mapping[str, str], times: int, goes_on: Callable[[], bool]) -> dict[str, Latencies]:
    """Request each path in turn, at least `times` times and while it goes on. Raises ValueError for another answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    found: dict[str, list[float]] = {name: [] for name in wanted}
    done = 0
    try:
        while done < times or goes_on():
            for name, path in wanted.items():
                began = time.perf_counter()
                if path.startswith(LIVE):
                    _first_figures(port, path)
                else:
                    _answer(connection, path)
                found[name].append((time.perf_counter() - began) * 1000)
            done += 1
    finally:
        connection.close()
    return {name: Latencies(values) for name, values in found.items()}


def _answer(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ValueError(f"{path}: {answer.status} {body[:200]!r}")


def _first_figures(port: int, path: str) -> None:
    """Open a stream, and read it until it has the figures, as a page does that connects again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        while (line := answer.readline()) != FIGURES:
            if not line:
                raise ValueError(f"{path}: {answer.status}, and the stream ended without figures")
    finally:
        connection.close()
