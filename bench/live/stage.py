"""From a webhook to the browser: 100 messages a second, and one open page in a real Chromium."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from playwright.sync_api import Page

from bench.contest import Arena
from bench.live.browser import Painted, open_page, painted
from bench.loop.installation import installed, until
from bench.loop.ledger import right_share
from bench.loop.side import present
from bench.loop.stage import is_complete, verifies
from bench.loop.sustained import p99
from bench.solo import Measured, Note, SoloStage, Table

RATE, SECONDS = 100, 60
SMOKE_RATE, SMOKE_S = 20, 2
END_S = 60.0
LIMIT_S = 1.0
POLL_MS = 200


def _measure(arena: Arena, note: Note) -> Measured:
    rate, seconds = (SMOKE_RATE, SMOKE_S) if arena.is_smoke else (RATE, SECONDS)
    messages = rate * seconds
    with installed(present(), arena.folder / arena.prefix(), WHATSAPP_MPS=str(rate)) as running:
        campaign = running.campaign(messages)
        with open_page(f"{running.api}/campaigns/{campaign}") as page:
            began = time.monotonic()
            running.activate(campaign)
            is_done = until(partial(is_complete, running, campaign, messages), 2 * seconds + END_S, 1.0)
            sent_s = time.monotonic() - began
            until(partial(_shows, page, messages), END_S, 0.2)
            shown = painted(page)
        ledger = running.ledger()
        right = right_share(ledger, running.rows()) if is_done and verifies(running) else 0.0
    late = latencies_s(deliveries(ledger), shown)
    right = right if len(late) == messages and shown[-1][1] == messages else 0.0
    note(f"live: webhook to browser p99 {p99(late) * 1000:.0f} ms, {len(shown)} frames")
    rows = [[f"{messages / sent_s:,.0f} messages/s", *(f"{value * 1000:,.0f}" for value in _spread(late)),
             f"{len(shown) / sent_s:.1f}", f"{right:.0%}"]]  # fmt: skip
    return Measured(
        [Table("from a webhook to the page", ("", "p50 ms", "p90 ms", "p99 ms", "max ms", "frames/s", "right"), rows)],
        right,
        {"p99_ms": round(p99(late) * 1000), "frames_per_s": round(len(shown) / sent_s, 1)},
        (
            f"The limit is {LIMIT_S:.0f} s for 99 of 100 webhooks.",
            "A webhook is on the page when a painted frame counts it: the n-th delivery when the page shows n of them.",
            "The run is right if the page shows every delivery, and the rows equal the ledger of the simulator.",
        ),
    )


def _shows(page: Page, count: int) -> bool:
    found = painted(page)
    return bool(found) and found[-1][1] >= count


def deliveries(ledger: Sequence[Mapping[str, Any]]) -> list[float]:
    """When the simulator first posted that each message was delivered, in order. A read message was delivered."""
    return sorted(
        min(status["first_sent_at"] for status in entry["statuses"] if status["status"] in ("delivered", "read"))
        for entry in ledger
        if any(status["status"] in ("delivered", "read") for status in entry["statuses"])
    )


def latencies_s(posted: Sequence[float], shown: Painted) -> list[float]:
    """From each delivery to the first frame that counts it; a delivery that no frame counts is missing."""
    found, frames = list[float](), iter(shown)
    at, count = next(frames, (0.0, -1))
    for number, posted_at in enumerate(posted, start=1):
        while count < number:
            following = next(frames, None)
            if following is None:
                return found
            at, count = following
        found.append(at - posted_at)
    return found


def _spread(values: Sequence[float]) -> tuple[float, float, float, float]:
    ordered = sorted(values) or [0.0]
    return median(ordered), ordered[int(len(ordered) * 0.9)], p99(ordered), ordered[-1]


LIVE = SoloStage(
    "live",
    "From a webhook to the browser",
    "An installation sends 100 messages a second for a minute, and a Chromium has the page of the campaign open. The "
    "time from the post of a webhook to the frame that counts it is measured: ingress, reconciler, sink, stats "
    "publisher, topic, page. The browser, the simulator, Kafka and Postgres share the two cores.",
    _measure,
    ("Many open pages: each costs a connection, and all share one consumer and the rendered parts.",),
    needs_kafka=False,
    needs_postgres=False,
    is_large=True,
)
