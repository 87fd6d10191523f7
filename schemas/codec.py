"""The codec of all records: JSON, except for bundles of webhook bodies (see `schemas.bundles`)."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from schemas.model import WireModel
from schemas.reasons import DeadLetterReason

PRODUCER = "campaign-streams/0.1"
"""The software and version that wrote a record. Every record has it."""

T = TypeVar("T", bound=WireModel)


class Malformed(ValueError):
    """The bytes are not a valid record and must be dead-lettered. `reason` is a code."""

    reason = DeadLetterReason.MALFORMED.value


def encode(record: WireModel) -> bytes:
    """Encode a record as JSON, without unset fields."""
    return record.model_dump_json(exclude_none=True).encode()


def decode(model: type[T], raw: bytes | None) -> T:
    """Decode a record from JSON. Raises Malformed; its text names fields and never shows values."""
    try:
        return model.model_validate_json(raw or b"")
    except ValidationError as error:
        places = [(".".join(map(str, item["loc"])), item["type"]) for item in error.errors()[:5]]
        fields = ", ".join(f"{place}: {error_type}" if place else error_type for place, error_type in places)
        raise Malformed(f"{model.__name__}: {fields}") from None
    except OverflowError as error:  # a time at the edge of the calendar overflows on its way to UTC
        raise Malformed(f"{model.__name__}: {error}") from None
