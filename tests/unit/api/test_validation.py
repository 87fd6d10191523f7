"""The words for wrong fields say what is wrong, what the limit is, and which name may have been meant."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from api.bodies import CampaignIn, CampaignPatch, CloneIn, PauseIn, RecipientsIn, ResumeIn, RetryIn, SubscriptionIn
from api.validation import HINTS, did_you_mean, field_errors, field_path, known_fields
from domain.json_values import JsonNumber

CAMPAIGN: dict[str, Any] = {"name": "x", "template_name": "y", "language_code": "en"}


def messages(model: type[BaseModel], value: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(value)
    found = [{**each, "loc": ("body", *each["loc"])} for each in refused.value.errors()]
    return {each["field"]: each["message"] for each in field_errors(found, known_fields(model))}


def test_an_unknown_field_gets_the_closest_name() -> None:
    assert messages(CampaignIn, CAMPAIGN | {"daily_limit": 3}) == {
        "daily_limit": "There is no field of this name. Did you mean daily_send_limit? Known fields: "
        "block_limit_percent, canary, canary_max, canary_min, canary_percent, canary_wait_minutes, cap_wait_days, "
        "country, daily_send_limit, endpoint, exclude_campaigns, exclude_recipients, failure_limit_percent, "
        "frequency_capped, language_code, name, opt_out_limit_percent, phone_number_id, quiet_from, quiet_to, "
        "stale_after_hours, start_at, "
        "template_name, time_zone, unknown_limit_percent, window_days, window_from, window_to, window_zone."
    }
    assert did_you_mean("phone", ["phone_number", "template_parameters"]) == " Did you mean phone_number?"
    assert did_you_mean("zzz", ["phone_number"]) == ""


def test_a_missing_field_is_named_with_what_belongs_there() -> None:
    found = messages(CampaignIn, {"name": "x", "language_code": "en"})
    assert found == {
        "template_name": "This field is required. "
        "Write the name of the template: letters, digits and underscores, up to 512 characters."
    }


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("daily_send_limit", "250", "a whole number from 1"),
        ("daily_send_limit", 0, "a whole number from 1"),
        ("language_code", "english", "such as en or en_US"),
        ("time_zone", "Mars/Olympus", "IANA"),
        ("daily_send_limit", 250.5, "a whole number from 1"),
        ("daily_send_limit", float("inf"), "a whole number from 1"),
        ("daily_send_limit", True, "a whole number from 1"),
        ("country", "Germany", "ISO 3166"),
        ("phone_number_id", "+1 555", "up to 64 digits"),
        ("name", " ", "not only white space"),
        ("name", "\x85\u3000", "not only white space"),
        ("name", "Spring\0Sale", "not only white space"),
    ],
)
def test_a_wrong_value_gets_a_sentence_about_what_to_write(field: str, value: object, words: str) -> None:
    assert words in messages(CampaignIn, CAMPAIGN | {field: value})[field]


@pytest.mark.parametrize("body", [CampaignPatch, CloneIn, PauseIn, ResumeIn, SubscriptionIn])
@pytest.mark.parametrize("value", [JsonNumber("10.0"), 10.0, 10, "10", [], True])
def test_a_value_that_is_no_object_is_refused_as_a_body(body: type[BaseModel], value: object) -> None:
    """FastAPI validates with `from_attributes`, so an instance of a class of ours could pass as an empty object."""
    with pytest.raises(ValidationError, match="valid dictionary or object"):
        body.model_validate(value, from_attributes=True)


def test_a_whole_number_may_have_a_fraction_of_zero_as_json_allows() -> None:
    assert CampaignIn.model_validate(CAMPAIGN | {"daily_send_limit": 250.0}).daily_send_limit == 250
    retry = RetryIn.model_validate({"codes": [JsonNumber("131042.0"), 131026]})
    assert retry.codes == [131042, 131026]
    assert all(type(code) is int for code in retry.codes)
    assert messages(RetryIn, {"codes": [131042.5]}) == {"codes.0": HINTS["codes"]}


def test_a_list_that_is_too_long_names_both_numbers() -> None:
    found = messages(RecipientsIn, {"phone_numbers": ["1"] * 10_001})
    assert found["phone_numbers"].startswith("The list has 10,001 items. At most 10,000 are possible in one request")
    assert messages(RecipientsIn, {"phone_numbers": []})["phone_numbers"].startswith("The list is empty.")
    assert messages(RecipientsIn, {"phone_numbers": "1"})["phone_numbers"].startswith("Write a list here")


def test_a_bound_without_a_range_in_its_hint_is_named() -> None:
    assert limit_fault(0) == "Write a number of at least 1."
    assert limit_fault(5000) == "At most 1,000 is possible."
    assert messages(CampaignIn, CAMPAIGN | {"daily_send_limit": 0})["daily_send_limit"] == HINTS["daily_send_limit"]


def limit_fault(given: int) -> str:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[int, Field(ge=1, le=1000)]).validate_python(given)
    return field_errors([{**refused.value.errors()[0], "loc": ("query", "limit")}], ())[0]["message"]


def test_a_path_is_written_as_the_client_knows_it() -> None:
    assert field_path(("body", "phone_numbers", 3)) == "phone_numbers.3"
    assert field_path(("query", "limit")) == "limit"
    assert field_path(("header", "idempotency-key")) == "Idempotency-Key"
    assert field_path(("body",)) == "body"
