"""Exit codes, masking, and secrets that must not be logged."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from runtime import process
from runtime.logs import configure, mask_phone, mask_text, mask_wamid
from runtime.process import Transient, exit_code, run_process
from runtime.settings import InvalidSettings, Settings
from tests.support.paths import ROOT

SETTINGS = Settings.model_validate({"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://x"})
PHONE = "14694652751"
WAMID = "wamid.HBgLMTQ2OTQ2NTI3NTEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    import logging  # noqa: PLC0415 - what is restored here is global

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Transient("away"), 75),
        (KeyboardInterrupt(), 75),
        (InvalidSettings("X: is not set"), 64),
        (ZeroDivisionError(), 70),
        (ExceptionGroup("two", [Transient("away"), KeyError("x")]), 70),
        (ExceptionGroup("two", [Transient("away"), Transient("too")]), 75),
    ],
)
def test_every_failure_has_its_exit_code(failure: BaseException, code: int) -> None:
    async def run(_settings: Settings, _stop: asyncio.Event) -> None:
        raise failure

    assert exit_code(failure) == code
    if not isinstance(failure, KeyboardInterrupt):
        assert run_process("test", run, SETTINGS) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_stop_and_ends_in_order(number: signal.Signals) -> None:
    async def run(_settings: Settings, stop: asyncio.Event) -> None:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 5)

    assert run_process("test", run, SETTINGS) == 0


LEAVING_SOMETHING = """
import asyncio, sys
from runtime import process
from runtime.settings import Settings

process.LEFTOVERS_S = 0.2
settings = Settings.model_validate({"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://x"})

async def stubborn():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def run(_settings, _stop):
    run.left = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    if sys.argv[1] == "75":
        raise process.Transient("away")

sys.exit(process.run_process("test", run, settings))
"""


@pytest.mark.parametrize(("code", "log"), [(0, "stopped"), (75, "away")])
def test_tasks_that_a_library_leaves_in_the_loop_do_not_delay_the_exit(code: int, log: str) -> None:
    argv = [sys.executable, "-c", LEAVING_SOMETHING, str(code)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    assert log in done.stderr


@pytest.mark.parametrize("text", ['{{"wa_id":{}}}', "to:{}", "{}: not allowed", "tel:+{}", "'{}'", "phone={}."])
def test_a_number_is_masked_next_to_any_character(text: str) -> None:
    assert PHONE not in mask_text(text.format(PHONE))


@pytest.mark.parametrize("text", ["0:1767225605000", "127.0.0.1:5218900000", "550e8400-e29b-41d4-a716-446655440000"])
def test_an_invalid_number_is_shown(text: str) -> None:
    assert mask_text(text) == text


def test_a_mask_keeps_only_enough_to_recognise_a_number() -> None:
    assert mask_phone(PHONE) == "*********51"
    assert mask_phone("+" + PHONE) == "*********51"
    assert mask_phone("123") == "***"
    assert PHONE[-4:] not in mask_wamid(WAMID)
    assert mask_wamid("wamid.short") == "wamid…"
    masked = mask_text(f"row ({PHONE}, {WAMID}) of 2026-01-01 12:00:00.123456, offset 42")
    assert PHONE not in masked
    assert WAMID not in masked
    assert "2026-01-01 12:00:00.123456, offset 42" in masked


def test_no_traceback_shows_a_number_or_a_wamid(capsys: pytest.CaptureFixture[str]) -> None:
    configure(SETTINGS, process="test")
    try:
        int(f"{PHONE} {WAMID}")
    except ValueError:
        structlog.get_logger("x").exception("failed", wamid=WAMID)
    shown = capsys.readouterr().err
    assert "ValueError" in shown
    assert "process=test" in shown
    assert PHONE not in shown
    assert WAMID not in shown


def test_the_log_names_the_first_exception_of_a_group_and_those_that_followed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = ValueError("the cause")
    group = ExceptionGroup("tasks", [Transient("Kafka is away"), ExceptionGroup("inner", [first, KeyError("later")])])
    assert process._log_end(group) == 70
    logged = capsys.readouterr()
    text = logged.out + logged.err
    assert "error=ValueError" in text.replace("'", "") or '"error": "ValueError"' in text
    assert "Kafka is away" not in text.partition("Traceback")[0]
    assert "Transient" in text
