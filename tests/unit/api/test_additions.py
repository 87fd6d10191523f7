"""Recipients as they are given become rows to add, refusals and repetitions: by number, by user id, and by both."""

from __future__ import annotations

from typing import Any

import pytest

from api.additions import judge
from schemas.reasons import RecipientRefusal
from tables.new_recipients import NewRecipient

NUMBER, USER = "14694652751", "US.13491208655302741918"


@pytest.mark.parametrize(
    ("given", "number", "user_id"),
    [
        ("+1 469 465 2751", NUMBER, None),
        (USER, None, USER),
        (f"user:{USER}", None, USER),
        ({"phone_number": USER}, None, USER),
        ({"user_id": USER}, None, USER),
        ({"user_id": f" {USER} ", "phone_number": ""}, None, USER),
        ({"user_id": USER, "phone_number": None}, None, USER),
        ({"user_id": USER, "phone_number": NUMBER}, NUMBER, USER),
        ({"user_id": "US.ENT.11815799212886844830"}, None, "US.ENT.11815799212886844830"),
    ],
)
def test_a_recipient_is_named_by_a_number_a_user_id_or_both(
    given: Any, number: str | None, user_id: str | None
) -> None:
    judged = judge([given], None)
    assert judged.people == {0: NewRecipient(number, None, user_id)}
    assert list(judged.countries.values()) == ["US"]


@pytest.mark.parametrize(
    "user_id", ["", "13491208655302741918", "us.1", "US.", "US.1 2", 7, ["US.1"], "US." + "9" * 129]
)
def test_another_text_is_no_user_id(user_id: Any) -> None:
    [refused] = judge([{"phone_number": NUMBER, "user_id": user_id}], None).refused
    assert (refused.field, refused.reason) == ("user_id", RecipientRefusal.NOT_A_USER_ID)


def test_a_recipient_without_a_name_is_refused() -> None:
    [refused] = judge([{"template_parameters": ["Ana"]}], None).refused
    assert refused.field == "phone_number"


def test_one_person_by_two_names_is_added_once() -> None:
    both = {"phone_number": NUMBER, "user_id": USER}
    judged = judge([both, USER, {"user_id": USER}, NUMBER, {"user_id": "DE.1"}], None)
    assert list(judged.people) == [0, 4]
    assert [(each.index, each.reason) for each in judged.repeated] == [
        (1, RecipientRefusal.SAME_PERSON), (2, RecipientRefusal.SAME_PERSON), (3, RecipientRefusal.REPEATED_IN_REQUEST),
    ]  # fmt: skip
