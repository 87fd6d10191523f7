"""Which numbers a report of Meta is about: the table, and its laws."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.number_reports import digits_of, meant, report_key

FIRST, SECOND, NEW = "106", "107", "108"
READ = {FIRST: "15550001", SECOND: "15550002"}
IDS = st.sampled_from([FIRST, SECOND, NEW])
DIGITS = st.sampled_from(["15550001", "15550002", "15550003"])
NUMBERS = st.dictionaries(IDS, st.none() | DIGITS)
KEYS = st.just("") | IDS | DIGITS.map(lambda digits: f"+{digits}")


@pytest.mark.parametrize(
    ("key", "numbers", "ids"),
    [
        ("", READ, {FIRST, SECOND}),
        (FIRST, READ, {FIRST}),
        ("+15550002", READ, {SECOND}),
        ("+15550009", READ, set()),
        ("109", READ, set()),
        ("+15550009", {**READ, NEW: None}, {NEW}),
        ("+15550001", {**READ, NEW: None}, {FIRST}),
        ("109", {NEW: None}, set()),
    ],
)
def test_which_numbers_a_report_is_about(key: str, numbers: Mapping[str, str | None], ids: set[str]) -> None:
    assert meant(key, numbers) == ids


@given(KEYS, NUMBERS)
def test_a_report_is_missed_only_if_every_number_is_known_to_be_another(
    key: str, numbers: Mapping[str, str | None]
) -> None:
    found = meant(key, numbers)
    assert found <= numbers.keys()
    others = {each for each, digits in numbers.items() if digits is not None and key not in ("", each, f"+{digits}")}
    assert not found & others
    if not found and key.startswith("+"):
        assert None not in numbers.values()


@pytest.mark.parametrize(
    ("number_id", "shown", "key"),
    [
        ("106", "15550001", "106"),
        (None, "+1 (555) 000-1", "+15550001"),
        (None, "15550001", "+15550001"),
        (None, None, ""),
        ("one", 7, ""),
        ("\u0662", "\u0662", ""),
        (None, "+" + "1" * 99, "+" + "1" * 20),
    ],
)
def test_the_key_of_a_report(number_id: object, shown: object, key: str) -> None:
    assert report_key(number_id, shown) == key


@given(st.text())
def test_digits_are_ascii_and_few(shown: str) -> None:
    found = digits_of(shown)
    assert found == "" or (found.isascii() and found.isdecimal() and len(found) <= 20)
