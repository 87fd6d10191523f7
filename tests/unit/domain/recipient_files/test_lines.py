"""Lines end with LF, CR LF or CR, wherever the text is cut, and a line that does not end is not kept whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recipient_files.lines import LINE_CHARACTERS_MAX, LineSplitter


def split(text: str, block: int) -> list[str]:
    splitter = LineSplitter()
    lines = [line for start in range(0, len(text), block) for line in splitter.feed(text[start : start + block])]
    return lines + splitter.feed("", is_last=True)


@pytest.mark.parametrize("block", [1, 2, 100])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb", ["a", "b"]),
        ("a\rb\r", ["a", "b"]),
        ("a\n\r\nb\r\r\nc", ["a", "", "b", "", "c"]),
        ("a\x0bb\x0cc\x85d\u2028e\x1cf\n", ["a\x0bb\x0cc\x85d\u2028e\x1cf"]),
        ("\ufeff\ufeffa\n\ufeffb\ufeffc\n\ufeff", ["a", "b\ufeffc"]),
    ],
)
def test_only_line_breaks_end_a_line(text: str, lines: list[str], block: int) -> None:
    assert split(text, block) == lines


@given(st.text(alphabet="ab\r\n", max_size=30), st.integers(1, 5))
def test_the_cuts_do_not_matter(text: str, block: int) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert split(text, block) == (expected if expected[-1] else expected[:-1])


def test_of_a_line_that_does_not_end_only_the_start_is_kept() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed("x" * 10_000) == []
    first, second = splitter.feed("x\nnext\n")
    assert (len(first), second) == (LINE_CHARACTERS_MAX + 1, "next")
