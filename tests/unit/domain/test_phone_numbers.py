import pytest

from domain.phone_numbers import InvalidPhoneNumber, normalise


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
        ("15550001234", "15550001234"),
    ],
)
def test_every_notation_of_a_number_gives_its_digits(written: object, normal: str) -> None:
    assert normalise(written) == normal


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"),
        ("abc", "not_a_phone_number"),
        ("1-800-FLOWERS", "not_a_phone_number"),
        ("１４６９４６５２７５１", "not_a_phone_number"),
        ("123", "too_short"),
        ("1469465275", "too_short"),
        ("146946527511234", "too_long"),
        ("1" * 41, "too_long"),
        ("9991234567890", "unknown_country_code"),
        (None, "not_a_string"),
        (True, "not_a_string"),
        (["14694652751"], "not_a_string"),
        (-14694652751, "not_a_phone_number"),
        (10**45, "not_a_phone_number"),
    ],
)
def test_an_invalid_number_is_refused_with_a_reason(written: object, reason: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        normalise(written)
    assert refused.value.reason == reason


def test_normalised_numbers_do_not_change() -> None:
    assert normalise(normalise("+1 469 465 2751")) == "14694652751"
