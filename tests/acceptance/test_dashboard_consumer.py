"""The consumer of docs/dashboards.md prints each campaign, and an old or repeated record changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

from schemas.codec import encode
from schemas.model import CampaignId
from schemas.stats import CampaignStats, snapshot_key
from tests.support.code_blocks import block
from tests.support.kafka_topics import create_topics, put
from tests.support.paths import ROOT

LINES_MAX = 20


def _record(number: int, version: int, sent: int) -> tuple[bytes, bytes]:
    campaign = CampaignId(UUID(int=number))
    stats = CampaignStats(
        campaign_id=campaign, campaign_name=f"Campaign {number}", status="active", total_target=10, sent=sent,
        version=version, as_of=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    return stats.key, encode(stats)


def test_the_consumer_of_the_page_shows_the_newest_figures(kafka: str, topic_prefix: str) -> None:
    program = block(ROOT / "docs" / "dashboards.md", "consumer")
    assert len(program.splitlines()) <= LINES_MAX
    topic = topic_prefix + "campaign.stats"
    create_topics(kafka, topic, partitions=1)
    deleted = (snapshot_key(CampaignId(UUID(int=3))), None)
    put(kafka, topic, [_record(1, 0, 0), _record(1, 2, 5), _record(1, 2, 5), _record(1, 1, 3)])
    environment = {"PATH": os.environ["PATH"], "KAFKA": kafka, "TOPIC": topic}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == [
                "Campaign 1: 0 of 10 sent\n",
                "Campaign 1: 5 of 10 sent\n",
            ]
            put(kafka, topic, [deleted, _record(2, 1, 7), _record(1, 3, 8)])
            assert [process.stdout.readline() for _ in range(2)] == [
                "Campaign 2: 7 of 10 sent\n",
                "Campaign 1: 8 of 10 sent\n",
            ]
        finally:
            process.kill()
