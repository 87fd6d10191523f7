"""The form of the settings sets and clears what the REST API can, and changes nothing that a person did not change."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api
from tests.support.page_forms import submit

OTHERS = {"time_zone": "America/Sao_Paulo", "country": "BR", "endpoint": "marketing_messages", "window_days": ["mon"],
          "window_from": "10:00", "window_to": "24:00", "window_zone": "recipient", "quiet_from": "22:00",
          "quiet_to": "07:30", "start_at": "2027-03-01T09:00+01:00", "stale_after_hours": "48", "canary": "no",
          "canary_percent": "2.5", "failure_limit_percent": "100", "frequency_capped": "no", "cap_wait_days": "0",
          "exclude_recipients": "read", "daily_send_limit": "1,500"}  # fmt: skip
STORED = {**OTHERS, "start_at": "2027-03-01T08:00:00Z", "stale_after_hours": 48, "canary": False,
          "canary_percent": 2.5, "failure_limit_percent": 100, "frequency_capped": False, "cap_wait_days": 0,
          "daily_send_limit": 1500}  # fmt: skip
CLEARED = {"country": "", "endpoint": "", "quiet_from": "", "quiet_to": "", "start_at": "", "stale_after_hours": "",
           "exclude_campaigns": "", "daily_send_limit": "", "phone_number_id": ""}  # fmt: skip
_INPUT = re.compile(r'<input id="([a-z_]+)" name="\1" value="([^"]*)"[^>]*?( disabled)?>')
_CHOSEN = re.compile(r'<select id="([a-z_]+)".*?<option value="([^"]*)" selected>', re.DOTALL)


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with an_api(database_url, "127.0.0.1:1", "none-") as found:
        yield found


async def read(api: Api, campaign: str) -> dict[str, Any]:
    return dict((await api.http.get(f"{CAMPAIGNS}/{campaign}")).json())


async def test_each_setting_is_set_and_cleared(api: Api) -> None:
    other = await api.campaign(name="Other, of June")
    shown = await api.http.get("/campaigns/new")
    new = {"name": "Ünï <b>", "template_name": "offer", "language_code": "pt_BR", "exclude_campaigns": "Other, of June"}
    created = await submit(api, shown, **new, **OTHERS)
    assert created.status_code == 303, created.text
    campaign = created.headers["location"].split("/")[2]
    found = await read(api, campaign)
    assert {name: found[name] for name in STORED} == STORED
    assert (found["name"], found["exclude_campaigns"]) == ("Ünï <b>", [other])

    form = await api.http.get(f"/campaigns/{campaign}/edit")
    assert 'value="mon" checked' in form.text
    assert 'value="tue" checked' not in form.text
    assert other in form.text
    values = {name: html.unescape(value) for name, value, _ in _INPUT.findall(form.text)}
    values |= dict(_CHOSEN.findall(form.text))
    assert (values["window_to"], values["window_zone"], values["canary"]) == ("24:00", "recipient", "no")
    same = {**values, "window_days": ["mon"], "exclude_campaigns": other}
    unchanged = await submit(api, form, **same)
    assert unchanged.status_code == 303
    assert await read(api, campaign) == found
    cleared = await submit(api, form, **{**same, **CLEARED})
    assert cleared.headers["location"] == f"/campaigns/{campaign}?done=edited", cleared.text
    after = await read(api, campaign)
    assert after["exclude_campaigns"] == []
    assert {after[name] for name in CLEARED if name not in ("exclude_campaigns", "phone_number_id")} == {None}
    assert after["phone_number_id"]


async def test_a_change_of_somebody_else_meanwhile_is_left_alone(api: Api) -> None:
    campaign = await api.campaign(daily_send_limit=5)
    form = await api.http.get(f"/campaigns/{campaign}/edit")
    await api.http.patch(f"{CAMPAIGNS}/{campaign}", json={"daily_send_limit": 9})
    assert (await submit(api, form, daily_send_limit="5", name="Renamed")).status_code == 303
    found = await read(api, campaign)
    assert (found["name"], found["daily_send_limit"]) == ("Renamed", 9)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"window_from": "noon"}, "window_from"),
        ({"window_from": ""}, "window_from"),
        ({"window_from": "23:00", "window_to": "01:00"}, "window_to"),
        ({"quiet_from": "13:00"}, "quiet_to"),
        ({"window_days": [], "window_from": "00:00"}, "window_days"),
        ({"time_zone": "Mars"}, "time_zone"),
        ({"country": "RU", "window_zone": "recipient", "window_from": "12:00", "window_to": "13:00"}, "window_to"),
        ({"start_at": "2027-03-01"}, "start_at"),
        ({"daily_send_limit": "0"}, "daily_send_limit"),
        ({"daily_send_limit": "9" * 5000}, "daily_send_limit"),
        ({"canary_percent": "nan"}, "canary_percent"),
        ({"canary": "perhaps"}, "canary"),
        ({"exclude_campaigns": "nobody"}, "exclude_campaigns"),
        ({"endpoint": "direct"}, "endpoint"),
    ],
)
async def test_a_wrong_value_is_named_at_its_field(api: Api, changed: dict[str, Any], field: str) -> None:
    campaign = await api.campaign()
    for path in ("/campaigns/new", f"/campaigns/{campaign}/edit"):
        if path == "/campaigns/new" and changed.get("window_from") == "":
            continue  # a new campaign then has the usual window
        needed = {"name": "x", "template_name": "t", "language_code": "en"}
        refused = await submit(api, await api.http.get(path), **{**needed, "window_days": ["mon"], **changed})
        assert (refused.status_code, f'id="{field}-error"' in refused.text) == (422, True), (path, refused.text)
    assert len((await api.http.get(CAMPAIGNS)).json()["campaigns"]) == 1


async def test_what_the_state_fixes_is_shown_and_cannot_change(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    await api.act(campaign, "activate")
    path = f"/campaigns/{campaign}/edit"
    form = await api.http.get(path)
    disabled = {name for name, _, fixed in _INPUT.findall(form.text) if fixed}
    assert disabled == {"template_name", "language_code", "phone_number_id", "time_zone"}
    assert (await submit(api, form, daily_send_limit="7", window_days="tue", window_from="00:00")).status_code == 303
    found = await read(api, campaign)
    assert (found["daily_send_limit"], found["window_days"]) == (7, ["tue"])
    forced = await submit(api, form, template_name="other")
    assert (forced.status_code, "cannot change while the campaign is active" in forced.text) == (409, True)
    await api.act(campaign, "cancel")
    assert (await submit(api, await api.http.get(path), name="Over")).status_code == 303
