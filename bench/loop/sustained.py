"""The whole loop at a steady rate: whether statuses keep up for minutes, and how long a webhook takes to its row."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from bench.contest import Arena
from bench.idle.processes import KindUse, by_kind
from bench.loop.installation import RunningStack, installed, until
from bench.loop.ledger import right_share
from bench.loop.side import present
from bench.loop.stage import is_complete, process_uses, verifies
from bench.solo import Measured, Note, SoloStage, Table

RATE, SUSTAINED_S = 1_400, 180.0
HALF_S = 40.0
SMOKE_RATE, SMOKE_S = 20, 2.0
SAMPLE_S = 2.0
END_S = 60.0
"""Statuses that the rate leaves behind must be applied within so long after the last message."""
GROWTH_MAX_S = 0.5
"""The lag grows if its mean in the last third of the time is above that of the second third by so much of the rate."""
APPLIED = """
SELECT whatsapp_message_id, extract(epoch FROM updated_at)::float8 FROM campaign_recipients
WHERE whatsapp_message_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Steady:
    """One run at a steady rate."""

    rate: float
    """Messages a second that the API accepted."""
    lags: Sequence[float]
    """Statuses that were sent and not counted yet, every two seconds."""
    uses: Sequence[KindUse]
    messages: int
    seconds: float
    latencies_ms: Sequence[float]
    right: float


def _measure(arena: Arena, note: Note) -> Measured:
    rate, sustained_s = (SMOKE_RATE, SMOKE_S) if arena.is_smoke else (RATE, SUSTAINED_S)
    full = _run(arena, rate, sustained_s)
    note(
        f"loop-sustained: {full.rate:,.0f}/s for {full.seconds:.0f} s, statuses behind at the end {full.lags[-1]:,.0f}"
    )
    runs = [full] if arena.is_smoke else [full, _run(arena, rate // 2, HALF_S)]
    rows = [[f"{each.seconds:.0f} s at {each.rate:,.0f} messages/s", *_figures(each)] for each in runs]
    headings = ("", "behind (middle, end, max)", "grows", "webhook to row p50, p99 ms", "CPU us a message", "right")
    processes = [
        [use.kind, f"{use.cpu_share * 100:.0f}", f"{use.cpu_share * full.seconds / full.messages * 1e6:.0f}"]
        for use in full.uses
    ]
    half = runs[-1]
    return Measured(
        [
            Table("steady rates", headings, rows),
            Table("by process at the full rate", ("", "% of a core", "us a message"), processes),
        ],
        min(each.right for each in runs),
        {
            "rate": round(full.rate),
            "grows": grows(full.lags, full.rate),
            "cpu_us_a_message": round(_cpu_us(full)),
            "p99_ms_at_half": round(p99(half.latencies_ms)),
        },
    )


def _run(arena: Arena, rate: int, seconds: float) -> Steady:
    messages = int(rate * seconds)
    with installed(present(), arena.folder / arena.prefix(), WHATSAPP_MPS=str(rate)) as running:
        campaign = running.campaign(messages)
        before, began = process_uses(running), time.monotonic()
        running.activate(campaign)
        lags: list[float] = []
        while (accepted := int((state := running.state())["accepted"])) < messages:
            lags.append(_behind(running, campaign, state))
            if time.monotonic() - began > 2 * seconds + END_S:
                break  # it does not reach the rate, which the figures show
            time.sleep(SAMPLE_S)  # the lag is sampled at a steady pace
        sent_s = time.monotonic() - began
        is_done = until(partial(is_complete, running, [campaign], messages), END_S, 0.25)
        total_s = time.monotonic() - began
        uses = by_kind(before, process_uses(running), total_s)
        ledger = running.ledger()
        right = right_share(ledger, running.rows()) if is_done and verifies(running) else 0.0
        latencies = list(latencies_ms(ledger, _applied(running)))
    return Steady(accepted / sent_s, lags, uses, accepted, total_s, latencies, right)


def _behind(running: RunningStack, campaign: str, state: Mapping[str, Any]) -> float:
    counted = running.stats(campaign)
    return max(0.0, float(state["statuses_said"] - counted["sent"] - counted["delivered"] - counted["read"]))


def _applied(running: RunningStack) -> dict[str, float]:
    """When the row of each message was changed last."""
    with psycopg.connect(running.database_url) as connection:
        return dict(connection.execute(APPLIED).fetchall())


def latencies_ms(ledger: Sequence[Mapping[str, Any]], applied: Mapping[str, float]) -> list[float]:
    """From the post of the last status of each message to the last change of its row, in milliseconds."""
    last = {
        entry["wamid"]: max(status["first_sent_at"] for status in entry["statuses"])
        for entry in ledger
        if entry["accepted"] and entry["statuses"]
    }
    return [(applied[wamid] - at) * 1000 for wamid, at in last.items() if wamid in applied]


def p99(values: Sequence[float]) -> float:
    """The 99th percentile; 0 without values."""
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


def grows(lags: Sequence[float], rate: float) -> bool:
    """Whether the lag is growing: the last third of the time against the second third."""
    third = len(lags) // 3
    if third == 0:
        return False
    return statistics.mean(lags[-third:]) > statistics.mean(lags[third : 2 * third]) + GROWTH_MAX_S * rate


def _cpu_us(run: Steady) -> float:
    return sum(use.cpu_share for use in run.uses) * run.seconds / run.messages * 1e6


def _figures(run: Steady) -> list[str]:
    middle = run.lags[len(run.lags) // 2]
    return [
        f"{middle:,.0f}, {run.lags[-1]:,.0f}, {max(run.lags):,.0f}",
        "yes" if grows(run.lags, run.rate) else "no",
        f"{statistics.median(run.latencies_ms):.0f}, {p99(run.latencies_ms):.0f}",
        f"{_cpu_us(run):.0f}",
        f"{run.right:.0%}",
    ]


LOOP_SUSTAINED = SoloStage(
    "loop-sustained",
    "Whole loop at a steady rate",
    "The installation of the whole loop sends at a fixed rate for three minutes, and at half of it. Statuses that are "
    "sent and not counted yet are the lag. The time from a webhook to its row is that from the post of the last status "
    "of a message to the last change of its row.",
    _measure,
    ("The highest rate by a search: the rate is fixed, and the table shows whether the lag grows.",),
    needs_kafka=False,
    needs_postgres=False,
    is_large=True,
)
