"""Reads a block of code of a page of the documentation, so that a test can run what the page shows."""

from __future__ import annotations

import re
from pathlib import Path


def block(page: Path, name: str) -> str:
    """The code after the comment `<!-- name -->`. Raises AssertionError if there is none."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"{page.name} has no block {name!r}"
    return found[1]
