"""The memory of every process of an installation while statuses or jobs wait that nobody has read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg

from bench.contest import Arena
from bench.loop.installation import RunningStack, installed, until
from bench.loop.side import present
from bench.loop.stage import process_uses, verifies
from bench.memory.peaks import Peaks
from bench.reconciler.statuses import webhooks
from bench.reconciler.stored import bundled, store
from bench.solo import Measured, Note, SoloStage, Table
from schemas.topics import Topic

BODIES, STATUSES_OF_BODY, SMOKE_BODIES = 10_000, 100, 5
RECIPIENTS, SMOKE_RECIPIENTS, JOBS_S = 150_000, 50, 60.0
SAMPLE_S = 0.5
IDLE_S = 5.0
DEADLINE_S = 300.0
MPS = 5_000
APPLIED: LiteralString = (
    "SELECT coalesce(sum(next_offset), 0)::bigint FROM sink_offsets WHERE topic LIKE '%recipient.events'"
)
PARKED: LiteralString = "SELECT count(*) FROM messages WHERE recipient_id IS NULL"
WAITING: LiteralString = "SELECT count(*) FROM releases"


def _measure(arena: Arena, note: Note) -> Measured:
    bodies, people = arena.items(BODIES, SMOKE_BODIES), arena.items(RECIPIENTS, SMOKE_RECIPIENTS)
    statuses = bodies * STATUSES_OF_BODY
    with installed(present(), arena.folder / arena.prefix(), WHATSAPP_MPS=str(MPS)) as running:
        campaign = running.campaign(people)
        settled_at = time.monotonic() + (0.0 if arena.is_smoke else IDLE_S)
        idle = _sampled(running, lambda: time.monotonic() < settled_at)
        raw = Topic.WEBHOOKS_RAW.value
        store(running.kafka, raw, bundled(webhooks(bodies, STATUSES_OF_BODY).bodies))
        note(f"memory: {statuses:,} statuses wait")
        reading = _sampled(running, lambda: _value(running, APPLIED) < statuses)
        parked = _value(running, PARKED)
        running.activate(campaign)
        began, waited = time.monotonic(), [0]

        def is_sending() -> bool:
            waited.append(_value(running, WAITING))
            is_done = int(running.state()["accepted"]) >= people
            return not is_done and time.monotonic() - began < JOBS_S

        sending = _sampled(running, is_sending)
        note(f"memory: at most {max(waited):,} released jobs waited")
        running.cancel(campaign)
        is_exact = until(lambda: verifies(running), DEADLINE_S, 1.0)
    return Measured(
        [Table("largest PSS in MiB", ("", "idle", "statuses wait", "jobs wait"), rows([idle, reading, sending]))],
        1.0 if is_exact and parked == statuses else 0.0,
        {
            "statuses": statuses,
            "jobs_waiting": max(waited),
            "idle_mb": round(idle.together_mb),
            "statuses_mb": round(reading.together_mb),
            "jobs_mb": round(sending.together_mb),
        },
        (
            f"The {statuses:,} statuses waited in `webhooks.raw`, in bodies of {STATUSES_OF_BODY}.",
            "The sink knows none of their messages, so it reads each by the general way.",
            f"A campaign of {people:,} people was released at {MPS:,} a second.",
            f"At most {max(waited):,} released jobs waited for the sender. The scheduler bounds them.",
            "The reconciler holds 64 bundles and two parts of 2,000 events at most.",
            "The sink holds two batches, 32 MiB of records that it read ahead, and one answer of the broker.",
            "The run is right if every status is stored, and `campaigns verify` finds no difference at the end.",
        ),
    )


def _sampled(running: RunningStack, goes_on: Callable[[], bool]) -> Peaks:
    """The largest memory of each kind of process, twice a second while it goes on."""
    peaks, end = Peaks(), time.monotonic() + DEADLINE_S
    while True:
        peaks.take(process_uses(running).values())
        if not goes_on() or time.monotonic() > end:
            return peaks
        time.sleep(SAMPLE_S)  # memory is sampled at a steady pace


def _value(running: RunningStack, statement: LiteralString) -> int:
    with psycopg.connect(running.database_url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def rows(columns: Sequence[Peaks]) -> list[list[str]]:
    """A row for each kind of process, the largest first, and one for all together at the same moment."""
    kinds = {kind: max(each.by_kind.get(kind, 0.0) for each in columns) for each in columns for kind in each.by_kind}
    listed = sorted(kinds, key=lambda kind: -kinds[kind])
    return [
        *([kind, *(f"{each.by_kind.get(kind, 0.0):,.0f}" for each in columns)] for kind in listed),
        ["all together, at one moment", *(f"{each.together_mb:,.0f}" for each in columns)],
    ]


MEMORY = SoloStage(
    "memory",
    "Memory under a backlog",
    "`campaigns up` and the simulator. The memory of every process is read twice a second: while nothing happens, "
    "while a million statuses wait, and while released jobs wait for the sender. PSS counts a page that processes "
    "share once.",
    _measure,
    ("Backlogs of more partitions, and of a broker that was away for days.",),
    needs_kafka=False,
    needs_postgres=False,
    is_large=True,
)
