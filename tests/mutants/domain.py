"""Runs mutmut over `domain/` with its unit and property tests.

mutmut needs a newer click than Faust allows. So it is installed into the copy of the tree, and only its own processes
import it from there. The tests of `domain/` import no Faust.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

WORKERS = 2
PACKAGES = "mutmut-packages"
LEFT = ("domain", PACKAGES)
"""Folders that mutmut does not copy: it mutates the first and imports from the second."""
SELECTED = (
    "tests/unit/domain",
    "tests/properties/test_facts.py",
    "tests/properties/test_fairness.py",
    "tests/properties/test_spreading.py",
)
CONFIG = """
[tool.mutmut]
source_paths = ["domain"]
also_copy = [{copied}]
pytest_add_cli_args_test_selection = [{selected}]
"""


def survivors_in_domain(tree: Path) -> tuple[str, list[str]]:
    """A summary and the changed lines of each surviving mutation. Raises CalledProcessError if mutmut fails."""
    _install(tree)
    settings = tree / "pyproject.toml"
    folders = tuple(sorted(folder.name for folder in tree.iterdir() if folder.is_dir() and folder.name not in LEFT))
    quoted = {"copied": _quoted(folders), "selected": _quoted(SELECTED)}
    settings.write_text(settings.read_text(encoding="utf-8") + CONFIG.format(**quoted), encoding="utf-8")
    _mutmut(tree, "run", "--max-children", str(WORKERS))
    results = [line.strip().partition(": ") for line in _mutmut(tree, "results", "--all", "true").splitlines()]
    counts = Counter(outcome for _, colon, outcome in results if colon)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return summary, [_changed(tree, name) for name, _, outcome in results if outcome == "survived"]


def _install(tree: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    wanted = ["--require-hashes", "-r", "requirements-mutants.txt", "--target", PACKAGES]
    subprocess.run([*pip, *wanted], cwd=tree, check=True)


def _changed(tree: Path, name: str) -> str:
    lines = [
        line
        for line in _mutmut(tree, "show", name).splitlines()
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
    ]
    return "\n".join([name, *lines])


def _mutmut(tree: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / PACKAGES)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
