"""The metrics that are computed when they are read, and the laws of their labels."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from runtime import metrics
from runtime.metrics import REGISTRY, Pools

UNBOUNDED = {"campaign", "campaign_id", "recipient", "recipient_id", "person", "phone_number", "wamid", "path"}


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"campaigns_{name}", labels)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for partition in range(3):
        metrics.forget_lag("test.topic", partition)


def test_no_label_has_unbounded_values() -> None:
    found = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    assert len(found) > 40
    labels = {label for metric in found for label in metric._labelnames}
    assert labels & UNBOUNDED == set()


def test_the_process_and_its_version_are_shown() -> None:
    metrics.describe("sink", "9.9")
    assert value("build_info", process="sink", version="9.9", python=platform.python_version()) == 1


def test_the_figures_of_a_pool_are_read_with_the_metrics_and_its_counts_add_up() -> None:
    pools = Pools()
    figures = {"pool_size": 5, "pool_available": 2, "requests_waiting": 1, "requests_num": 7, "requests_errors": 1,
               "requests_wait_ms": 250}  # fmt: skip
    pools.watch("test-pool", lambda: figures)
    pools.read()
    pools.read()
    assert value("pool_connections", pool="test-pool", state="idle") == 2
    assert value("pool_connections", pool="test-pool", state="lent") == 3
    assert value("pool_waiting", pool="test-pool") == 1
    assert value("pool_requests_total", pool="test-pool") == 14
    assert value("pool_timeouts_total", pool="test-pool") == 2
    assert value("pool_wait_seconds_total", pool="test-pool") == 0.5


def test_lag_is_shown_in_records_and_in_statuses() -> None:
    metrics.set_lag("test.topic", 1, 40, 2.6)
    assert value("lag_records", topic="test.topic", partition="1") == 40
    assert value("lag_statuses", topic="test.topic", partition="1") == 104


def test_the_lag_of_a_lost_partition_is_shown_no_longer() -> None:
    """Otherwise two processes would show one partition, one of them with an old figure for ever."""
    metrics.set_lag("test.topic", 1, 40, 1.0)
    metrics.set_lag("test.topic", 2, 5, 1.0)
    metrics.forget_lag("test.topic", 1)
    metrics.forget_lag("test.topic", 0)
    assert value("lag_records", topic="test.topic", partition="1") is None
    assert value("lag_statuses", topic="test.topic", partition="1") is None
    assert value("lag_records", topic="test.topic", partition="2") == 5


def test_no_series_is_shown_that_nothing_reads() -> None:
    """The client adds the time at which each counter and histogram was created, a third of all series."""
    assert b"_created" not in metrics.exposition()


@pytest.mark.parametrize("amounts", [(), (0.5,), (0.5, 0.5, 0.6), (0.05, 0.051, 7.0, 1e9), (1e9, 2e9)])
def test_many_amounts_are_counted_as_one_by_one(amounts: tuple[float, ...]) -> None:
    together, alone = (
        metrics.ManyHistogram("x", "x", buckets=(0.05, 1.0, 10.0), registry=CollectorRegistry()) for _ in range(2)
    )
    together.observe_many(amounts)
    for amount in amounts:
        alone.observe(amount)
    assert [each.samples for each in together.collect()] == [each.samples for each in alone.collect()]
