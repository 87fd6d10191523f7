"""The folders of unit and integration tests mirror the packages: each test file names the module that it tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT

MIRRORS = ("unit", "integration")


def module_of(test: Path) -> str:
    """The module that a test file names: `unit/topics/test_scan.py` names `topics/scan`."""
    inside = test.relative_to(ROOT / "tests").parts[1:]
    return "/".join((*inside[:-1], test.stem.removeprefix("test_")))


@pytest.mark.parametrize("mirror", MIRRORS)
def test_each_test_file_names_a_module_or_a_package(mirror: str) -> None:
    files = {module_of(file): file for file in (ROOT / "tests" / mirror).rglob("test_*.py")}
    assert files
    lost = {
        str(file.relative_to(ROOT))
        for module, file in files.items()
        if not (ROOT / f"{module}.py").exists() and not (ROOT / module).is_dir()
    }
    assert lost == set()
