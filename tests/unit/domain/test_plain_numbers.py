"""The plain numbers: the fast way accepts nothing that the rules refuse or read otherwise."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from domain.people import person_of
from domain.phone_numbers import COUNTRIES, interpret
from domain.phone_plans import parsed
from domain.plain_numbers import plain_number, plain_region
from domain.written_numbers import InvalidPhoneNumber

EXAMPLES = sorted(
    (region, str(found.country_code), phonenumbers.national_significant_number(found))
    for region in COUNTRIES
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE)
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
)
"""A number of each country and kind."""
CUTS = st.lists(st.integers(1, 14), max_size=3)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str | None]:
    """A number near a real one, in a plain spelling, and a country."""
    region, code, national = draw(st.sampled_from(EXAMPLES))
    place, digit = draw(st.integers(0, len(national))), draw(st.sampled_from("0123456789"))
    other = national[:place] + digit + national[place + 1 :]
    changed = draw(st.sampled_from([national, national[:-1], national + "1", other, code + national, "0" + national]))
    text = draw(st.sampled_from(["+", "00", "", "0", "1"])) + draw(st.sampled_from([code, ""])) + changed
    for cut in sorted(draw(CUTS), reverse=True):
        text = f"{text[:cut]} {text[cut:]}"
    return text, draw(st.sampled_from([None, region, region, "DE", "US", "BR", "IN", "IT", "AR", "MX", "CA", "KZ"]))


def outcome(written: object, country: str | None) -> str | None:
    try:
        return interpret(written, country)
    except InvalidPhoneNumber:
        return None


@given(spellings())
def test_a_plain_number_is_what_the_rules_read(spelling: tuple[str, str | None]) -> None:
    text, country = spelling
    plain = plain_number(text, country)
    assert plain is None or plain[0] == outcome(text, country)


@given(spellings())
def test_the_region_of_a_written_number_is_that_of_its_digits(spelling: tuple[str, str | None]) -> None:
    found = plain_number(*spelling)
    assert found is None or found[1] == plain_region(found[0])


@given(spellings())
def test_the_region_of_a_plain_number_is_that_of_libphonenumber(spelling: tuple[str, str | None]) -> None:
    digits = "".join(each for each in spelling[0] if each.isdigit())
    region = plain_region(digits)
    if region is not None and person_of(digits) == digits:
        number = parsed(digits)
        assert number is not None
        assert phonenumbers.is_valid_number(number)
        assert phonenumbers.region_code_for_number(number) == region


@pytest.mark.parametrize(
    ("written", "country", "plain"),
    [
        ("+49 1512 3456789", None, "4915123456789"),
        ("004915123456789", None, "4915123456789"),
        ("4915123456789", None, "4915123456789"),
        ("0151 23456789", "DE", "4915123456789"),
        ("14695550142", None, "14695550142"),
        ("4695550142", "US", "14695550142"),
        ("+14165550142", None, "14165550142"),
        ("5511987654321", None, "5511987654321"),
        ("919876543210", None, "919876543210"),
        ("+447400123456", "DE", "447400123456"),
    ],
)
def test_the_numbers_of_most_lists_are_plain(written: str, country: str | None, plain: str) -> None:
    found = plain_number(written, country)
    assert found is not None
    assert found[0] == plain


@pytest.mark.parametrize(
    ("written", "country"),
    [
        (4915123456789, None), ("4915123456789.0", None), ("+49 (0) 151 23456789", None), ("+49 0151 23456789", None),
        ("0151 23456789", None), ("+39 06 12345678", None), ("+49 151 23456789 / 12", None), ("", None), ("+", "DE"),
        ("1" * 41, None), ("4915123456789", "DE"), ("4165550142", "CA"), ("٤٩١٥١٢٣٤٥٦٧٨٩", None),
    ],
)  # fmt: skip
def test_a_text_with_another_reading_is_left_to_the_rules(written: object, country: str | None) -> None:
    assert plain_number(written, country) is None
