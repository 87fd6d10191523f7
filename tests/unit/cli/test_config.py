"""`campaigns config` prints a line for each setting."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from cli.config import show_config
from runtime.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(
        kafka_bootstrap_servers="k:1",
        database_url=SecretStr("postgresql://u:marker@h/d"),
        kafka_extra={"client.rack": SecretStr("marker")},
        api_keys=(SecretStr("marker"),),
    )


def test_each_setting_is_a_line_without_a_secret(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_config(settings, as_json=False) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == len(Settings.model_fields)
    assert "CAMPAIGNS_DATABASE_URL=********  (" in printed
    assert "CAMPAIGNS_KAFKA_EXTRA=client.rack=********  (" in printed
    assert "CAMPAIGNS_API_KEYS=********  (" in printed
    assert "CAMPAIGNS_KEEP_LEDGER_DAYS=  (" in printed
    assert "marker" not in printed


def test_json_has_the_variable_the_value_and_the_source(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_config(settings, as_json=True) == 0
    found = {each["variable"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["CAMPAIGNS_WHATSAPP_MPS"].keys() == {"variable", "value", "source"}
    assert found["CAMPAIGNS_WHATSAPP_MPS"]["value"] == 80
