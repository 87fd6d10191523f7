"""The OpenAPI document describes every route with every answer, as a generated client needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.formats import COUNTRY_FORMAT, PERSON_FORMAT, ZONE_FORMAT
from api.problem_codes import PROBLEMS, ProblemCode
from tests.support.openapi import described_api

DOCUMENT = described_api()
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_has_an_id_of_a_verb_and_a_noun_and_a_description() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", each) for each in ids), ids
    assert all(operation.get("description") for _, _, operation in operations())


def test_every_error_is_a_problem_with_its_codes_and_an_example() -> None:
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) < 400 or path == "/ready":
                continue
            content = response["content"]
            assert list(content) == ["application/problem+json"], (method, path, status)
            assert content["application/problem+json"]["schema"] == PROBLEM
            assert content["application/problem+json"]["example"]["status"] == int(status)
            assert response["description"].startswith("`"), (method, path, status)


def test_every_code_is_declared_somewhere() -> None:
    text = str(DOCUMENT["paths"])
    assert {code for code in ProblemCode if f"`{code}`" not in text} == {ProblemCode.NOT_FOUND, ProblemCode.BAD_REQUEST}
    assert set(PROBLEMS) == set(ProblemCode)


@pytest.mark.parametrize(
    ("code", "operation_ids"),
    [
        ("empty_campaign", {"activate_campaign"}),
        ("template_refused", {"activate_campaign", "resume_campaign", "send_test"}),
        ("setting_not_editable", {"edit_campaign"}),
        ("unknown_recipient", {"remove_recipient", "preview_campaign", "send_test"}),
        ("recipient_released", {"remove_recipient"}),
        ("unknown_template", {"preview_template", "preview_campaign"}),
    ],
)
def test_a_code_of_some_operations_is_declared_there_alone(code: str, operation_ids: set[str]) -> None:
    declaring = {each["operationId"] for _, _, each in operations() if f"`{code}`" in str(each["responses"])}
    assert declaring == operation_ids


@pytest.mark.parametrize("code", ["request_in_progress", "idempotency_key_reused"])
def test_the_codes_of_idempotency_keys_are_declared_where_a_key_is_taken(code: str) -> None:
    taking = {
        operation["operationId"]
        for _, _, operation in operations()
        if any(each["name"].lower() == "idempotency-key" for each in operation.get("parameters", ()))
    }
    declaring = {each["operationId"] for _, _, each in operations() if f"`{code}`" in str(each["responses"])}
    assert declaring == taking
    assert {"create_campaign", "add_recipients"} <= taking
    assert "pause_campaign" not in taking


def test_only_a_change_of_a_campaign_is_refused_for_its_state() -> None:
    for path, method, operation in operations():
        is_change = "{campaign_id}" in path and method != "get"
        assert ("`wrong_state`" in str(operation["responses"])) == is_change, operation["operationId"]


@pytest.mark.parametrize("status", ["400", "415", "422"])
def test_every_operation_with_a_body_may_refuse_it(status: str) -> None:
    assert all(status in each["responses"] for _, _, each in operations() if "requestBody" in each)


def test_every_operation_on_a_campaign_may_answer_404() -> None:
    assert all("404" in each["responses"] for path, _, each in operations() if "{campaign_id}" in path)


def test_every_change_of_a_campaign_may_answer_409() -> None:
    changes = {
        operation["operationId"]: operation["responses"]
        for path, method, operation in operations()
        if "{campaign_id}" in path and method != "get"
    }
    assert "retry_campaign" in changes
    assert all("409" in responses for responses in changes.values())


def test_values_that_json_schema_cannot_describe_have_a_format() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["CampaignIn"]["properties"]["time_zone"]["format"] == ZONE_FORMAT
    assert COUNTRY_FORMAT in str(schemas["RecipientsIn"]["properties"]["country"])
    assert schemas["RetryIn"]["not"] == {"properties": {"codes": {"maxItems": 0}, "classes": {"maxItems": 0}}}
    paths = DOCUMENT["paths"]
    assert paths["/api/marketing/subscriptions/{phone}"]["get"]["parameters"][0]["schema"]["format"] == PERSON_FORMAT


def test_the_key_is_required_only_if_keys_are_set() -> None:
    assert DOCUMENT["security"] == [{"ApiKey": []}, {"Bearer": []}, {}]
    assert described_api("a-key")["security"] == [{"ApiKey": []}, {"Bearer": []}]
    assert DOCUMENT["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-Key"
    assert DOCUMENT["paths"]["/health"]["get"]["security"] == []


def test_reasons_and_codes_are_enumerations() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "parameter_gap" in schemas["ParameterRefusal"]["enum"]
    assert "several_numbers" in schemas["RecipientRefusal"]["enum"]
    assert "unknown_campaign" in schemas["ProblemCode"]["enum"]
    assert schemas["RecipientsIn"]["properties"]["phone_numbers"]["items"]["anyOf"] == [
        {"type": "string"}, {"type": "number"}, {"$ref": "#/components/schemas/RecipientIn"},
    ]  # fmt: skip


def test_every_field_and_parameter_is_described() -> None:
    bare = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, found in schema.get("properties", {}).items()
        if not found.get("description")
    ]
    bare += [
        f"{operation['operationId']}: {parameter['name']}"
        for _, _, operation in operations()
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert bare == []


def test_every_reference_has_a_target() -> None:
    targets = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(re.findall(r"#/components/schemas/\w+", str(DOCUMENT))) <= targets
