"""Sends spans to a collector of OpenTelemetry. Only this module imports its packages, and only while traces are on."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Sequence

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from domain.traces import EndedSpan, SpanPlace, Step
from runtime import metrics
from runtime.settings import Settings
from schemas.codec import PRODUCER

QUEUE_SPANS_MAX = 4096
"""Spans that wait for the collector: some megabytes."""
BATCH_SPANS_MAX = 512
BATCH_EVERY_S = 1.0
EXPORT_TIMEOUT_S = 5.0

KINDS = {
    Step.RELEASE: SpanKind.INTERNAL,
    Step.PUBLISH: SpanKind.PRODUCER,
    Step.CLAIM: SpanKind.CONSUMER,
    Step.SEND: SpanKind.CLIENT,
    Step.RECONCILE: SpanKind.CONSUMER,
    Step.APPLY: SpanKind.CONSUMER,
}
_NAME, _, _VERSION = PRODUCER.rpartition("/")
_SCOPE = InstrumentationScope(_NAME, _VERSION)

log = structlog.get_logger(__name__)


class SpanCollector:
    """A `SpanRecorder` that hands spans to a processor of OpenTelemetry."""

    def __init__(self, processor: SpanProcessor, resource: Resource, handled: HandledSpans | None = None) -> None:
        self._processor = processor
        self._resource = resource
        self._handled = handled
        self._taken = 0

    def take(self, span: EndedSpan) -> None:
        """Send the span, or drop it if the collector is too slow."""
        if self._handled is not None and self._taken - self._handled.count >= QUEUE_SPANS_MAX:
            metrics.SPANS.labels("dropped").inc()
            return
        self._taken += 1
        self._processor.on_end(_readable(span, self._resource))

    def close(self, timeout_s: float) -> None:
        """Send what waits. A collector that does not answer is left after the timeout."""
        ending = threading.Thread(target=self._processor.shutdown, name="spans-end", daemon=True)
        ending.start()
        ending.join(timeout_s)
        if ending.is_alive() and self._handled is not None:
            self._handled.shutdown()  # ends the pause before the next attempt, so that no thread goes on


class HandledSpans(SpanExporter):
    """Passes spans on, and counts them. A failure of the collector is logged once, and its end too."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.count = 0
        """Spans that were exported or lost."""
        self._exporter = exporter
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass the spans on. Those that the collector does not take are lost."""
        result, reason = SpanExportResult.FAILURE, "it did not take the spans"
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - a trace is worth no failure of a process
            reason = type(error).__name__
        is_failing = result is not SpanExportResult.SUCCESS
        metrics.SPANS.labels("failed" if is_failing else "exported").inc(len(spans))
        self.count += len(spans)
        if is_failing and not self._is_failing:
            log.warning("the collector of traces fails; spans are lost until it answers", reason=reason)
        elif self._is_failing and not is_failing:
            log.info("the collector of traces answers again")
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        """End the exporter, also in the middle of a retry."""
        self._exporter.shutdown()


def collector_of(settings: Settings, process: str) -> SpanCollector:
    """A recorder that sends spans to the collector of the settings, in batches, from a thread of its own."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `HandledSpans` logs a failure, and once
    session = requests.Session()
    session.trust_env = False  # no proxy and no password of the environment
    handled = HandledSpans(
        OTLPSpanExporter(
            endpoint=f"{settings.traces}/v1/traces",
            headers={},
            timeout=EXPORT_TIMEOUT_S,
            compression=Compression.Gzip,
            session=session,
        )
    )
    return SpanCollector(batching(handled), _resource(settings, process), handled)


def batching(exporter: SpanExporter) -> BatchSpanProcessor:
    """A processor with a bounded queue and a thread. All limits are given, so it reads none from the environment."""
    return BatchSpanProcessor(
        exporter,
        max_queue_size=QUEUE_SPANS_MAX,
        schedule_delay_millis=BATCH_EVERY_S * 1000,
        max_export_batch_size=min(BATCH_SPANS_MAX, QUEUE_SPANS_MAX),
        export_timeout_millis=EXPORT_TIMEOUT_S * 1000,
    )


def _resource(settings: Settings, process: str) -> Resource:
    return Resource({
        "service.name": f"campaigns-{process}",
        "service.version": _VERSION,
        "service.instance.id": settings.instance or f"{socket.gethostname()}-{os.getpid()}",
        "deployment.environment.name": settings.deployment,
    })  # fmt: skip


def _readable(span: EndedSpan, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        span.step.value,
        context=_context(span.place),
        parent=None if span.parent is None else _context(span.parent, is_remote=True),
        resource=resource,
        attributes=span.attributes,
        kind=KINDS[span.step],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.started_ns,
        end_time=span.ended_ns,
        instrumentation_scope=_SCOPE,
    )


def _context(place: SpanPlace, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(place.trace_id, place.span_id, is_remote, TraceFlags(TraceFlags.SAMPLED))
