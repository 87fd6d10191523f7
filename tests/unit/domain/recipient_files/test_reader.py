"""A file becomes recipients line by line: no line stops another, and the cuts of the blocks do not matter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recipient_files.columns import Choices, UnusableFile
from domain.recipient_files.lines import LINE_CHARACTERS_MAX
from domain.recipient_files.reader import FileLine, RecipientFile
from tests.support import components as sent
from tests.support.templates import URL_BUTTON, body, buttons, header, template

ANA, BO = "+4915123456789", "+4915123456780"


def read(content: str | bytes, block: int = 1 << 20, **named: Any) -> list[FileLine]:
    content = content.encode() if isinstance(content, str) else content
    file = RecipientFile(Choices(**named))
    lines = [line for start in range(0, len(content), block) for line in file.feed(content[start : start + block])]
    return lines + file.feed(b"", is_last=True)


def items(content: str | bytes, **named: Any) -> list[tuple[int, Any]]:
    return [
        (each.number, each.item if each.fault is None else each.fault.reason.value) for each in read(content, **named)
    ]


def test_a_list_of_numbers_is_a_file_of_one_column() -> None:
    assert items(f"{ANA}\r\n\r\n{BO}") == [(1, ANA), (3, BO)]
    assert items(f"phone\n{ANA}\n") == [(2, ANA)]


def test_parameters_come_from_columns() -> None:
    content = f"Vorname;Telefon;Preis\nAna ;{ANA};19,90\n"
    positional = {"phone_number": ANA, "template_parameters": ["Ana", "19,90"]}
    assert items(content, parameters={"1": "vorname", "2": "Preis"}) == [(2, positional)]
    named = {"phone_number": ANA, "template_parameters": {"name": "Ana"}}
    assert items(content, parameters={"name": "1"}) == [(2, named)]


def test_columns_of_a_header_and_of_buttons_make_components() -> None:
    found = template(header("IMAGE"), body("Hi {{1}}"), buttons(URL_BUTTON))
    content = f"phone,1,header,button_1\n{ANA},Ana,https://a.b/c.png,spring\n{BO},Bo,,\n"
    components = [
        sent.header("image", {"link": "https://a.b/c.png"}),
        sent.body(sent.text("Ana")),
        sent.button(parameters=[sent.text("spring")]),
    ]
    assert items(content, template=found) == [
        (2, {"phone_number": ANA, "template_parameters": {"components": components}}),
        (3, {"phone_number": BO, "template_parameters": ["Bo"]}),
    ]


def test_parameters_in_json_are_those_of_the_rest_api() -> None:
    content = f'phone,template_parameters\n{ANA},"[""Ana"", 19.90]"\n{BO},\n{BO},"[NaN]"\n'
    first, second, third = read(content)
    assert first.item["template_parameters"][1].text == "19.90"
    assert (second.item, second.fault) == (BO, None)
    assert third.fault is not None
    assert (third.fault.reason, third.fault.field) == ("malformed_json", "template_parameters")


def test_the_line_of_excel_with_the_delimiter_is_no_header() -> None:
    assert items(f"sep=|\nphone|name;x\n{ANA}|Ana\n") == [(3, ANA)]


def test_a_line_of_empty_cells_is_left_out() -> None:
    assert items(f"phone;name\n;;\n{ANA};Ana\n ; \n") == [(3, ANA)]


def test_missing_cells_are_empty_and_surplus_cells_are_refused() -> None:
    found = items(f"phone,price\n{ANA}\n{BO},19,90\n{ANA},1,,\n", parameters={"1": "price"})
    assert found[0] == (2, {"phone_number": ANA, "template_parameters": [""]})
    assert found[1] == (3, "too_many_cells")
    assert found[2][1] == {"phone_number": ANA, "template_parameters": ["1"]}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'{ANA},"Ana', "unclosed_quote"),
        (f'{ANA},"Ana" x', "malformed_line"),
        (f"{ANA},a,b", "too_many_cells"),
        (f"{ANA},#N/A", "spreadsheet_error"),
        (f"{ANA},#bezug!", "spreadsheet_error"),
        (f"{ANA}," + "x" * LINE_CHARACTERS_MAX, "line_too_long"),
    ],
)
def test_a_wrong_line_is_refused_and_its_neighbours_are_read(line: str, reason: str) -> None:
    found = items(f"phone,name\n{BO},Bo\n{line}\n{BO},Bo\n", parameters={"1": "name"})
    assert found == [(2, found[0][1]), (3, reason), (4, found[0][1])]


def test_broken_bytes_refuse_a_line_only_in_a_cell_that_is_read() -> None:
    content = (
        b"phone,name,town\n"
        + f"{BO},Zoë,Köln\n{ANA},M".encode()
        + b"\xfcller,x\n"
        + f"{ANA},Ana,K".encode()
        + b"\xf6ln\n"
    )
    found = items(content, parameters={"1": "name"})
    assert [each for _, each in found[1:]] == [
        "unreadable_bytes",
        {"phone_number": ANA, "template_parameters": ["Ana"]},
    ]


def test_a_record_may_have_line_breaks_inside_quotes() -> None:
    content = f'"phone\nnumber","full\naddress"\n{ANA},"Main Street 12\nKöln"\n{BO},x\n'
    assert items(content) == [(4, ANA), (6, BO)]


def test_a_quote_that_never_ends_takes_no_other_line() -> None:
    people = [f"{int(ANA[1:]) + n}" for n in range(60)]
    content = "\n".join(f'{each},"open' if n == 5 else f"{each},x" for n, each in enumerate(people))
    found = items(content)
    assert [number for number, _ in found] == list(range(1, 61))
    assert [each for _, each in found if each not in people] == ["unclosed_quote"]


def test_json_lines_are_recipients_of_the_rest_api() -> None:
    content = (
        f'{{"phone_number": "{ANA}", "refused_line": 7}}\n\n"{BO}"\n4915123456781\n[1]\nnull\n{{"a": 1, "a": 2}}\n{{'
    )
    assert items(content) == [
        (1, {"phone_number": ANA}), (3, BO), (4, 4915123456781), (5, "malformed_json"), (6, "malformed_json"),
        (7, "malformed_json"), (8, "malformed_json"),
    ]  # fmt: skip


def test_the_keys_of_json_lines_are_mapped_as_columns() -> None:
    content = f'{{"mobile": "{ANA}", "first": "Ana", "other": 1}}\n'
    assert items(content, phone_column="mobile", parameters={"1": "first"}) == [
        (1, {"phone_number": ANA, "template_parameters": {"1": "Ana"}})
    ]


@pytest.mark.parametrize("content", ["", "\n\n", '"phone" x,y\n', "sep=;\n", "name,town\nAna,Rome\n"])
def test_a_file_without_recipients_is_refused_as_a_whole(content: str) -> None:
    with pytest.raises(UnusableFile):
        read(content)


@pytest.mark.parametrize("block", [1, 100])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\x00", "an Excel workbook"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"<html><table>", "a web page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip"),
        ("\ufeffphone\n".encode("utf-32-le"), "encoded as UTF-32"),
        ("\ufeffphone\n".encode("utf-32-be"), "encoded as UTF-32"),
    ],
)
def test_a_file_that_is_no_text_is_named(content: bytes, what: str, block: int) -> None:
    with pytest.raises(UnusableFile, match=f"The file is {what}.*Save it as CSV"):
        read(content, block)


@pytest.mark.parametrize("content", ['[{"phone_number": "x"}]', "[\n", "{\n", '["+4915123456789"]'])
def test_json_that_has_no_recipient_per_line_is_named(content: str) -> None:
    with pytest.raises(UnusableFile, match="not JSON lines"):
        read(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("start", ["\ufeff\ufeff", " \ufeff\u200b", "\n\ufeff", '\ufeff\ufeffsep=,\n\ufeff"\u200b'])
def test_marks_and_characters_without_a_width_do_not_change_a_header(start: str, encoding: str) -> None:
    quote = '"' if '"' in start else ""
    content = f"{start}first{quote},phone\nAna,{ANA}\n\ufeffBo,{BO}\n".encode(encoding)
    assert [item for _, item in items(content, parameters={"1": "first"})] == [
        {"phone_number": ANA, "template_parameters": ["Ana"]},
        {"phone_number": BO, "template_parameters": ["Bo"]},
    ]


def test_json_lines_begin_with_any_number_of_marks() -> None:
    assert items('\ufeff\ufeff{"phone_number": "x"}\n') == [(1, {"phone_number": "x"})]


LINES = st.lists(st.text(alphabet='a";,\n\r1+ {}', max_size=12), max_size=12)


@given(LINES, st.integers(1, 9), st.booleans())
def test_the_blocks_do_not_matter(lines: list[str], block: int, is_late: bool) -> None:
    head = "phone;name\n" + (f"{ANA};Ana\n" * 300 if is_late else "")
    content = head + "\n".join(lines)
    assert read(content, 4096 if is_late else block) == read(content)


@given(st.text(max_size=30).filter(lambda text: "\n" not in text and "\r" not in text))
def test_no_line_takes_another(line: str) -> None:
    numbers = [str(int(ANA[1:]) + n) for n in range(40)]
    content = (
        "".join(f"{each};x\n" for each in numbers[:20]) + line + "\n" + "".join(f"{each};x\n" for each in numbers[20:])
    )
    found = [each.item for each in read(content.encode("utf-8", "replace")) if each.fault is None]
    assert [each for each in found if each in numbers] == numbers
