"""The secrets of an installation in containers."""

from itertools import count

import pytest

from operations.installation import Addresses, install
from operations.startup import usable_settings
from runtime.settings import InvalidSettings
from tests.support.paths import ROOT

ADDRESSES = Addresses(
    "postgresql://campaigns@postgres:5432/campaigns", "http://simulator:8002", "http://ingress:8001/webhooks/whatsapp"
)
TOKEN = "EAA" + "x" * 60
KAFKA = {"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}


class Source:
    def __init__(self) -> None:
        self._numbers = count()

    def __call__(self) -> str:
        return f"made-at-random-{next(self._numbers):010}"


def test_every_start_has_the_secrets_of_the_first() -> None:
    new = Source()
    first = install({}, {}, ADDRESSES, new)
    second = install({}, first.kept, ADDRESSES, new)
    assert second == first
    assert len(set(first.kept.values())) == len(first.kept)


def test_what_is_made_passes_the_checks_of_every_process() -> None:
    made = install({}, {}, ADDRESSES, Source())
    settings = usable_settings({**made.variables, **KAFKA}, ROOT / "no-such-folder")
    assert settings.whatsapp_api_url == "http://simulator:8002"
    assert made.simulator["app_secret"] == settings.webhook_app_secrets[0].get_secret_value()
    assert made.simulator["access_token"] == settings.whatsapp_access_token.get_secret_value()


def test_a_variable_of_the_environment_is_never_written() -> None:
    given = {"CAMPAIGNS_API_KEYS": "a-key-of-the-operator", "CAMPAIGNS_WEBHOOK_APP_SECRETS": "one-secret, another"}
    made = install(given, {}, ADDRESSES, Source())
    assert not given.keys() & made.variables.keys()
    assert made.simulator["app_secret"] == "one-secret"


def test_a_real_token_never_goes_to_a_simulator() -> None:
    simulated = install({}, {}, ADDRESSES, Source())
    given = {"CAMPAIGNS_WHATSAPP_ACCESS_TOKEN": TOKEN, "CAMPAIGNS_WEBHOOK_APP_SECRETS": "the-app-secret-of-meta"}
    real = install(given, simulated.kept, ADDRESSES, Source())
    assert real.simulator == {}
    assert not {name for name in real.variables if "WHATSAPP" in name or "TIME_SCALE" in name}
    for name in ("CAMPAIGNS_CALLBACK_SECRET", "CAMPAIGNS_DATABASE_URL", "CAMPAIGNS_API_KEYS"):
        assert real.variables[name] == simulated.variables[name]


def test_a_real_token_needs_the_app_secret_of_meta() -> None:
    with pytest.raises(InvalidSettings, match="CAMPAIGNS_WEBHOOK_APP_SECRETS"):
        install({"CAMPAIGNS_WHATSAPP_ACCESS_TOKEN": TOKEN}, {}, ADDRESSES, Source())


def test_an_empty_token_is_none() -> None:
    made = install({"CAMPAIGNS_WHATSAPP_ACCESS_TOKEN": " "}, {}, ADDRESSES, Source())
    assert made.variables["CAMPAIGNS_WHATSAPP_API_URL"] == "http://simulator:8002"
