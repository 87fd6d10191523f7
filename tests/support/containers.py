"""Kafka and Postgres of the tests in containers, from the official images, as users run them.

`make test-docker` runs the integration suite on them. The embedded servers are the default: they need no Docker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from testcontainers.core.container import DockerContainer

from stack.ports import free_ports
from tests.support.waiting import eventually

KAFKA_IMAGE = "apache/kafka:4.3.1"
POSTGRES_IMAGE = "postgres:17"
LOOPBACK = "127.0.0.1"
PASSWORD = "of-the-tests-only"
START_DEADLINE_S = 120.0
"""An image may have to be downloaded."""

KAFKA_SETTINGS = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    # The broker is a client of itself when it checks transactions, and it cannot reach the port of the host.
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093,BROKER://:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_HEAP_OPTS": "-Xmx512m",
}


@contextmanager
def kafka_container() -> Iterator[str]:
    """The address of a broker. Its port is chosen before, because the broker itself names it to clients."""
    (port,) = free_ports(1)
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
    container.with_envs(
        **KAFKA_SETTINGS, KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{LOOPBACK}:{port},BROKER://localhost:9094"
    )
    with container:
        address = f"{LOOPBACK}:{port}"
        eventually(lambda: _has_broker(address), "Kafka answers", START_DEADLINE_S)
        yield address


@contextmanager
def postgres_container() -> Iterator[str]:
    """The address of a server on which databases may be created."""
    (port,) = free_ports(1)
    container = DockerContainer(POSTGRES_IMAGE).with_bind_ports(5432, port)
    container.with_envs(POSTGRES_USER="campaigns", POSTGRES_PASSWORD=PASSWORD, POSTGRES_DB="campaigns")
    # The servers are thrown away, so a commit need not wait for a disk.
    container.with_command(["postgres", "-c", "fsync=off", "-c", "max_connections=200"])
    with container:
        address = f"postgresql://campaigns:{PASSWORD}@{LOOPBACK}:{port}/campaigns"
        eventually(lambda: _accepts(address), "Postgres answers", START_DEADLINE_S)
        yield address


def _has_broker(address: str) -> bool:
    try:
        return bool(AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _accepts(address: str) -> bool:
    """Over TCP: during the first set-up the server listens on its Unix socket alone."""
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
