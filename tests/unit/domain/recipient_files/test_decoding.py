"""The encoding of a file is found from its bytes, wherever the blocks are cut."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recipient_files.decoding import FileDecoder, FileEncoding

PEOPLE = "Telefon;Vorname\n+4915123456789;Jürgen Łukasz\n"


def decoded(content: bytes, block: int = 7) -> tuple[str, FileEncoding]:
    decoder = FileDecoder()
    text = "".join(decoder.feed(content[start : start + block]) for start in range(0, len(content), block))
    return text + decoder.feed(b"", is_last=True), decoder.encoding


@pytest.mark.parametrize("block", [1, 2, 3, 64, 1000])
@pytest.mark.parametrize(
    ("content", "text", "encoding"),
    [
        (b"+49151;Ana\n", "+49151;Ana\n", FileEncoding.ASCII),
        (b"", "", FileEncoding.ASCII),
        (PEOPLE.encode(), PEOPLE, FileEncoding.UTF_8),
        (codecs.BOM_UTF8 + PEOPLE.encode(), PEOPLE, FileEncoding.UTF_8_MARKED),
        (codecs.BOM_UTF16_LE + PEOPLE.encode("utf-16-le"), PEOPLE, FileEncoding.UTF_16_LE),
        (codecs.BOM_UTF16_BE + PEOPLE.encode("utf-16-be"), PEOPLE, FileEncoding.UTF_16_BE),
        (PEOPLE.encode("utf-16-le"), PEOPLE, FileEncoding.UTF_16_LE),
        (PEOPLE.encode("utf-16-be"), PEOPLE, FileEncoding.UTF_16_BE),
        ("Jürgen für 5 €\n".encode("cp1252"), "Jürgen für 5 €\n", FileEncoding.WINDOWS_1252),
        (b"x" * 200 + "ü\n".encode("cp1252"), "x" * 200 + "ü\n", FileEncoding.WINDOWS_1252),
        (b"x" * 200 + "ü\n".encode(), "x" * 200 + "ü\n", FileEncoding.UTF_8),
        ("ü".encode("cp1252"), "ü", FileEncoding.WINDOWS_1252),
    ],
)
def test_an_encoding_is_found(content: bytes, text: str, encoding: FileEncoding, block: int) -> None:
    assert decoded(content, block) == (text, encoding)


def test_one_broken_byte_does_not_change_the_encoding_of_the_file() -> None:
    text, encoding = decoded("Jürgen, Zoë, Łukasz, M".encode() + b"\xfc" + b"ller, Ana\n", 1000)
    assert encoding is FileEncoding.UTF_8
    assert text == "Jürgen, Zoë, Łukasz, M\udcfcller, Ana\n"


def test_a_byte_that_is_no_text_in_the_encoding_becomes_half_of_a_pair() -> None:
    assert decoded("für ".encode("cp1252") + b"\x81") == ("für \udc81", FileEncoding.WINDOWS_1252)


@given(st.text(), st.integers(1, 20), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_any_text_is_read_from_any_blocks(text: str, block: int, encoding: str) -> None:
    if encoding == "utf-8" and (text.startswith("\ufeff") or "\0" in text):
        return
    assert decoded(text.encode(encoding), block)[0] == text


@given(st.binary(), st.integers(1, 20))
def test_the_blocks_do_not_matter_and_no_bytes_stop_the_decoder(content: bytes, block: int) -> None:
    text, encoding = decoded(content, block)
    if encoding is not FileEncoding.WINDOWS_1252 and decoded(content, len(content) or 1)[1] is encoding:
        assert text == decoded(content, len(content) or 1)[0]
