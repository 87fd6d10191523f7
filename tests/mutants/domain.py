"""Runs mutmut over `domain/` with its unit and property tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKERS = 2
SELECTED = ("tests/unit/domain", "tests/properties/test_facts.py", "tests/properties/test_spreading.py")
CONFIG = """
[tool.mutmut]
source_paths = ["domain"]
also_copy = [{copied}]
pytest_add_cli_args_test_selection = [{selected}]
"""


def survivors_in_domain(tree: Path) -> tuple[str, list[str]]:
    """A summary and the changed lines of each surviving mutation. Raises CalledProcessError if mutmut fails."""
    settings = tree / "pyproject.toml"
    folders = tuple(sorted(folder.name for folder in tree.iterdir() if folder.is_dir() and folder.name != "domain"))
    quoted = {"copied": _quoted(folders), "selected": _quoted(SELECTED)}
    settings.write_text(settings.read_text(encoding="utf-8") + CONFIG.format(**quoted), encoding="utf-8")
    with (tree / "mutmut.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "mutmut", "run", "--max-children", str(WORKERS)],
            cwd=tree,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )
    summary = (tree / "mutmut.log").read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    counted = next((line.strip() for line in reversed(summary) if "🎉" in line), "mutmut printed no summary")
    names = [
        line.strip().partition(":")[0] for line in _mutmut(tree, "results").splitlines() if line.endswith("survived")
    ]
    return counted, [_changed(tree, name) for name in names]


def _changed(tree: Path, name: str) -> str:
    lines = [
        line
        for line in _mutmut(tree, "show", name).splitlines()
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
    ]
    return "\n".join([name, *lines])


def _mutmut(tree: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments], cwd=tree, check=True, capture_output=True, text=True
    ).stdout


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
