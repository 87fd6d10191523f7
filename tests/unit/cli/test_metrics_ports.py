"""Each process of `campaigns up` has a port of its own, and a port that is requested and taken is named."""

from __future__ import annotations

import socket

import pytest

from cli import metrics_ports as module
from cli.metrics_ports import MetricsPortTaken, metrics_ports
from cli.processes import MODULES


def taken(listening: int) -> object:
    return lambda port: port == listening


def test_the_processes_take_the_ports_from_the_first_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_listening", taken(0))
    assert list(metrics_ports(None, 8000).values()) == list(range(8010, 8017))
    assert metrics_ports(9100, 8000) == {name: 9100 + number for number, name in enumerate(MODULES)}


def test_the_usual_ports_give_way_to_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_listening", taken(8013))
    found = metrics_ports(None, 8000)
    assert found.keys() == MODULES.keys()
    assert len(set(found.values())) == len(MODULES)
    assert 8013 not in found.values()


def test_free_ports_are_distinct() -> None:
    for found in (metrics_ports(0, 8000), metrics_ports(None, 0)):
        assert found.keys() == MODULES.keys()
        assert len(set(found.values())) == len(MODULES)


def test_a_requested_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(MetricsPortTaken, match=rf"port {port} is taken.*--metrics-port"):
            metrics_ports(port, 0)


def test_a_port_beyond_the_last_one_is_refused() -> None:
    with pytest.raises(MetricsPortTaken, match="port 65536 does not exist"):
        metrics_ports(65_535, 0)
