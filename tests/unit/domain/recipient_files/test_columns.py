"""The columns of a file: by name, by header, by content, and never a guess between two."""

from __future__ import annotations

import pytest

from domain.recipient_files.columns import Choices, Columns, UnusableFile, find_columns
from tests.support.templates import URL_BUTTON, body, buttons, header, template

ANA = ["4711", "Ana", "+49 151 23456789", "19,90"]
HEADERS = ["id", "first_name", "Mobile number", "price"]


def columns(*rows: list[str], **named: object) -> Columns:
    return find_columns(rows, Choices(**named))  # type: ignore[arg-type] # named as the fields are


def test_the_phone_numbers_are_in_the_column_that_is_named_so() -> None:
    found = columns(HEADERS, ANA)
    assert (found.phone, found.has_headers, found.parameters) == (2, True, ())
    assert found.unused == ("id", "first_name", "price")
    assert found.decimal_commas == ("price",)


@pytest.mark.parametrize(
    ("headers", "phone"),
    [
        (["name", "Telefon-Nr.", "Kunde"], 1),
        (["phone", "WhatsApp"], 1),
        (["Telefon", "Handy"], 1),
        (["Número", "Teléfono"], 1),
        (["number", "name"], 0),
    ],
)
def test_a_header_for_whatsapp_goes_before_mobile_and_that_before_phone(headers: list[str], phone: int) -> None:
    assert columns(headers, ["" for _ in headers]).phone == phone


def test_without_such_a_header_the_column_of_phone_numbers_is_found() -> None:
    assert columns(["a", "b"], ["Ana", "+4915123456789"], ["Bo", "+4915123456780"]).phone == 1
    assert columns(["id", "b"], ["20261126", "+4915123456789"], ["20261127", "+4915123456780"]).phone == 1
    assert columns(["anything"], ["Ana"]).phone == 0, "the only column"


def test_a_file_without_headers_has_names_by_place() -> None:
    found = columns(["Ana", "+4915123456789"], ["Bo", "4.9E+11"])
    assert (found.has_headers, found.headers, found.phone) == (False, ("column_1", "phone_number"), 1)


@pytest.mark.parametrize("named", ["Mobile number", "mobile NUMBER", " Mobile number ", "3"])
def test_a_column_is_named_by_its_header_or_its_place(named: str) -> None:
    assert columns(HEADERS, ANA, phone_column=named).phone == 2


def test_a_header_goes_before_a_place() -> None:
    assert columns(["2", "b", "phone"], ANA[:3], parameters={"1": "2"}).parameters == (("1", 0),)


def test_parameters_are_mapped_from_columns() -> None:
    found = columns(HEADERS, ANA, parameters={"2": "price", "1": "first_name"})
    assert found.parameters == (("1", 1), ("2", 3))
    assert found.unused == ("id",)
    assert columns(HEADERS, ANA, parameters={"name": "2"}).parameters == (("name", 1),)


def test_parameters_are_found_by_headers_that_can_mean_nothing_else() -> None:
    assert columns(["phone", "2", "1"], ["+4915123456789", "b", "a"]).parameters == (("1", 2), ("2", 1))
    assert columns(["phone", "{{first_name}}"], ["+4915123456789", "Ana"]).parameters == (("first_name", 1),)
    found = columns(["phone", "template_parameters", "refused_line"], ["+4915123456789", "[]", "7"])
    assert (found.json_parameters, found.unused) == (1, ())


@pytest.mark.parametrize(
    ("rows", "named", "text"),
    [
        ([["phone", "Telefon"], ["", ""]], {}, "Several columns are named like phone numbers: phone, Telefon."),
        ([["a", "b"], ["+4915123456789", "+4915123456780"]], {}, "Several columns have phone numbers: a, b."),
        ([["+4915123456789", "+4915123456780"]], {}, "Several columns have phone numbers: 1, 2."),
        ([["a", "b"], ["Ana", "Bo"]], {}, "No column has phone numbers."),
        ([HEADERS, ANA], {"phone_column": "mobile"}, "There is no column mobile. The columns are id, first_name"),
        ([HEADERS, ANA], {"phone_column": "5"}, "There is no column 5."),
        ([["x", "X", "phone"], ANA[:3]], {"phone_column": "x "}, None),
        ([["x", "x", "phone"], ANA[:3]], {"phone_column": "x"}, "Several columns are named x: name one by its place"),
        ([HEADERS, ANA], {"parameters": {"2": "price"}}, "none of them is 1"),
        ([HEADERS, ANA], {"parameters": {"1": "price", "name": "id"}}, "not both"),
        ([HEADERS, ANA], {"parameters": {"First": "price"}}, "No template can have a parameter First"),
        ([["phone", "1", "{{1}}"], ANA[:3]], {}, "Several columns are headed {{1}}"),
        ([["phone", "2"], ANA[:2]], {}, "none of them is 1"),
    ],
)
def test_what_is_not_clear_is_not_guessed(rows: list[list[str]], named: dict[str, object], text: str | None) -> None:
    if text is None:
        assert columns(*rows, **named).phone == 0
        return
    with pytest.raises(UnusableFile) as refused:
        columns(*rows, **named)
    assert text in str(refused.value)


OFFER = template(
    header("IMAGE"), body("{{first_name}}, {{price}}"), buttons(URL_BUTTON), parameter_format="NAMED", name="offer"
)


def test_a_known_template_finds_its_columns_by_its_own_names() -> None:
    headers = ["Button 1", "{{price}}", "First name", "Mobile number", "HEADER", "other"]
    found = columns(headers, ["x", "1", "Ana", "+49 151 23456789", "7", ""], template=OFFER)
    assert found.parameters == (("price", 1), ("first_name", 2), ("header", 4), ("button_1", 0))
    assert found.unused == ("other",)


def test_a_mapping_that_is_given_goes_before_the_names_of_the_template() -> None:
    found = columns(HEADERS, ANA, template=OFFER, parameters={"first_name": "first_name", "header": "id"})
    assert found.parameters == (("first_name", 1), ("header", 0))
    assert columns(HEADERS, ANA, template=template(body("Hi"))).parameters == ()


def test_two_columns_of_one_name_of_the_template_are_refused() -> None:
    with pytest.raises(UnusableFile, match="Several columns are headed"):
        columns(["price", "PRICE", "phone"], ["1", "2", "+49 151 23456789"], template=OFFER)


USER = "US.13491208655302741918"


def test_user_ids_of_whatsapp_are_found_by_header_and_form() -> None:
    beside = columns(["phone", "user_id"], ["+4915123456789", ""], ["", USER])
    assert (beside.phone, beside.user, beside.unused) == (0, 1, ())
    alone = columns(["name", "BSUID"], ["Ana", USER])
    assert (alone.phone, alone.user) == (1, None)


def test_user_ids_of_another_system_are_not_read() -> None:
    found = columns(["phone", "user_id"], ["+4915123456789", "4711"])
    assert (found.user, found.unused) == (None, ("user_id",))
    with pytest.raises(UnusableFile):
        columns(["name", "user_id"], ["Ana", "4711"])
