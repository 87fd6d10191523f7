"""People: one key for every spelling of a number, and different keys for different people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.people import ALIASES, Alias, person_of, person_of_user

DIGITS = st.from_regex(r"\A[1-9][0-9]{6,14}\Z")
SPELLINGS = st.one_of([st.from_regex(rf"\A{alias.pattern.strip('^$')}\Z") for alias in ALIASES])


SPELLED: list[tuple[str, list[str]]] = [
    ("525500001234", ["5215500001234"]),
    ("5511900000001", ["551100000001"]),
    ("5561999887766", ["556199887766"]),
    ("541100000003", ["5491100000003", "54111500000003", "549111500000003"]),
    ("543510000004", ["5493510000004", "54351150000004", "549351150000004"]),
    ("542202123456", ["5492202123456", "54220215123456"]),
    ("2250707123456", ["22507123456"]),
    ("2250545000001", ["22545000001"]),
    ("2250141000001", ["22541000001"]),
    ("2290197123456", ["22997123456"]),
    ("24166123456", ["24106123456", "2416123456", "241066123456"]),
    ("24162123456", ["24102123456", "2412123456"]),
    ("24165123456", ["24105123456"]),
    ("24174123456", ["24104123456", "2414123456"]),
    ("24177123456", ["24107123456"]),
    ("23057123456", ["2307123456"]),
    ("237677123456", ["23777123456"]),
    ("201001234567", ["20101234567"]),
    ("201111234567", ["20111234567"]),
    ("201221234567", ["20121234567"]),
    ("201061234567", ["20161234567"]),
    ("201271234567", ["20171234567"]),
    ("201091234567", ["20191234567"]),
    ("201141234567", ["20141234567"]),
    ("201281234567", ["20181234567"]),
    ("84381234567", ["841681234567"]),
    ("84321234567", ["841621234567"]),
    ("84391234567", ["841691234567"]),
    ("84701234567", ["841201234567"]),
    ("84791234567", ["841211234567"]),
    ("84771234567", ["841221234567"]),
    ("84761234567", ["841261234567"]),
    ("84781234567", ["841281234567"]),
    ("84831234567", ["841231234567"]),
    ("84841234567", ["841241234567"]),
    ("84851234567", ["841251234567"]),
    ("84811234567", ["841271234567"]),
    ("84821234567", ["841291234567"]),
    ("84561234567", ["841861234567"]),
    ("84581234567", ["841881234567"]),
    ("84591234567", ["841991234567"]),
    ("576011234567", ["5711234567"]),
    ("593991234567", ["59391234567"]),
    ("970591234567", ["972591234567"]),
    ("97455123456", ["9745123456"]),
    ("995599123456", ["99599123456"]),
    ("68987723456", ["689723456"]),
    ("3780549885123", ["378885123"]),
]
"""The key of a person, and the other spellings of the number."""


@pytest.mark.parametrize(("key", "spellings"), SPELLED)
def test_every_spelling_of_a_number_is_the_same_person(key: str, spellings: list[str]) -> None:
    assert {person_of(each) for each in [key, *spellings]} == {key}


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: f"{alias.country} {alias.pattern[:20]}")
def test_each_alias_has_an_example(alias: Alias) -> None:
    assert [each for _, spellings in SPELLED for each in spellings if alias.apply(each) is not None]


def test_an_alias_is_a_whole_number_and_its_groups_stand_in_the_key() -> None:
    alias = Alias("XX", "", r"^9([0-9])([0-9]{2})$", r"9\10\2")
    assert [alias.apply(digits) for digits in ("9123", "91234", "8123", "9\u0661\u0662\u0663")] == [
        "91023",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("551133334444", "5511933334444"),  # a landline and a mobile number of Brazil
        ("14695550124", "14695550125"),
        ("525500001234", "525500001235"),
        ("972521234567", "970521234567"),
    ],
)
def test_different_numbers_are_different_people(one: str, other: str) -> None:
    assert person_of(one) != person_of(other)


@given(st.one_of(DIGITS, SPELLINGS))
def test_a_key_is_its_own_key_and_at_most_one_alias_leads_to_it(digits: str) -> None:
    assert person_of(person_of(digits)) == person_of(digits)
    assert sum(alias.apply(digits) is not None for alias in ALIASES) <= 1


@given(SPELLINGS)
def test_an_alias_changes_the_spelling_and_stays_digits(digits: str) -> None:
    assert person_of(digits) != digits
    assert person_of(digits).isdecimal()


@given(st.text())
def test_any_text_has_a_key(text: str) -> None:
    assert person_of(person_of(text)) == person_of(text)


@pytest.mark.parametrize("user_id", ["US.13491208655302741918", "BR.1502576394655843", "US.ENT.11815799212886844830"])
def test_a_user_id_is_a_person_that_no_phone_number_can_be(user_id: str) -> None:
    assert person_of_user(user_id) == f"user:{user_id}" == person_of_user(f"user:{user_id}")
    assert person_of(f"user:{user_id}") == f"user:{user_id}"


@pytest.mark.parametrize("text", ["", "14695550124", "us.1", "US.", "US.1 2", "USA.1", "US.1\n", f"US.{'1' * 129}"])
def test_other_texts_are_no_user_ids(text: str) -> None:
    assert person_of_user(text) is None
