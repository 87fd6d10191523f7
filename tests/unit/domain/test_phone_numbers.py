"""Numbers as they are dialled: with a country code, of a named country, and never a stranger's."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.people import person_of
from domain.phone_numbers import COUNTRIES, NamedPerson, PhoneNumber, country_of, normalise, person_named
from domain.written_numbers import InvalidPhoneNumber, clean
from schemas.reasons import RecipientRefusal


def refusal_of(written: object, country: str | None = None) -> str:
    with pytest.raises(InvalidPhoneNumber) as refused:
        normalise(written, country)
    return refused.value.reason.value


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("14694652751", "14694652751"),
        ("+1 (469) 465-2751", "14694652751"),
        ("0014694652751", "14694652751"),
        (14694652751, "14694652751"),
        (" +44 7911 123456 ", "447911123456"),
        ("+55 11 91234-5678", "5511912345678"),
        ("+39 06 698 1234", "39066981234"),
        ("+39 (0)6 698 12345", "390669812345"),
        ("+49 (0)171 1234567", "491711234567"),
        ("+15550001234", "15550001234"),  # possible and not assigned: Meta checks that
        ("919000000001.0", "919000000001"),
        ("491710000001.0", "491710000001"),
        ("971500000001.0", "971500000001"),
        ("573000000001.0", "573000000001"),
        (14695550124.0, "14695550124"),
        ("+52 1 55 0000 1235", "5215500001235"),
        ("5215500001234", "5215500001234"),
        ("551100000001", "551100000001"),
        ("54 11 15 0000-0003", "54111500000003"),
        ("+225 07 12 34 56", "22507123456"),
        ("+229 97 12 34 56", "22997123456"),
        ("+1 469 - 465 - 2751", "14694652751"),
        ("+49 89 1234-5678", "498912345678"),
    ],
)
def test_a_number_is_dialled_as_it_was_given(written: object, normal: str) -> None:
    assert normalise(written) == normal


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("123", "too_short"),
        ("1469465275", "too_short"),
        ("146946527511234", "too_long"),
        ("9991234567890", "unknown_country_code"),
        ("+9991234567890", "unknown_country_code"),
        ("15550001234", "country_code_missing"),
        ("4695550142", "country_code_missing"),
        ("9000000142", "country_code_missing"),
        ("(469) 555-0144", "country_code_missing"),
        ("0171 1234567", "country_code_missing"),
        ("82 12 34/82 12 34", "country_code_missing"),
        ("+49 0171 1234567", "trunk_prefix"),
        ("+90 0532 123 45 67", "trunk_prefix"),
        ("+1 (0)469 555 0144", "trunk_prefix"),
        ("+49 171 0000001/02", "several_numbers"),
        ("+49 171 0000001/0000002", "several_numbers"),
        ("14694652751 14694652752", "several_numbers"),
        ("+49 30 123456 030 123457", "several_numbers"),
        ("+49 89 000001 - 12", "extension"),
        ("+1 469 555 0143-12", "extension"),
        ("+49 89 123456-0", "extension"),
        ("+57 321 1234567 12", "too_long"),
        ("+57 321 1234567 00", "too_long"),
        ("+57 321 1234567.1", "extension"),
        ("+57 0 321 1234567", "trunk_prefix"),
        ("+39 0 02 1234 5678", "trunk_prefix"),
        ("+56(00)221233662", "trunk_prefix"),
        ("+39 (0) 312 345 8386", "trunk_prefix"),  # a landline with the 0, a mobile number without it
        ("+49 49 1512 3456789", "country_code_twice"),
        ("494915123456789", "country_code_twice"),
        ("+66 0066 882251996", "country_code_twice"),
        ("3788 583 201 1+", "not_a_phone_number"),  # +1 201 583 3788, in the order in which a screen shows it
        ("1. 4746614192", "not_a_phone_number"),
        ("4695550142+", "country_code_missing"),
        ("+49 89 000001 - 12345", "extension"),
        ("+49 89 000001 - 123456", "several_numbers"),
        ("+1 469 555 0143-123", "extension"),
        ("+1 469 555 0143-1234", "too_long"),
        ("+36 (0)1 235 7579", "trunk_prefix"),  # the trunk prefix of Hungary is 06
        ("+999 (0)123 4567", "trunk_prefix"),
        ("+4026111917", "wrong_length"),
        ("+4930123456789012", "too_long"),
        ("+800 (0)1234 5678", "trunk_prefix"),
        ("+49 01512/669", "trunk_prefix"),
        ("+676 20123/2232", "too_long"),
    ],
)
def test_an_invalid_number_is_refused_with_a_reason(written: object, reason: str) -> None:
    assert refusal_of(written) == reason


@pytest.mark.parametrize(
    ("written", "country", "normal"),
    [
        ("0171 1234567", "DE", "491711234567"),
        ("0171/1234567", "DE", "491711234567"),
        (1711234567, "DE", "491711234567"),
        (1711234567.0, "DE", "491711234567"),
        ("4917112345678", "DE", "4917112345678"),
        ("+1 469 555 0144", "DE", "14695550144"),
        ("(469) 555-0144", "US", "14695550144"),
        ("1 (469) 555-0144", "US", "14695550144"),
        ("4695550142", "US", "14695550142"),
        ("011 49 171 1234567", "US", "491711234567"),
        ("07700 900001", "GB", "447700900001"),
        ("8 (912) 345-67-89", "RU", "79123456789"),
        ("0 (532) 123 45 67", "TR", "905321234567"),
        ("098765 43210", "IN", "919876543210"),
        ("919876543210", "IN", "919876543210"),
        ("06 1234567", "IT", "39061234567"),
        ("393331234567", "IT", "393331234567"),
        ("11 91234-5678", "BR", "5511912345678"),
        ("0 21 11 91234-5678", "BR", "5511912345678"),
        ("011 15-1234-5678", "AR", "5491112345678"),
        ("1 55 1234 5678", "MX", "5215512345678"),
        ("97 12 34 56", "BJ", "22997123456"),
        ("49301234567", "DE", "49301234567"),
        ("03012345678901", "DE", "493012345678901"),
        ("468125433", "SE", "46468125433"),  # 046 is the area of Lund, and +46 8 125433 is as probable
        ("80955863", "BJ", "22980955863"),  # the old form of a number that is not assigned
        ("8222123 22123451", "KR", "822212322123451"),
    ],
)
def test_without_plus_a_number_is_one_of_the_named_country(written: object, country: str, normal: str) -> None:
    assert normalise(written, country) == normal


@pytest.mark.parametrize(
    ("written", "country", "reason"),
    [
        ("0171 1234567/0172 1234568", "DE", "several_numbers"),
        ("0171 1234567/68", "DE", "several_numbers"),
        ("919876543210", "US", "country_code_missing"),
        ("555 0142", "US", "country_code_missing"),
        ("0", "DE", "too_short"),
        ("030 12345 030 12346", "DE", "several_numbers"),
        ("0301234567890123456", "DE", "too_long"),
        ("030123456789012345", "DE", "too_long"),
        ("000171 1234567", "DE", "not_a_phone_number"),
        ("1" * 20, "DE", "too_long"),
        ("(0)01512 3456789", "DE", "trunk_prefix"),  # 00 and 1 would be a number of the United States
        ("0 06 10 34 82 88", "FR", "trunk_prefix"),
        ("0 4915123456789", "DE", "country_code_twice"),
        ("1201914177", "US", "country_code_missing"),  # 12019141777 without its last digit
        ("0321 123 4567 12", "CO", "trunk_prefix"),
        ("151234/56789", "DE", "several_numbers"),
        ("0664123/456", "AT", "several_numbers"),
        ("01 58800 01 58800", "AT", "several_numbers"),
        ("021234/5678 - 263", "IT", "several_numbers"),
        ("8373360-083701", "ER", "too_long"),
        ("866123456", "MO", "too_long"),
        ("030123456789012", "DE", "too_long"),
        ("26111917", "RO", "wrong_length"),
        ("(62) 812345678", "ID", "country_code_twice"),  # digits in parentheses are an area
        ("67210761", "NF", "not_a_phone_number"),
        ("030 123456 - 12", "DE", "extension"),
    ],
)
def test_a_number_that_is_not_one_of_the_named_country_is_refused(written: object, country: str, reason: str) -> None:
    assert refusal_of(written, country) == reason


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("14695550144", "US"),
        ("16045550144", "CA"),
        ("5215500001234", "MX"),
        ("15550001234", "US"),
        ("80012345678", "001"),
        ("99912345678", "ZZ"),
    ],
)
def test_a_number_has_a_country(number: str, country: str) -> None:
    assert country_of(PhoneNumber(number)) == country


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("+1 469 465 2751", NamedPerson(person_of("14694652751"))),
        ("5215500001234", NamedPerson(person_of("525500001234"))),
        ("US.13491208655302741918", NamedPerson(person_of("user:US.13491208655302741918"))),
        ("521550000123", NamedPerson(person_of("521550000123"), RecipientRefusal.COUNTRY_CODE_MISSING)),
        ("+52155000012345", NamedPerson(person_of("52155000012345"), RecipientRefusal.TOO_LONG)),
        ("4695550142", NamedPerson(person_of("4695550142"), RecipientRefusal.COUNTRY_CODE_MISSING)),
        ("+49 0171 1234567", NamedPerson(person_of("491711234567"), RecipientRefusal.TRUNK_PREFIX)),
        ("+49 89 000001 - 12", NamedPerson(person_of("4989000001"), RecipientRefusal.EXTENSION)),
        ("+1 469 555 0143 x12", NamedPerson(person_of("14695550143"), RecipientRefusal.EXTENSION)),
        ("1", NamedPerson(person_of("1"), RecipientRefusal.TOO_SHORT)),
        ("820331234561", NamedPerson(person_of("820331234561"), RecipientRefusal.COUNTRY_CODE_MISSING)),
    ],
)
def test_an_odd_number_names_a_person_too(text: str, named: NamedPerson) -> None:
    assert person_named(text) == named


@pytest.mark.parametrize(
    ("text", "country", "named"),
    [
        ("(0)01512 3456789", "DE", NamedPerson(person_of("4915123456789"), RecipientRefusal.TRUNK_PREFIX)),
        ("0 4915123456789", "DE", NamedPerson(person_of("4915123456789"), RecipientRefusal.COUNTRY_CODE_TWICE)),
        ("+49 49 1512 3456789", None, NamedPerson(person_of("4915123456789"), RecipientRefusal.COUNTRY_CODE_TWICE)),
        ("+57 0 321 1234567", None, NamedPerson(person_of("573211234567"), RecipientRefusal.TRUNK_PREFIX)),
        ("555 0142", "US", NamedPerson(person_of("5550142"), RecipientRefusal.COUNTRY_CODE_MISSING)),
    ],
)
def test_a_damaged_number_names_the_person_who_was_meant(text: str, country: str | None, named: NamedPerson) -> None:
    assert person_named(text, country) == named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("0171 1234567", NamedPerson(person_of("491711234567"))),
        ("+1 469 465 2751", NamedPerson(person_of("14694652751"))),
        ("030 123456 - 12", NamedPerson(person_of("4930123456"), RecipientRefusal.EXTENSION)),
        ("0", NamedPerson(person_of("0"), RecipientRefusal.TOO_SHORT)),
    ],
)
def test_a_national_number_names_a_person_of_its_country(text: str, named: NamedPerson) -> None:
    assert person_named(text, "DE") == named


@pytest.mark.parametrize(
    ("written", "country", "main"),
    [
        ("+49 89 000001 - 12", None, "+4989000001"),
        ("+1 469 555 0143-12", None, "+14695550143"),
        ("030 123456 - 12", "DE", "030123456"),
        ("+49 171 0000001/02", None, ""),
        ("123", None, ""),
    ],
)
def test_a_refusal_of_an_extension_names_the_number_before_it(written: str, country: str | None, main: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        normalise(written, country)
    assert refused.value.main == main


@pytest.mark.parametrize("text", ["", "abc", "1.4E+10", "14694652751, 14694652752", "+49 171 0000001/02", "1" * 41])
def test_a_text_that_names_nobody_or_two_people_names_no_person(text: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        person_named(text)
    assert refused.value.reason.value == refusal_of(text)


# ----------------------------------------------------------------------------------------------------------------- laws

COUNTRY = st.none() | st.sampled_from(sorted(COUNTRIES))
NEAR = st.text(st.sampled_from(list("0123456789+()-./ ,;xe\n\u00a0\u0661")), max_size=25)
EXAMPLES = sorted(
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
    for region in COUNTRIES
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    if (number := phonenumbers.example_number_for_type(region, kind))
)
"""A valid mobile number and a valid landline of every country that has them."""


@given(st.one_of(NEAR, st.text(), st.integers(), st.floats()), COUNTRY)
def test_any_value_is_a_number_or_is_refused(written: object, country: str | None) -> None:
    try:
        number = normalise(written, country)
    except InvalidPhoneNumber:
        return
    assert number.isascii()
    assert number.isdecimal()
    assert 7 <= len(number) <= 15
    assert normalise(f"+{number}") == number
    assert country_of(number) in COUNTRIES | {"001"}


@given(NEAR)
def test_every_digit_of_an_accepted_number_is_one_of_the_text_in_order(written: str) -> None:
    """At most 00 at the start, one (0), and a decimal's zeros are left out, and none is added."""
    try:
        number = normalise(written)
    except InvalidPhoneNumber:
        return
    digits = iter(each for each in clean(written) if each.isdecimal())
    assert all(digit in digits for digit in number)


