"""The page of test sends: a message goes to the given numbers once, and wrong numbers are named."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api, make_topics
from tests.support.page_forms import submit
from tests.support.simulated_account import simulated_account, template_config
from tests.support.templates import body


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with (
        simulated_account(template_config(body("Hi {{1}}"))) as account,
        an_api(database_url, kafka, topic_prefix, **account.settings) as found,
    ):
        yield found


async def test_a_test_is_sent_once_and_shown(api: Api) -> None:
    campaign = await api.campaign(template_name="spring_offer")
    people = [{"phone_number": f"1469465275{n}", "template_parameters": [name]} for n, name in enumerate(("Ana", "Bo"))]
    await api.add(campaign, *people)
    path = f"/campaigns/{campaign}/test-send"
    [bo] = await api.rows("SELECT id FROM campaign_recipients WHERE phone_number = '14694652751'")
    shown = await api.http.get(path, params={"recipient": str(bo[0])})
    assert "+1469 ••••• 51" in shown.text
    for _ in range(2):
        assert (await submit(api, shown, numbers="+1 469 465 2799, +1 469 465 2798")).headers["location"] == path
    [test] = (await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["tests"]
    rows = await api.rows(
        "SELECT phone_number, template_parameters FROM campaign_recipients WHERE campaign_id = %s ORDER BY 1",
        test["id"],
    )
    assert rows == [("14694652798", ["Bo"]), ("14694652799", ["Bo"])]
    listed = (await api.http.get(path)).text
    assert "+1469 ••••• 98" in listed
    assert 'hx-trigger="every 2s"' in listed, "it is followed while it is sent"


async def test_what_cannot_be_sent_is_explained(api: Api) -> None:
    campaign = await api.campaign(template_name="spring_offer")
    await api.add(campaign, {"phone_number": "14694652751", "template_parameters": ["too", "many"]})
    shown = await api.http.get(f"/campaigns/{campaign}/test-send")
    for numbers, words in ((" , ", "Write 1 to 10 numbers"), ("+1 469 465 2799; <x>", "&lt;x&gt;: ")):
        wrong = await submit(api, shown, numbers=numbers)
        assert wrong.status_code == 422
        assert words in wrong.text
    refused = await submit(api, shown, numbers="+1 469 465 2799")
    assert "Meta would refuse" in refused.text
    assert "ignore_template" in refused.text
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["tests"] == []
    assert (await submit(api, refused, numbers="+1 469 465 2799", ignore_template="1")).status_code == 303
    await api.act(campaign, "cancel")
    assert "also no test" in (await api.http.get(f"/campaigns/{campaign}/test-send")).text
