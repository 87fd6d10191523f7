"""Which rights on the cluster the account of the settings lacks: on each topic, and on each consumer group.

A missing right shows only when a process first needs it: a sender that may not use the group `.exits` works until it
meets a record that ends processes. So `campaigns check` reads the rights of all of them. It joins no group. A cluster
without an authoriser grants everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from runtime.process import Transient
from runtime.settings import Settings
from schemas.topics import SPECS
from topics.clients import client_config
from topics.errors import as_transient, error_of, is_not_ready

RETRY_S = 0.2
STAGES = ("reconciler", "sender", "sink")
"""Each reads with a group of its name, and counts the exits of its processes with a second one."""
PARTS = ("subscriptions", "control")
"""Groups of the same kind that belong to a process of another name: the sink reads opt-outs and reports too."""
GROUPS = tuple(group for stage in (*STAGES, *PARTS) for group in (stage, f"{stage}.exits"))
GROUP_RIGHTS = (AclOperation.READ,)
TOPIC_RIGHTS = (AclOperation.READ, AclOperation.WRITE)
"""Processes together need both on nearly every topic, and the commands of operators on the others."""
_ABSENT = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})
_DENIED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})


@dataclass(frozen=True, slots=True)
class MissingRight:
    """Rights that the account lacks on one topic or group, by its real name."""

    kind: str
    """`topic` or `group`."""
    name: str
    operations: tuple[str, ...]


def missing_rights(settings: Settings, timeout_s: float) -> list[MissingRight]:
    """Query the rights on all topics that exist, and on all groups. Raises Transient if Kafka does not answer.

    A group that does not exist yet shows only whether the account may describe it. The right to read includes that.
    """
    admin = AdminClient(client_config(settings))
    topics = [settings.topic(spec.name) for spec in SPECS]
    groups = [settings.group(group) for group in GROUPS]
    limits: dict[str, Any] = {"include_authorized_operations": True, "request_timeout": timeout_s}
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return [
                *_judged("topic", TOPIC_RIGHTS, admin.describe_topics(TopicCollection(topics), **limits), timeout_s),
                *_judged("group", GROUP_RIGHTS, _each(groups, admin.describe_consumer_groups, limits), timeout_s),
            ]
        except KafkaException as error:
            if not is_not_ready(error) or time.monotonic() > deadline:
                raise as_transient(error, "Kafka") from error
            time.sleep(RETRY_S)  # a coordinator of groups is being elected
        except TimeoutError as error:
            raise Transient("Kafka does not answer") from error


def _each(
    groups: Iterable[str], describe: Callable[..., dict[str, Future[Any]]], limits: Mapping[str, Any]
) -> dict[str, Future[Any]]:
    """One request for each group: librdkafka fails the whole request if one group is unknown."""
    return {group: describe([group], **limits)[group] for group in groups}


def _judged(
    kind: str, needed: tuple[AclOperation, ...], described: Mapping[str, Future[Any]], timeout_s: float
) -> Iterator[MissingRight]:
    for name, future in described.items():
        try:
            granted = future.result(timeout_s).authorized_operations
        except KafkaException as error:
            code = error_of(error).code()
            if code in _DENIED:
                yield MissingRight(kind, name, tuple(each.name for each in needed))
            elif code not in _ABSENT:
                raise
            continue
        if granted is not None and (missing := tuple(each.name for each in needed if each not in granted)):
            yield MissingRight(kind, name, missing)
