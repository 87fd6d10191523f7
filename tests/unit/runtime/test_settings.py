"""Invalid settings prevent the start and are named, and secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import InvalidSettings, Settings, read_settings

NEEDED = {
    "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "CAMPAIGNS_DATABASE_URL": "postgresql://user:pass-word@localhost/db",
}


def read(tmp_path: Path, **more: str) -> Settings:
    return read_settings({**NEEDED, **{f"CAMPAIGNS_{name}": value for name, value in more.items()}}, tmp_path)


def test_lists_and_pairs_are_split(tmp_path: Path) -> None:
    settings = read(tmp_path, WEBHOOK_APP_SECRETS="one, two,", KAFKA_EXTRA="security.protocol=SSL; a.b=c=d")
    assert [secret.get_secret_value() for secret in settings.webhook_app_secrets] == ["one", "two"]
    assert settings.kafka_extra == {"security.protocol": "SSL", "a.b": "c=d"}


def test_every_problem_is_named_and_no_value_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as invalid:
        read_settings({"CAMPAIGNS_API_PORT": "99999", "CAMPAIGNS_API_PROT": "1", "PATH": "/"}, tmp_path)
    message = str(invalid.value)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "API_PORT", "API_PROT"):
        assert f"CAMPAIGNS_{name}:" in message
    assert "99999" not in message


def test_a_rule_over_two_settings_names_both(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"CAMPAIGNS_LEASE_S.*CAMPAIGNS_SEND_TIMEOUT_S"):
        read(tmp_path, LEASE_S="10")


def test_secrets_never_show(tmp_path: Path) -> None:
    settings = read(tmp_path, WHATSAPP_ACCESS_TOKEN="very-secret", API_KEYS="key-one,key-two")
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert not any(secret in shown for secret in ("very-secret", "key-one", "pass-word"))


def test_a_process_does_not_start_without_its_required_settings(tmp_path: Path) -> None:
    settings = read(tmp_path, CALLBACK_SECRET="set")
    settings.require("callback_secret")
    with pytest.raises(InvalidSettings, match="CAMPAIGNS_WHATSAPP_ACCESS_TOKEN: is not set"):
        settings.require("callback_secret", "whatsapp_access_token")


def test_the_state_file_supplies_variables_missing_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("CAMPAIGNS_API_PORT=1234\nCAMPAIGNS_INGRESS_PORT=1235\n# a remark\nOTHER=1\n")
    settings = read(tmp_path, API_PORT="8123")
    assert (settings.api_port, settings.ingress_port) == (8123, 1235)
