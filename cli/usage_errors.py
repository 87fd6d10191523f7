"""Says in plain words why the value of an option or argument is refused. Typer passes on the words of pydantic."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperGroup

_WORDS = (
    (re.compile(r"Input should be a valid integer.*", re.DOTALL), "expects a whole number"),
    (re.compile(r"Input should be a (?:valid|finite) number.*", re.DOTALL), "expects a number"),
    (
        re.compile(r"Input should be a valid UUID.*", re.DOTALL),
        "expects an id, as 0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0",
    ),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"must be at least \1"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"must be at most \1"),
    (re.compile(r"Input should be "), "must be "),
)


def in_plain_words(message: str) -> str:
    """The same message without the terms of the library that wrote it."""
    for pattern, words in _WORDS:
        message = pattern.sub(words, message)
    return message


class PlainGroup(TyperGroup):
    """A group whose commands refuse a value in plain words."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises typer.BadParameter."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = in_plain_words(error.message)
            raise
