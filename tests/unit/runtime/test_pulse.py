"""The pulse of a loop: it ends a process that stands while all answers, and none that only waits."""

from __future__ import annotations

import threading
import time

from runtime.process import EXIT_TRANSIENT
from runtime.pulse import Heartbeats, Pulse
from runtime.settings import Settings

LIMIT_S = 1.2
DEADLINE_S = 10.0


def settings() -> Settings:
    return Settings.model_validate(
        {"kafka_bootstrap_servers": "nowhere:1", "database_url": "postgresql://x", "stall_limit_s": LIMIT_S}
    )


class Ends:
    """Where a process would end."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.happened = threading.Event()

    def __call__(self, code: int) -> None:
        self.code = code
        self.happened.set()


def test_a_loop_that_stands_ends_the_process_for_a_restart() -> None:
    ends = Ends()
    pulse = Pulse(settings(), "test", Heartbeats(), lambda: True, ends)
    pulse.start()
    assert ends.happened.wait(DEADLINE_S)
    pulse.stop()
    assert ends.code == EXIT_TRANSIENT


def test_a_loop_that_comes_round_goes_on() -> None:
    ends, beats, rounds = Ends(), Heartbeats(), threading.Event()
    pulse = Pulse(settings(), "test", beats, lambda: True, ends)
    pulse.start()
    until = time.monotonic() + 3 * LIMIT_S
    while time.monotonic() < until:
        beats.beat()
        rounds.wait(LIMIT_S / 20)
    assert not ends.happened.is_set()
    pulse.stop()


def test_while_a_dependency_is_away_standing_is_no_stall() -> None:
    ends, asked = Ends(), threading.Semaphore(0)

    def answers() -> bool:
        asked.release()
        return False

    pulse = Pulse(settings(), "test", Heartbeats(), answers, ends)
    pulse.start()
    assert asked.acquire(timeout=DEADLINE_S)
    assert asked.acquire(timeout=DEADLINE_S), "the clock starts again and ends again"
    assert not ends.happened.is_set()
    pulse.stop()
