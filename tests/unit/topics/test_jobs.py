"""A job names its release, and a release and each publication of its job have spans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from domain.traces import HEADER, Step
from runtime.settings import read_settings
from runtime.tracing import TRACES
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from tests.support.spans import values
from topics.jobs import count_released, publish_jobs
from topics.memory import MemoryPublisher

if TYPE_CHECKING:
    from tests.support.spans import Spans

SETTINGS = read_settings({
    "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "CAMPAIGNS_DATABASE_URL": "postgresql://nobody@nowhere/none",
})  # fmt: skip
JOB = SendJob(
    campaign_id=CampaignId(uuid4()), recipient_id=RecipientId(uuid4()), attempt=1, phone_number="15550001234",
    phone_number_id="106540352242922", template_name="t", language_code="en", template_parameters=None,
    send_before=datetime(2100, 1, 1, tzinfo=UTC),
)  # fmt: skip


async def test_a_job_that_is_published_again_stays_in_the_trace_of_its_release(spans: Spans) -> None:
    publisher = MemoryPublisher()
    count_released([JOB], 1)
    await publish_jobs(publisher, SETTINGS, [JOB])
    await publish_jobs(publisher, SETTINGS, [JOB], is_keyed=False)
    release, (first, second) = spans.one("release"), spans.named("publish")
    assert (spans.parent_of(first), spans.parent_of(second)) == (release, release)
    assert first.context != second.context
    assert [values(span)["campaigns.record"] for span in (first, second)] == ["send.jobs/0@0", "send.jobs/0@1"]
    assert [each.headers for each in publisher.records] == [TRACES.headers(JOB, Step.RELEASE)] * 2
    assert values(release)["campaigns.to"] == "*********34"


async def test_without_traces_a_job_has_no_header() -> None:
    publisher = MemoryPublisher()
    count_released([JOB], 1)
    await publish_jobs(publisher, SETTINGS, [JOB])
    assert HEADER not in dict(publisher.records[0].headers or ())
