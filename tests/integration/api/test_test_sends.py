"""Test sends over REST: the message goes the ordinary way to some numbers, and the campaign does not change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api, make_topics
from tests.support.simulated_account import SimulatedAccount, simulated_account, template_config
from tests.support.templates import body

ANA, BO, ME = "14694652751", "14694652752", "+1 469 465 2799"


@pytest.fixture
async def account() -> AsyncIterator[SimulatedAccount]:
    async with simulated_account(template_config(body("Hi {{1}}"))) as found:
        yield found


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str, account: SimulatedAccount) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with an_api(database_url, kafka, topic_prefix, **account.settings) as found:
        yield found


async def draft(api: Api) -> str:
    campaign = await api.campaign(template_name="spring_offer", daily_send_limit=1)
    await api.add(
        campaign,
        {"phone_number": ANA, "template_parameters": ["Ana"]}, {"phone_number": BO, "template_parameters": ["Bo"]},
    )  # fmt: skip
    return campaign


async def send(api: Api, campaign: str, key: str | None = None, **given: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.http.post(
        f"{CAMPAIGNS}/{campaign}/test-send", json={"phone_numbers": [ME], **given}, headers=headers
    )


async def jobs(api: Api, test: str) -> list[Any]:
    return await api.rows(
        "SELECT phone_number, template_parameters, max_retries, attempt FROM campaign_recipients"
        " WHERE campaign_id = %s ORDER BY 1", test,
    )  # fmt: skip


async def test_a_test_is_sent_and_the_campaign_stays_as_it_is(api: Api) -> None:
    campaign = await draft(api)
    before = (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()
    started = await send(api, campaign)
    assert started.status_code == 201, started.text
    test = started.json()
    assert (test["test_of"], test["status"]) == (campaign, "active")
    assert [(each["phone_number"], each["status"]) for each in test["messages"]] == [("14694652799", "pending")]
    assert await jobs(api, test["id"]) == [("14694652799", ["Ana"], 0, 0)]
    assert (await api.process())["released"] == 1, "the ordinary release takes it"
    assert await jobs(api, test["id"]) == [("14694652799", ["Ana"], 0, 1)]
    stats = (await api.http.get(f"{CAMPAIGNS}/{campaign}/stats")).json()
    assert (stats["total_target"], stats["pending"], stats["status"]) == (2, 2, "draft")
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json() == before
    shown = (await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["tests"]
    assert [(each["id"], each["messages"][0]["status"]) for each in shown] == [(test["id"], "queued")]
    assert (await api.http.get(f"{CAMPAIGNS}/{test['id']}")).json()["name"] == "Test of Test Campaign"
    listed = (await api.http.get(CAMPAIGNS)).json()["campaigns"]
    assert [each["id"] for each in listed] == [campaign], "lists leave tests out"


async def test_the_parameters_are_those_of_a_recipient_or_given_ones(api: Api) -> None:
    campaign = await draft(api)
    rows = (await api.http.get(f"{CAMPAIGNS}/{campaign}/recipients", params={"phone_number": BO})).json()
    of_bo = await send(api, campaign, recipient_id=rows["recipients"][0]["id"])
    assert (await jobs(api, of_bo.json()["id"]))[0][1] == ["Bo"]
    own = await send(api, campaign, template_parameters={"1": "Me"}, phone_numbers=[ME, "14694652798"])
    assert [row[1] for row in await jobs(api, own.json()["id"])] == [["Me"], ["Me"]]
    unknown = await send(api, campaign, recipient_id=str(uuid4()))
    assert unknown.json()["code"] == "unknown_recipient"


async def test_a_repeated_request_sends_nothing_twice(api: Api) -> None:
    campaign = await draft(api)
    first, second = await send(api, campaign, "k"), await send(api, campaign, "k")
    assert (second.json(), second.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert (await send(api, campaign, "k", template_parameters=["x"])).json()["code"] == "idempotency_key_reused"
    assert len((await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["tests"]) == 1


async def test_what_meta_would_refuse_is_not_sent_unless_the_operator_insists(api: Api) -> None:
    campaign = await draft(api)
    refused = await send(api, campaign, template_parameters=["a", "b"])
    assert (refused.status_code, refused.json()["code"]) == (409, "template_refused")
    assert [each["type"] for each in refused.json()["errors"]] == ["superfluous_parameter"]
    assert (await send(api, campaign, template_parameters=["a", "b"], ignore_template=True)).status_code == 201


@pytest.mark.parametrize(
    ("numbers", "fields"),
    [
        (["x", ME, "12"], ["phone_numbers.0", "phone_numbers.2"]),
        ([ME, "14694652799"], ["phone_numbers.1"]),
        ([], ["phone_numbers"]),
        ([ME] * 11, ["phone_numbers"]),
    ],
)
async def test_wrong_numbers_are_named_and_nothing_is_sent(api: Api, numbers: list[str], fields: list[str]) -> None:
    campaign = await draft(api)
    refused = await send(api, campaign, phone_numbers=numbers)
    assert (refused.status_code, [each["field"] for each in refused.json()["errors"]]) == (422, fields)
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["tests"] == []


async def test_a_person_who_has_opted_out_is_skipped(api: Api) -> None:
    campaign = await draft(api)
    await api.http.put("/api/marketing/subscriptions/14694652799", json={"subscribed": False})
    await send(api, campaign)
    assert (await api.process())["skipped"] == 1
    [message] = (await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["tests"][0]["messages"]
    assert (message["status"], message["failure_reason"]) == ("skipped", "opted_out")


async def test_a_cancelled_campaign_sends_no_test(api: Api) -> None:
    campaign = await draft(api)
    await api.act(campaign, "cancel")
    assert (await send(api, campaign)).json()["code"] == "wrong_state"


async def test_a_draft_with_tests_can_be_deleted(api: Api) -> None:
    campaign = await draft(api)
    test = (await send(api, campaign)).json()["id"]
    assert (await api.http.delete(f"{CAMPAIGNS}/{campaign}")).status_code == 204
    assert (await api.http.get(f"{CAMPAIGNS}/{test}")).json()["status"] == "active"
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}/test-sends")).json()["code"] == "unknown_campaign"
