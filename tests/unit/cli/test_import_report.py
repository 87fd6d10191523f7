"""Where the refused lines go."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.import_report import refused_path
from operations.options import InvalidOptions


def test_the_refused_lines_go_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    assert refused_path(str(file), None, is_dry=False) == tmp_path / "customers.refused.csv"
    assert refused_path("-", None, is_dry=False) == Path("recipients.refused.csv")
    assert refused_path(str(file), None, is_dry=True) is None
    assert refused_path(str(file), tmp_path / "x.csv", is_dry=True) == tmp_path / "x.csv"


def test_corrections_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "customers.refused.csv").write_text("corrected")
    with pytest.raises(InvalidOptions, match="exists already"):
        refused_path(str(tmp_path / "customers.csv"), None, is_dry=False)
    with pytest.raises(InvalidOptions, match="cannot be written"):
        refused_path(str(tmp_path / "missing" / "customers.csv"), None, is_dry=False)
