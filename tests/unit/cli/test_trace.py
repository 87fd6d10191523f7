"""`campaigns trace`: what its arguments may be."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.options import country_code


@pytest.mark.parametrize("country", ["D", "XX", "Germany", ""])
def test_an_unknown_country_is_a_wrong_command_line(country: str) -> None:
    done = CliRunner().invoke(app, ["trace", "0171 1234567", "--country", country])
    assert done.exit_code not in (0, 1)
    assert "--country" in done.output


def test_a_country_may_be_written_in_small_letters() -> None:
    assert [country_code(each) for each in ("de", "US", "none", None)] == ["DE", "US", "none", None]
