"""The texts of template parameters, and the refusal of those that the Cloud API does not take. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from schemas.reasons import ParameterRefusal

from domain.json_values import JsonNumber
from domain.written_numbers import INVISIBLE

NAME_CHARACTERS_MAX = 128
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BREAKS = re.compile(r"[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]|[ \u00a0]{5}")
"""Meta refuses line breaks, tabs and more than 4 spaces in a row with code 132018."""
_SPACES = " " * 5
_NO_CHARACTERS = re.compile(r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Control characters that are no white space, and halves of surrogate pairs."""
_NUMBER_BITS_MAX = 128


class InvalidTemplateParameters(ValueError):
    """These template parameters cannot be sent. `field` is the path of the wrong value, and `detail` is a sentence."""

    def __init__(self, reason: ParameterRefusal, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail


def parse_text(value: object, field: str, characters_max: int) -> str:
    """The text of one parameter. Raises InvalidTemplateParameters."""
    text = value if type(value) is str else _written(value, field)
    if text.isascii() and text.isprintable() and text.strip() and _SPACES not in text and len(text) <= characters_max:
        return text  # a plain text passes every check below
    check_characters(text, field)
    if _is_blank(text):
        raise InvalidTemplateParameters(ParameterRefusal.EMPTY, field, "The text is empty. The Cloud API needs one.")
    if _BREAKS.search(text):
        detail = "A text may not have line breaks, tabs, or more than 4 spaces in a row."
        raise InvalidTemplateParameters(ParameterRefusal.FORBIDDEN_WHITESPACE, field, detail)
    if len(text) > characters_max:
        detail = f"The text has {len(text):,} characters. At most {characters_max:,} are possible."
        raise InvalidTemplateParameters(ParameterRefusal.TOO_LONG, field, detail)
    return text


def check_characters(text: str, field: str) -> None:
    """Raise InvalidTemplateParameters if the text has a control character or half of a surrogate pair."""
    found = _NO_CHARACTERS.search(text)
    if found is not None:
        detail = f"The text has the character {found[0]!a}, which no message can have."
        raise InvalidTemplateParameters(ParameterRefusal.CHARACTER, field, detail)


def check_sum(texts: Iterable[str], field: str, characters_max: int) -> None:
    """Raise InvalidTemplateParameters if the texts together are longer than the text that holds them may be."""
    total = sum(map(len, texts))
    if total > characters_max:
        detail = f"The texts have {total:,} characters in total. At most {characters_max:,} are possible."
        raise InvalidTemplateParameters(ParameterRefusal.TOO_LONG, field, detail)


def is_name(name: object) -> bool:
    """Whether a template can have a parameter of this name."""
    return isinstance(name, str) and len(name) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(name) is not None


def _written(value: object, field: str) -> str:
    match value:
        case str():
            return value
        case bool():
            detail = "true and false are no texts. Write the word that the person shall read."
            raise InvalidTemplateParameters(ParameterRefusal.BOOLEAN, field, detail)
        case None:
            raise InvalidTemplateParameters(ParameterRefusal.NULL, field, "The text is missing: it is null.")
        case int():
            if value.bit_length() > _NUMBER_BITS_MAX:
                raise _not_finite(field)
            return str(value)
        case float():
            if not math.isfinite(value):
                raise _not_finite(field)
            return value.text if isinstance(value, JsonNumber) else repr(value)
        case _:
            detail = "A text or a number belongs here, not a list or an object. Headers and buttons need `components`."
            raise InvalidTemplateParameters(ParameterRefusal.NESTED, field, detail)


def _not_finite(field: str) -> InvalidTemplateParameters:
    detail = "The number is not finite, or too large. Write it as a text."
    return InvalidTemplateParameters(ParameterRefusal.NOT_FINITE, field, detail)


def _is_blank(text: str) -> bool:
    """Whether a person would see nothing: the text has only spaces and invisible characters."""
    return all(
        character.isspace() or character in INVISIBLE or unicodedata.category(character) == "Cf" for character in text
    )
