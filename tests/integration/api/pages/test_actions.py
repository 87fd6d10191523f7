"""The forms of the page change what they name, once, and only with the token of the session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import pytest
from fastapi.routing import APIRoute

from api.app import PAGES
from api.pages.forms import UseForm, UseUpload
from api.pages.pasted import LINES_MAX
from api.pages.paths import SIGN_IN
from tests.support.api_client import CAMPAIGNS, Api, an_api, make_topics
from tests.support.page_forms import OWN, hidden_fields

NEW = {"name": "Summer sale", "template_name": "summer_sale", "language_code": "en_US"}


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def _hidden(api: Api, path: str) -> dict[str, str]:
    return hidden_fields((await api.http.get(path)).text)


async def _submit(api: Api, path: str, source: str, **fields: Any) -> httpx.Response:
    hidden = await _hidden(api, source)
    return await api.http.post(path, data={**hidden, "back": "", **fields}, headers=OWN)


async def _status(api: Api, campaign: str) -> str:
    return str((await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["status"])


def test_every_form_needs_the_token_of_its_session() -> None:
    posts = [
        each
        for module in PAGES
        for each in module.router.routes
        if isinstance(each, APIRoute) and each.methods != {"GET"} and each.path != SIGN_IN
    ]
    assert len(posts) >= 13
    [needed, *_] = get_args(UseForm)[1:]
    for route in posts:
        calls = {each.call for each in route.dependant.dependencies}
        assert calls & {needed.dependency, UseUpload.dependency}, route.path


async def test_a_campaign_from_the_form_to_its_end(api: Api) -> None:
    hidden = await _hidden(api, "/campaigns/new")
    created = await api.http.post("/campaigns/new", data={**hidden, **NEW}, headers=OWN)
    assert created.status_code == 303
    path = created.headers["location"].removesuffix("/add")
    again = await api.http.post("/campaigns/new", data={**hidden, **NEW}, headers=OWN)
    assert again.headers["location"] == created.headers["location"], "two clicks make one campaign"
    campaign = path.rpartition("/")[2]

    numbers = "+1 469 465 2751\n14694652751\nnobody\n+1 945 308 3188"
    added = await _submit(api, f"{path}/add", f"{path}/add", numbers=numbers)
    assert "2 added" in added.text
    assert "1 were in it already" in added.text
    assert "1 could not be added" in added.text
    assert '<td class="figure">3</td><td><code>nobody</code></td>' in added.text

    for action, status in (("activate", "active"), ("pause", "paused"), ("resume", "active")):
        done = await _submit(api, f"{path}/{action}", path, reason="legal asked us")
        assert done.status_code == 303, done.text
        assert await _status(api, campaign) == status
    question = (await api.http.get(f"{path}/cancel")).text
    assert "2 people will be skipped" in question
    assert await _status(api, campaign) == "active", "a question cancels nothing"
    done = await _submit(api, f"{path}/cancel", f"{path}/cancel")
    assert done.headers["location"] == f"{path}?done=cancelled"
    assert await _status(api, campaign) == "cancelled"
    assert "never continue" not in (await api.http.get(f"{path}/cancel")).text


async def test_a_pause_keeps_its_reason_and_the_list_leads_back(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    await api.act(campaign, "activate")
    path = f"/campaigns/{campaign}"
    assert (await _submit(api, f"{path}/pause", path, reason="x" * 201)).status_code == 422
    assert (await _submit(api, f"{path}/pause", path, reason="too <b>loud</b>")).status_code == 303
    assert "too &lt;b&gt;loud&lt;/b&gt;" in (await api.http.get(path)).text
    back = await _submit(api, f"{path}/resume", path, back="/")
    assert back.headers["location"] == "/"


async def test_a_form_without_the_token_does_nothing(api: Api) -> None:
    campaign = await api.campaign()
    for data in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
        refused = await api.http.post(f"/campaigns/{campaign}/cancel", data=data, headers=OWN)
        assert refused.status_code in (403, 415)
    assert await _status(api, campaign) == "draft"


async def test_wrong_fields_are_named_and_nothing_is_lost(api: Api) -> None:
    wrong = {**NEW, "template_name": "no spaces", "daily_send_limit": "many", "time_zone": "Mars"}
    refused = await _submit(api, "/campaigns/new", "/campaigns/new", **wrong)
    assert refused.status_code == 422
    assert "3 fields need a correction" in refused.text
    assert 'value="no spaces"' in refused.text
    assert 'id="template_name-error"' in refused.text
    assert (await api.http.get(CAMPAIGNS)).json()["campaigns"] == []


async def test_an_empty_paste_and_an_empty_campaign_are_explained(api: Api) -> None:
    campaign = await api.campaign()
    path = f"/campaigns/{campaign}"
    assert "Paste at least one number" in (await _submit(api, f"{path}/add", f"{path}/add", numbers=" \n ")).text
    lines = "\n".join(["1"] * (LINES_MAX + 1))
    assert "campaigns import" in (await _submit(api, f"{path}/add", f"{path}/add", numbers=lines)).text
    refused = await _submit(api, f"{path}/activate", f"{path}/add")
    assert (refused.status_code, refused.headers["content-type"]) == (409, "text/html; charset=utf-8")
    assert "no recipients" in refused.text


async def test_a_retry_counts_first(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751", "19453083188")
    await api.act(campaign, "activate")
    await api.rows(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failure_code = 131042,"
        " failure_text = 'payment', failure_class = 'never', failed_at = now() - interval '1 hour'"
    )
    path = f"/campaigns/{campaign}/retry"
    question = await api.http.get(path, params={"code": 131042})
    assert "<b>2 messages</b>" in question.text
    assert "No message has failed with this code" in (await api.http.get(path, params={"code": 131026})).text
    done = await _submit(api, path, f"{path}?code=131042")
    assert done.headers["location"] == f"/campaigns/{campaign}?done=retried"
    assert (await _submit(api, path, f"{path}?code=131042", code="x")).status_code == 422
