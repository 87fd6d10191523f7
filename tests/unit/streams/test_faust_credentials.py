"""Faust's client gets the same account and the same TLS as librdkafka's, or the start fails."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from runtime.settings import InvalidSettings, Settings, read_settings
from streams.faust_credentials import credentials


def settings(**given: str) -> Settings:
    needed = {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "DATABASE_URL": "postgresql://x"}
    return read_settings({f"CAMPAIGNS_{name}": value for name, value in {**needed, **given}.items()}, Path("none"))


def test_a_plain_cluster_needs_none() -> None:
    assert credentials(settings()) is None


def test_user_and_password_reach_faust() -> None:
    found = credentials(settings(KAFKA_USER="$ConnectionString", KAFKA_PASSWORD="a;b=c"))
    assert (found.username, found.password, found.mechanism.value) == ("$ConnectionString", "a;b=c", "PLAIN")
    assert found.protocol.value == "SASL_SSL"
    assert found.ssl_context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("name", ["sasl.mechanism", "sasl.mechanisms"])
def test_both_names_of_the_mechanism_are_honoured(name: str) -> None:
    found = credentials(settings(KAFKA_USER="u", KAFKA_PASSWORD="p", KAFKA_EXTRA=f"{name}=SCRAM-SHA-512"))
    assert found.mechanism.value == "SCRAM-SHA-512"


def test_verification_that_is_turned_off_is_off_in_both() -> None:
    found = credentials(settings(KAFKA_EXTRA="security.protocol=ssl;enable.ssl.certificate.verification=false"))
    assert found.context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("security.protocol=SSL;ssl.keystore.location=/k", "ssl.keystore.location is not supported"),
        ("security.protocol=SSL;ssl.ca.location=/none", "ssl.ca.location cannot be loaded"),
        ("security.protocol=SSL;ssl.cipher.suites=NONE-SUCH", "ssl.cipher.suites cannot be loaded"),
        ("security.protocol=SSL;ssl.certificate.location=/none", "ssl.certificate.location, ssl.key.location or"),
        ("security.protocol=SASL_SSL;sasl.mechanism=OAUTHBEARER", "sasl.mechanism must be one of PLAIN"),
        ("security.protocol=SASL_SSL", "sasl.mechanism must be one of PLAIN"),
        ("security.protocol=SASL_SSL;sasl.mechanism=PLAIN", "sasl.username and sasl.password is not set"),
    ],
)
def test_an_option_that_faust_cannot_honour_is_refused(extra: str, problem: str) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        credentials(settings(KAFKA_EXTRA=extra))
    assert str(wrong.value).startswith(f"CAMPAIGNS_KAFKA_EXTRA: {problem}")
