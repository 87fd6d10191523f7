"""Spans reach a collector over HTTP. A collector that is slow, away or broken costs spans and nothing else."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from structlog.testing import capture_logs

from domain.traces import EndedSpan, SpanPlace, Step
from runtime import metrics, spans
from runtime.settings import Settings
from runtime.spans import KINDS, HandledSpans, SpanCollector, collector_of
from tests.support.http_servers import QuietHandler, serving
from tests.support.processes import free_port
from tests.support.spans import Spans
from tests.support.waiting import eventually


def settings(url: str) -> Settings:
    return Settings.model_validate({
        "kafka_bootstrap_servers": "k:1", "database_url": "postgresql://h/d", "traces": url, "deployment": "blue",
        "whatsapp_access_token": "a-token-of-the-test",
    })  # fmt: skip


def a_span(error: str = "") -> EndedSpan:
    place, parent = SpanPlace(7, 8), SpanPlace(7, 9)
    return EndedSpan(Step.SEND, place, parent, 1_000, 2_000, error, {"campaigns.attempt": 1})


def count(outcome: str) -> float:
    return float(metrics.REGISTRY.get_sample_value("campaigns_spans_total", {"outcome": outcome}) or 0)


class Server:
    """A collector. It keeps the requests, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""


@contextmanager
def a_collector() -> Iterator[Server]:
    server = Server()

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name of the library
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests.append((self.path, dict(self.headers), body))
            self.send_response(server.status)
            self.end_headers()

    with serving(Handler) as server.url:
        yield server


def test_a_collector_receives_the_spans_of_a_process() -> None:
    with a_collector() as server:
        recorder = collector_of(settings(server.url), "sender")
        recorder.take(a_span("131026: no"))
        recorder.close(10)
    [(path, headers, body)] = server.requests
    assert path == "/v1/traces"
    assert "a-token-of-the-test" not in repr((headers, gzip.decompress(body)))
    [of_process] = ExportTraceServiceRequest.FromString(gzip.decompress(body)).resource_spans
    resource = {each.key: each.value.string_value for each in of_process.resource.attributes}
    assert resource["service.name"] == "campaigns-sender"
    assert resource["deployment.environment.name"] == "blue"
    [span] = of_process.scope_spans[0].spans
    assert (span.name, span.kind) == ("send", 3)  # 3 is a client
    assert (int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big")) == (7, 8)
    assert int.from_bytes(span.parent_span_id, "big") == 9
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_000, 2_000)
    assert (span.status.code, span.status.message) == (2, "131026: no")  # 2 is an error


def test_each_step_has_a_kind() -> None:
    assert set(KINDS) == set(Step)
    assert KINDS[Step.SEND] is SpanKind.CLIENT


def test_a_step_without_an_error_has_no_status() -> None:
    recorded = Spans()
    recorded.recorder.take(a_span())
    assert recorded.one("send").status.is_unset


@pytest.mark.parametrize("status", [400, 500])
def test_a_collector_that_refuses_is_logged_once_and_its_losses_are_counted(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(spans, "BATCH_EVERY_S", 0.01)
    failed, exported = count("failed"), count("exported")
    with a_collector() as server, capture_logs() as lines:
        server.status = status
        recorder = collector_of(settings(server.url), "sender")
        for number in range(1, 4):
            recorder.take(a_span())
            eventually(lambda number=number: count("failed") == failed + number or None, "the spans are lost")  # type: ignore[misc]
        server.status = 200
        recorder.take(a_span())
        recorder.close(10)
    assert (count("failed"), count("exported")) == (failed + 3, exported + 1)
    assert [line["event"] for line in lines] == [
        "the collector of traces fails; spans are lost until it answers", "the collector of traces answers again",
    ]  # fmt: skip


def test_a_collector_that_is_away_delays_neither_a_step_nor_the_end() -> None:
    recorder = collector_of(settings(f"http://127.0.0.1:{free_port()}"), "sender")
    started = time.monotonic()
    for _ in range(100):
        recorder.take(a_span())
    taken_s = time.monotonic() - started
    recorder.close(0.5)
    assert taken_s < 0.5
    assert time.monotonic() - started < 3


class Stuck(SpanExporter):
    """A collector that takes no span until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.released.wait(30)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.released.set()


def test_above_the_bound_spans_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "QUEUE_SPANS_MAX", 10)
    dropped, exported = count("dropped"), count("exported")
    stuck = Stuck()
    handled = HandledSpans(stuck)
    recorder = SpanCollector(spans.batching(handled), Resource({}), handled)
    for _ in range(25):
        recorder.take(a_span())
    assert count("dropped") == dropped + 15
    stuck.released.set()
    recorder.close(10)
    assert count("exported") == exported + 10


class Broken(SpanExporter):
    """An exporter with a bug."""

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ValueError("+15550001234")


def test_a_bug_of_the_exporter_ends_nothing_and_is_named() -> None:
    with capture_logs() as lines:
        assert HandledSpans(Broken()).export([]) is SpanExportResult.FAILURE
    [line] = lines
    assert line["reason"] == "ValueError"
