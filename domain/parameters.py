"""The one parser of template parameters. The API uses it when recipients are added, and the sender builds from it.

A template takes its parameters in one of these shapes:

- positional: a list of texts, or an object with the keys "1", "2", ... without a gap (in the order of the numbers);
- named: an object whose keys are names of parameters;
- components: ``{"components": [...]}``, the objects of the Cloud API (`components.py`).

A number stands for its text. `parse` is total: it returns parameters of which the Cloud API takes a request, or raises
InvalidTemplateParameters. Parsing `stored` again, also after PostgreSQL's jsonb, gives the same parameters.

Source: Meta's pages "Template components" and "Error codes" (132000, 132005, 132012, 132018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from schemas.reasons import ParameterRefusal

from domain.components import parse_components
from domain.parameter_texts import InvalidTemplateParameters, check_sum, is_name, parse_text

FIELD = "template_parameters"
"""The name of the field in requests and rows. Refusals name paths below it."""
COMPONENTS = "components"
BODY_CHARACTERS_MAX = 32_768
"""Most characters of a body with its parameters, in a template that has no component but the body."""
TEXTS_MAX = 500
COMPONENTS_BYTES_MAX = 128 * 1024
"""These limits keep a row and its job far below 256 KiB."""
_POSITION_DIGITS_MAX = 4


@dataclass(frozen=True, slots=True)
class Positional:
    """The texts of the body in order."""

    texts: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """The texts of the body with their names, in the order of the names."""

    texts: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Components:
    """Component objects of the Cloud API, in the form that it takes."""

    components: tuple[dict[str, Any], ...] = field(repr=False)


Parameters = Positional | Named | Components


def parse(value: object) -> Parameters | None:
    """The parameters of one recipient, or None if there are none. Raises InvalidTemplateParameters."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return _positional(list(enumerate(value))) if value else None
    if not isinstance(value, Mapping):
        raise InvalidTemplateParameters(
            ParameterRefusal.NOT_PARAMETERS, FIELD, "Write a list of texts, or an object with names and texts."
        )
    if COMPONENTS in value:
        return _components(value)
    return _from_object(value) if value else None


def stored(parameters: Parameters | None) -> list[Any] | dict[str, Any] | None:
    """The parameters as a JSON value to store. It holds texts for numbers."""
    match parameters:
        case None:
            return None
        case Positional(texts):
            return list(texts)
        case Named(texts):
            return dict(texts)
        case Components(components):
            return {COMPONENTS: list(components)}


def request_components(parameters: Parameters | None) -> list[dict[str, Any]]:
    """The `components` of the template message."""
    match parameters:
        case None:
            return []
        case Positional(texts):
            return [_body([{"type": "text", "text": text} for text in texts])]
        case Named(texts):
            return [_body([{"type": "text", "parameter_name": name, "text": text} for name, text in texts])]
        case Components(components):
            return list(components)


def _body(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "body", "parameters": parameters}


def _positional(given: Sequence[tuple[int | str, object]]) -> Positional:
    return Positional(_texts(given))


def _texts(given: Sequence[tuple[int | str, object]]) -> tuple[str, ...]:
    """The texts of the body, each with its place or name."""
    if len(given) > TEXTS_MAX:
        detail = f"There are {len(given):,} parameters. At most {TEXTS_MAX} are possible."
        raise InvalidTemplateParameters(ParameterRefusal.TOO_LARGE, FIELD, detail)
    texts = tuple([parse_text(value, f"{FIELD}.{place}", BODY_CHARACTERS_MAX) for place, value in given])
    check_sum(texts, FIELD, BODY_CHARACTERS_MAX)
    return texts


def _from_object(given: Mapping[Any, object]) -> Positional | Named:
    """An object is positional if its keys are numbers, and named if they are names."""
    numbers = [name for name in given if isinstance(name, str) and name.isascii() and name.isdigit()]
    if not numbers:
        return _named(given)
    if len(numbers) < len(given):
        detail = "Some keys are numbers and others are names. A template has positional or named parameters, not both."
        raise InvalidTemplateParameters(ParameterRefusal.MIXED, FIELD, detail)
    for name in numbers:
        if name.startswith("0") or len(name) > _POSITION_DIGITS_MAX:
            detail = 'The keys of positional parameters are "1", "2", "3" and so on.'
            raise InvalidTemplateParameters(ParameterRefusal.NAME_INVALID, f"{FIELD}.{name[:50]}", detail)
    ordered = sorted(numbers, key=int)
    for place, name in enumerate(ordered, 1):
        if int(name) != place:
            detail = f'There is a parameter "{name}" but no parameter "{place}".'
            raise InvalidTemplateParameters(ParameterRefusal.GAP, f"{FIELD}.{place}", detail)
    return _positional([(name, given[name]) for name in ordered])


def _named(given: Mapping[Any, object]) -> Named:
    for name in given:
        if not is_name(name):
            detail = "A name has small letters, digits and underscores, and begins with a letter."
            raise InvalidTemplateParameters(ParameterRefusal.NAME_INVALID, f"{FIELD}.{str(name)[:50]}", detail)
    names = sorted(given)
    return Named(tuple(zip(names, _texts([(name, given[name]) for name in names]), strict=True)))


def _components(given: Mapping[Any, object]) -> Components | None:
    if len(given) > 1:
        detail = "`components` must be the only key. Put the texts of the body into a component of type body."
        raise InvalidTemplateParameters(ParameterRefusal.MIXED, FIELD, detail)
    components = parse_components(given[COMPONENTS], f"{FIELD}.{COMPONENTS}")
    size = len(orjson.dumps(components))
    if size > COMPONENTS_BYTES_MAX:
        detail = f"The components have {size:,} bytes. At most {COMPONENTS_BYTES_MAX:,} are possible."
        raise InvalidTemplateParameters(ParameterRefusal.TOO_LARGE, FIELD, detail)
    return Components(tuple(components)) if components else None
