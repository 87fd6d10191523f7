"""Copies the tree, so that a mutation never touches the code of the developer."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.paths import ROOT

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "mutants.out", "*.pyc")


def copy_tree(target: Path) -> Path:
    """Copy the code and the tests to `target`, without hidden folders, and return it."""
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)
    return target
