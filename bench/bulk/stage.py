"""A million recipients at once: their import, the activation of their campaign, and their release."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from bench.bulk.arrivals import Arrivals, watched_jobs
from bench.bulk.imports import import_by_command, import_over_http, write_list
from bench.children import child, process_argv
from bench.contest import Arena
from bench.solo import Measured, Note, SoloStage, Table
from bench.usage import measured
from bench.worlds import environment_of, own_installation
from domain.lifecycle import Action
from runtime.settings import Settings
from tables import campaigns
from tables.campaigns import NewCampaign
from tables.database import connect

RECIPIENTS, SMOKE_RECIPIENTS = 1_000_000, 300
SMALL_RECIPIENTS = 100
RATE = 5_000
"""The highest rate of a number that the setting takes."""
RELEASED_S, SMOKE_RELEASED_S = 75.0, 20.0
BESIDE_AFTER_S = 15.0
"""The small campaign is activated after so much of the release."""
FIRST_NUMBER = 12_122_000_000
POLL_S = 0.05
"""No event shows outside of the database."""
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class _Bulk:
    """One run: an installation with two campaigns."""

    settings: Settings
    large: UUID
    small: UUID
    count: int

    @property
    def url(self) -> str:
        return self.settings.database_url.get_secret_value()

    def query(self, sql: str, *values: object) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(sql.encode(), values).fetchone()
        return None if row is None else row[0]


def _measure(arena: Arena, note: Note) -> Measured:
    count = arena.items(RECIPIENTS, SMOKE_RECIPIENTS)
    with own_installation(arena) as settings:
        bulk = _Bulk(settings, _created(settings, "large", "100"), _created(settings, "small", "200"), count)
        imported = _import(arena, bulk)
        note(f"bulk: {count:,} recipients imported in {imported['import s']:.1f} s")
        over_http = _import_over_http(arena)
        note(f"bulk: and over HTTP in {over_http['import over HTTP s']:.1f} s")
        released = _release(arena, bulk, SMOKE_RELEASED_S if arena.is_smoke else RELEASED_S, note)
        right = _right(bulk, int(released["jobs"]))
    found = imported | over_http | released
    rows = [[name, f"{value:,.2f}" if value < 100 else f"{value:,.0f}"] for name, value in found.items()]
    return Measured([Table(f"{count:,} recipients", ("", "measured"), rows)], right, _rounded(found))


def _rounded(found: Figures) -> dict[str, object]:
    return {name.replace(" ", "_").replace("/", "_per_"): round(value, 3) for name, value in found.items()}


def _created(settings: Settings, name: str, number: str) -> UUID:
    new = NewCampaign(name, "spring_offer", "en", None, number, "UTC", canary=False)

    async def create() -> UUID:
        async with await connect(settings.database_url.get_secret_value(), application_name="bench") as connection:
            return (await campaigns.create(connection, new)).id

    return asyncio.run(create())


def _activate(bulk: _Bulk, campaign: UUID) -> float:
    """Activate as the API does, and return the seconds until it would answer."""

    async def act() -> float:
        async with await connect(bulk.url, application_name="bench") as connection:
            started = time.monotonic()
            await campaigns.act(connection, campaign, Action.ACTIVATE)
            return time.monotonic() - started

    return asyncio.run(act())


def _import(arena: Arena, bulk: _Bulk) -> Figures:
    """Import by the command of an operator: a small file for the time of its start, a large one, and that once more."""
    file, small = arena.folder / "large.csv", arena.folder / "small.csv"
    write_list(file, FIRST_NUMBER, bulk.count)
    write_list(small, FIRST_NUMBER + bulk.count, SMALL_RECIPIENTS)
    start = import_by_command(arena, bulk.settings, bulk.small, small)
    first = import_by_command(arena, bulk.settings, bulk.large, file)
    again = import_by_command(arena, bulk.settings, bulk.large, file)
    if (first.added, again.added) != (bulk.count, 0):
        raise RuntimeError(f"{first.added} were added at first, and {again.added} again")
    return {
        "import s": first.seconds,
        "imported rows/s": first.rate,
        "start of the command s": start.seconds,
        "imported rows/s after the start": bulk.count / max(first.seconds - start.seconds, POLL_S),
        "import CPU s of the command": first.client.cpu_s,
        "import CPU s of Postgres": first.server.cpu_s,
        "import MiB of the command": first.client.memory_mb,
        "the same file again rows/s": again.rate,
    }


def _import_over_http(arena: Arena) -> Figures:
    """Post the same file to the API of another, empty installation."""
    count, file = arena.items(RECIPIENTS, SMOKE_RECIPIENTS), arena.folder / "large.csv"
    with own_installation(arena) as settings:
        found = import_over_http(arena, settings, _created(settings, "large", "100"), file)
    if found.added != count:
        raise RuntimeError(f"{found.added} of {count} were added over HTTP")
    return {
        "import over HTTP s": found.seconds,
        "imported rows/s over HTTP": found.rate,
        "import CPU s of the API": found.client.cpu_s,
        "import MiB of the API": found.client.memory_mb,
    }


def _release(arena: Arena, bulk: _Bulk, limit_s: float, note: Note) -> Figures:
    log = arena.folder / "scheduler.log"
    environment = environment_of(bulk.settings, WHATSAPP_MPS=str(RATE), RELEASE_CAP_S="3600")
    with (
        child(process_argv("producers.scheduler.process"), log, environment) as running,
        watched_jobs(bulk.settings) as jobs,
    ):
        activation_s = _activate(bulk, bulk.large)
        began = time.monotonic()
        with measured(running.pid) as scheduler, measured(arena.postgres_pid) as server:
            first_s = _until(lambda: jobs.count(bulk.large) > 0, limit_s) - began
            note(f"bulk: activated in {activation_s:.2f} s, the first job is there after {first_s:.2f} s")
            _until(lambda: jobs.count(bulk.large) >= bulk.count, 0 if arena.is_smoke else BESIDE_AFTER_S)
            _activate(bulk, bulk.small)
            small_at = time.monotonic()
            _until(lambda: jobs.count(bulk.small) > 0, limit_s)
            _until(lambda: jobs.count(bulk.large) >= bulk.count, limit_s - (time.monotonic() - began))
            planned = bulk.query("SELECT count(*) FROM campaign_recipients WHERE scheduled_send_date IS NOT NULL")
        found = _figures(jobs, bulk, small_at)
    return {
        "activation s": activation_s,
        "first job s": first_s,
        **found,
        "planned": float(planned),
        "scheduler CPU us a job": scheduler.cpu_s / found["jobs"] * 1e6,
        "Postgres CPU us a job": server.cpu_s / found["jobs"] * 1e6,
        "scheduler MiB": scheduler.memory_mb,
    }


def _figures(jobs: Arrivals, bulk: _Bulk, small_at: float) -> Figures:
    count = jobs.count(bulk.large)
    taken = jobs.last_at(bulk.large) - jobs.first_at(bulk.large)
    return {
        "jobs": float(count),
        "jobs/s": count / max(taken, POLL_S),
        "longest gap s": jobs.longest_gap_s(bulk.large),
        "first job of another campaign s": jobs.first_at(bulk.small) - small_at,
    }


def _until(holds: Callable[[], bool], limit_s: float) -> float:
    """Wait until it holds, up to a limit. Returns the moment."""
    end = time.monotonic() + limit_s
    while not holds() and time.monotonic() < end:
        time.sleep(POLL_S)  # the end shows in Postgres only
    return time.monotonic()


def _right(bulk: _Bulk, jobs: int) -> float:
    """1 if every recipient was imported, and every released one has one job, but for those under way at the end."""
    rows = bulk.query("SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s", bulk.large)
    released = bulk.query("SELECT count(*) FROM releases WHERE campaign_id = %s", bulk.large)
    under_way = RATE
    return 1.0 if rows == bulk.count and released - under_way <= jobs <= released else 0.0


BULK = SoloStage(
    "bulk",
    "Bulk",
    "A file of recipients is imported by `campaigns import`, twice, and posted to the API of another installation. Its "
    "campaign is activated, and the scheduler releases it at the highest rate that a number may have, 5,000 a second, "
    "while nobody claims. After 15 s a small campaign on another number is activated. A gap is a time without a job in "
    "`send.jobs`.",
    _measure,
    (
        "Several large campaigns at once: they share the connection of the leader.",
        "A daily limit and windows, which spread the release over days.",
    ),
)
