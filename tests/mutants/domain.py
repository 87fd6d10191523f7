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

from tests.mutants.explained import Survivor

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
UNNOTICED = ("survived", "no tests")
"""The results of mutmut for a mutation that no test noticed, and for one that no test runs."""
CONFIG = """
[tool.mutmut]
source_paths = ["domain"]
also_copy = [{copied}]
pytest_add_cli_args_test_selection = [{selected}]
"""


def survivors_in_domain(tree: Path) -> tuple[str, list[Survivor]]:
    """A summary, and the mutations that no test noticed. Raises CalledProcessError if mutmut fails."""
    _install(tree)
    settings = tree / "pyproject.toml"
    folders = tuple(sorted(folder.name for folder in tree.iterdir() if folder.is_dir() and folder.name not in LEFT))
    quoted = {"copied": _quoted(folders), "selected": _quoted(SELECTED)}
    settings.write_text(settings.read_text(encoding="utf-8") + CONFIG.format(**quoted), encoding="utf-8")
    _mutmut(tree, "run", "--max-children", str(WORKERS))
    results = [line.strip().partition(": ") for line in _mutmut(tree, "results", "--all", "true").splitlines()]
    counts = Counter(outcome for _, colon, outcome in results if colon)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return summary, [_survivor(tree, name) for name, _, outcome in results if outcome in UNNOTICED]


def _install(tree: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    wanted = ["--require-hashes", "-r", "requirements-mutants.txt", "--target", PACKAGES]
    subprocess.run([*pip, *wanted], cwd=tree, check=True)


def _survivor(tree: Path, name: str) -> Survivor:
    lines = [line for line in _mutmut(tree, "show", name).splitlines() if not line.startswith(("---", "+++"))]
    removed, added = ("\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Survivor(name, removed, added)


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
