"""Creating and altering the topics, so that a cluster is as `schemas.topics` says.

Partitions are only ever raised: lowering would lose records, and raising moves keys, which no reader here minds.
Settings that someone added by hand to a topic stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from runtime.kafka import client_config
from runtime.process import Transient
from runtime.settings import Settings
from schemas.topics import SPECS, TopicSpec

REPLICAS = 3
IN_SYNC_MIN = 2
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What was done to one topic. `partitions_kept`: it has more than wanted."""

    name: str
    created: bool = False
    partitions_added: int = 0
    settings_changed: tuple[str, ...] = ()
    partitions_kept: int = 0

    @property
    def is_changed(self) -> bool:
        """Whether anything was to do."""
        return self.created or self.partitions_added > 0 or bool(self.settings_changed)


@dataclass(frozen=True, slots=True)
class Report:
    """What `apply` did. `replicas` below 3 means that a lost disk may lose acknowledged records."""

    brokers: int
    replicas: int
    in_sync_min: int
    topics: tuple[TopicReport, ...]


def apply(settings: Settings, specs: Iterable[TopicSpec] = SPECS) -> Report:
    """Make every topic as its spec says; safe to repeat and to run twice at once. Raises Transient without a broker."""
    admin = AdminClient(client_config(settings))
    try:
        listed = admin.list_topics(timeout=TIMEOUT_S)
        brokers = len(listed.brokers)
        replicas = min(REPLICAS, brokers)
        in_sync_min = max(1, min(IN_SYNC_MIN, replicas - 1))
        reports = []
        for spec in specs:
            name = settings.topic(spec.name)
            wanted = {**spec.config(), "min.insync.replicas": str(in_sync_min)}
            if name not in listed.topics and _create(admin, name, spec, replicas, wanted):
                reports.append(TopicReport(name, created=True))
            else:
                reports.append(_alter(admin, name, spec, wanted))
    except KafkaException as error:
        raise Transient(f"topics: {error.args[0].str()}") from None
    return Report(brokers, replicas, in_sync_min, tuple(reports))


def _create(admin: AdminClient, name: str, spec: TopicSpec, replicas: int, config: dict[str, str]) -> bool:
    """Create the topic. False when someone else was faster."""
    wanted = NewTopic(name, spec.partitions, replicas, config=config)
    try:
        admin.create_topics([wanted], request_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def _alter(admin: AdminClient, name: str, spec: TopicSpec, wanted: dict[str, str]) -> TopicReport:
    found = admin.list_topics(name, timeout=TIMEOUT_S).topics[name]
    partitions = len(found.partitions)
    added = max(0, spec.partitions - partitions)
    if added:
        admin.create_partitions([NewPartitions(name, spec.partitions)])[name].result(TIMEOUT_S)
    changed = _changed(admin, name, wanted)
    if changed:
        resource = _resource(
            name, [ConfigEntry(key, wanted[key], incremental_operation=AlterConfigOpType.SET) for key in changed]
        )
        admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)
    return TopicReport(
        name,
        partitions_added=added,
        settings_changed=changed,
        partitions_kept=partitions if partitions > spec.partitions else 0,
    )


def _changed(admin: AdminClient, name: str, wanted: dict[str, str]) -> tuple[str, ...]:
    resource = _resource(name)
    found: dict[str, Any] = admin.describe_configs([resource])[resource].result(TIMEOUT_S)
    return tuple(key for key, value in wanted.items() if key not in found or found[key].value != value)


def _resource(name: str, entries: list[ConfigEntry] | None = None) -> ConfigResource:
    return ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
