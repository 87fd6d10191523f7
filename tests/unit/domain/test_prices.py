"""The price of a message: closed words, and the newest attempt first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.prices import CATEGORIES, OTHER, Charge, price_of, with_attempt
from tests.support.histories import PRICINGS


@pytest.mark.parametrize(
    ("pricing_type", "category", "price"),
    [
        ("regular", "marketing", "01 marketing/billable"),
        ("", "marketing_lite", "01 marketing_lite/billable"),
        ("free", "marketing_lite", "01 marketing_lite/free"),
        ("free_customer_service", "service", "01 service/free_customer_service"),
        ("free_entry_point", "utility", "01 utility/free_entry_point"),
        ("a new type", "a new category", "01 other/billable"),
        ("regular", "authentication-international", "01 authentication-international/billable"),
    ],
)
def test_words_of_whatsapp_become_closed_words(pricing_type: str, category: str, price: str) -> None:
    assert price_of(1, pricing_type, category) == price


@given(st.integers(1, 62), st.text(), st.text())
def test_a_price_has_an_attempt_a_category_and_a_charge_of_the_lists(attempt: int, word: str, category: str) -> None:
    found, _, key = price_of(attempt, word, category).partition(" ")
    known, _, charge = key.partition("/")
    assert (int(found), len(found)) == (attempt, 2)
    assert known in (*CATEGORIES, OTHER)
    assert charge in set(Charge)


words = st.sampled_from([each for each in PRICINGS if each is not None])


@given(st.integers(1, 62), st.integers(1, 62), words, words)
def test_the_newer_attempt_is_the_greater_text(older: int, newer: int, one: object, other: object) -> None:
    prices = [price_of(n, p.type, p.category) for n, p in ((older, one), (newer, other))]  # type: ignore[attr-defined]
    if older != newer:
        assert max(prices) == prices[older < newer]
    assert with_attempt(prices[0], newer) == price_of(newer, one.type, one.category)  # type: ignore[attr-defined]
