"""A consumer with a stable name that is stopped hands its partitions over at once."""

import time
from pathlib import Path

from runtime.settings import Settings
from schemas.topics import BY_NAME, Topic
from tests.support.kafka_topics import shares_of
from tests.support.processes import environment, process
from tests.support.waiting import eventually
from topics.apply import apply

SESSION_TIMEOUT_S = 10.0
PARTITIONS = BY_NAME[Topic.WEBHOOKS_RAW].partitions


def test_the_partitions_of_a_stopped_process_have_another_owner_at_once(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": topic_prefix}
    )
    apply(settings, [BY_NAME[Topic.WEBHOOKS_RAW]])
    group = settings.group("reconciler")

    def named(name: str) -> dict[str, str]:
        return environment(kafka, topic_prefix, CAMPAIGNS_INSTANCE=name)

    with (
        process("streams.reconciler.process", named("one"), tmp_path) as one,
        process("streams.reconciler.process", named("two"), tmp_path),
    ):
        both = {"one": PARTITIONS // 2, "two": PARTITIONS // 2}
        eventually(lambda: shares_of(kafka, group) == both, "both have half of the partitions")
        assert one.stop() == 0
        since = time.monotonic()
        eventually(lambda: shares_of(kafka, group) == {"two": PARTITIONS}, "the other one has all partitions")
        assert time.monotonic() - since < SESSION_TIMEOUT_S / 2
