"""Proves that counters, rows and ledger agree, while everything runs: one read-only snapshot, without locks.

It reports differences. The only thing that it repairs is a counter, and only on request. `operations.comparison`
compares the rows with the topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from domain.status import Status
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.topics import Topic
from tables import locks, portfolio, stats
from tables.audit import (
    PrunedRows,
    correct_counters,
    list_campaigns,
    read_pruned,
    read_time,
    run_check,
    snapshot,
)
from tables.database import Connection
from tables.offsets import read_positions
from topics.lag import KafkaQueries, Lag

SAMPLES = 20
"""Findings of each kind that are listed; all of them are counted."""
GRACE_S = 30.0
"""The sweep of the leader runs every second, so an outcome that is open for longer is stuck."""
SKEW_S = 10.0
"""Largest expected difference between the clocks of Kafka and Postgres."""

STATE_CHECKS = ("wrong_state", "audience_is_not_the_sum")
LEDGER_CHECKS = (
    "double_send", "claim_without_outcome", "answer_unpublished", "parked_though_known", "parked_not_told",
    "message_missing", "pruned_not_recorded", "released_unseen", "row_missing", "attempt_behind", "outcome_not_applied",
)  # fmt: skip
NEED_THE_SINK = frozenset({"parked_though_known", "outcome_not_applied"})
"""These checks need the position of the sink."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One difference. `check` is a code."""

    check: str
    campaign_id: UUID | None
    recipient_id: UUID | None
    attempt: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: the first findings, and how many there are."""

    check: str
    count: int = 0
    findings: tuple[AuditFinding, ...] = ()
    not_checked: str = ""
    """Why the check could not be made."""


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """A counter of a campaign that differs from its rows."""

    campaign_id: UUID
    difference: stats.Difference


@dataclass(frozen=True, slots=True)
class Audit:
    """The results of all checks, in one snapshot."""

    as_of: datetime
    campaigns: int
    counters: tuple[CounterDifference, ...]
    checks: tuple[CheckResult, ...]
    pruned: tuple[PrunedRows, ...] = ()
    """What retention has deleted so far. The checks do not need these rows."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.counters and not any(check.count for check in self.checks)

    @property
    def is_complete(self) -> bool:
        """Whether every check could be made."""
        return not any(check.not_checked for check in self.checks)


async def applied_until(connection: Connection, settings: Settings) -> datetime:
    """The time before which every published event is in the rows. Call it before the snapshot. Raises KafkaAway."""
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    started_at = datetime.now(UTC)

    def read_lag() -> Lag:
        with KafkaQueries(settings) as broker:
            return broker.lag(topic, positions)

    positions = await read_positions(connection, topic)
    lag = await asyncio.to_thread(read_lag)
    return started_at if lag.oldest_at is None else min(started_at, lag.oldest_at)


async def audit(
    connection: Connection,
    campaign_id: CampaignId | None,
    until: datetime | None,
    progress: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Check everything, or one campaign. `until`: the result of `applied_until`; None skips the checks that need it."""
    async with snapshot(connection):
        campaigns = await list_campaigns(connection, campaign_id)
        counters = []
        for number, campaign in enumerate(campaigns, 1):
            progress(f"counting campaign {number} of {len(campaigns)}")
            counters += [CounterDifference(campaign, each) for each in await stats.recount(connection, campaign)]
        checks = []
        for check in (*STATE_CHECKS, *LEDGER_CHECKS):
            progress(f"checking: {check}")
            checks.append(await _check(connection, check, campaign_id, until))
        checks.append(await _check_portfolio(connection))
        pruned = await read_pruned(connection)
        as_of = await read_time(connection)
    return Audit(as_of, len(campaigns), tuple(counters), tuple(checks), tuple(pruned))


async def repair_counters(connection: Connection, campaign_id: CampaignId | None) -> list[CounterDifference]:
    """Correct the counters that differ from the rows, while writers continue. Returns the corrections."""
    await locks.lock(connection, locks.COUNTER_REPAIR)
    try:
        corrected: list[CounterDifference] = []
        for campaign in await list_campaigns(connection, campaign_id):
            corrected += [CounterDifference(campaign, each) for each in await correct_counters(connection, campaign)]
        return corrected
    finally:
        await locks.unlock(connection, locks.COUNTER_REPAIR)


async def _check_portfolio(connection: Connection) -> CheckResult:
    """The people that each bucket of the budget counts, and those of its charges."""
    differences = await portfolio.recount(connection)
    findings = tuple(
        AuditFinding(
            "portfolio_budget", None, None, None,
            f"the bucket of {each.began_at:%Y-%m-%d %H:%M:%S}Z counts {each.stored} people, its charges {each.counted}",
        )
        for each in differences[:SAMPLES]
    )  # fmt: skip
    return CheckResult("portfolio_budget", len(differences), findings)


async def _check(
    connection: Connection, check: str, campaign: CampaignId | None, until: datetime | None
) -> CheckResult:
    if until is None and check in NEED_THE_SINK:
        return CheckResult(check, not_checked="Kafka does not answer, so the position of the sink is unknown")
    values = {
        "campaign": campaign,
        "samples": SAMPLES,
        "grace_s": GRACE_S,
        "skew_s": SKEW_S,
        "states": [status.value for status in Status],
        "applied_until": until,
    }
    rows = await run_check(connection, check, values)
    findings = tuple(AuditFinding(check, *row[:4]) for row in rows)
    return CheckResult(check, rows[0][4] if rows else 0, findings)
