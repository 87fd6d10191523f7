"""A search means a person, a range of numbers or user ids, or one recipient."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.people import PersonKey
from domain.recipient_search import RecipientSearch, TextRange, following, read_search
from domain.written_numbers import InvalidPhoneNumber

ID = "0199b8f0-7876-71ed-8c78-0e23f570b0b5"


@pytest.mark.parametrize(
    ("text", "country", "numbers"),
    [
        ("+49 151", None, TextRange("49151", "49152")),
        ("0049151", None, TextRange("49151", "49152")),
        ("(469) 46", None, TextRange("46946", "46947")),
        ("0151 2", "DE", TextRange("491512", "491513")),
        ("0151 2", None, TextRange("01512", "01513")),
        ("+1 999", None, TextRange("1999", "2")),
        ("9", None, TextRange("9", None)),
    ],
)
def test_the_beginning_of_a_number_is_a_range(text: str, country: str | None, numbers: TextRange) -> None:
    assert read_search(text, country).numbers == numbers


def test_a_whole_number_names_its_person_too() -> None:
    assert read_search("+1 (469) 465-2751") == RecipientSearch(
        person=read_search("14694652751").person, numbers=TextRange("14694652751", "14694652752")
    )
    assert read_search("+1 (469) 465-2751").person == "14694652751"


def test_ids_are_recognised() -> None:
    assert read_search(ID) == RecipientSearch(recipient_id=UUID(ID))
    assert read_search("user:US.13491208") == RecipientSearch(
        person=PersonKey("user:US.13491208"), user_ids=TextRange("US.13491208", "US.13491209")
    )
    assert read_search("US.ENT.1a") == RecipientSearch(
        person=PersonKey("user:US.ENT.1a"), user_ids=TextRange("US.ENT.1a", "US.ENT.1b")
    )


@pytest.mark.parametrize("text", ["nobody", "<b>", "us.123", "+1 469 465 2751 ext. 7x"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidPhoneNumber):
        read_search(text)


DIGITS = st.text("0123456789", max_size=6)


@given(st.text("0123456789", min_size=1, max_size=4), DIGITS)
def test_a_range_has_exactly_the_texts_that_begin_with_its_start(start: str, other: str) -> None:
    end = following(start)
    assert (start <= other and (end is None or other < end)) == other.startswith(start)
