"""Cells by RFC 4180, the delimiter of a file, and what looks like a phone number."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recipient_files.cells import (
    DELIMITERS,
    MalformedCells,
    UnclosedQuote,
    cells_of,
    find_delimiter,
    joined,
    looks_like_number,
)

CELL = st.text(alphabet='ab ,;|"\t', max_size=6)


@given(st.lists(CELL, min_size=1, max_size=5), st.sampled_from(sorted(DELIMITERS)))
def test_the_cells_of_a_written_line_are_read(cells: list[str], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="").writerow(cells)
    assert cells_of(written.getvalue(), delimiter) == cells


def test_a_quote_that_does_not_end_and_a_cell_after_its_quote_are_refused() -> None:
    with pytest.raises(UnclosedQuote):
        cells_of('a,"b', ",")
    with pytest.raises(MalformedCells):
        cells_of('a,"b" c', ",")
    assert cells_of('a,5" pipe', ",") == ["a", '5" pipe']


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["phone,name", "+4915123456789,Ana"], ","),
        (["phone;price", "+4915123456789;19,90", "+4915123456780;5,00"], ";"),
        (["+4915123456789;19,90", "+4915123456780;5,00"], ";"),
        (["phone\tname", "+4915123456789\tAna, Bo"], "\t"),
        (["phone|a;b|c", "+4915123456789|1;2|3"], "|"),
        (["name,phone", '"Doe; Ana",+4915123456789', '"Roe; Bo",+4915123456780'], ","),
        (["phone", "+4915123456789"], ","),
        (["+4915123456789"], ","),
        (["phone;name", "4,9E+11;Ana", "4,8E+11;Bo"], ";"),
        (["a;b;c", "1;2;3", "1;2;3", "broken"], ";"),
        (['"Phone', 'number";"first', 'name"', '"+4915123456789";"Ana, Bo"'], ";"),
    ],
)
def test_a_delimiter_is_found(lines: list[str], delimiter: str) -> None:
    assert find_delimiter(lines) == delimiter


@pytest.mark.parametrize(
    "cell", ["+49 151 23456789", "0151/23456789", "4.9E+11", "4,9e11", "'+4915123456789", "(469) 555-0142"]
)
def test_a_phone_number_looks_like_one(cell: str) -> None:
    assert looks_like_number(cell)


@pytest.mark.parametrize("cell", ["", "Ana", "12345", "19,90", "phone 2", "mobile_number", "1", "ana@example.com"])
def test_other_cells_do_not(cell: str) -> None:
    assert not looks_like_number(cell)


def test_a_record_goes_over_several_lines_only_if_its_cells_fit() -> None:
    lines = ['+4915123456789,"Main Street', '12"', "+4915123456780,x"]
    assert joined(lines, ",", 2) == (2, ["+4915123456789", "Main Street\n12"])
    assert joined(lines, ",", 3) is None
    assert joined(['a,"b', "+4915123456780,x", 'c"'], ",", 2) is None, "the second line is a record"
    assert joined(['a,"b', "c", "d"], ",", 2) is None
