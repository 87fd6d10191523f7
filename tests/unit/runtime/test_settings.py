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
    assert settings.kafka_options() == {"security.protocol": "SSL", "a.b": "c=d"}


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
    settings = read(tmp_path, WHATSAPP_ACCESS_TOKEN="very-secret", API_KEYS="key-one-key-one-,key-two-key-two-")
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert not any(secret in shown for secret in ("very-secret", "key-one", "pass-word"))


def test_a_process_does_not_start_without_its_required_settings(tmp_path: Path) -> None:
    settings = read(tmp_path, CALLBACK_SECRET="set")
    settings.require("callback_secret")
    with pytest.raises(InvalidSettings, match=r"CAMPAIGNS_WHATSAPP_ACCESS_TOKEN: is not set"):
        settings.require("callback_secret", "whatsapp_access_token")


def test_the_state_file_supplies_variables_missing_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("CAMPAIGNS_API_PORT=1234\nCAMPAIGNS_INGRESS_PORT=1235\n# a remark\nOTHER=1\n")
    settings = read(tmp_path, API_PORT="8123")
    assert (settings.api_port, settings.ingress_port) == (8123, 1235)


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("CAMPAIGNS_WHATSAPP_ACESS_TOKEN", "; did you mean CAMPAIGNS_WHATSAPP_ACCESS_TOKEN?"),
        ("CAMPAIGNS_api_port", "; did you mean CAMPAIGNS_API_PORT?"),
        ("CAMPAIGNS_QUITE_DIFFERENT", ""),
        ("CAMPAIGNS_CACHE_DIRS", "; did you mean CAMPAIGNS_CACHE_DIR?"),
    ],
)
def test_a_misspelled_variable_is_refused_with_the_name_that_was_meant(
    tmp_path: Path, name: str, suggested: str
) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        read_settings({**NEEDED, name: "secret-in-the-wrong-place"}, tmp_path)
    assert str(wrong.value) == f"{name}: no such setting{suggested}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAMPAIGNS_API_SERVICE_HOST", "10.0.0.1"),
        ("CAMPAIGNS_API_SERVICE_PORT_HTTP", "8000"),
        ("CAMPAIGNS_API_PORT", "tcp://10.0.0.1:8000"),
        ("CAMPAIGNS_API_PORT_8000_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_a_variable_that_kubernetes_sets_is_explained(tmp_path: Path, name: str, value: str) -> None:
    """A service named campaigns-api sets them in every pod of its namespace."""
    with pytest.raises(InvalidSettings) as wrong:
        read_settings({**NEEDED, name: value}, tmp_path)
    assert str(wrong.value).startswith(f"{name}: is set by Kubernetes")
    assert str(wrong.value).count("\n") == 0


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("EMBEDDED_KAFKA", "3.9", "must be 4.3.1 or 4.4.0"),
        ("EMBEDDED_POSTGRES", "17", "must be 18 or 16"),
        ("MAVEN_URL", "repo.example.com", "expects an address that starts with https://"),
        ("CACHE_DIR", "", "is empty"),
    ],
)
def test_a_wrong_variable_of_the_set_up_is_named(tmp_path: Path, name: str, value: str, problem: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^CAMPAIGNS_{name}: {problem}"):
        read(tmp_path, **{name: value})


@pytest.mark.parametrize(
    "name", ["WHATSAPP_ACCESS_TOKEN", "API_KEYS", "WEBHOOK_APP_SECRETS", "API_PORT", "API_HOST", "KAFKA_PASSWORD"]
)
@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_variable_is_a_value_that_did_not_arrive(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"^CAMPAIGNS_{name}: is empty"):
        read(tmp_path, **{name: value})


def test_an_empty_prefix_is_a_choice(tmp_path: Path) -> None:
    assert read(tmp_path, TOPIC_PREFIX="", INSTANCE="").topic("t") == "t"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("API_PORT", "8000x", "expects a whole number"),
        ("API_PORT", "65536", "must be at most 65535"),
        ("WHATSAPP_MPS", "0", "must be at least 1"),
        ("SEND_TIMEOUT_S", "inf", "expects a number"),
        ("SEND_TIMEOUT_S", "nan", "expects a number"),
        ("LEASE_S", "1", "must be more than 1"),
        ("STALL_LIMIT_S", "1e9", "must be at most 86400"),
        ("LOG_LEVEL", "loud", "has a form that is not accepted. It means: Least severe level"),
        ("DEPLOYMENT", "a-name-that-is-too-long", "has more than 16 characters"),
        ("WHATSAPP_PHONE_NUMBER_ID", "+49 171", "has a form that is not accepted. It means: The phone number id"),
        ("WHATSAPP_ACCESS_TOKEN", "EAAG\u200bx", "has an invisible character at place 5 of 6 (U+200B ZERO"),
        ("API_HOST", "0.0.0.0:8000", "has no valid host"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:909a", "has no valid port"),
        ("INGRESS_PENDING_BYTES_MAX", "1000000", "must be at least CAMPAIGNS_INGRESS_BODY_BYTES_MAX"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_plain_words(tmp_path: Path, name: str, value: str, problem: str) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        read(tmp_path, **{name: value})
    assert str(wrong.value).startswith(f"CAMPAIGNS_{name}: {problem}")
    assert "Input should" not in str(wrong.value)


def test_a_token_from_a_file_loses_its_line_break(tmp_path: Path) -> None:
    settings = read(tmp_path, WHATSAPP_ACCESS_TOKEN="EAAG\r\n", API_PORT=" 8080\n")
    assert settings.whatsapp_access_token.get_secret_value() == "EAAG"
    assert settings.api_port == 8080


def test_user_and_password_of_kafka_make_a_secure_connection(tmp_path: Path) -> None:
    settings = read(tmp_path, KAFKA_USER="$ConnectionString", KAFKA_PASSWORD="Endpoint=sb://x/;Key=a=")
    assert settings.kafka_options() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "$ConnectionString",
        "sasl.password": "Endpoint=sb://x/;Key=a=",
    }
    named = read(tmp_path, KAFKA_USER="u", KAFKA_PASSWORD="p", KAFKA_EXTRA="sasl.mechanisms=SCRAM-SHA-512")
    assert "sasl.mechanism" not in named.kafka_options()
    for shown in (repr(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "Endpoint" not in shown


def test_the_options_of_kafka_never_show(tmp_path: Path) -> None:
    settings = read(tmp_path, KAFKA_EXTRA="sasl.password=hunter2")
    for shown in (repr(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"KAFKA_USER": "u"}, "CAMPAIGNS_KAFKA_PASSWORD: is not set, but CAMPAIGNS_KAFKA_USER is"),
        ({"KAFKA_PASSWORD": "p"}, "CAMPAIGNS_KAFKA_USER: is not set, but CAMPAIGNS_KAFKA_PASSWORD is"),
        (
            {"KAFKA_USER": "u", "KAFKA_PASSWORD": "p", "KAFKA_EXTRA": "sasl.password=x"},
            "CAMPAIGNS_KAFKA_EXTRA: has sasl.password as well as CAMPAIGNS_KAFKA_USER",
        ),
        (
            {"KAFKA_USER": "u", "KAFKA_PASSWORD": "p", "KAFKA_EXTRA": "security.protocol=ssl"},
            "CAMPAIGNS_KAFKA_EXTRA: has a security.protocol that takes no user",
        ),
    ],
)
def test_half_an_account_of_kafka_is_refused(tmp_path: Path, given: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        read(tmp_path, **given)
    assert str(wrong.value).startswith(problem)


def test_a_state_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettings, match=r"env: cannot be read: it is no UTF-8 text"):
        read(tmp_path)
