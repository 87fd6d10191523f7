"""Every metric of every process. The names are an interface: dashboards and alarms use them.

The labels have few values (outcomes, reason codes, topics). A campaign or a person is never a label.
`docs/reference/metrics.md` is generated from this module.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY = CollectorRegistry(auto_describe=True)

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"campaigns_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"campaigns_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"campaigns_{name}", text, labels, registry=REGISTRY, buckets=buckets)


# Ingress
INGRESS_REQUESTS = _counter("ingress_requests_total", "Webhook requests, by outcome", "outcome")
INGRESS_BUNDLES = _counter("ingress_bundles_total", "Bundles that Kafka acknowledged")
INGRESS_BUNDLE_BODIES = _histogram("ingress_bundle_bodies", "Webhook bodies in a bundle", _SIZES)
INGRESS_ACK_SECONDS = _histogram(
    "ingress_ack_seconds", "Seconds from the receipt of a body to the acknowledgement by Kafka", _LATENCY_S
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
# Scheduler
SCHEDULER_RELEASED = _counter("scheduler_released_total", "Released attempts")
SCHEDULER_PUBLISHED = _counter("scheduler_jobs_published_total", "Published jobs, with those that were published again")
BREAKERS_OPEN = _gauge("breakers_open", "Breakers that are open, by scope", "scope")
BREAKER_CHANGES = _counter(
    "breaker_changes_total", "Openings, closings and resets of breakers, and pauses because of one", "scope", "change"
)
# Sender
SENDER_CLAIMS = _counter("sender_claims_total", "Claims, by outcome", "outcome")
SENDER_OUTCOMES = _counter("sender_outcomes_total", "Claimed attempts, by outcome", "outcome")
SENDER_IN_FLIGHT = _gauge("sender_in_flight", "Sends that are in flight now")
SENDER_POST_SECONDS = _histogram("sender_post_seconds", "Seconds until the Cloud API answered", _LATENCY_S)
# Sink and stats
SINK_EVENTS = _counter("sink_events_total", "Events that were merged into rows")
SINK_ROWS = _counter("sink_rows_total", "Rows that were changed")
SINK_ERASED = _counter("sink_erased_total", "Statuses of our own messages whose recipient was deleted")
SINK_BATCH_SECONDS = _histogram("sink_batch_seconds", "Seconds per batch, from poll to commit", _LATENCY_S)
SINK_DOUBLE_SENDS = _counter("sink_double_sends_total", "Attempts with a second wamid, which proves a double send")
STATS_SNAPSHOTS = _counter("stats_snapshots_total", "Published snapshots")
STATS_REFUSED = _counter("stats_refused_total", "Snapshots that Kafka cannot take, because they are too large")


def exposition() -> bytes:
    """All metrics in the text format of Prometheus."""
    return generate_latest(REGISTRY)