@given(NEAR, COUNTRY)
def test_any_text_names_a_person_or_is_refused(text: str, country: str | None) -> None:
    try:
        named = person_named(text, country)
    except InvalidPhoneNumber:
        pass
    else:
        assert person_of(named.person) == named.person
        assert named.person


@pytest.mark.parametrize("number", EXAMPLES)
def test_a_valid_number_is_read_with_and_without_plus_and_in_its_own_country(number: str) -> None:
    parsed = phonenumbers.parse(f"+{number}")
    assert normalise(f"+{number}") == number
    assert normalise(number) == number
    assert normalise(float(number)) == number
    assert normalise(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)) == number
    region = phonenumbers.region_code_for_number(parsed)
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    assert person_of(normalise(national, region)) == person_of(number)


DAMAGES = [
    "+{0} 12", "+{0}.1", "+{0} 00", "+{0} - 12", "{0} 0", "00{0} 1", "+{0}-1", "1. {0}", "0 {1}", "(0){1}", "(0)0{1}",
    "0 0{1}", "+{2}{0}", "+{2} 0{1}", "+{2}(00){1}", "+{2} 00{0}", "0{0}", "{2}{0}", "000{0}", "{1}+", "{0}.5",
    "{0}\u00b2", "{0} 1/2",
]  # fmt: skip


