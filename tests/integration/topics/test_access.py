"""`campaigns check` finds each right that the account lacks, before a process needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

import stack.kafka
from operations.check import check
from operations.local_up import LocalUp
from runtime.settings import Settings
from stack.embedded import embedded_stack
from tests.support.kafka_topics import create_all_topics
from tests.support.waiting import eventually
from topics.access import GROUPS, MissingRight, missing_rights

TIMEOUT_S = 10.0


@pytest.fixture(scope="module")
def guarded_kafka() -> Iterator[str]:
    """A broker with an authoriser. It grants what no rule denies."""
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack.kafka, "SETTINGS", stack.kafka.SETTINGS | rules)
        with embedded_stack(postgres=False) as servers:
            yield servers.kafka_bootstrap_servers


def deny(bootstrap: str, kind: ResourceType, name: str, operation: AclOperation) -> None:
    pattern = ResourcePatternType.LITERAL
    everyone = ("User:ANONYMOUS", "*")
    rules = [
        AclBinding(kind, name, pattern, *everyone, AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(kind, name, pattern, *everyone, operation, AclPermissionType.DENY),
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_acls(rules).values():
        created.result(TIMEOUT_S)


def test_each_right_that_is_missing_is_named(guarded_kafka: str, settings: Settings) -> None:
    guarded = settings.model_copy(update={"kafka_bootstrap_servers": guarded_kafka})
    create_all_topics(guarded)
    assert missing_rights(guarded, TIMEOUT_S) == []
    jobs, events = guarded.topic("send.jobs"), guarded.topic("recipient.events.dead")
    exits = guarded.group("sender.exits")
    deny(guarded_kafka, ResourceType.TOPIC, jobs, AclOperation.WRITE)
    deny(guarded_kafka, ResourceType.TOPIC, events, AclOperation.DESCRIBE)
    deny(guarded_kafka, ResourceType.GROUP, exits, AclOperation.ALL)
    expected = [
        MissingRight("topic", jobs, ("WRITE",)),
        MissingRight("topic", events, ("READ", "WRITE")),
        MissingRight("group", exits, ("READ",)),
    ]
    eventually(lambda: missing_rights(guarded, TIMEOUT_S) == expected, "every denied right is found")
    found = {each.about: each for each in check(guarded, LocalUp("", frozenset(), {}))}
    assert found["Kafka rights"].state == "wrong"
    for part in (f"WRITE on the topic {jobs}", f"READ and WRITE on the topic {events}", f"READ on the group {exits}"):
        assert part in found["Kafka rights"].found
    assert found["topics"].state == "ok", "a topic that may not be described is not missing"


def test_a_cluster_without_an_authoriser_grants_everything(settings: Settings) -> None:
    create_all_topics(settings)
    assert missing_rights(settings, TIMEOUT_S) == []
    assert len(GROUPS) == 10
