"""Spans in memory, through the real recorder and the exporter for tests of OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runtime.spans import SpanCollector


class Spans:
    """The spans that were recorded since the start of the test, in the order of their ends."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.recorder = SpanCollector(SimpleSpanProcessor(self._exporter), Resource({"service.name": "test"}))

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str, **attributes: object) -> ReadableSpan:
        """The only span with this name and these attributes."""
        wanted = {f"campaigns.{key}": value for key, value in attributes.items()}
        [found] = [span for span in self.named(name) if wanted.items() <= values(span).items()]
        return found

    def parent_of(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span that led to this one. Fails if it was not recorded."""
        if span.parent is None:
            return None
        [found] = [each for each in self.all if each.context and each.context.span_id == span.parent.span_id]
        return found


def values(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes."""
    return span.attributes or {}
