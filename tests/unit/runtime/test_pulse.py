"""The pulse of a loop: it ends a stalled process if all servers answer, and no process that only waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runtime.process import EXIT_TRANSIENT
from runtime.pulse import Heartbeats, Pulse
from runtime.settings import Settings
from tests.support.paths import ROOT

LIMIT_S = 1.2
DEADLINE_S = 20.0
SERVING = """
import asyncio, os, sys, time
from runtime.process import run_process
from runtime.settings import Settings
from runtime.pulse import watched_loop

async def run(settings, stop):
    async with watched_loop(settings, "test"):
        print("serving", flush=True)
        if sys.argv[1] == "blocks":
            time.sleep(60)
        await stop.wait()

settings = Settings.model_validate(
    {"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://x", "stall_limit_s": 1.2}
)
sys.exit(run_process("test", run, settings))
"""


def settings() -> Settings:
    return Settings.model_validate(
        {"kafka_bootstrap_servers": "nowhere:1", "database_url": "postgresql://x", "stall_limit_s": LIMIT_S}
    )


class Ends:
    """Records the end of the process instead of ending it."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.happened = threading.Event()

    def __call__(self, code: int) -> None:
        self.code = code
        self.happened.set()


def test_a_stalled_loop_ends_the_process_for_a_restart() -> None:
    ends = Ends()
    pulse = Pulse(settings(), "test", Heartbeats(), lambda: True, ends)
    pulse.start()
    assert ends.happened.wait(DEADLINE_S)
    pulse.stop()
    assert ends.code == EXIT_TRANSIENT


def test_a_loop_that_beats_continues() -> None:
    ends, beats, rounds = Ends(), Heartbeats(), threading.Event()
    pulse = Pulse(settings(), "test", beats, lambda: True, ends)
    pulse.start()
    until = time.monotonic() + 3 * LIMIT_S
    while time.monotonic() < until:
        beats.beat()
        rounds.wait(LIMIT_S / 20)
    assert not ends.happened.is_set()
    pulse.stop()


def test_a_loop_is_not_stalled_while_a_dependency_is_away() -> None:
    ends, checked = Ends(), threading.Semaphore(0)

    def answers() -> bool:
        checked.release()
        return False

    pulse = Pulse(settings(), "test", Heartbeats(), answers, ends)
    pulse.start()
    assert checked.acquire(timeout=DEADLINE_S)
    assert checked.acquire(timeout=DEADLINE_S), "the clock starts again and ends again"
    assert not ends.happened.is_set()
    pulse.stop()


@contextmanager
def serving(how: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", SERVING, how]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield process
        finally:
            process.kill()


def test_a_loop_that_is_blocked_ends_the_process_for_a_restart() -> None:
    with serving("blocks") as process:
        assert process.wait(DEADLINE_S) == EXIT_TRANSIENT
        assert process.stderr is not None
        assert "stalled: a loop completed no round" in process.stderr.read()


def test_a_waiting_loop_and_a_frozen_loop_continue() -> None:
    with serving("waits") as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 * LIMIT_S)
        os.kill(process.pid, signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 * LIMIT_S)
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
