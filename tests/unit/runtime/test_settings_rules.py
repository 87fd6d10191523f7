"""Published and short secrets work with the simulator only, never with a real token or a real address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime import settings_rules
from runtime.settings import InvalidSettings, Settings, read_settings
from tests.support.paths import ROOT

OWN = "a-secret-of-mine-0001"
META = f"EAAG{'x' * 60}"
SIMULATOR = "http://simulator:8002"
LOCAL = "http://127.0.0.1:8002"
META_HOST = "https://graph.facebook.com"


def read(**given: str) -> Settings:
    needed = {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "DATABASE_URL": "postgresql://u:own-password@h/d"}
    return read_settings({f"CAMPAIGNS_{name}": value for name, value in {**needed, **given}.items()}, Path("none"))


@pytest.mark.parametrize(
    ("address", "token"),
    [(META_HOST, OWN), (META_HOST, ""), (SIMULATOR, OWN), (SIMULATOR, META), (LOCAL, META), ("https://10.0.0.9", "")],
)
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("WEBHOOK_APP_SECRETS", f"{OWN},simulated-app-secret"),
        ("WEBHOOK_VERIFY_TOKEN", "simulated-verify-token"),
        ("CALLBACK_SECRET", "simulated-callback-secret"),
        ("API_KEYS", "change-me"),
        ("API_KEYS", "Change-Me"),
        ("DATABASE_URL", "postgresql://campaigns:campaigns@postgres/campaigns"),
    ],
)
def test_a_published_secret_is_refused_with_a_real_token_or_address(
    address: str, token: str, name: str, published: str
) -> None:
    given = {"WHATSAPP_API_URL": address, name: published} | ({"WHATSAPP_ACCESS_TOKEN": token} if token else {})
    with pytest.raises(InvalidSettings) as wrong:
        read(**given)
    assert str(wrong.value).startswith(f"CAMPAIGNS_{name}: ")
    assert published not in str(wrong.value)


@pytest.mark.parametrize("name", ["WEBHOOK_APP_SECRETS", "CALLBACK_SECRET", "API_KEYS"])
def test_a_short_secret_is_refused_with_a_real_token(name: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"^CAMPAIGNS_{name}: is shorter than 16 characters"):
        read(WHATSAPP_ACCESS_TOKEN=META, **{name: "short"})


def test_the_published_token_is_refused_at_a_real_address() -> None:
    with pytest.raises(InvalidSettings, match=r"^CAMPAIGNS_WHATSAPP_ACCESS_TOKEN: is a published example"):
        read(WHATSAPP_ACCESS_TOKEN="simulated")


@pytest.mark.parametrize("address", [SIMULATOR, LOCAL, "http://localhost:1", "http://[::1]:1"])
def test_the_simulator_works_with_the_published_secrets(address: str) -> None:
    read(
        WHATSAPP_API_URL=address,
        WHATSAPP_ACCESS_TOKEN="simulated",
        WEBHOOK_APP_SECRETS="simulated-app-secret",
        API_KEYS="change-me",
        DATABASE_URL="postgresql://campaigns:campaigns@postgres/campaigns",
    )


@pytest.mark.parametrize(
    ("address", "token", "account", "expected"),
    [
        (LOCAL, OWN, "", True),
        (SIMULATOR, OWN, settings_rules.SIMULATED_ACCOUNT_ID, True),
        (SIMULATOR, OWN, "123456789012345", False),
        (META_HOST, META, "123456789012345", False),
        (META_HOST, META, "", False),
        (META_HOST, OWN, settings_rules.SIMULATED_ACCOUNT_ID, False),
        (SIMULATOR, META, settings_rules.SIMULATED_ACCOUNT_ID, False),
        (LOCAL, META, settings_rules.SIMULATED_ACCOUNT_ID, False),
    ],
)
def test_a_simulator_is_known_by_its_address_and_its_account(
    address: str, token: str, account: str, expected: bool
) -> None:
    settings = read(WHATSAPP_API_URL=address, WHATSAPP_ACCESS_TOKEN=token, WHATSAPP_ACCOUNT_ID=account)
    assert settings_rules.has_simulator(settings) is expected


def test_secrets_of_ones_own_work_everywhere() -> None:
    read(WHATSAPP_ACCESS_TOKEN=META, WEBHOOK_APP_SECRETS=OWN, API_KEYS=OWN, CALLBACK_SECRET=OWN)


def test_the_compose_file_publishes_no_secret() -> None:
    """A published default would work in every deployment that forgot to replace it."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    settings = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert re.findall(r"\w*(?:SECRET|TOKEN|KEYS|PASSWORD)\w*\s*:\s*(.*)", settings) == [
        "/run/campaigns/postgres_password"
    ]
    assert "DATABASE_URL" not in settings


@pytest.mark.parametrize("missing", ["opentelemetry.sdk.nothing", "no_such_package.sdk"])
def test_traces_need_the_packages_of_their_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    read(TRACES="http://collector:4318")
    monkeypatch.setattr(settings_rules, "TRACES_PACKAGES", (missing,))
    read()
    with pytest.raises(InvalidSettings, match=r"CAMPAIGNS_TRACES: needs packages that are not installed: pip install"):
        read(TRACES="http://collector:4318")


def test_words_that_are_both_stop_and_start_are_refused_without_showing_them() -> None:
    assert read(STOP_WORDS="default, Enough").stop_words == ("default", "Enough")
    with pytest.raises(InvalidSettings, match=r"CAMPAIGNS_STOP_WORDS and CAMPAIGNS_START_WORDS: .* both") as refused:
        read(STOP_WORDS="default, Enough", START_WORDS="default,enough!")
    assert "nough" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["messages", "marketing_messages"])
def test_a_product_policy_goes_with_every_endpoint_because_campaigns_choose_one(endpoint: str) -> None:
    both = read(WHATSAPP_ENDPOINT=endpoint, WHATSAPP_PRODUCT_POLICY="STRICT")
    assert (both.whatsapp_endpoint, both.whatsapp_product_policy) == (endpoint, "STRICT")
    assert (read().whatsapp_endpoint, read(WHATSAPP_PRODUCT_POLICY="").whatsapp_product_policy) == ("messages", "")
    with pytest.raises(InvalidSettings, match=r"^CAMPAIGNS_WHATSAPP_PRODUCT_POLICY: "):
        read(WHATSAPP_PRODUCT_POLICY="LENIENT")
    with pytest.raises(InvalidSettings, match=r"^CAMPAIGNS_WHATSAPP_ENDPOINT: "):
        read(WHATSAPP_ENDPOINT="direct_send")
