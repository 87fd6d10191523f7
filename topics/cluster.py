"""Short requests of commands to a cluster: its brokers, its topics, their ids, and deletion. They block."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicMetadata

from runtime.process import Transient
from runtime.settings import Settings
from topics.clients import client_config
from topics.errors import as_transient

TIMEOUT_S = 15.0


_REFUSALS = frozenset({
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka names its own errors so
    KafkaError._SSL,  # noqa: SLF001 - as above
    KafkaError.SASL_AUTHENTICATION_FAILED,
})  # fmt: skip


class KafkaRefused(Transient):
    """A broker answers, and refuses our user, our password or our encryption."""


@dataclass(frozen=True, slots=True)
class Replication:
    """The replicas of one topic: for each partition the brokers that hold it, and how many of them are in sync."""

    brokers: Mapping[int, tuple[int, ...]]
    in_sync: Mapping[int, int]
    leaderless: int
    """Partitions that nobody can read or write."""

    @property
    def replicas(self) -> int:
        """Replicas of the partition that has the fewest."""
        return min(map(len, self.brokers.values()), default=0)

    @property
    def under_replicated(self) -> int:
        """Partitions with a replica that is behind, or whose broker is away."""
        return sum(self.in_sync[partition] < len(held) for partition, held in self.brokers.items())


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What a cluster has: brokers, and topics by their real name with their number of partitions."""

    brokers: int
    partitions: Mapping[str, int]
    replication: Mapping[str, Replication] = field(default_factory=dict)
    """By the real name of the topic."""
    broker_ids: tuple[int, ...] = ()


def read_cluster(settings: Settings, timeout_s: float = TIMEOUT_S) -> ClusterState:
    """Read brokers and topics. Raises KafkaRefused if it refuses our account, and Transient if it does not answer."""
    reports: list[KafkaError] = []
    config: dict[str, Any] = {**client_config(settings), "error_cb": reports.append}
    admin = AdminClient(config)
    try:
        listed = admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        admin.poll(0)  # the request knows only that no broker answered; the reason comes as a report
        for report in reports:
            if report.code() in _REFUSALS:
                raise KafkaRefused(f"Kafka: {report.str()}") from error
        raise as_transient(error, "Kafka") from error
    return ClusterState(
        len(listed.brokers),
        {name: len(topic.partitions) for name, topic in listed.topics.items()},
        {name: _replication(topic) for name, topic in listed.topics.items()},
        tuple(sorted(listed.brokers)),
    )


def _replication(topic: TopicMetadata) -> Replication:
    return Replication(
        {number: tuple(partition.replicas) for number, partition in topic.partitions.items()},
        {number: len(partition.isrs) for number, partition in topic.partitions.items()},
        sum(partition.leader < 0 for partition in topic.partitions.values()),
    )


def read_topic_ids(settings: Settings, names: Collection[str], timeout_s: float = TIMEOUT_S) -> dict[str, str]:
    """The ids of those topics that exist. Raises Transient if Kafka does not answer."""
    admin = AdminClient(client_config(settings))
    try:
        existing = sorted(set(names) & admin.list_topics(timeout=timeout_s).topics.keys())
        if not existing:
            return {}
        described = admin.describe_topics(TopicCollection(existing), request_timeout=timeout_s)
        return {name: str(described[name].result(timeout_s).topic_id) for name in existing}
    except KafkaException as error:
        raise as_transient(error, "Kafka") from error
    except TimeoutError as error:
        raise Transient("Kafka does not answer") from error


def delete_topics(settings: Settings, names: Collection[str]) -> None:
    """Delete topics and wait until the broker has answered for each. A topic that cannot be deleted is left."""
    admin = AdminClient(client_config(settings))
    for deleted in admin.delete_topics(list(names)).values():
        deleted.exception()
