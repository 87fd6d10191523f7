"""Loads the statements of `tables/sql/*.sql`. Each begins with ``-- name: verb_noun`` and a line of purpose.

The file X.sql belongs to the module X.py of this folder; a test enforces it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (?P<name>[a-z_]+)\n", re.MULTILINE)


@cache
def load(group: str) -> Mapping[str, LiteralString]:
    """The statements of one file, by name. They come from this repository, so psycopg may trust them as literals.

    Raises ValueError where the file has no statement, or a name twice.
    """
    text = files("tables").joinpath("sql", f"{group}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"tables/sql/{group}.sql: it contains no statement, or one name twice")
    pairs = zip(names, bodies, strict=True)
    return MappingProxyType({name: cast("LiteralString", body.strip()) for name, body in pairs})
