"""A line about a child that ended says who, why and what happens now."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.child_events import TAIL_BYTES, ending, event_line, reporter, tail
from stack.supervisor import ChildEvent

CONSOLE = "2026-11-26T04:00:00Z [error    ] ended   [process] exit_code=75 process=sink reason='Kafka: it\\'s away'\n"
JSON = '{"exit_code": 75, "reason": "Kafka: no answer", "event": "ended", "level": "error"}\n'
TRACE = "Traceback (most recent call last):\n  File x\nZeroDivisionError: division by zero\n"


@pytest.mark.parametrize(
    ("code", "log", "words"),
    [
        (0, "", "was stopped from outside"),
        (64, "", "cannot run with its settings"),
        (70, TRACE, "ended by a bug (ZeroDivisionError: division by zero)"),
        (75, CONSOLE, "ended because a dependency is away, or because it stalled (Kafka: it\\'s away)"),
        (75, JSON, "ended because a dependency is away, or because it stalled (Kafka: no answer)"),
        (75, "nothing of use\n", "ended because a dependency is away, or because it stalled"),
        (127, "", "could not be started"),
        (3, "", "ended with exit code 3"),
        (-9, CONSOLE, "was killed by SIGKILL"),
        (-63, "", "was killed by signal 63"),
    ],
)
def test_an_exit_code_in_words(code: int, log: str, words: str) -> None:
    assert ending(code, log) == words


def test_each_event_has_its_line(tmp_path: Path) -> None:
    log = tmp_path / "sink.log"
    log.write_text(JSON)
    assert event_line(ChildEvent("sink", "started", pid=1), log) is None
    assert event_line(ChildEvent("sink", "ended", code=75), log) is None
    frozen = ChildEvent("Kafka", "frozen", pid=7, delay_s=21.4)
    silent = "runs, but has not answered for 21 s"
    assert event_line(frozen, log) == f"Kafka (process 7) {silent}: it is killed and started again"
    restarting = event_line(ChildEvent("sink", "restarting", code=75, delay_s=0.4), log)
    assert restarting is not None
    assert restarting.endswith("(Kafka: no answer); it is started again in 0.4 s")
    given_up = event_line(ChildEvent("sink", "given_up", code=64), log)
    assert given_up == "sink cannot run with its settings (exit code 64) and is not started again"


def test_the_log_of_a_server_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "kafka.log").write_text("java.lang.Error\n")
    lines: list[str] = []
    reporter(tmp_path, lines.append)(ChildEvent("Kafka", "restarting", code=-9, delay_s=0.2))
    assert lines == ["Kafka was killed by SIGKILL; it is started again in 0.2 s"]


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "large.log"
    log.write_bytes(b"x" * TAIL_BYTES + b"\xff end")
    assert len(tail(log)) == TAIL_BYTES
    assert tail(log).endswith("\ufffd end")
    assert tail(tmp_path / "none.log") == ""
