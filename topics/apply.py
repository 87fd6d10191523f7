"""Creates and alters the topics of a cluster as `schemas.topics` defines them.

The number of partitions is only raised: lowering would lose records. Raising moves keys to other partitions, and no
reader of ours depends on that. Settings that were added to a topic by hand stay.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from runtime.process import Transient
from runtime.settings import Settings
from schemas.topics import SPECS, TopicSpec
from topics.clients import client_config
from topics.errors import as_transient, error_of

REPLICAS = 3
IN_SYNC_MIN = 2
IN_SYNC = "min.insync.replicas"
TIMEOUT_S = 30.0
VISIBLE_PAUSE_S = 0.05
REQUIRE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class TopicReport:
    """The changes to one topic. `partitions_kept`: its number of partitions, if that is more than needed."""

    name: str
    created: bool = False
    partitions_added: int = 0
    settings_changed: tuple[str, ...] = ()
    partitions_kept: int = 0
    replicas: int = 0
    """Replicas of its partition with the fewest. 0: the topic does not exist yet."""

    @property
    def is_changed(self) -> bool:
        """Whether anything was changed."""
        return self.created or self.partitions_added > 0 or bool(self.settings_changed)


@dataclass(frozen=True, slots=True)
class Report:
    """The changes of one `apply`. With fewer than 3 `replicas` a lost disk may lose acknowledged records."""

    brokers: int
    """Brokers that answer now."""
    replicas: int
    """Replicas of a new topic."""
    in_sync_min: int
    """How many of them must acknowledge a record."""
    topics: tuple[TopicReport, ...]

    @property
    def with_few_replicas(self) -> tuple[str, ...]:
        """Topics with fewer replicas than this cluster allows: a broker was away when they were created."""
        return tuple(each.name for each in self.topics if 0 < each.replicas < self.replicas)


def apply(settings: Settings, specs: Iterable[TopicSpec] = SPECS) -> Report:
    """Create or alter every topic. It is safe to repeat and to run twice at once. Raises Transient without a broker."""
    admin = AdminClient(client_config(settings))
    wanted = {settings.topic(spec.name): spec for spec in specs}
    try:
        listed = admin.list_topics(timeout=TIMEOUT_S)
        brokers = len(listed.brokers)
        replicas = min(REPLICAS, brokers)
        missing = {name: spec for name, spec in wanted.items() if name not in listed.topics}
        created = _create(admin, missing, replicas)
        _wait_for(admin, wanted)
        reports = [
            TopicReport(name, created=True, replicas=replicas) if name in created else _alter(admin, name, spec)
            for name, spec in wanted.items()
        ]
    except KafkaException as error:
        raise as_transient(error, "topics") from None
    return Report(brokers, replicas, in_sync_min(replicas), tuple(reports))


def compare(settings: Settings, specs: Iterable[TopicSpec] = SPECS) -> Report:
    """What `apply` would change. It changes nothing. Raises Transient without a broker."""
    admin = AdminClient(client_config(settings))
    try:
        listed = admin.list_topics(timeout=TIMEOUT_S)
        brokers = len(listed.brokers)
        reports = []
        for spec in specs:
            name = settings.topic(spec.name)
            found = listed.topics.get(name)
            if found is None:
                reports.append(TopicReport(name, created=True))
                continue
            partitions = len(found.partitions)
            replicas = _replicas(found)
            reports.append(
                TopicReport(
                    name,
                    partitions_added=max(0, spec.partitions - partitions),
                    settings_changed=tuple(_changed(admin, name, spec.config(), replicas)),
                    partitions_kept=partitions if partitions > spec.partitions else 0,
                    replicas=replicas,
                )
            )
    except KafkaException as error:
        raise as_transient(error, "topics") from None
    replicas = min(REPLICAS, brokers)
    return Report(brokers, replicas, in_sync_min(replicas), tuple(reports))


def in_sync_min(replicas: int, found: int = 1) -> int:
    """How many replicas must acknowledge a record of a topic that has so many replicas.

    It follows from the replicas of the topic, not from the brokers that answer now. A higher value that was `found` is
    kept: lowering it while a broker is away would let a single disk hold acknowledged records, and it would stay so.
    """
    return max(found, 1, min(IN_SYNC_MIN, replicas - 1))


def _replicas(topic: TopicMetadata) -> int:
    return min((len(partition.replicas) for partition in topic.partitions.values()), default=0)


def require_topic(settings: Settings, name: str) -> int:
    """The number of partitions of the topic of that real name.

    Raises Transient unless a broker answers and knows the topic.
    """
    admin = AdminClient(client_config(settings))
    try:
        found = admin.list_topics(name, timeout=REQUIRE_TIMEOUT_S).topics.get(name)
    except KafkaException as error:
        raise as_transient(error, "Kafka") from None
    if found is None or found.error is not None:
        raise Transient(f"topic {name} does not exist; create it with `campaigns topics apply`")
    return len(found.partitions)


def _create(admin: AdminClient, specs: dict[str, TopicSpec], replicas: int) -> set[str]:
    """Create the topics, and return those that no other process created first."""
    if not specs:
        return set()
    more = {IN_SYNC: str(in_sync_min(replicas))}
    wanted = [
        NewTopic(name, spec.partitions, replicas, config={**spec.config(), **more}) for name, spec in specs.items()
    ]
    created = set()
    for name, future in admin.create_topics(wanted, request_timeout=TIMEOUT_S).items():
        try:
            future.result(TIMEOUT_S)
            created.add(name)
        except KafkaException as error:
            if error_of(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def _wait_for(admin: AdminClient, names: Iterable[str]) -> None:
    """Wait until the broker knows the topics: a creation returns before its metadata has spread."""
    end = time.monotonic() + TIMEOUT_S
    while unknown := set(names) - set(admin.list_topics(timeout=TIMEOUT_S).topics):
        if time.monotonic() > end:
            raise Transient(f"topics were created but are not visible yet: {', '.join(sorted(unknown))}")
        time.sleep(VISIBLE_PAUSE_S)


def _alter(admin: AdminClient, name: str, spec: TopicSpec) -> TopicReport:
    found = admin.list_topics(name, timeout=TIMEOUT_S).topics[name]
    partitions = len(found.partitions)
    added = spec.partitions - partitions if _raise_partitions(admin, name, partitions, spec.partitions) else 0
    changed = _changed(admin, name, spec.config(), _replicas(found))
    if changed:
        resource = _resource(
            name,
            [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in changed.items()],
        )
        admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)
    return TopicReport(
        name,
        partitions_added=added,
        settings_changed=tuple(changed),
        partitions_kept=partitions if partitions > spec.partitions else 0,
        replicas=_replicas(found),
    )


def _raise_partitions(admin: AdminClient, name: str, found: int, wanted: int) -> bool:
    """Return whether we added them. Another process may have been faster, or there was nothing to add."""
    if found >= wanted:
        return False
    try:
        admin.create_partitions([NewPartitions(name, wanted)])[name].result(TIMEOUT_S)
    except KafkaException as error:
        if error_of(error).code() != KafkaError.INVALID_PARTITIONS or not _comes_to(admin, name, wanted):
            raise
        return False
    return True


def _comes_to(admin: AdminClient, name: str, partitions: int) -> bool:
    """Return whether the topic has so many. Our broker learns it later than the controller."""
    end = time.monotonic() + REQUIRE_TIMEOUT_S
    while len(admin.list_topics(name, timeout=TIMEOUT_S).topics[name].partitions) < partitions:
        if time.monotonic() > end:
            return False
        time.sleep(VISIBLE_PAUSE_S)
    return True


def _changed(admin: AdminClient, name: str, config: dict[str, str], replicas: int) -> dict[str, str]:
    """The settings of the topic that are to be changed, with their new values."""
    resource = _resource(name)
    found: dict[str, Any] = admin.describe_configs([resource])[resource].result(TIMEOUT_S)
    wanted = {**config, IN_SYNC: str(in_sync_min(replicas, _own_in_sync_min(found)))}
    return {key: value for key, value in wanted.items() if key not in found or found[key].value != value}


def _own_in_sync_min(found: dict[str, Any]) -> int:
    """The value that the topic itself has; 1 if it only inherits the value of the brokers."""
    entry = found.get(IN_SYNC)
    if entry is None or entry.source != ConfigSource.DYNAMIC_TOPIC_CONFIG.value:
        return 1
    return int(entry.value)


def _resource(name: str, entries: list[ConfigEntry] | None = None) -> ConfigResource:
    return ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
