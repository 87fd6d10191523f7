"""Every start makes everything that is made of the settings, so each command answers the same wrong setting alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from operations.startup import usable_settings
from runtime.settings import InvalidSettings
from tests.support.paths import ROOT

NEEDED = {"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAMPAIGNS_DATABASE_URL", f"postgresql://u:{SECRET}@h/d?no_such_parameter=1"),
        ("CAMPAIGNS_DATABASE_URL", f"host=h password='{SECRET}"),
        ("CAMPAIGNS_KAFKA_EXTRA", f"security.protocl={SECRET}"),
        ("CAMPAIGNS_KAFKA_EXTRA", "security.protocol=SSL;ssl.keystore.location=/none"),
    ],
)
def test_what_cannot_be_made_of_the_settings_ends_the_start(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        usable_settings({**NEEDED, name: value}, Path("none"))
    assert str(wrong.value).startswith(f"{name}: ")
    assert SECRET not in str(wrong.value)


COMMANDS = (
    ["check"], ["status"], ["psql", "-c", "SELECT 1"], ["db", "migrate"], ["topics", "apply"], ["sender"], ["ingress"],
    ["up"], ["demo"], ["verify"], ["sink", "--accept-topic"],
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_answers_a_wrong_option_alike(command: list[str], tmp_path: Path) -> None:
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "cli", *command],
        cwd=tmp_path,
        env={**path, **NEEDED, "CAMPAIGNS_KAFKA_EXTRA": f"sasl.password=a;{SECRET}=b"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 64, ended.stderr
    assert "CAMPAIGNS_KAFKA_EXTRA: librdkafka does not know the name of option 2" in ended.stderr
    assert SECRET not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
