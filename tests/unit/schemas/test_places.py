"""A place has one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.places import Place

PLACES = st.builds(
    Place,
    st.from_regex(r"\A[a-z][a-z0-9._-]{0,20}\Z"),
    st.integers(0, 999),
    st.integers(0, 2**40),
    st.none() | st.integers(0, 500),
)


@given(PLACES)
def test_a_place_is_read_back_from_its_spelling(place: Place) -> None:
    assert Place.parse(str(place)) == place


def test_a_place_has_one_spelling() -> None:
    assert str(Place("webhooks.raw", 3, 41, 2)) == "webhooks.raw/3@41[2]"
    assert str(Place("webhooks.raw.dead", 0, 17)) == "webhooks.raw.dead/0@17"


@pytest.mark.parametrize(
    "text", ["", "t", "t/0", "t/0@", "t/0@1.2", "t/0@1[", "t/0@1[x]", "t/x@1", "t/0@-1", "a b/0@1"]
)
def test_other_texts_are_not_places(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        Place.parse(text)
