"""A user and a password as settings log both Kafka clients in at a broker that requires them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from operations.check import ACCOUNT, check
from operations.local_up import LocalUp
from operations.startup import usable_settings
from runtime.process import Transient
from runtime.settings import Settings
from stack import kafka
from stack.kafka_probe import KafkaProbe
from streams.faust_credentials import credentials
from topics.cluster import KafkaRefused, read_cluster

PASSWORD = "Endpoint=sb://n/;SharedAccessKey=a+b/c="
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
JAAS = f'{LOGIN} username="admin" password="admin-password" user_admin="admin-password" user_us="{PASSWORD}";'
START_DEADLINE_S = 60.0


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a broker that requires a user and a password."""
    for name, value in {
        "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": JAAS,
    }.items():
        monkeypatch.setitem(kafka.SETTINGS, name, value)
    monkeypatch.setattr(KafkaProbe, "__call__", lambda _probe: True)  # it would log in without an account
    broker = kafka.start_kafka(tmp_path / "kafka", tmp_path / "kafka.log", throw_away=True, note=lambda _: None)
    try:
        yield broker.bootstrap_servers
    finally:
        broker.child.stop()


def settings(servers: str, **account: str) -> Settings:
    given = {"KAFKA_BOOTSTRAP_SERVERS": servers, "DATABASE_URL": "postgresql://127.0.0.1:1/x", **account}
    return usable_settings({f"CAMPAIGNS_{name}": value for name, value in given.items()}, Path("none"))


async def test_an_account_logs_both_clients_in(secured: str) -> None:
    named = settings(secured, KAFKA_USER="us", KAFKA_PASSWORD=PASSWORD, KAFKA_EXTRA="security.protocol=SASL_PLAINTEXT")
    quoted = settings(
        secured,
        KAFKA_EXTRA="security.protocol=SASL_PLAINTEXT;sasl.mechanisms=PLAIN;sasl.username=us;"
        f'sasl.password="{PASSWORD}"',
    )
    deadline = time.monotonic() + START_DEADLINE_S
    for each in (named, quoted):
        while True:
            try:
                assert read_cluster(each, 5).brokers == 1
                break
            except KafkaRefused:
                raise
            except Transient:  # the broker has not joined its cluster yet
                assert time.monotonic() < deadline
        account: Any = credentials_to_aiokafka_auth(credentials(each), None)
        make_client: Any = AIOKafkaClient
        client = make_client(bootstrap_servers=secured, **account)
        await client.bootstrap()
        await client.close()


def test_a_wrong_password_is_named_as_such_and_not_as_a_server_that_is_away(secured: str) -> None:
    wrong = settings(secured, KAFKA_USER="us", KAFKA_PASSWORD="hunter2", KAFKA_EXTRA="security.protocol=SASL_PLAINTEXT")
    found = {finding.about: finding for finding in check(wrong, LocalUp("", frozenset(), {}))}
    assert found["Kafka"].next_step == ACCOUNT
    assert "uthentication" in found["Kafka"].found
    assert "hunter2" not in found["Kafka"].found
