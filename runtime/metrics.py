"""Every metric of every process. The names are an interface: dashboards and alarms use them.

The labels have few values (outcomes, reason codes, topics). A campaign or a person is never a label.
`docs/reference/metrics.md` is generated from this module.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import Counter as Counting
from collections.abc import Callable, Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY = CollectorRegistry(auto_describe=True)
disable_created_metrics()  # type: ignore[no-untyped-call]  # a third of all series, and nothing reads them

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
_DELAY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"campaigns_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"campaigns_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"campaigns_{name}", text, labels, registry=REGISTRY, buckets=buckets)


class ManyHistogram(Histogram):
    """A histogram of thousands of values at once. `observe` takes 2 µs for each of them, and this a tenth of that."""

    def observe_many(self, amounts: Collection[float]) -> None:
        """Observe each amount."""
        if not amounts:
            return
        least, most = (bisect_left(self._upper_bounds, amount) for amount in (min(amounts), max(amounts)))
        if least == most:  # as with a backlog, where all delays are long
            counts = Counting({least: len(amounts)})
        else:
            counts = Counting(bisect_left(self._upper_bounds, amount) for amount in amounts)
        for place, count in counts.items():
            self._buckets[place].inc(count)
        self._sum.inc(sum(amounts))

    def observe_alike(self, least: float, most: float, count: int, total: float) -> bool:
        """Observe `count` values without looking at each, if they share a bucket. Else return False, and observe none.

        `total`: their sum.
        """
        place = bisect_left(self._upper_bounds, least)
        if bisect_left(self._upper_bounds, most) != place:
            return False
        self._buckets[place].inc(count)
        self._sum.inc(total)
        return True


# Every process
BUILD_INFO = _gauge(
    "build_info", "1, with the name, the version and the Python of the process", "process", "version", "python"
)
READY = _gauge("ready", "1 while the process is ready, as /ready answers")
LEADER = _gauge("leader", "1 while this process leads its role, 0 while it waits for its turn", "role")
SPANS = _counter(
    "spans_total",
    "Spans of traces, by outcome: exported, failed (the collector did not take them) or dropped (it is too slow)",
    "outcome",
)
POOL_CONNECTIONS = _gauge(
    "pool_connections", "Connections of a pool to Postgres, by state: idle or lent", "pool", "state"
)
POOL_WAITING = _gauge("pool_waiting", "Tasks that wait for a connection of a pool now", "pool")
POOL_REQUESTS = _counter("pool_requests_total", "Requests for a connection of a pool", "pool")
POOL_TIMEOUTS = _counter("pool_timeouts_total", "Requests for a connection of a pool that got none in time", "pool")
POOL_WAIT_SECONDS = _counter("pool_wait_seconds_total", "Seconds that tasks waited for a connection of a pool", "pool")
# API
API_REQUESTS = _counter(
    "api_requests_total",
    "Requests of the API, by operation (`none` if no route has the path) and status",
    "operation",
    "status",
)
API_REQUEST_SECONDS = _histogram(
    "api_request_seconds", "Seconds from the start of a request to the end of its answer", _LATENCY_S, "operation"
)
# Ingress
INGRESS_REQUESTS = _counter("ingress_requests_total", "Webhook requests, by outcome", "outcome")
INGRESS_BUNDLES = _counter("ingress_bundles_total", "Bundles that Kafka acknowledged")
INGRESS_BUNDLE_BODIES = _histogram("ingress_bundle_bodies", "Webhook bodies in a bundle", _SIZES)
INGRESS_ACK_SECONDS = ManyHistogram(
    "campaigns_ingress_ack_seconds",
    "Seconds from the receipt of a body to the acknowledgement by Kafka",
    registry=REGISTRY,
    buckets=_LATENCY_S,
)
INGRESS_UNVERIFIED_BYTES = _gauge("ingress_unverified_bytes", "Bytes of bodies whose signature is not verified yet")
INGRESS_PENDING_BYTES = _gauge("ingress_pending_bytes", "Bytes of verified bodies that wait for Kafka")
# Reconciler
RECONCILER_BODIES = _counter("reconciler_bodies_total", "Webhook bodies that were read")
RECONCILER_LENIENT_BODIES = _counter(
    "reconciler_lenient_bodies_total", "Webhook bodies that are not strict JSON and were read all the same"
)
RECONCILER_ITEMS = _counter(
    "reconciler_items_total", "Items in webhook bodies, by outcome (see the reason codes)", "outcome"
)
RECONCILER_EVENTS = _counter("reconciler_events_total", "Published events, by kind", "kind")
RECONCILER_BATCH_SECONDS = _histogram(
    "reconciler_batch_seconds", "Seconds per batch, from its first record to its end", _LATENCY_S
)
# Every stage
DEAD_LETTERS = _counter("dead_letters_total", "Records or items that were dead-lettered", "stage", "reason")
STAGE_HALTED = _gauge("stage_halted", "1 while the stage is halted because of too many dead letters", "stage")
RETRIES = _counter("retries_total", "Retries of a batch after a transient failure", "stage")
LAG_RECORDS = _gauge(
    "lag_records", "Records between the committed offset and the end of the partition", "topic", "partition"
)
LAG_STATUSES = _gauge(
    "lag_statuses",
    "Statuses in these records. For bundles an estimate: the records by the mean of the bundles that this process read",
    "topic",
    "partition",
)
BATCH_RECORDS = _histogram("batch_records", "Records in a batch", _SIZES, "stage")
# Scheduler
SCHEDULER_RELEASED = _counter("scheduler_released_total", "Released attempts")
SCHEDULER_PUBLISHED = _counter("scheduler_jobs_published_total", "Published jobs, with those that were published again")
SCHEDULER_STEP_SECONDS = _histogram("scheduler_step_seconds", "Seconds of a release step in Postgres", _LATENCY_S)
BREAKERS_OPEN = _gauge("breakers_open", "Breakers that are open, by scope", "scope")
RELEASED = _gauge(
    "released", "Attempts that are released and not claimed, by phone number id: the 50 numbers with the most", "number"
)
RELEASED_MAX = _gauge("released_max", "Most attempts of a number that may be released and not claimed")
RELEASED_OLDEST_SECONDS = _gauge(
    "released_oldest_seconds", "Age of the oldest attempt that is released and not claimed"
)
DAILY_BUDGET_USED = _gauge("daily_budget_used", "Attempts of today, over the active campaigns with a daily limit")
DAILY_BUDGET_LIMIT = _gauge("daily_budget_limit", "The daily limits of these campaigns, added up")
DAILY_BUDGETS_EXHAUSTED = _gauge("daily_budgets_exhausted", "Active campaigns that have used their limit of today")
PORTFOLIO_USED = _gauge("portfolio_people", "People who count towards the budget of the portfolio now")
PORTFOLIO_LIMIT = _gauge("portfolio_people_max", "The budget of people of the portfolio; 0 if there is none")
PARKED = _gauge("parked", "Parked statuses, 10000 at most")
PARKED_OLDEST_SECONDS = _gauge("parked_oldest_seconds", "Age of the oldest parked status")
FOREIGN_TODAY = _gauge("foreign_statuses_today", "Statuses of other systems on our numbers, since midnight UTC")
UNKNOWN = _gauge("unknown_recipients", "Recipients whose newest attempt has an unknown outcome")
PAST_LEASE = _gauge("claims_past_lease", "Claims without an outcome past their lease, 10000 at most")
UNPUBLISHED = _gauge("outcomes_unpublished", "Outcomes in the ledger that are not published yet, 10000 at most")
UNPUBLISHED_OLDEST_SECONDS = _gauge(
    "outcomes_unpublished_oldest_seconds", "Age of the oldest outcome that is not published"
)
HELD = _gauge("events_held", "Events that wait because another session has locked their recipients, 10000 at most")
WEBHOOKS_APPLIED_AGE_SECONDS = _gauge(
    "webhooks_applied_age_seconds",
    "Seconds since the moment up to which all acknowledged webhooks are applied; above 60 nothing is claimed",
)
RECOVERY_NEEDED = _gauge(
    "recovery_needed", "1 while nothing is sent, because the database was restored or failed over: `campaigns recover`"
)
BREAKER_CHANGES = _counter(
    "breaker_changes_total", "Openings, closings and resets of breakers, and pauses because of one", "scope", "change"
)
STOPPED_BY_FIGURES = _counter("stopped_by_figures_total", "Campaigns paused by their figures, by reason code", "reason")
# Sender
SENDER_CLAIMS = _counter("sender_claims_total", "Claims, by outcome", "outcome")
SENDER_CLAIMS_STOPPED = _gauge(
    "sender_claims_stopped", "1 while nothing is claimed, because webhooks may not be applied for more than 60 s"
)
SENDER_CLAIM_SECONDS = _histogram("sender_claim_seconds", "Seconds of a claim, which takes many jobs", _LATENCY_S)
SENDER_OUTCOMES = _counter("sender_outcomes_total", "Claimed attempts, by outcome", "outcome")
SENDER_IN_FLIGHT = _gauge("sender_in_flight", "Sends that are in flight now")
SENDER_POST_SECONDS = _histogram("sender_post_seconds", "Seconds until the Cloud API answered", _LATENCY_S)
# Sink and stats
SINK_EVENTS = _counter("sink_events_total", "Events that were merged into rows")
SINK_ROWS = _counter("sink_rows_total", "Rows that were changed")
SINK_ERASED = _counter("sink_erased_total", "Statuses of our own messages whose recipient was deleted")
SINK_SUBSCRIPTIONS = _counter(
    "sink_subscriptions_total", "Opt-outs and opt-ins that were merged, by source and kind", "source", "kind"
)
SINK_BATCH_SECONDS = _histogram("sink_batch_seconds", "Seconds per batch, from poll to commit", _LATENCY_S)
SINK_WEBHOOK_DELAY_SECONDS = ManyHistogram(
    "campaigns_sink_webhook_delay_seconds",
    "Seconds from the receipt of a webhook to the commit of its row",
    registry=REGISTRY,
    buckets=_DELAY_S,
)
SINK_DOUBLE_SENDS = _counter("sink_double_sends_total", "Attempts with a second wamid, which proves a double send")
STATS_SNAPSHOTS = _counter("stats_snapshots_total", "Published snapshots")
STATS_MINUTES = _counter("stats_minutes_total", "Published minutes of campaigns on campaign.timeline")
STATS_REFUSED = _counter("stats_refused_total", "Snapshots that Kafka cannot take, because they are too large")


class Pools:
    """The pools of this process. Their figures are read when the metrics are, and cost nothing otherwise."""

    def __init__(self) -> None:
        self._figures: dict[str, Callable[[], Mapping[str, int]]] = {}

    def watch(self, pool: str, figures: Callable[[], Mapping[str, int]]) -> None:
        """Show a pool. `figures`: the counts since the last call and the sizes now, by the names of psycopg_pool."""
        self._figures[pool] = figures

    def read(self) -> None:
        """Set the metrics of all pools."""
        for pool, figures in list(self._figures.items()):
            found = figures()
            idle = found.get("pool_available", 0)
            POOL_CONNECTIONS.labels(pool, "idle").set(idle)
            POOL_CONNECTIONS.labels(pool, "lent").set(max(0, found.get("pool_size", 0) - idle))
            POOL_WAITING.labels(pool).set(found.get("requests_waiting", 0))
            POOL_REQUESTS.labels(pool).inc(found.get("requests_num", 0))
            POOL_TIMEOUTS.labels(pool).inc(found.get("requests_errors", 0))
            POOL_WAIT_SECONDS.labels(pool).inc(found.get("requests_wait_ms", 0) / 1000)


POOLS = Pools()
"""The pools of this process."""


def describe(process: str, version: str) -> None:
    """Show which process this is."""
    BUILD_INFO.labels(process, version, platform.python_version()).set(1)


def set_lag(topic: str, partition: int, records: int, statuses_per_record: float) -> None:
    """Show how far behind a partition is."""
    LAG_RECORDS.labels(topic, str(partition)).set(records)
    LAG_STATUSES.labels(topic, str(partition)).set(round(records * statuses_per_record))


def forget_lag(topic: str, partition: int) -> None:
    """Show a partition no longer: it is assigned to another process, which shows it."""
    for gauge in (LAG_RECORDS, LAG_STATUSES):
        gauge.remove_by_labels({"topic": topic, "partition": str(partition)})


def exposition() -> bytes:
    """All metrics in the text format of Prometheus."""
    POOLS.read()
    return generate_latest(REGISTRY)
