"""Templates over REST: listed, filled, compared with a campaign; what Meta would refuse refuses an activation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from api.template_checks import check_template
from tables import campaigns
from tests.support import components as sent
from tests.support.api_client import CAMPAIGNS, Api, an_api
from tests.support.simulated_account import SimulatedAccount, simulated_account, template_config
from tests.support.templates import URL_BUTTON, body, buttons, header

TEMPLATES = "/api/marketing/templates"
OFFER = template_config(header("IMAGE"), body("Hi {{1}}"), buttons(URL_BUTTON))
GREETING = template_config(body("Hello {{first_name}}"), name="greeting", parameter_format="NAMED", category="UTILITY")
PAUSED = template_config(body("Hi"), name="paused", status="PAUSED", language="de")
ANA, BO = "14694652751", "14694652752"
FITTING = {"components": [
    sent.header("image", {"link": "https://example.com/a.png"}), sent.body(sent.text("Ana")),
    sent.button(parameters=[sent.text("spring")]),
]}  # fmt: skip


@pytest.fixture
async def account() -> AsyncIterator[SimulatedAccount]:
    async with simulated_account(OFFER, GREETING, PAUSED) as found:
        yield found


@pytest.fixture
async def api(database_url: str, account: SimulatedAccount) -> AsyncIterator[Api]:
    async with an_api(database_url, "127.0.0.1:1", "none-", **account.settings) as found:
        yield found


async def check(api: Api, campaign: str, **query: Any) -> dict[str, Any]:
    answer = await api.http.get(f"{CAMPAIGNS}/{campaign}/template/check", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_templates_are_listed_with_what_an_operator_chooses_by(api: Api) -> None:
    found = (await api.http.get(TEMPLATES)).json()
    assert found["next"] is None
    assert [(each["name"], each["language"], each["status"], each["category"]) for each in found["templates"]] == [
        ("greeting", "en_US", "APPROVED", "UTILITY"), ("paused", "de", "PAUSED", "MARKETING"),
        ("spring_offer", "en_US", "APPROVED", "MARKETING"),
    ]  # fmt: skip
    assert [each["parameters"] for each in found["templates"]] == [["first_name"], [], ["1", "header", "button_1"]]
    first = (await api.http.get(TEMPLATES, params={"limit": 1})).json()
    assert [each["name"] for each in first["templates"]] == ["greeting"]
    rest = (await api.http.get(TEMPLATES, params={"after": first["next"]})).json()
    assert [each["name"] for each in rest["templates"]] == ["paused", "spring_offer"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"name": "off"}, ["spring_offer"]),
        ({"status": "approved"}, ["greeting", "spring_offer"]),
        ({"category": "Marketing", "language": "de"}, ["paused"]),
        ({"language": "fr"}, []),
    ],
)
async def test_templates_are_filtered(api: Api, query: dict[str, str], names: list[str]) -> None:
    found = (await api.http.get(TEMPLATES, params=query)).json()
    assert [each["name"] for each in found["templates"]] == names


async def test_templates_that_cannot_be_read_are_a_problem(database_url: str) -> None:
    async with an_api(database_url, "127.0.0.1:1", "none-") as api:
        refused = await api.http.get(TEMPLATES)
        assert (refused.status_code, refused.json()["code"]) == (503, "template_unreadable")
        assert "CAMPAIGNS_WHATSAPP_ACCOUNT_ID is not set" in refused.json()["detail"]


async def test_a_template_is_filled_with_given_parameters(api: Api) -> None:
    path = f"{TEMPLATES}/greeting/preview"
    filled = await api.http.post(path, json={"language_code": "en_US", "template_parameters": {"first_name": "Ana"}})
    assert (filled.json()["lines"], filled.json()["misfits"]) == (["Hello Ana"], [])
    wrong = (await api.http.post(path, json={"language_code": "en_US", "template_parameters": ["Ana"]})).json()
    assert wrong["lines"] == ["Hello Ana"]
    assert [each["reason"] for each in wrong["misfits"]] == ["wrong_parameter_form"]
    for odd in ({"A": 1}, [False], [None], "x", {"components": 1}):
        refused = await api.http.post(path, json={"language_code": "en_US", "template_parameters": odd})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_field"), odd
    missing = await api.http.post(path, json={"language_code": "fr"})
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_template")


async def test_the_message_of_one_recipient_is_shown(api: Api) -> None:
    campaign = await api.campaign(template_name="spring_offer")
    path = f"{CAMPAIGNS}/{campaign}/template/preview"
    assert (await api.http.get(path)).json()["code"] == "unknown_recipient"
    await api.add(campaign, {"phone_number": ANA, "template_parameters": FITTING}, BO)
    shown = (await api.http.get(path, params={"phone_number": "+1 469 465 2751"})).json()
    assert shown["lines"] == ["[image: https://example.com/a.png]", "Hi Ana", "[Shop] -> https://example.com/spring"]
    assert shown["misfits"] == []
    other = (await api.http.get(path, params={"phone_number": BO})).json()
    assert [each["reason"] for each in other["misfits"]] == ["missing_parameter", "header_missing", "button_missing"]
    again = await api.http.get(path, params={"recipient_id": other["recipient_id"]})
    assert again.json() == other


async def test_an_activation_that_meta_would_refuse_is_refused_unless_the_operator_insists(api: Api) -> None:
    campaign = await api.campaign(template_name="spring_offer")
    await api.add(campaign, {"phone_number": ANA, "template_parameters": FITTING}, BO)
    found = await check(api, campaign)
    assert (found["refuses"], found["compared"], found["misfitting"], found["findings"]) == (True, 2, 1, [])
    assert {each["reason"]: each["recipients"] for each in found["counts"]} == {
        "missing_parameter": 1, "header_missing": 1, "button_missing": 1,
    }  # fmt: skip
    assert [each["phone_number"] for each in found["lines"]] == [BO]
    refused = await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")
    assert (refused.status_code, refused.json()["code"]) == (409, "template_refused")
    assert {each["type"] for each in refused.json()["errors"]} == {each["reason"] for each in found["counts"]}
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["status"] == "draft"
    insisted = await api.http.post(f"{CAMPAIGNS}/{campaign}/activate", params={"ignore_template": True})
    assert (insisted.json()["status"], insisted.json()["template_check"]) == ("active", None)
    again = await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")
    assert again.json()["code"] == "wrong_state"


async def test_a_resume_compares_the_edited_template_with_those_who_still_get_a_message(
    api: Api, account: SimulatedAccount
) -> None:
    campaign = await api.campaign(template_name="greeting")
    people = [{"phone_number": f"1469465275{n}", "template_parameters": {"first_name": "Ana"}} for n in range(4)]
    await api.add(campaign, *people)
    for act in ("activate", "pause"):
        await api.act(campaign, act)
    await api.rows(
        "UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, accepted_attempt = 1,"
        " accepted_at = now() WHERE phone_number <= '14694652751'"
    )
    await api.rows(
        "UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, failure_code = 131042,"
        " failure_text = 'payment', failure_class = 'never', failed_at = now() WHERE phone_number = '14694652751'"
    )
    account.add(body("Hello {{last_name}}"), name="greeting", parameter_format="NAMED", category="UTILITY")
    path = f"{CAMPAIGNS}/{campaign}/resume"
    for retries, misfitting in ((False, 2), (True, 3)):
        refused = await api.http.post(path, json={"retry_failed": retries})
        assert (refused.status_code, refused.json()["code"]) == (409, "template_refused")
        assert "`campaigns resume --ignore-template`" in refused.json()["detail"]
        assert {each["type"] for each in refused.json()["errors"]} == {
            "template_not_marketing", "missing_parameter", "superfluous_parameter",
        }  # fmt: skip
        assert f"{misfitting} recipient(s), " in refused.json()["detail"]
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["status"] == "paused"
    insisted = (await api.http.post(path, params={"ignore_template": True})).json()
    assert (insisted["status"], insisted["template_check"]) == ("active", None)
    await api.act(campaign, "pause")
    account.add(body("Hi {{first_name}}"), name="greeting", parameter_format="NAMED", category="UTILITY")
    resumed = (await api.http.post(path)).json()
    assert (resumed["status"], resumed["template_check"]["compared"]) == ("active", 2)


async def test_a_fitting_campaign_is_activated_and_warnings_are_answered(api: Api) -> None:
    campaign = await api.campaign(template_name="greeting")
    await api.add(campaign, {"phone_number": ANA, "template_parameters": {"first_name": "Ana"}})
    activated = (await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")).json()
    assert activated["status"] == "active"
    checked = activated["template_check"]
    assert (checked["compared"], checked["misfitting"], checked["refuses"]) == (1, 0, False)
    assert [each["fault"] for each in checked["findings"]] == ["template_not_marketing"]


@pytest.mark.parametrize(
    ("template", "language", "fault"),
    [("paused", "de", "template_paused"), ("spring_offer", "fr", "template_language_missing")],
)
async def test_a_template_that_meta_does_not_send_refuses(api: Api, template: str, language: str, fault: str) -> None:
    campaign = await api.campaign(template_name=template, language_code=language)
    await api.add(campaign, ANA)
    refused = (await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")).json()
    assert (refused["code"], [each["type"] for each in refused["errors"]]) == ("template_refused", [fault])


async def test_what_a_simulator_does_not_list_is_a_warning(api: Api) -> None:
    campaign = await api.campaign(template_name="unlisted")
    await api.add(campaign, ANA)
    activated = (await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")).json()
    assert [each["fault"] for each in activated["template_check"]["findings"]] == ["template_not_found"]


async def test_templates_that_cannot_be_read_stop_no_activation(database_url: str) -> None:
    async with an_api(database_url, "127.0.0.1:1", "none-") as api:
        campaign = await api.campaign()
        await api.add(campaign, ANA)
        activated = (await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")).json()
        assert (activated["status"], activated["template_check"]["refuses"]) == ("active", False)
        assert [each["fault"] for each in activated["template_check"]["findings"]] == ["template_unreadable"]


async def test_a_check_that_takes_too_long_says_how_far_it_came(api: Api) -> None:
    campaign = await api.campaign(template_name="greeting")
    await api.add(campaign, {"phone_number": ANA, "template_parameters": {"first_name": "Ana"}})
    async with api.pool.connection() as connection:
        known = await campaigns.read(connection, UUID(campaign))
    services = api.services
    found = await check_template(api.pool.connection, api.settings, services.templates, known, compare_s=-1)
    assert [each.fault for each in found.findings] == ["template_not_marketing", "recipients_unchecked"]
    assert (found.compared, found.refuses) == (1, False)


async def test_a_file_is_imported_by_the_names_of_the_template(api: Api) -> None:
    campaign = await api.campaign(template_name="spring_offer")
    content = f"phone,1,Header,Button 1\n+{ANA},Ana,https://example.com/a.png,spring\n"
    done = await api.http.post(
        f"{CAMPAIGNS}/{campaign}/recipients/import", content=content, headers={"Content-Type": "text/csv"}
    )
    assert done.json()["parameter_columns"] == {"1": "1", "header": "Header", "button_1": "Button 1"}
    [[stored]] = await api.rows("SELECT template_parameters FROM campaign_recipients WHERE campaign_id = %s", campaign)
    assert stored == FITTING
    assert (await check(api, campaign))["refuses"] is False


async def test_the_marketing_endpoint_takes_marketing_templates_only(
    database_url: str, account: SimulatedAccount
) -> None:
    changed = {**account.settings, "whatsapp_endpoint": "marketing_messages"}
    async with an_api(database_url, "127.0.0.1:1", "none-", **changed) as api:
        campaign = await api.campaign(template_name="greeting")
        await api.add(campaign, {"phone_number": ANA, "template_parameters": {"first_name": "Ana"}})
        refused = (await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")).json()
        assert (refused["code"], [each["type"] for each in refused["errors"]]) == (
            "template_refused", ["template_not_marketing"],
        )  # fmt: skip
