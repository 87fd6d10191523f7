"""The cost of a campaign over REST, on the page and in the terminal: the same figures, and what the card lacks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from api.costs import cost_of
from cli.cost import print_cost
from tests.support.api_client import CAMPAIGNS, Api, an_api

CARD = """# as_of: 2026-11-01
# currency: USD
# source: a test
market,countries,marketing,utility,authentication
Germany,DE,0.10,0.02,
"""
DELIVERED = """UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now(), delivered_at = now(),
    price = CASE WHEN phone_number <> '4915112345673' THEN '01 marketing/billable' END"""


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "card.csv").write_text(CARD)
    async with an_api(database_url, "127.0.0.1:1", "none-", rate_card=str(tmp_path / "card.csv")) as found:
        yield found


async def test_rest_page_and_terminal_give_one_cost(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "4915112345671", "4915112345672", "4915112345673", "14694652751")
    path = f"{CAMPAIGNS}/{campaign}/cost"
    assert (await api.http.get(path)).json()["total"] == "0.00"
    assert "Nothing yet" in (await api.http.get(f"/campaigns/{campaign}/cost")).text
    async with api.pool.connection() as connection:
        await connection.execute(DELIVERED.encode())
        found = (await api.http.get(path)).json()
        assert (found["total"], found["currency"], found["delivered"]) == ("0.20", "USD", 4)
        assert (found["without_price"], found["without_rate"]) == (1, 1)
        assert found["categories"] == [
            {"category": "marketing", "charge": "billable", "messages": 3, "cost": "0.20", "without_rate": {"US": 1}}
        ]
        capsys.readouterr()
        await print_cost(api.settings, connection, campaign, as_json=True)
        printed = json.loads(capsys.readouterr().out)
        assert {**printed, "as_of": None} == {**found, "as_of": None}
        await print_cost(api.settings, connection, campaign, as_json=False)
        assert "0.20 USD so far" in capsys.readouterr().out
    page = (await api.http.get(f"/campaigns/{campaign}/cost")).text
    for words in ("0.20 USD", "Marketing, billed", "No rate for marketing messages to US (1)", "price for 1 of the 4"):
        assert words in page
    assert (await api.http.get(f"{CAMPAIGNS}/{uuid4()}/cost")).status_code == 404


async def test_a_wrong_card_hides_the_sum_and_not_the_messages(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "card.csv").write_text("none")
    async with an_api(database_url, "127.0.0.1:1", "none-", rate_card=str(tmp_path / "card.csv")) as api:
        campaign = await api.campaign()
        await api.add(campaign, "4915112345671")
        async with api.pool.connection() as connection:
            await connection.execute(DELIVERED.encode())
        found = await cost_of(api.lists.connection, api.settings, UUID(campaign))
        assert (found.total, found.currency, found.categories[0].messages) == (None, None, 1)
        page = (await api.http.get(f"/campaigns/{campaign}/cost")).text
        assert "The cost is not known. The rate card is wrong" in page
        assert "no rate" in page
