"""What `campaigns add` reads: arguments, lines, JSON; each recipient keeps its place."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cli import recipient_input
from cli.recipient_input import is_file, read_recipients, recipients_in
from operations.options import InvalidOptions


def items(content: bytes) -> list[object]:
    return [each.item for each in recipients_in(content, "f")]


def test_lines_keep_their_numbers_and_comments_are_left_out() -> None:
    found = list(recipients_in(b"\xef\xbb\xbf+1 469 465 2751\r\n\n# of May\n  19453083188 \n", "f"))
    assert [(each.place, each.item) for each in found] == [
        ("f, line 1", "+1 469 465 2751"), ("f, line 4", "19453083188"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'["1", {"phone_number": "2"}]', ["1", {"phone_number": "2"}]),
        (b'{"phone_numbers": ["1", "2"]}', ["1", "2"]),
        (b'{\n "phone_numbers": [\n"1"]}', ["1"]),
        (b'{"phone_number": "1"}\n{"phone_number": "2", "template_parameters": ["phone_numbers"]}\n', [
            {"phone_number": "1"}, {"phone_number": "2", "template_parameters": ["phone_numbers"]},
        ]),
        ("1469\n1945\n".encode("utf-16"), ["1469", "1945"]),
        (b"", []),
    ],
)  # fmt: skip
def test_each_format_is_recognised(content: bytes, expected: list[object]) -> None:
    assert items(content) == expected


def test_a_line_that_is_malformed_stops_no_other() -> None:
    assert items(b'{"phone_number": \n+1469\n\xff\xfa\n') == ['{"phone_number":', "+1469", "\ufffd\ufffd"]


@pytest.mark.parametrize(
    ("content", "text"),
    [(b'["1", ', "not valid JSON"), (b'{"phone_numbers": "1"}', "must be a list"),
     (b'{"country": "US", "phone_numbers": ["1"]}', "not country")],
)  # fmt: skip
def test_a_document_that_cannot_be_read_is_an_error(content: bytes, text: str) -> None:
    with pytest.raises(InvalidOptions, match=text):
        items(content)


def test_numbers_files_and_standard_input_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numbers").write_text("1\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"2\n")))
    found = read_recipients(["+1 469 465 2751", "numbers", "-"])
    assert [(each.place, each.item) for each in found] == [
        ("argument 1", "+1 469 465 2751"), ("numbers, line 1", "1"), ("standard input, line 1", "2"),
    ]  # fmt: skip
    assert not is_file("0171/2345678")
    assert not is_file("030.123.456")
    for argument, text in (("none.txt", "cannot be read"), ("a/none", "cannot be read")):
        with pytest.raises(InvalidOptions, match=text):
            read_recipients([argument])
    with pytest.raises(InvalidOptions, match="only once"):
        read_recipients(["-", "-"])


def test_a_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_input, "BYTES_MAX", 4)
    (tmp_path / "a.txt").write_bytes(b"12345")
    with pytest.raises(InvalidOptions, match="Split it"):
        read_recipients([str(tmp_path / "a.txt")])
    (tmp_path / "b.txt").write_bytes(b"")
    with pytest.raises(InvalidOptions, match="no recipient"):
        read_recipients([str(tmp_path / "b.txt")])
