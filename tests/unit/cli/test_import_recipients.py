"""The options of `campaigns import`."""

from __future__ import annotations

from io import BytesIO

import pytest

from cli.import_recipients import BLOCK_BYTES, begin, checked_country, open_source, parameters_of
from domain.recipient_files.columns import Choices
from operations.options import InvalidOptions


def test_parameters_are_given_as_name_and_column() -> None:
    assert parameters_of(["1=first_name", " name = A=B "]) == {"1": "first_name", "name": "A=B"}
    assert parameters_of([]) is None


@pytest.mark.parametrize(
    ("given", "text"),
    [(["1"], "write the parameter"), (["=x"], "write the parameter"), (["1=a", "1=b"], "given twice")],
)
def test_a_wrong_parameter_is_named(given: list[str], text: str) -> None:
    with pytest.raises(InvalidOptions, match=text):
        parameters_of(given)


def test_a_country_and_a_file_must_exist() -> None:
    assert checked_country("DE") == "DE"
    with pytest.raises(InvalidOptions, match="--country"):
        checked_country("XX")
    with pytest.raises(InvalidOptions, match="cannot be read: No such file"):
        open_source("missing.csv")


async def test_the_blocks_that_showed_the_columns_are_imported_too() -> None:
    content = b"phone\n" + b"+4915123456789\n" * (BLOCK_BYTES // 10)
    probe, lines, blocks = await begin(BytesIO(content), Choices())
    assert probe.layout is not None
    assert lines[0].item == "+4915123456789"
    assert b"".join([block async for block in blocks]) == content
