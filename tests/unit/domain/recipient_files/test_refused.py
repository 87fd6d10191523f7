"""The file of refused lines can be imported again, as it is or corrected."""

from __future__ import annotations

import pytest

from domain.recipient_files.columns import Choices
from domain.recipient_files.reader import FileLine, RecipientFile
from domain.recipient_files.refused import refused_head, refused_line

CONTENT = (
    'Name;Telefon;Preis\nAna "Bo";+4915123456789;19,90\n"Ana;x\n"Zoë\nRoe";1;2\n=1+1;+4915123456780;"a;b"\nx\na;b;c;d\n'
)


def read(content: bytes) -> tuple[RecipientFile, list[FileLine]]:
    file = RecipientFile(Choices(parameters={"1": "Name"}))
    return file, file.feed(content) + file.feed(b"", is_last=True)


def refused_of(content: bytes) -> bytes:
    file, lines = read(content)
    assert file.layout is not None
    written = refused_head(file.layout)
    written += "".join(refused_line(file.layout, each, "too_short", 'It "is" wrong; ü.') for each in lines)
    return written.encode("utf-8", "surrogateescape")


def test_the_refused_lines_have_the_columns_of_the_file_and_the_reason() -> None:
    first, second, *_ = refused_of(CONTENT.encode()).decode("utf-8-sig").split("\r\n")
    assert first == "Name;Telefon;Preis;refused_line;refused_reason;refused_message"
    assert second == '"Ana ""Bo""";+4915123456789;19,90;2;too_short;"It ""is"" wrong; ü."'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_corrected_line_is_read_as_it_was_in_the_source(encoding: str) -> None:
    _, lines = read(CONTENT.encode(encoding))
    _, again = read(refused_of(CONTENT.encode(encoding)))
    readable = [each.item for each in lines if each.fault is None]
    assert [each.item for each in again if each.fault is None and each.item in readable] == readable
    assert len(again) == len(lines)


def test_the_reason_of_an_earlier_import_is_not_kept() -> None:
    once = refused_of(CONTENT.encode())
    twice = refused_of(once)
    assert twice.count(b"refused_reason") == 1
    assert len(twice.splitlines()[1].split(b";")) == len(once.splitlines()[1].split(b";"))


def test_a_file_without_headers_gets_some() -> None:
    file = RecipientFile(Choices())
    lines = file.feed(b"+4915123456789,Ana\n", is_last=True)
    assert file.layout is not None
    assert "phone_number,column_2,refused_line" in refused_head(file.layout)
    assert refused_line(file.layout, lines[0], "r", "m") == "+4915123456789,Ana,1,r,m\r\n"


def test_a_refused_json_line_keeps_its_text_and_gets_the_reason_as_fields() -> None:
    content = b'{"phone_number": "+49", "template_parameters": [19.90]}\n{}\n{"a": 1\n"+49"\n'
    file = RecipientFile(Choices())
    lines = file.feed(content, is_last=True)
    assert file.layout is not None
    assert refused_head(file.layout) == ""
    first, empty, broken, text = (refused_line(file.layout, each, "too_short", "It is.") for each in lines)
    why = '"refused_line":1,"refused_reason":"too_short","refused_message":"It is."}\n'
    assert first == '{"phone_number": "+49", "template_parameters": [19.90],' + why
    assert empty == "{" + why.replace("1", "2")
    assert broken == '{"text":"{\\"a\\": 1",' + why.replace("1", "3")
    assert text == '{"text":"\\"+49\\"",' + why.replace("1", "4")
    again = RecipientFile(Choices()).feed(first.encode(), is_last=True)
    assert again[0].item == lines[0].item
    assert refused_line(file.layout, again[0], "too_short", "It is.") == first