@given(st.sampled_from(EXAMPLES), st.sampled_from(DAMAGES), st.booleans())
def test_a_damaged_number_is_refused_unless_the_damage_made_a_valid_one(
    number: str, damage: str, is_country_named: bool
) -> None:
    """A text of which no valid number can be made is refused. Nobody can see that a valid one was meant otherwise."""
    parsed = phonenumbers.parse(f"+{number}")
    national = phonenumbers.national_significant_number(parsed)
    written = damage.format(number, national, parsed.country_code)
    region = phonenumbers.region_code_for_number(parsed) if is_country_named else None
    try:
        dialled = normalise(written, region)
    except InvalidPhoneNumber:
        return
    same = person_of(dialled) == person_of(number)
    assert same or any(
        phonenumbers.is_valid_number(phonenumbers.parse(f"+{each}")) for each in (dialled, person_of(dialled))
    )


@given(
    st.sampled_from(EXAMPLES), st.sampled_from(EXAMPLES), COUNTRY,
    st.sampled_from(["", " ", "/", " / ", ", ", ";", "\n", "-", " - ", " or ", " +", "/+", "|", " (", "."]),
)  # fmt: skip
def test_a_text_of_two_numbers_is_refused(one: str, other: str, country: str | None, between: str) -> None:
    assume(len(one) + len(other) > 15)
    with pytest.raises(InvalidPhoneNumber):
        normalise(f"+{one}{between}{other}", country)
