"""The frequency cap over REST: read, set, changed, refused and removed, and the settings of a campaign."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.api_client import Api, an_api
from tests.support.world import World

PATH = "/api/marketing/frequency-cap"


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with an_api(database_url, "127.0.0.1:1", "none-") as found:
        yield found


async def test_the_cap_is_set_changed_and_removed(api: Api) -> None:
    assert (await api.http.get(PATH)).json() == {"messages": None, "days": None}
    for cap in ({"messages": 1, "days": 7}, {"messages": 3, "days": 30}):
        assert (await api.http.put(PATH, json=cap)).json() == cap
        assert (await api.http.get(PATH)).json() == cap
    for _ in range(2):
        assert (await api.http.delete(PATH)).status_code == 204
    assert (await api.http.get(PATH)).json() == {"messages": None, "days": None}


@pytest.mark.parametrize(
    ("cap", "field"),
    [({"messages": 0, "days": 7}, "messages"), ({"messages": 2, "days": 31}, "days"), ({"messages": 2}, "days")],
)
async def test_a_cap_that_makes_no_sense_is_refused(api: Api, cap: dict[str, int], field: str) -> None:
    answer = await api.http.put(PATH, json=cap)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_campaign_is_exempt_or_waits(api: Api, world: World) -> None:
    campaign = f"/api/marketing/campaigns/{await world.create_campaign(0)}"
    created = (await api.http.get(campaign)).json()
    assert (created["frequency_capped"], created["cap_wait_days"]) == (True, 7)
    changes = {"frequency_capped": False, "cap_wait_days": 0}
    assert (await api.http.patch(campaign, json=changes)).json().items() >= changes.items()
    answer = await api.http.patch(campaign, json={"cap_wait_days": 366})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cap_wait_days")
