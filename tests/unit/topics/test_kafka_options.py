"""A wrong option of Kafka is found at the start and named, and no value is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import InvalidSettings, Settings, read_settings
from topics.kafka_options import require_kafka_options

SECRET = "hunter2"


def settings(extra: str, **more: str) -> Settings:
    given = {"KAFKA_BOOTSTRAP_SERVERS": "k:1", "DATABASE_URL": "postgresql://x", **more}
    given |= {"KAFKA_EXTRA": extra} if extra else {}
    return read_settings({f"CAMPAIGNS_{name}": value for name, value in given.items()}, Path("none"))


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("security.protocl=SSL", "librdkafka has no option security.protocl; did you mean security.protocol?"),
        ("no.such.option=1", "librdkafka has no option no.such.option"),
        (f"sasl.password=a;{SECRET}=b", "librdkafka does not know the name of option 2."),
        (f"sasl.password=a;my.{SECRET}=b", "librdkafka does not know the name of option 2."),
        (f"debug={SECRET}", "debug has a value that librdkafka does not accept"),
        (f"security.protocol={SECRET}", "security.protocol has a value that librdkafka does not accept"),
        ("fetch.min.bytes=99999999999", "fetch.min.bytes has a value that librdkafka does not accept"),
        ("acks=0", "acks is set by campaigns and cannot be changed"),
        ("linger.ms=900", "linger.ms is set by campaigns and cannot be changed"),
        ("transactional.id=x", "transactional.id is set by campaigns and cannot be changed"),
        ("error_cb=x", "error_cb is set by campaigns and cannot be changed"),
        ("sasl.mechanism=PLAIN", "without security.protocol (SASL_SSL, SSL or SASL_PLAINTEXT) nothing uses"),
        ("security.protocol=SASL_SSL;sasl.mechanism=PLAIN", "security.protocol needs a user: set CAMPAIGNS_KAFKA_USER"),
        ("security.protocol=SSL;ssl.ca.location=/none", "librdkafka does not accept ssl.ca.location"),
    ],
)
def test_a_wrong_option_is_named(extra: str, problem: str) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        require_kafka_options(settings(extra))
    assert str(wrong.value).startswith(f"CAMPAIGNS_KAFKA_EXTRA: {problem}")
    assert SECRET not in str(wrong.value)


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "client.dns.lookup=resolve_canonical_bootstrap_servers_only",
        "socket.timeout.ms=1000;fetch.min.bytes=5",
        f"security.protocol=SASL_SSL;sasl.mechanisms=SCRAM-SHA-512;sasl.username=u;sasl.password={SECRET}",
        f'security.protocol=sasl_ssl;sasl.mechanism=PLAIN;sasl.username=u;sasl.password="a;b={SECRET}"',
    ],
)
def test_right_options_pass(extra: str, capfd: pytest.CaptureFixture[str]) -> None:
    require_kafka_options(settings(extra))
    assert capfd.readouterr() == ("", ""), "building a client to judge it logs nothing"


def test_an_account_passes() -> None:
    require_kafka_options(settings("", KAFKA_USER="u", KAFKA_PASSWORD="p;q=r"))
