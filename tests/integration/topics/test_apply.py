"""Topics on a real broker are created and altered as specified, and partitions are never reduced."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from runtime.process import Transient
from runtime.settings import Settings
from schemas.topics import SPECS, Topic, TopicSpec
from tests.support.waiting import eventually
from topics.apply import apply


def settings(kafka: str, prefix: str) -> Settings:
    return Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": prefix}
    )


def config_of(kafka: str, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient(
        {"bootstrap.servers": kafka}
    )  # a name is necessary, because a collected client drops its answers
    found = admin.describe_configs([resource])[resource].result(10)
    return {name: entry.value for name, entry in found.items()}


def test_every_topic_is_created_as_specified(kafka: str, topic_prefix: str) -> None:
    report = apply(settings(kafka, topic_prefix))
    assert all(topic.created for topic in report.topics)
    assert (report.brokers, report.replicas, report.in_sync_min) == (1, 1, 1)
    listed = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    for spec in SPECS:
        assert len(listed[topic_prefix + spec.name].partitions) == spec.partitions
    raw = config_of(kafka, topic_prefix + Topic.WEBHOOKS_RAW)
    assert raw["max.message.bytes"] == str(4 * 1024 * 1024)
    assert config_of(kafka, topic_prefix + Topic.CAMPAIGN_STATS)["cleanup.policy"] == "compact"
    assert not any(topic.is_changed for topic in apply(settings(kafka, topic_prefix)).topics), "they are as specified"


def test_a_second_run_changes_nothing(kafka: str, topic_prefix: str) -> None:
    spec = (TopicSpec("one", 2, 1000), TopicSpec("two", 1, -1, "compact"))
    apply(settings(kafka, topic_prefix), spec)
    assert not any(topic.is_changed for topic in apply(settings(kafka, topic_prefix), spec).topics)


def test_partitions_and_settings_are_altered_but_never_lowered(kafka: str, topic_prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    made = [
        NewTopic(f"{topic_prefix}few", 1, 1, config={"retention.ms": "5", "segment.bytes": "1048577"}),
        NewTopic(f"{topic_prefix}many", 6, 1),
    ]
    for created in admin.create_topics(made).values():
        created.result(10)
    few, many = apply(settings(kafka, topic_prefix), (TopicSpec("few", 4, 1000), TopicSpec("many", 4, 1000))).topics
    assert few.partitions_added == 3
    assert "retention.ms" in few.settings_changed
    assert (many.partitions_added, many.partitions_kept) == (0, 6)

    def altered() -> dict[str, str] | None:
        config = config_of(kafka, f"{topic_prefix}few")
        return config if config["retention.ms"] == "1000" else None

    # The controller has answered. The broker that is queried learns of it a moment later.
    assert eventually(altered, "the setting is altered")["segment.bytes"] == "1048577"
    assert len(admin.list_topics(timeout=10).topics[f"{topic_prefix}few"].partitions) == 4


def test_concurrent_runs_create_and_alter_without_a_failure(kafka: str, topic_prefix: str) -> None:
    for partitions in (1, 3, 5):
        spec = [TopicSpec(f"topic{number}", partitions, 1000 * partitions) for number in range(6)]
        with ThreadPoolExecutor(4) as several:
            list(several.map(apply, [settings(kafka, topic_prefix)] * 4, [spec] * 4))
        listed = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
        assert {len(listed[topic_prefix + each.name].partitions) for each in spec} == {partitions}


def test_an_unreachable_cluster_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topics.apply.TIMEOUT_S", 0.5)
    with pytest.raises(Transient):
        apply(settings("127.0.0.1:1", ""))
