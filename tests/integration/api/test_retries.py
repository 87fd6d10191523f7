"""The route that repeats failed messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api, make_topics


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def test_failures_are_repeated_by_code_and_a_dry_run_only_counts(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751", "19453083188")
    await api.act(campaign, "activate")
    await api.rows(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(),"
        " failure_code = 132000, failure_text = 'x', failure_class = 'never', failure_backoff_s = 0"
    )
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
