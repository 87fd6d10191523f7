"""The simulator's command merges options, file and preset, and imports no code of the pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from simulator.command import build_config
from simulator.config import rules_for_all_codes


def test_options_override_the_file_and_the_file_overrides_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "simulator.json"
    file.write_bytes(orjson.dumps({"seed": 7, "port": 1, "answers": {"errors": {"2": 1.0}}, "app_secret": "s"}))
    config = build_config("realistic", file, {"port": 9}, batch=1, codes_by_number=True)
    assert (config.seed, config.port, config.webhooks.batch_statuses_max) == (7, 9, 1)
    assert config.answers.errors == {2: 1.0}
    assert config.answers.held_share == 0.01
    assert config.app_secret.get_secret_value() == "s"
    assert config.rules == rules_for_all_codes()


def test_a_misspelled_setting_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "simulator.json"
    file.write_bytes(b'{"sead": 7}')
    with pytest.raises(ValidationError, match="sead"):
        build_config("tidy", file, {}, None, codes_by_number=False)


def test_it_imports_nothing_of_the_pipeline() -> None:
    code = (
        "import simulator.command, sys; "
        "ours = {'domain', 'streams', 'schemas', 'sinks', 'producers', 'runtime'}; "
        "print(ours & {name.partition('.')[0] for name in sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
