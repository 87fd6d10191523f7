"""The routes that edit, clone and delete campaigns, and the one that removes a recipient."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.api_client import CAMPAIGN, CAMPAIGNS, Api, an_api, make_topics


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def test_a_draft_takes_every_setting_and_an_omitted_one_keeps_its_value(api: Api) -> None:
    path = f"{CAMPAIGNS}/{await api.campaign()}"
    everything = {
        "name": "Other", "template_name": "other", "language_code": "de", "daily_send_limit": None,
        "phone_number_id": "99", "time_zone": "Asia/Tokyo", "country": "DE",
        "window_days": ["mon", "fri"], "window_from": "10:00", "window_to": "18:30", "window_zone": "recipient",
        "quiet_from": "12:00", "quiet_to": "13:00", "start_at": "2027-03-01T08:00:00Z", "stale_after_hours": 48,
        "canary": False, "canary_percent": 2.5, "canary_min": 20, "canary_max": 200, "canary_wait_minutes": 30,
        "failure_limit_percent": 20.0, "opt_out_limit_percent": 1.0, "block_limit_percent": 30.0,
        "unknown_limit_percent": 100.0, "frequency_capped": False, "cap_wait_days": 0,
        "exclude_campaigns": [await api.campaign(name="Earlier")], "exclude_recipients": "read",
        "endpoint": "marketing_messages",
    }  # fmt: skip
    answer = await api.http.patch(path, json=everything)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in everything} == everything
    assert (await api.http.patch(path, json={})).json() == answer.json()
    default = await api.http.patch(path, json={"phone_number_id": None, "country": None})
    assert (default.json()["phone_number_id"], default.json()["country"]) == ("15550001", None)
    for wrong in ({"name": None}, {"time_zone": None}, {"daily_send_limit": 0}, {"status": "active"}, {"name": " "}):
        refused = await api.http.patch(path, json=wrong)
        assert refused.status_code == 422, wrong
        assert [error["field"] for error in refused.json()["errors"]] == list(wrong)


async def test_a_campaign_excludes_others_by_id_and_by_name(api: Api) -> None:
    first, second = await api.campaign(name="First"), await api.campaign(name="Second")
    created = (await api.http.post(CAMPAIGNS, json={**CAMPAIGN, "exclude_campaigns": ["First", second]})).json()
    assert (created["exclude_campaigns"], created["exclude_recipients"]) == ([first, second], "sent")
    path = f"{CAMPAIGNS}/{created['id']}"
    for wrong in (["Nothing"], [created["id"]]):
        refused = await api.http.patch(path, json={"exclude_campaigns": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "exclude_campaigns")
    refused = await api.http.post(CAMPAIGNS, json={**CAMPAIGN, "exclude_campaigns": ["Nothing"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_field")
    assert (await api.http.patch(path, json={"exclude_campaigns": []})).json()["exclude_campaigns"] == []


async def test_a_running_campaign_refuses_what_messages_are_made_of_and_names_it(api: Api) -> None:
    campaign = await api.campaign(daily_send_limit=2)
    await api.add(campaign, *(str(14694650000 + n) for n in range(5)))
    await api.act(campaign, "activate")
    path = f"{CAMPAIGNS}/{campaign}"
    refused = await api.http.patch(path, json={"name": "x", "template_name": "x", "language_code": "de"})
    assert (refused.status_code, refused.json()["code"]) == (409, "setting_not_editable")
    assert [error["field"] for error in refused.json()["errors"]] == ["language_code", "template_name"]
    assert "clone the campaign" in refused.json()["detail"]
    assert (await api.process())["released"] == 2
    edited = await api.http.patch(path, json={"name": "x", "daily_send_limit": 4})
    assert (edited.json()["name"], edited.json()["daily_send_limit"], edited.json()["planning"]) == ("x", 4, False)
    assert (await api.process())["released"] == 2
    assert (await api.process())["released"] == 0
    assert (await api.http.patch(f"{CAMPAIGNS}/{uuid4()}", json={"name": "x"})).json()["code"] == "unknown_campaign"


async def test_a_wrong_window_names_its_field(api: Api) -> None:
    path = f"{CAMPAIGNS}/{await api.campaign(window_days=['sun', 'mon', 'mon'])}"
    assert (await api.http.get(path)).json()["window_days"] == ["mon", "sun"]
    for wrong, field in (
        ({"window_from": "9:00"}, "window_from"),
        ({"window_to": "24:30"}, "window_to"),
        ({"window_from": "10:00", "window_to": "10:00"}, "window_to"),
        ({"window_days": []}, "window_days"),
        ({"window_days": ["monday"]}, "window_days.0"),
        ({"window_zone": "mine"}, "window_zone"),
        ({"quiet_from": "12:00"}, "quiet_to"),
        ({"quiet_from": "00:00", "quiet_to": "24:00"}, "quiet_to"),
        ({"start_at": "2027-03-01T08:00:00"}, "start_at"),
        ({"start_at": "0001-01-01T00:00:00+14:00"}, "start_at"),
        ({"stale_after_hours": 0}, "stale_after_hours"),
        ({"canary": "yes"}, "canary"),
        ({"canary_percent": 0}, "canary_percent"),
        ({"canary_min": 0}, "canary_min"),
        ({"canary_wait_minutes": 1441}, "canary_wait_minutes"),
        ({"opt_out_limit_percent": 101}, "opt_out_limit_percent"),
    ):
        for answer in (
            await api.http.patch(path, json=wrong),
            await api.http.post(CAMPAIGNS, json={**CAMPAIGN, **wrong}),
        ):
            assert answer.status_code == 422, wrong
            assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_window_may_change_while_the_campaign_runs_but_not_whose_clock_it_follows(api: Api) -> None:
    campaign = await api.campaign(start_at="2090-01-01T00:00:00Z")
    await api.add(campaign, "14694652751")
    await api.act(campaign, "activate")
    path = f"{CAMPAIGNS}/{campaign}"
    assert (await api.process())["released"] == 0
    refused = await api.http.patch(path, json={"window_zone": "recipient"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (409, "window_zone")
    edited = await api.http.patch(path, json={"start_at": None, "window_from": "00:00", "window_to": "24:00"})
    assert (edited.status_code, edited.json()["start_at"]) == (200, None)
    assert (await api.process())["released"] == 1


async def test_an_explanation_puts_every_recipient_into_one_reason(api: Api) -> None:
    campaign = await api.campaign(daily_send_limit=1)
    path = f"{CAMPAIGNS}/{campaign}/explain"
    await api.add(campaign, "14694652751", "14694652752", "14694652753")
    draft = (await api.http.get(path)).json()
    assert [(each["reason"], each["recipients"]) for each in draft["reasons"]] == [("draft", 3)]
    await api.act(campaign, "activate")
    assert (await api.process())["released"] == 1
    running = (await api.http.get(path)).json()
    assert (running["status"], running["total"], running["with_message"]) == ("active", 3, 0)
    assert {each["reason"]: each["recipients"] for each in running["reasons"]} == {"in_flight": 1, "daily_limit": 2}
    assert (await api.http.get(f"{CAMPAIGNS}/{uuid4()}/explain")).status_code == 404


async def test_only_a_draft_is_deleted(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    path = f"{CAMPAIGNS}/{campaign}"
    await api.act(campaign, "activate")
    refused = await api.http.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    draft = f"{CAMPAIGNS}/{await api.campaign()}"
    answer = await api.http.delete(draft)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.http.get(draft)).status_code == (await api.http.delete(draft)).status_code == 404


async def test_a_recipient_is_removed_by_id_and_in_any_spelling(api: Api) -> None:
    campaign = await api.campaign(country="DE")
    people = f"{CAMPAIGNS}/{campaign}/recipients"
    await api.add(campaign, "+491711234567", "+491711234568", "+491711234569")
    assert (await api.http.delete(f"{people}/{quote('0171 1234567')}")).status_code == 204
    [first, second] = (await api.http.get(people)).json()["recipients"]
    assert (await api.http.delete(f"{people}/{first['id']}")).status_code == 204
    gone = await api.http.delete(f"{people}/{first['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_recipient")
    wrong = await api.http.delete(f"{people}/nobody")
    assert (wrong.status_code, wrong.json()["code"]) == (404, "unknown_recipient")
    await api.act(campaign, "activate")
    await api.process()
    released = await api.http.delete(f"{people}/{second['id']}")
    assert (released.status_code, released.json()["code"]) == (409, "recipient_released")
    stats = (await api.http.get(f"{CAMPAIGNS}/{campaign}/stats")).json()
    assert (stats["total_target"], stats["queued"]) == (1, 1)


async def test_a_clone_is_made_once_for_a_key(api: Api) -> None:
    campaign = await api.campaign(name="Spring")
    await api.add(campaign, "14694652751", {"phone_number": "14694652752", "template_parameters": ["Ana"]})
    path, key = f"{CAMPAIGNS}/{campaign}/clone", {"Idempotency-Key": "clone-1"}
    answers = [await api.http.post(path, json={"name": "Summer", "recipients": True}, headers=key) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    clone = answers[0].json()
    assert answers[1].json() == clone
    assert (clone["name"], clone["status"], clone["template_name"]) == ("Summer", "draft", "your_template")
    stats = (await api.http.get(f"{CAMPAIGNS}/{clone['id']}/stats")).json()
    assert (stats["total_target"], stats["pending"]) == (2, 2)
    assert (await api.http.post(path)).json()["name"] == "Spring", "without a body: the settings alone"
    assert await api.rows("SELECT count(*) FROM marketing_campaigns") == [(3,)]
    assert (await api.http.post(f"{CAMPAIGNS}/{uuid4()}/clone")).json()["code"] == "unknown_campaign"


async def test_nothing_is_released_by_hand_while_kafka_is_away(database_url: str, topic_prefix: str) -> None:
    async with an_api(database_url, "127.0.0.1:1", topic_prefix) as api:
        campaign = await api.campaign()
        await api.add(campaign, "14694650000")
        assert await api.act(campaign, "activate") == 200
        refused = await api.http.post("/api/marketing/process-daily")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert refused.json()["detail"].startswith("Kafka does not answer, so nothing was released.")
        assert await api.rows("SELECT attempt FROM campaign_recipients") == [(0,)]
        assert await api.rows("SELECT count(*) FROM releases") == [(0,)]
