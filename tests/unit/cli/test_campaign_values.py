"""The options that decide when a campaign sends, as settings of the REST API."""

from __future__ import annotations

from typing import Any

import pytest

from api.bodies import CampaignIn, CampaignPatch
from cli.campaign_values import OPTIONS, canary_settings, clearable, exclusion_settings, frequency_settings, timing
from domain.editing import SETTINGS


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {}),
        ({"days": "Mon, tue"}, {"window_days": ["mon", "tue"]}),
        ({"window": "09:00-20:00"}, {"window_from": "09:00", "window_to": "20:00"}),
        ({"window": "09:00"}, {"window_from": "09:00", "window_to": ""}),
        ({"window_zone": "recipient"}, {"window_zone": "recipient"}),
        ({"quiet": "13:00 - 14:00"}, {"quiet_from": "13:00", "quiet_to": "14:00"}),
        ({"quiet": "none"}, {"quiet_from": None, "quiet_to": None}),
        ({"start_at": "2027-03-01T09:00Z"}, {"start_at": "2027-03-01T09:00Z"}),
        ({"start_at": "none"}, {"start_at": None}),
        ({"stale_after": "48"}, {"stale_after_hours": 48}),
        ({"stale_after": "none"}, {"stale_after_hours": None}),
        ({"stale_after": "soon"}, {"stale_after_hours": "soon"}),
    ],
)
def test_an_option_sets_its_settings_and_no_others(options: dict[str, str], settings: dict[str, Any]) -> None:
    names = ("days", "window", "window_zone", "quiet", "start_at", "stale_after")
    assert timing(*(options.get(name) for name in names)) == settings


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {}),
        ({"percent": "2.5"}, {"canary": True, "canary_percent": 2.5}),
        ({"percent": "none"}, {"canary": False}),
        ({"percent": "some"}, {"canary": True, "canary_percent": "some"}),
        ({"least": 20, "most": 200, "wait": 30}, {"canary_min": 20, "canary_max": 200, "canary_wait_minutes": 30}),
    ],
)
def test_an_option_of_the_canary_sets_its_settings(options: dict[str, Any], settings: dict[str, Any]) -> None:
    given = [options.get(name) for name in ("percent", "least", "most", "wait")]
    assert canary_settings(*given, limits={"failure_limit_percent": None}) == settings
    limits = {"failure_limit_percent": 30.0, "opt_out_limit_percent": None}
    assert canary_settings(*given, limits=limits) == {**settings, "failure_limit_percent": 30.0}


def test_an_option_of_the_frequency_cap_sets_its_setting() -> None:
    assert frequency_settings(None, None) == {}
    assert frequency_settings(False, 0) == {"frequency_capped": False, "cap_wait_days": 0}
    assert frequency_settings(True, None) == {"frequency_capped": True}


def test_none_clears_a_setting_and_a_missing_option_sets_none() -> None:
    given = {"phone_number_id": "none", "country": None, "endpoint": "messages"}
    assert clearable(given) == {"phone_number_id": None, "endpoint": "messages"}


def test_every_setting_has_an_option() -> None:
    assert OPTIONS.keys() == SETTINGS == CampaignIn.model_fields.keys() == CampaignPatch.model_fields.keys()


def test_an_option_of_exclusions_sets_its_setting() -> None:
    assert exclusion_settings(None, None) == exclusion_settings([], None) == {}
    assert exclusion_settings(["none"], "read") == {"exclude_campaigns": [], "exclude_recipients": "read"}
    assert exclusion_settings(["Sale", "3f9a"], None) == {"exclude_campaigns": ["Sale", "3f9a"]}
