"""The route that repeats failed messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api, make_topics
from topics.publisher import AsyncPublisher, PublishFailed


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def failed_campaign(api: Api) -> str:
    """An active campaign with two recipients, who both failed because of the template."""
    campaign = await api.campaign()
    await api.add(campaign, "14694652751", "19453083188")
    await api.act(campaign, "activate")
    await api.rows(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(),"
        " failure_code = 132000, failure_text = 'x', failure_class = 'never', failure_backoff_s = 0"
    )
    return campaign


async def test_failures_are_repeated_by_code_and_a_dry_run_only_counts(api: Api) -> None:
    campaign = await failed_campaign(api)
    path = f"{CAMPAIGNS}/{campaign}/retry"
    for body in ({"codes": [132000], "dry_run": True}, {"classes": ["request"]}):
        answer = await api.http.post(path, json=body)
        assert answer.status_code == 200
        assert answer.json() == {"retried": 2, "already_due": 0, "too_young": 0, "exhausted": 0}
    assert (await api.http.post(path, json={"codes": [131026]})).json()["retried"] == 0


@pytest.mark.parametrize("body", [{}, {"codes": []}, {"codes": [-1]}, {"codes": ["x"]}, {"classes": ["none"]}])
async def test_an_order_names_failures(api: Api, body: dict[str, object]) -> None:
    campaign = await api.campaign()
    assert (await api.http.post(f"{CAMPAIGNS}/{campaign}/retry", json=body)).status_code == 422


async def test_an_unknown_campaign_is_404_and_a_draft_409(api: Api) -> None:
    order = {"codes": [131042]}
    assert (await api.http.post(f"{CAMPAIGNS}/{uuid4()}/retry", json=order)).status_code == 404
    assert (await api.http.post(f"{CAMPAIGNS}/{await api.campaign()}/retry", json=order)).status_code == 409


async def test_a_resume_repeats_what_failed_for_a_reason_that_is_not_the_persons(api: Api) -> None:
    campaign = await failed_campaign(api)
    await api.rows("UPDATE campaign_recipients SET failure_code = 131026 WHERE phone_number = '14694652751'")
    await api.act(campaign, "pause")
    answer = await api.http.post(f"{CAMPAIGNS}/{campaign}/resume", json={"retry_failed": True})
    assert answer.status_code == 200
    assert answer.json()["status"] == "active"
    assert answer.json()["retried"] == {"retried": 1, "already_due": 0, "too_young": 0, "exhausted": 0}


async def test_a_resume_alone_repeats_nothing(api: Api) -> None:
    campaign = await failed_campaign(api)
    await api.act(campaign, "pause")
    answer = await api.http.post(f"{CAMPAIGNS}/{campaign}/resume")
    assert (answer.status_code, answer.json()["retried"]) == (200, None)


async def test_a_campaign_that_cannot_be_resumed_repeats_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await failed_campaign(api)

    async def never(*_: object) -> None:
        pytest.fail("nothing may be published")

    monkeypatch.setattr(AsyncPublisher, "publish_batch", never)
    answer = await api.http.post(f"{CAMPAIGNS}/{campaign}/resume", json={"retry_failed": True})
    assert answer.status_code == 409


async def test_without_kafka_the_campaign_stays_paused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await failed_campaign(api)
    await api.act(campaign, "pause")

    async def fail(*_: object) -> None:
        raise PublishFailed("Kafka is away")

    monkeypatch.setattr(AsyncPublisher, "publish_batch", fail)
    answer = await api.http.post(f"{CAMPAIGNS}/{campaign}/resume", json={"retry_failed": True})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["status"] == "paused"
    assert await api.act(campaign, "resume") == 200, "a resume alone needs no Kafka"
