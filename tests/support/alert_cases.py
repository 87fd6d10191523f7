"""Series of a healthy system under load, and cases that change some of them: which alerts fire then, and no others."""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTES = 150
"""The length of all series. One sample a minute."""
BAD_FROM = 100
"""The minute from which a case is bad. Its alerts are expected at the end."""
PROCESSES = ("api", "ingress", "reconciler", "scheduler", "sender", "sink", "stats-publisher")


def steady(value: float, each_minute: float = 0) -> str:
    """The values of a series that grows by the same each minute, in the notation of promtool."""
    return f"{value}+{each_minute}x{MINUTES}"


def then(before: str, after: str, at: int = BAD_FROM) -> str:
    """One progression for `at` minutes, another one from there on. Each is a start and a step: `0+5`."""
    return f"{before}x{at - 1} {after}x{MINUTES - at}"


def ends(value: str, at: int = BAD_FROM) -> str:
    """A series that ends."""
    return f"{value}x{at - 1} stale"


HEALTHY = {
    **{f'up{{job="campaigns",instance="{name}"}}': steady(1) for name in (*PROCESSES, "scheduler-2")},
    **{f'campaigns_ready{{instance="{name}"}}': steady(1) for name in (*PROCESSES, "scheduler-2")},
    **{f'campaigns_build_info{{process="{name}",version="0.1",python="3.12"}}': steady(1) for name in PROCESSES},
    'campaigns_leader{role="campaigns-scheduler",instance="scheduler"}': steady(1),
    'campaigns_leader{role="campaigns-scheduler",instance="scheduler-2"}': steady(0),
    'campaigns_leader{role="campaigns-stats-publisher",instance="stats-publisher"}': steady(1),
    # At 5,000 events a second some thousand records are always between the commits of the offsets, and jobs wait for
    # the rate of their number.
    'campaigns_lag_records{topic="webhooks.raw",partition="0"}': steady(50),
    'campaigns_lag_records{topic="recipient.events",partition="0"}': steady(9000),
    'campaigns_lag_records{topic="send.jobs",partition="0"}': steady(8000),
    'campaigns_batch_records_sum{stage="reconciler"}': steady(0, 3000),
    'campaigns_batch_records_sum{stage="sink"}': steady(0, 300_000),
    'campaigns_sink_webhook_delay_seconds_bucket{le="1"}': steady(0, 290_000),
    'campaigns_sink_webhook_delay_seconds_bucket{le="60"}': steady(0, 300_000),
    'campaigns_sink_webhook_delay_seconds_bucket{le="300"}': steady(0, 300_000),
    'campaigns_sink_webhook_delay_seconds_bucket{le="+Inf"}': steady(0, 300_000),
    'campaigns_dead_letters_total{stage="sink",reason="malformed"}': steady(3),
    'campaigns_retries_total{stage="sink"}': steady(0, 1),
    'campaigns_stage_halted{stage="sink"}': steady(0),
    'campaigns_breakers_open{scope="recipient"}': steady(5),
    'campaigns_breakers_open{scope="number"}': steady(0),
    'campaigns_unknown_recipients{instance="scheduler"}': steady(100),
    'campaigns_unknown_recipients{instance="sink"}': steady(0),
    "campaigns_parked": steady(20),
    "campaigns_sink_double_sends_total": steady(1),
    "campaigns_outcomes_unpublished_oldest_seconds": steady(1),
    "campaigns_released_oldest_seconds": steady(9),
    "campaigns_claims_past_lease": steady(0),
    "campaigns_recovery_needed": steady(0),
    "campaigns_events_held": steady(0),
    'campaigns_pool_timeouts_total{pool="api"}': steady(2),
    'campaigns_api_requests_total{operation="read_stats",status="200"}': steady(0, 600),
    'campaigns_api_requests_total{operation="read_stats",status="503"}': steady(0, 6),
    'campaigns_sender_outcomes_total{outcome="accepted"}': steady(0, 6000),
    'campaigns_ingress_requests_total{outcome="accepted"}': steady(0, 9000),
    'campaigns_ingress_requests_total{outcome="signature_mismatch"}': steady(0, 2),
    'campaigns_reconciler_items_total{outcome="unknown_status"}': steady(4),
    "campaigns_stats_refused_total": steady(0),
}


@dataclass(frozen=True)
class AlertCase:
    """What differs from a healthy system. A series without values is missing."""

    name: str
    changes: dict[str, str | None]
    firing: frozenset[str] = field(default=frozenset())


def fires(alert: str, name: str, changes: dict[str, str | None], *others: str) -> AlertCase:
    return AlertCase(name, changes, frozenset({f"Campaigns{each}" for each in (alert, *others)}))


SINK_BUILD = 'campaigns_build_info{process="sink",version="0.1",python="3.12"}'
LEADER = 'campaigns_leader{role="campaigns-scheduler",instance="scheduler"}'
STANDBY = 'campaigns_leader{role="campaigns-scheduler",instance="scheduler-2"}'
EVENTS_LAG = 'campaigns_lag_records{topic="recipient.events",partition="0"}'
SINK_WORK = 'campaigns_batch_records_sum{stage="sink"}'
WEBHOOKS = 'campaigns_ingress_requests_total{outcome="accepted"}'
UNKNOWN = 'campaigns_unknown_recipients{instance="scheduler"}'
NUMBER_BREAKER = 'campaigns_breakers_open{scope="number"}'
LETTERS = 'campaigns_dead_letters_total{stage="sink",reason="malformed"}'

