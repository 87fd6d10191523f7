"""The end of a command: masked texts on stderr, only JSON on stdout, and the exit code of the table."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.console import printable, printable_lines
from tests.support.paths import ROOT

PHONE = "15550001234"
CASES = {
    "a line of the log": (f"structlog.get_logger('x').warning('parked', error='of {PHONE}') or print('{{}}')", 0),
    "Kafka's client repeats itself": (
        f"logging.getLogger('librdkafka').error('FAIL') or structlog.get_logger().error('parked', error='{PHONE}')",
        0,
    ),
    "a bug": (f"(_ for _ in ()).throw(ZeroDivisionError('of {PHONE}\\x1b[2J'))", 70),
    "no schema": ("(_ for _ in ()).throw(psycopg.errors.UndefinedTable('no table'))", 64),
    "a server is away": (f"(_ for _ in ()).throw(psycopg.OperationalError('a\\n\\tb {PHONE}'))", 75),
}


@pytest.mark.parametrize("case", CASES)
def test_each_failure_has_its_exit_code_and_output(case: str, tmp_path: Path) -> None:
    body, code = CASES[case]
    program = (
        "import logging, sys, psycopg, structlog; from cli.console import run_command; "
        f"sys.exit(run_command(lambda settings: ({body}) or 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={
            "PYTHONPATH": str(ROOT), "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "x:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x",
        },
    )  # fmt: skip
    assert done.returncode == code
    assert done.stdout == ("{}\n" if "print" in body else "")
    assert "FAIL" not in done.stderr
    assert PHONE not in done.stderr
    assert "\x1b" not in done.stderr
    expected = {0: "parked", 70: "ZeroDivisionError", 64: "campaigns db migrate", 75: "not done: PostgreSQL: a; b"}
    assert ("campaigns check" in done.stderr) is (code == 75)
    assert expected[code] in done.stderr


STEERING = "\x1b[2J\x9b31m\r\u202etxt\x07\x00"


def test_control_characters_are_shown_as_escapes() -> None:
    shown = printable("a\nb" + STEERING)
    assert shown.isprintable()
    assert shown.startswith("a\\nb\\x1b[2J\\x9b31m\\r\\u202etxt")
    assert printable_lines("a\n\tb\x1b") == "a\n\tb\\x1b"
    for name in ("Ana Ñuñez 👍 日本", "春の\u3000セール 50\xa0%", "👩\u200d👧 می\u200cخواهم"):
        assert printable(name) == name
