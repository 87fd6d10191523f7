"""Client libraries repeat themselves while a server is away: one line a minute remains, with a count."""

from __future__ import annotations

import logging

import pytest

from runtime.log_repeats import EVERY_S, RepeatFilter, kind_of, server_of

REFUSED = (
    "FAIL [campaigns#producer-%d] [thrd:127.0.0.1:9092/bootstrap]: 127.0.0.1:9092/bootstrap: "
    "Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after %dms in state CONNECT)"
)
OUTAGE_S = 13 * 60


class Log:
    """A filter with a clock of its own, and what has passed it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.passed: list[str] = []
        self._filter = RepeatFilter(lambda: self.now)

    def line(self, text: str, library: str = "librdkafka", level: int = logging.ERROR) -> bool:
        record = logging.LogRecord(library, level, "", 0, text, None, None)
        if self._filter.filter(record):
            self.passed.append(record.getMessage())
            return True
        return False


def test_an_outage_of_13_minutes_is_a_line_a_minute_with_a_count() -> None:
    log = Log()
    for tenth in range(OUTAGE_S * 10):
        log.now = tenth / 10
        log.line(REFUSED % (tenth % 7, tenth))
    assert len(log.passed) == OUTAGE_S / EVERY_S
    assert log.passed[1].endswith("(held back in 60 s: 599 repeated lines)")


def test_each_broker_and_each_library_has_a_line_of_its_own() -> None:
    log = Log()
    assert log.line("broker-1:9092: refused")
    assert log.line("broker-2:9092: refused")
    assert log.line("Unable to connect to ('broker-1', 9092)", "aiokafka.conn")
    assert not log.line("broker-1:9092: refused")


def test_a_new_kind_of_line_is_not_hidden_by_repeated_ones() -> None:
    log = Log()
    log.line(REFUSED % (1, 1))
    assert log.line("FAIL [thrd:127.0.0.1:9092/bootstrap]: SASL authentication error: Authentication failed")
    assert not log.line("FAIL [thrd:127.0.0.1:9092/bootstrap]: SASL authentication error: Authentication failed")


def test_lines_of_ours_and_what_is_critical_always_pass() -> None:
    log = Log()
    for _ in range(3):
        assert log.line("batch failed; it is retried", "sender")
        assert log.line("broker-1:9092: fatal", level=logging.CRITICAL)


def test_what_is_remembered_is_bounded() -> None:
    log = Log()
    for number in range(2000):
        log.line(f"host-{number}:9092 refused")
        log.line(f"a:9092 {'x' * (number % 100)} failed")
    assert len(log._filter._servers) <= 256
    assert all(len(server.kinds) <= 32 for server in log._filter._servers.values())


@pytest.mark.parametrize(
    ("text", "server"),
    [
        (REFUSED % (1, 2), "127.0.0.1:9092"),
        ("Unable connect to node with id 1: [Errno 111] Connect call failed ('127.0.0.1', 9092)", "127.0.0.1:9092"),
        ("Unable to request metadata from 'kafka-1.internal:9092': KafkaConnectionError", "kafka-1.internal:9092"),
        (
            "error connecting in 'pool-1': connection failed: connection to server at \"10.0.0.1\", port 5432 failed",
            "10.0.0.1:5432",
        ),
        ("[::1]:9092/bootstrap: Connect failed", "[::1]:9092"),
        ("Heartbeat failed: local member_id was not recognized", ""),
    ],
)
def test_the_server_of_a_line(text: str, server: str) -> None:
    assert server_of(text) == server


def test_the_kind_of_a_line_has_no_numbers() -> None:
    assert kind_of("after 12ms in 0x7f state 3") == kind_of("after 9ms in 0xab state 4")
