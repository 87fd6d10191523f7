"""The list and the page of a campaign, on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from api.pages import reading
from api.pages.board import Board
from api.pages.reading import read_list
from api.pages.routes import grouped
from domain.breakers import Scope
from domain.lifecycle import CampaignStatus
from tables import breakers
from tests.support.api_client import Api, an_api


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def test_an_empty_list_explains_the_first_step(api: Api) -> None:
    shown = (await api.http.get("/")).text
    assert "No campaigns yet" in shown
    assert "campaigns create" in shown


async def test_the_list_is_in_groups_and_each_is_read_page_by_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GROUP_MAX", 2)
    drafts = [await api.campaign(name=f"Draft {n}") for n in range(3)]
    running = await api.campaign(name="Running")
    await api.add(running, "14694652751")
    assert await api.act(running, "activate") == 200
    async with api.lists.connection() as connection:
        groups = grouped([each.view() for each in await read_list(connection, Board())])
        assert [(each.status, [str(v.campaign.id) for v in each.views]) for each in groups] == [
            (CampaignStatus.ACTIVE, [running]), (CampaignStatus.DRAFT, drafts[:0:-1]),
        ]  # fmt: skip
        assert (groups[0].older, groups[1].older) == (None, UUID(drafts[1]))
    older = (await api.http.get("/", params={"status": "draft", "before": drafts[1]})).text
    assert "Draft 0" in older
    assert "Draft 1" not in older


async def test_a_campaign_shows_its_figures_and_what_holds_it(api: Api) -> None:
    campaign = await api.campaign(name="Spring <b>sale</b>")
    await api.add(campaign, *(str(14694650000 + n) for n in range(3)))
    await api.act(campaign, "activate")
    async with api.pool.connection() as connection:
        await breakers.open_by_operator(connection, Scope.ACCOUNT, "", "the bill is not paid")
    shown = await api.http.get(f"/campaigns/{campaign}")
    assert shown.status_code == 200
    assert "Spring &lt;b&gt;sale&lt;/b&gt;" in shown.text
    assert "of 3 handled" in shown.text
    assert "the bill is not paid" in shown.text


async def test_a_campaign_that_does_not_exist_is_a_page_too(api: Api) -> None:
    for path in (f"/campaigns/{uuid4()}", "/campaigns/none"):
        missing = await api.http.get(path)
        assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no campaign" in missing.text
