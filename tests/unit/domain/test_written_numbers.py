"""The grammar of written numbers: one number with all its digits, or a refusal with its reason."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_values import JsonNumber
from domain.written_numbers import InvalidPhoneNumber, Written, clean, read, shown
from schemas.reasons import RecipientRefusal


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("+1 (469) 465-2751", "14694652751"),
        ("+1.469.465.2751", "14694652751"),
        ("+49 171/1234567", "491711234567"),
        ("+49 (0)171 1234567", "491711234567"),
        ("(+49) 171 1234567", "491711234567"),
        ("(0049) 171 1234567", "491711234567"),
        ("00 49 171 1234567", "491711234567"),
        ("+52 1 (55) 0000 1235", "5215500001235"),
        ("tel:+1-469-465-2751", "14694652751"),
        ("WhatsApp: +1 469 465 2751", "14694652751"),
        ("'+14694652751", "14694652751"),
        ('="14694652751"', "14694652751"),
        ('"14694652751"', "14694652751"),
        ("\u260e\ufe0f +14694652751", "14694652751"),
        ("14694652751,", "14694652751"),
        ("14694652751.0", "14694652751"),
        ("+14694652751.00", "14694652751"),
        ("14694652751,00", "14694652751"),
        (14694652751, "14694652751"),
        (14694652751.0, "14694652751"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (JsonNumber("14694652751"), "14694652751"),
        (JsonNumber("14694652751.0"), "14694652751"),
        (JsonNumber("1.4694652751E10"), "14694652751"),
        ("\u202a+1 469\u00a0465\u20112751\u202c", "14694652751"),
        ("\ufeff1469\u200b4652751", "14694652751"),
        ("1469\u00ad4652751", "14694652751"),
        ("\uff0b\uff11\uff14\uff16\uff19\uff14\uff16\uff15\uff12\uff17\uff15\uff11", "14694652751"),
        ("+\u0669\u0667\u0661\u0665\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0661", "971500000001"),
        ("971500000001+", "971500000001"),
        ("971500000001 +", "971500000001"),
        ("14,694,652,751", "14694652751"),
        ("14,694,652,751.00", "14694652751"),
        ("14.694.652.751,00", "14694652751"),
        ("14.694.652.751", "14694652751"),
        ("TEL;TYPE=CELL:+14694652751", "14694652751"),
        ("https://wa.me/14694652751?text=Hi", "14694652751"),
        ("https://api.whatsapp.com/send?phone=+14694652751&text=1", "14694652751"),
        ("14694652751@s.whatsapp.net", "14694652751"),
        ("14694652751@c.us", "14694652751"),
        ("+81\u30fc3\u30fc1234\u30fc5678", "81312345678"),
        ("+1 469 \u2013 465 \u2013 2751", "14694652751"),
        ("+1 469  465\t\n", "1469465"),
    ],
)
def test_all_digits_of_a_number_are_read_in_order(written: object, digits: str) -> None:
    assert read(written).digits == digits


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", RecipientRefusal.EMPTY),
        ("\u200b \ufeff'", RecipientRefusal.EMPTY),
        ("tel:", RecipientRefusal.EMPTY),
        ("1.46947E+10", RecipientRefusal.LOST_DIGITS),
        ("1,4E+10", RecipientRefusal.LOST_DIGITS),
        ("9e11", RecipientRefusal.LOST_DIGITS),
        ("##########", RecipientRefusal.LOST_DIGITS),
        (1.4e18, RecipientRefusal.LOST_DIGITS),
        (JsonNumber("1.46947E+10"), RecipientRefusal.LOST_DIGITS),
        (JsonNumber("1e400"), RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("14694652751\n14694652752", RecipientRefusal.SEVERAL_NUMBERS),
        ("14694652751; 14694652752", RecipientRefusal.SEVERAL_NUMBERS),
        ("14694652751 or 14694652752", RecipientRefusal.SEVERAL_NUMBERS),
        ("+14694652751+14694652752", RecipientRefusal.SEVERAL_NUMBERS),
        ("+1 469 465 2751 +1 469 465 2752", RecipientRefusal.SEVERAL_NUMBERS),
        ("+1 469 465 2751 x12", RecipientRefusal.EXTENSION),
        ("+1 469 465 2751 ext. 12", RecipientRefusal.EXTENSION),
        ("tel:+14694652751;ext=12", RecipientRefusal.EXTENSION),
        ("+14694652751,,12#", RecipientRefusal.EXTENSION),
        ("+49 171 0000001 (2)", RecipientRefusal.EXTENSION),
        ("1-800-FLOWERS", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("14694652751.5", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("4930 1234567.0", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("+49 171 12345678\u00b2", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("+1 469 465\u06002751\x00", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("+1 (469) (465) 2751", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("+1 469 465 (27) 51", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("+1--469", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("-14694652751", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("+", RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("()", RecipientRefusal.NOT_A_PHONE_NUMBER),
        (-14694652751, RecipientRefusal.NOT_A_PHONE_NUMBER),
        (0, RecipientRefusal.NOT_A_PHONE_NUMBER),
        (14694652751.5, RecipientRefusal.NOT_A_PHONE_NUMBER),
        (float("nan"), RecipientRefusal.NOT_A_PHONE_NUMBER),
        (float("inf"), RecipientRefusal.NOT_A_PHONE_NUMBER),
        (10**45, RecipientRefusal.NOT_A_PHONE_NUMBER),
        ("1" * 41, RecipientRefusal.TOO_LONG),
        ("\u200b" * 201, RecipientRefusal.TOO_LONG),
        (None, RecipientRefusal.NOT_A_STRING),
        (True, RecipientRefusal.NOT_A_STRING),
        (["14694652751"], RecipientRefusal.NOT_A_STRING),
    ],
)
def test_another_text_is_refused_with_its_reason(written: object, reason: RecipientRefusal) -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        read(written)
    assert refused.value.reason is reason


def test_the_form_of_a_number_is_kept() -> None:
    assert read("+49 (0)171 12") == Written(
        "4917112", is_international=True, has_trunk=True, bounds=((2, ""), (5, " "))
    )
    assert read("(469) 12").is_national
    assert read("0171").is_national
    assert not read("171").is_national


@given(st.text())
def test_cleaning_is_idempotent_and_leaves_nothing_invisible(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert not {unicodedata.category(each) for each in cleaned} & {"Cf", "Zs"} - {"Zs"}
    assert not any(unicodedata.category(each) == "Zs" and each != " " for each in cleaned)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NEAR = st.text(st.sampled_from(list("0123456789+()-./ ,;x'eE\n\u200b\u00a0\u0661\uff11\u2011")), max_size=45)


@given(st.one_of(JSON, NEAR))
def test_any_value_is_a_number_or_is_refused(written: object) -> None:
    try:
        found = read(written)
    except InvalidPhoneNumber:
        pass
    else:
        assert found.digits.isdecimal()
        assert found.digits.isascii()


@given(NEAR)
def test_no_digit_is_dropped_except_the_documented_ones(written: str) -> None:
    """Left out are at most 00 at the start, one (0), and the zeros of a decimal."""
    try:
        found = read(written)
    except InvalidPhoneNumber:
        return
    given_digits = "".join(str(unicodedata.decimal(each)) for each in written if unicodedata.category(each) == "Nd")
    without_exit = given_digits[2:] if found.is_international and given_digits.startswith("00") else given_digits
    candidates = {given_digits, without_exit}
    if found.has_trunk:
        candidates |= {
            each[:place] + each[place + 1 :]
            for each in candidates
            for place in (1, 2, 3)
            if each[place : place + 1] == "0"
        }
    whole = clean(written).replace(",", ".").rpartition(".")
    zeros = "".join(each for each in whole[2] if each.isdecimal())
    decimals = {each.removesuffix(zeros) for each in candidates} if zeros and not zeros.strip("0") else set()
    assert found.digits in candidates | decimals


def test_what_cannot_be_seen_is_shown_by_its_code() -> None:
    assert shown("\u202a+1 469\u00a0555\x00\ud83d\u3164") == "\\u202a+1 469\\u00a0555\\u0000\\ud83d\\u3164"
    assert shown("M\u00fcller \U0001f600") == "M\u00fcller \U0001f600"
    assert shown("\U000e0061") == "\\U000e0061"
    assert shown("C\uffff\U000f0000") == "C\\uffff\\U000f0000"


def test_a_refusal_has_the_text_of_its_reason() -> None:
    with pytest.raises(InvalidPhoneNumber, match=r"^empty$"):
        read("")


@given(st.text())
def test_a_shown_text_has_only_visible_characters_and_ascii_spaces(text: str) -> None:
    assert all(unicodedata.category(each)[0] not in "CZ" or each == " " for each in shown(text))


@pytest.mark.parametrize("text", ["X14694652751", "14694652751X", "'X14694652751", "+1469X4652751", "14694652751.X0"])
def test_a_letter_beside_a_number_is_not_left_out(text: str) -> None:
    with pytest.raises(InvalidPhoneNumber):
        read(text)
