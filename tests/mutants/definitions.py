"""The definitions of the SQL functions: a function may be defined in several migrations, and the last one counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MIGRATIONS = Path("tables") / "migrations"
CREATE = re.compile(r"^ *CREATE (?:OR REPLACE )?FUNCTION (\w+)\(", re.MULTILINE)
BODY = "$$"


@dataclass(frozen=True, slots=True)
class Definition:
    """The place of one definition: a file, relative to the tree, and its part from `start` to `end`."""

    file: Path
    start: int
    end: int


@cache
def newest_definitions(tree: Path) -> dict[str, Definition]:
    """The definition of each function that a database has after all migrations. An overload counts by its name."""
    found = {}
    for file in sorted((tree / MIGRATIONS).glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        for match in CREATE.finditer(text):
            found[match[1]] = Definition(file.relative_to(tree), match.start(), _end(text, match.start()))
    return found


def _end(text: str, start: int) -> int:
    """The end of a body in dollar quotes, or of a function that consists of one RETURN."""
    opens, ends = text.find(BODY, start), text.find(";\n", start)
    if opens < 0 or ends < opens:
        return ends
    return text.index(BODY, opens + len(BODY))
