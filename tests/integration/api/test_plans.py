"""Plans over REST and on the page: the days, the sample, and a cost that names its card and what it lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api
from tests.support.simulated_account import simulated_account, template_config
from tests.support.templates import body

CARD = """# as_of: 2026-11-01
# currency: USD
# source: a test
market,countries,marketing,utility,authentication
Germany,DE,0.10,0.02,
"""
PEOPLE = ("4915112345671", "4915112345672", "14694652751")


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "card.csv").write_text(CARD)
    utility = template_config(body("Hello"), name="your_template", category="UTILITY")
    async with (
        simulated_account(utility) as account,
        an_api(database_url, "127.0.0.1:1", "none-", rate_card=str(tmp_path / "card.csv"), **account.settings) as found,
    ):
        yield found


async def test_a_draft_is_planned_with_its_cost(api: Api) -> None:
    campaign = await api.campaign(daily_send_limit=2)
    await api.add(campaign, *PEOPLE)
    found = (await api.http.get(f"{CAMPAIGNS}/{campaign}/plan")).json()
    assert ([each["recipients"] for each in found["days"]], found["to_send"], found["left"]) == ([2, 1], 3, 0)
    assert (found["limits"], found["sharing"], found["sample"]["examined"]) == (["daily_limit"], 0, 3)
    cost = found["cost"]
    assert (cost["total"], cost["currency"], cost["as_of"], cost["category"]) == (
        "0.04",
        "USD",
        "2026-11-01",
        "utility",
    )
    assert (cost["is_category_known"], cost["without_rate"]) == (True, {"US": 1})
    assert cost["markets"] == [{"market": "Germany", "recipients": 2, "rate": "0.02", "cost": "0.04"}]
    marketing = (await api.http.get(f"{CAMPAIGNS}/{campaign}/plan", params={"category": "marketing"})).json()
    assert marketing["cost"]["total"] == "0.20"
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}/plan", params={"category": "spam"})).status_code == 422
    assert (await api.http.get(f"{CAMPAIGNS}/{uuid4()}/plan")).status_code == 404


async def test_the_page_of_a_draft_loads_its_plan(api: Api) -> None:
    campaign = await api.campaign(daily_send_limit=2)
    path = f"/campaigns/{campaign}"
    assert f'hx-get="{path}/plan"' not in (await api.http.get(path)).text, "nobody is in it"
    await api.add(campaign, *PEOPLE)
    assert f'hx-get="{path}/plan"' in (await api.http.get(path)).text
    shown = (await api.http.get(f"{path}/plan")).text
    assert "its daily limit" in shown
    assert "0.04 USD" in shown
    assert "US 1" in shown
    assert "1 people are not counted" in shown
    assert "for 2 people" in shown


async def test_a_wrong_card_costs_the_estimate_only(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "card.csv").write_text("none")
    async with an_api(database_url, "127.0.0.1:1", "none-", rate_card=str(tmp_path / "card.csv")) as api:
        campaign = await api.campaign()
        await api.add(campaign, *PEOPLE)
        found = (await api.http.get(f"{CAMPAIGNS}/{campaign}/plan")).json()
        assert (found["cost"], found["to_send"]) == (None, 3)
        assert found["cost_problem"].startswith("The rate card is wrong")
        assert "The cost is not known" in (await api.http.get(f"/campaigns/{campaign}/plan")).text