CASES = (
    AlertCase("a healthy system under load", {}),
    fires(
        "ProcessDown",
        "one of two sinks does not answer",
        {'up{job="campaigns",instance="sink-2"}': then("1+0", "0+0")},
    ),
    fires("ProcessMissing", "no sink runs", {'up{job="campaigns",instance="sink"}': None, SINK_BUILD: ends("1+0")}),
    fires("NotReady", "a sink is not ready", {'campaigns_ready{instance="sink"}': then("1+0", "0+0")}),
    AlertCase(
        "a sink is not ready for two minutes",
        {'campaigns_ready{instance="sink"}': f"1+0x{BAD_FROM - 1} 0 0 1+0x{MINUTES - BAD_FROM - 2}"},
    ),
    fires("NoLeader", "no scheduler leads", {LEADER: then("1+0", "0+0")}),
    AlertCase("another scheduler leads", {LEADER: then("1+0", "0+0"), STANDBY: then("0+0", "1+0", BAD_FROM + 1)}),
    fires("StageHalted", "a sink is halted", {'campaigns_stage_halted{stage="sink"}': then("0+0", "1+0")}),
    fires(
        "LagGrows", "a sink makes no progress", {SINK_WORK: then("0+300000", "30000000+0"), EVENTS_LAG: steady(5000)}
    ),
    fires("LagGrows", "a sink has never read anything", {SINK_WORK: None, EVENTS_LAG: steady(5000)}),
    fires(
        "LagGrows",
        "bundles come faster than they are read, with a prefix of topics",
        {'campaigns_lag_records{topic="eu.webhooks.raw",partition="0"}': then("0+0", "0+1000", BAD_FROM - 10)},
    ),
    fires(
        "WebhooksLate",
        "one webhook in ten takes minutes",
        {
            'campaigns_sink_webhook_delay_seconds_bucket{le="1"}': steady(0, 270_000),
            'campaigns_sink_webhook_delay_seconds_bucket{le="60"}': steady(0, 270_000),
        },
    ),
    fires("DeadLetters", "a sink dead-letters its first item", {LETTERS: then("0+0", "1+0", MINUTES - 5)}),
    AlertCase("a sink that had dead letters starts again", {LETTERS: then("5+0", "0+0", MINUTES - 5)}),
    fires("Retries", "a sink repeats its batches", {'campaigns_retries_total{stage="sink"}': steady(0, 30)}),
    fires("BreakerOpen", "the breaker of a number stays open", {NUMBER_BREAKER: then("0+0", "1+0")}),
    AlertCase("the breaker of a number was open for three minutes", {NUMBER_BREAKER: f"{'0 ' * 140}1 1 1 0+0x7"}),
    fires("UnknownGrows", "a sender was killed with a full window", {UNKNOWN: then("100+0", "350+0")}),
    AlertCase(
        "another scheduler led an hour ago, and none showed the gauge for a moment",
        {UNKNOWN: f"100+0x{MINUTES - 62} 0 0 0 100+0x59"},
    ),
    fires("ParkedGrows", "statuses of others are parked", {"campaigns_parked": then("20+0", "9000+0")}),
    fires("DoubleSend", "a person got a message twice", {"campaigns_sink_double_sends_total": then("1+0", "2+0")}),
    fires(
        "OutcomesUnpublished",
        "Kafka takes no outcomes",
        {"campaigns_outcomes_unpublished_oldest_seconds": then("1+0", "1+60")},
    ),
    fires("ReleasedUnclaimed", "no sender claims", {"campaigns_released_oldest_seconds": then("9+0", "9+60")}),
    fires("ClaimsPastLease", "the sweep does nothing", {"campaigns_claims_past_lease": then("0+0", "3+0")}),
    fires("RecoveryNeeded", "a standby took over", {"campaigns_recovery_needed": then("0+0", "1+0")}),
    fires("EventsHeld", "somebody forgot a transaction", {"campaigns_events_held": then("0+0", "2+0")}),
    fires(
        "PoolExhausted", "the pool is too small", {'campaigns_pool_timeouts_total{pool="api"}': then("2+0", "2+5")}
    ),
    fires(
        "ApiErrors",
        "one request in ten fails",
        {'campaigns_api_requests_total{operation="read_stats",status="503"}': then("0+6", "600+66")},
    ),
    fires(
        "IngressRefuses",
        "the secret of the app is wrong",
        {'campaigns_ingress_requests_total{outcome="signature_mismatch"}': then("0+2", "200+900")},
    ),
    fires("NoWebhooks", "the callback address is wrong", {WEBHOOKS: then("0+9000", "900000+0")}),
    fires("NoWebhooks", "the ingress has never had a webhook", {WEBHOOKS: steady(0)}),
    AlertCase(
        "nothing is sent at night",
        {'campaigns_sender_outcomes_total{outcome="accepted"}': then("0+6000", "600000+0"), WEBHOOKS: steady(7)},
    ),
    fires(
        "UnknownStatusWord",
        "WhatsApp has a new status word",
        {'campaigns_reconciler_items_total{outcome="unknown_status"}': then("0+0", "1+0")},
    ),
    fires("SnapshotsRefused", "a snapshot is too large", {"campaigns_stats_refused_total": then("0+0", "1+0")}),
    fires(
        "MixedVersions",
        "a release was not completed",
        {'campaigns_build_info{process="sink",version="0.2",python="3.12"}': steady(1)},
    ),
)  # fmt: skip
