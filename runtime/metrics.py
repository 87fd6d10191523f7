"""Every metric of every process, in one place: the names are an interface, dashboards and alarms read them.

Labels are closed sets (outcomes, reason codes, topics); a campaign or a person is never a label.
"""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server

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
INGRESS_REQUESTS = _counter("ingress_requests_total", "Webhook requests by how they were answered", "outcome")
INGRESS_BUNDLES = _counter("ingress_bundles_total", "Bundles acknowledged by Kafka")
INGRESS_BUNDLE_BODIES = _histogram("ingress_bundle_bodies", "Webhook bodies in a bundle", _SIZES)
INGRESS_ACK_SECONDS = _histogram("ingress_ack_seconds", "From receipt to Kafka's acknowledgement", _LATENCY_S)
INGRESS_PENDING_BYTES = _gauge("ingress_pending_bytes", "Bytes received and not yet answered")
# Reconciler
RECONCILER_BODIES = _counter("reconciler_bodies_total", "Webhook bodies read")
RECONCILER_ITEMS = _counter(
    "reconciler_items_total", "Items found in webhook bodies, by what became of them", "outcome"
)
RECONCILER_EVENTS = _counter("reconciler_events_total", "Events published, by kind", "kind")
RECONCILER_BATCH_SECONDS = _histogram(
    "reconciler_batch_seconds", "A batch from its first record to its end", _LATENCY_S
)
# Every stage
DEAD_LETTERS = _counter("dead_letters_total", "Records or items dead-lettered", "stage", "reason")
STAGE_HALTED = _gauge("stage_halted", "1 while the stage is halted because of too many dead letters", "stage")
RETRIES = _counter("retries_total", "Batches tried again after a transient failure", "stage")
LAG_RECORDS = _gauge("lag_records", "Records between the committed offset and the end", "topic", "partition")
# Scheduler
SCHEDULER_RELEASED = _counter("scheduler_released_total", "Attempts released")
SCHEDULER_PUBLISHED = _counter("scheduler_jobs_published_total", "Jobs published, repetitions included")
# Sender
SENDER_CLAIMS = _counter("sender_claims_total", "Claims by outcome", "outcome")
SENDER_OUTCOMES = _counter("sender_outcomes_total", "What became of claimed attempts", "outcome")
SENDER_IN_FLIGHT = _gauge("sender_in_flight", "Sends in the window now")
SENDER_POST_SECONDS = _histogram("sender_post_seconds", "The Cloud API's time to answer", _LATENCY_S)
# Sink and stats
SINK_EVENTS = _counter("sink_events_total", "Events folded into rows")
SINK_ROWS = _counter("sink_rows_total", "Rows changed")
SINK_BATCH_SECONDS = _histogram("sink_batch_seconds", "A batch, from poll to commit", _LATENCY_S)
SINK_DOUBLE_SENDS = _counter("sink_double_sends_total", "Attempts with a second wamid: proof of a double send")
STATS_SNAPSHOTS = _counter("stats_snapshots_total", "Snapshots published")


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def serve(port: int) -> threading.Thread | None:
    """Serve the metrics on loopback; 0 = off. Raises OSError when the port is taken."""
    if port == 0:
        return None
    _, thread = start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
    return thread
