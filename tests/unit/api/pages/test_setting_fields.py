"""A setting in a form: every setting has a field, and its text becomes the value that a program would send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from api.bodies import CampaignIn, CampaignPatch
from api.pages.setting_fields import FIELDS, sections_with, text_of, texts_in, texts_of, value_of
from domain.editing import SETTINGS
from tables.campaigns import NewCampaign

FULL = NewCampaign(
    "Sale", "offer", "pt_BR", 1500, "106", "America/Sao_Paulo", "BR", ("mon", "sun"), "09:00", "24:00", "recipient",
    "13:00", "14:00", datetime(2027, 3, 1, 9, 0, 30, tzinfo=UTC), 48, False, 0.01, 20, 200, 30, 100.0, 12.5, 0.0, 33.0,
    False, 0, (UUID(int=1), UUID(int=2)), "read", "marketing_messages",
)  # fmt: skip
EMPTY = NewCampaign("Sale", "offer", "en", None, "106", "UTC", stale_after_hours=None)


def test_every_setting_of_the_rest_api_has_a_field() -> None:
    assert FIELDS.keys() == SETTINGS == CampaignIn.model_fields.keys() == CampaignPatch.model_fields.keys()


@pytest.mark.parametrize("settings", [FULL, EMPTY])
def test_what_a_form_shows_is_what_it_sends(settings: NewCampaign) -> None:
    texts = texts_of(settings)
    form = {name: [text] for name, text in texts.items()} | {"window_days": texts["window_days"].split(",")}
    assert texts_in(form) == texts
    body = CampaignPatch.model_validate({name: value_of(name, text) for name, text in texts.items()}).model_dump()
    body["exclude_campaigns"] = tuple(map(UUID, body["exclude_campaigns"]))
    assert body == {name: getattr(settings, name) for name in NewCampaign.__slots__}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("daily_send_limit", "1,500", 1500),
        ("daily_send_limit", "", None),
        ("daily_send_limit", "many", "many"),
        ("daily_send_limit", "9" * 5000, "9" * 5000),
        ("daily_send_limit", "٣", "٣"),
        ("canary_percent", "2.5", 2.5),
        ("canary_percent", "nan", "nan"),
        ("canary_percent", "1_0", "1_0"),
        ("country", "de", "DE"),
        ("endpoint", "", None),
        ("canary", "yes", True),
        ("canary", "perhaps", "perhaps"),
        ("exclude_campaigns", " Sale, 2026 \r\n\r\nOther", ["Sale, 2026", "Other"]),
        ("window_days", "", []),
    ],
)
def test_a_text_becomes_a_value_or_stays_as_it_is(name: str, text: str, value: Any) -> None:
    assert value_of(name, text) == value


def test_a_form_without_a_checked_day_names_none_and_one_without_a_window_says_nothing() -> None:
    assert texts_in({"window_from": ["09:00"]}) == {"window_from": "09:00", "window_days": ""}
    assert texts_in({"name": [" Sale "], "form_token": ["x"]}) == {"name": "Sale"}
    assert text_of(()) == ""


def test_the_numbers_of_the_settings_can_be_chosen() -> None:
    def number(numbers: list[str], default: str) -> Any:
        sections = sections_with(numbers, default)
        return next(each for section in sections for each in section.fields if each.name == "phone_number_id")

    assert number(["1", "2"], "2").options == (("1", "1"), ("2", "2 (usual)"))
    assert (number([], "2").options, number([], "2").is_required, number([], "").is_required) == ((), False, True)
    assert "2 sends" in number([], "2").hint
