"""The effective settings name their sources and show no secret."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from runtime.settings import Settings, read_settings
from runtime.settings_sources import MASK, SettingSource, effective_settings

SECRETS = {
    "CAMPAIGNS_DATABASE_URL": "postgresql://u:pw-marker@h/d",
    "CAMPAIGNS_KAFKA_EXTRA": "ssl.key.password=key-marker",
    "CAMPAIGNS_KAFKA_USER": "user-marker",
    "CAMPAIGNS_KAFKA_PASSWORD": "kafka-marker",
    "CAMPAIGNS_CALLBACK_SECRET": "callback-marker-0123456789abcdef",
    "CAMPAIGNS_API_KEYS": "first-marker-0123456789abcdef,second-marker-0123456789abcdef",
    "CAMPAIGNS_WEBHOOK_APP_SECRETS": "app-marker-0123456789abcdef",
}


def test_each_setting_names_its_source_and_no_secret_is_shown(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS=file:9092\nCAMPAIGNS_API_PORT=8123\n")
    environ = {**SECRETS, "CAMPAIGNS_API_PORT": "8456"}
    settings = read_settings(environ, tmp_path)
    found = {each.variable: each for each in effective_settings(settings, environ, tmp_path)}
    assert len(found) == len(Settings.model_fields)
    sources = {name: found[f"CAMPAIGNS_{name}"].source for name in ("API_PORT", "KAFKA_BOOTSTRAP_SERVERS", "LEASE_S")}
    assert sources == {
        "API_PORT": SettingSource.ENVIRONMENT,
        "KAFKA_BOOTSTRAP_SERVERS": SettingSource.FILE,
        "LEASE_S": SettingSource.DEFAULT,
    }
    assert found["CAMPAIGNS_API_PORT"].value == 8456
    assert found["CAMPAIGNS_API_KEYS"].value == [MASK, MASK]
    assert found["CAMPAIGNS_KAFKA_EXTRA"].value == {"ssl.key.password": MASK}
    assert found["CAMPAIGNS_WHATSAPP_ACCESS_TOKEN"].value == "", "a secret that is not set is not masked"
    assert "marker" not in json.dumps([asdict(each) for each in found.values()])


def test_every_default_has_a_form_to_be_shown(tmp_path: Path) -> None:
    environ = {"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1", "CAMPAIGNS_DATABASE_URL": "postgresql://h/d"}
    settings = read_settings(environ, tmp_path)
    found = effective_settings(settings, environ, tmp_path)
    assert sum(each.source is SettingSource.ENVIRONMENT for each in found) == len(environ)
