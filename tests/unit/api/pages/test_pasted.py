"""Pasted lines become recipients as the API takes them."""

from hypothesis import given
from hypothesis import strategies as st

from api.pages.pasted import read_lines


def test_a_line_is_a_number_or_a_number_with_parameters() -> None:
    text = "+1 469 465 2751\n\n  14694652752 \r\n+49 171 1234567, Ana, 19.90\n+4917\tBea\n+4918;C;"
    assert read_lines(text) == [
        (1, "+1 469 465 2751"),
        (3, "14694652752"),
        (4, {"phone_number": "+49 171 1234567", "template_parameters": ["Ana", "19.90"]}),
        (5, {"phone_number": "+4917", "template_parameters": ["Bea"]}),
        (6, {"phone_number": "+4918", "template_parameters": ["C", ""]}),
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Zs", "Zl", "Zp", "Cs"]), min_size=1)))
def test_every_line_is_one_recipient_in_order(lines: list[str]) -> None:
    assert [place for place, _ in read_lines("\n".join(lines))] == list(range(1, len(lines) + 1))
