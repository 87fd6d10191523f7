"""The form that clones a campaign makes one draft, with the people if wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tables import drafts
from tests.support.api_client import CAMPAIGNS, Api, an_api
from tests.support.page_forms import submit


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def test_a_clone_is_made_once_with_the_people(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await api.campaign(name="Summer sale")
    await api.add(source, "14694652751", "19453083188")
    shown = await api.http.get(f"/campaigns/{source}/clone")
    assert 'value="Summer sale (copy)"' in shown.text
    done = await submit(api, shown, name="Autumn sale", recipients="1")
    assert done.status_code == 303, done.text
    assert (await submit(api, shown, name="Autumn sale", recipients="1")).headers["location"] == done.headers[
        "location"
    ]
    clone = done.headers["location"].removeprefix("/campaigns/").removesuffix("?done=cloned")
    made = (await api.http.get(f"{CAMPAIGNS}/{clone}")).json()
    assert (made["name"], made["status"], made["daily_send_limit"]) == ("Autumn sale", "draft", 250)
    assert (await api.http.get(f"{CAMPAIGNS}/{clone}/stats")).json()["total_target"] == 2
    assert "The draft was created" in (await api.http.get(done.headers["location"])).text

    assert "1 to 200 characters" in (await submit(api, shown, name="")).text
    monkeypatch.setattr(drafts, "CLONED_MAX", 1)
    later = await api.http.get(f"/campaigns/{source}/clone")
    refused = await submit(api, later, name="Third", recipients="1")
    assert refused.status_code == 422
    assert "Nothing was created" in refused.text
    assert (await submit(api, later, name="Third")).status_code == 303, "without people it has no limit"
