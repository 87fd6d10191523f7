"""A table for programs and for a spreadsheet: what was written is read again, and no cell is a formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recipient_files.columns import Choices
from domain.recipient_files.reader import RecipientFile
from domain.table_files import TableForm, table_rows, table_start

NONE: frozenset[int] = frozenset()
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
HARMLESS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def read(form: TableForm, content: bytes) -> list[list[str]]:
    encoding, delimiter = ("utf-8", ",") if form is TableForm.CSV else ("utf-16-le", "\t")
    text = content.decode(encoding)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


@given(st.sampled_from(TableForm), st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=4))
def test_texts_are_read_again_and_none_is_a_formula(form: TableForm, rows: list[list[str]]) -> None:
    found = read(form, table_rows(form, rows, NONE))
    assert [[cell.removeprefix("'") for cell in row] for row in found] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not any(cell.startswith(HARMLESS) for row in found for cell in row)


@pytest.mark.parametrize(
    ("value", "for_programs", "for_excel"),
    [
        (None, "", ""),
        (7, "7", "7"),
        (True, "True", "True"),
        ("Zoë", "Zoë", "Zoë"),
        ("a;b", "a;b", "a;b"),
        (datetime(2026, 11, 26, 12, 30, 1, 500, tzinfo=UTC), "2026-11-26T12:30:01.000500+00:00", "2026-11-26 12:30:01"),
        (["Ana", "19,90"], '["Ana","19,90"]', '["Ana","19,90"]'),
        (UUID(int=1), str(UUID(int=1)), str(UUID(int=1))),
    ],
)
def test_a_value_is_written_for_its_reader(value: Any, for_programs: str, for_excel: str) -> None:
    assert read(TableForm.CSV, table_rows(TableForm.CSV, [[value, ""]], NONE)) == [[for_programs, ""]]
    assert read(TableForm.EXCEL, table_rows(TableForm.EXCEL, [[value, ""]], NONE)) == [[for_excel, ""]]


def test_a_file_for_a_spreadsheet_has_its_mark_and_keeps_phone_numbers_as_text() -> None:
    content = table_start(TableForm.EXCEL, ["phone_number", "name"])
    content += table_rows(TableForm.EXCEL, [["4915123456789", "Zoë"], ["user:DE.1", "=1"]], frozenset({0}))
    assert content.startswith(b"\xff\xfe")
    assert read(TableForm.EXCEL, content[2:]) == [
        ["phone_number", "name"], ['="+4915123456789"', "Zoë"], ["user:DE.1", "'=1"],
    ]  # fmt: skip


@pytest.mark.parametrize("form", TableForm)
def test_an_export_can_be_imported(form: TableForm) -> None:
    content = table_start(form, ["phone_number", "template_parameters"])
    content += table_rows(form, [["4915123456789", ["Ana", "19,90"]], ["14694652751", None]], frozenset({0}))
    lines = RecipientFile(Choices()).feed(content, is_last=True)
    numbers = ["4915123456789", "14694652751"]
    if form is TableForm.EXCEL:
        numbers = [f'="+{number}"' for number in numbers]
    assert [each.item for each in lines] == [
        {"phone_number": numbers[0], "template_parameters": ["Ana", "19,90"]}, numbers[1],
    ]  # fmt: skip
