"""The one codec: JSON for every record but the bundle of webhook bodies (see `schemas.bundles`)."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from schemas.model import WireModel
from schemas.reasons import DeadLetterReason

PRODUCER = "campaign-streams/0.1"
"""Stated in every record: who wrote it, in which version."""

T = TypeVar("T", bound=WireModel)


class Malformed(ValueError):
    """These bytes are no such record; invalid, so dead-letter them. `reason` is a code."""

    reason = DeadLetterReason.MALFORMED.value


def encode(record: WireModel) -> bytes:
    """One record as JSON, without what is unset."""
    return record.model_dump_json(exclude_none=True).encode()


def decode(model: type[T], raw: bytes | None) -> T:
    """One record from JSON. Raises Malformed, whose text names the fields and never shows their values."""
    try:
        return model.model_validate_json(raw or b"")
    except ValidationError as error:
        places = [(".".join(map(str, item["loc"])), item["type"]) for item in error.errors()[:5]]
        fields = ", ".join(f"{place}: {said}" if place else said for place, said in places)
        raise Malformed(f"{model.__name__}: {fields}") from None
