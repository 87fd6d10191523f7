"""The table of topics: dead-letter topics, compaction, and size limits."""

from runtime.settings import Settings
from schemas.bundles import BODY_OVERHEAD_BYTES, BYTES_MAX
from schemas.dead_letters import ERROR_CHARS_MAX, DeadLetter
from schemas.places import Place
from schemas.topics import BY_NAME, SPECS, WEBHOOK_RECORD_BYTES_MAX, Topic
from topics.clients import RECORD_BYTES_MAX


def test_every_topic_has_its_dead_letters_with_room_for_their_headers() -> None:
    assert len(BY_NAME) == len(SPECS) == 2 * len(Topic)
    longest = DeadLetter("reconciler", "r" * 100, Place("p" * 249, 2**31, 2**63, 500), "\U0001f512" * ERROR_CHARS_MAX)
    headers_bytes = sum(len(name) + len(value) + 10 for name, value in longest.headers("campaign-streams/1.2.3"))
    for topic in Topic:
        assert BY_NAME[topic].record_bytes_max + headers_bytes < BY_NAME[topic.dead].record_bytes_max < RECORD_BYTES_MAX
        assert BY_NAME[topic.dead].cleanup_policy == "delete"


def test_only_snapshots_are_compacted() -> None:
    compacted = {Topic.CAMPAIGN_STATS, Topic.CAMPAIGN_TIMELINE}
    assert {name for name, spec in BY_NAME.items() if spec.is_compacted} == compacted
    assert BY_NAME[Topic.CAMPAIGN_TIMELINE].config()["cleanup.policy"] == "compact,delete", "old minutes go"


def test_the_largest_body_fits_its_record_and_the_record_its_clients() -> None:
    body_bytes_max = Settings.model_fields["ingress_body_bytes_max"].default
    assert body_bytes_max + BODY_OVERHEAD_BYTES < BY_NAME[Topic.WEBHOOKS_RAW].record_bytes_max
    assert BYTES_MAX < WEBHOOK_RECORD_BYTES_MAX < RECORD_BYTES_MAX
