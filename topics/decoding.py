"""Decodes one record, or makes it a dead item. A record that cannot be read harms only itself."""

from __future__ import annotations

from typing import TypeVar

from runtime.logs import mask_text
from schemas.codec import Malformed, decode
from schemas.dead_letters import DeadItem, redrives
from schemas.model import WireModel
from schemas.places import Record
from schemas.reasons import DeadLetterReason

T = TypeVar("T", bound=WireModel)


def decoded(model: type[T], record: Record) -> T | DeadItem:
    """The value of a record, or its dead item. It never raises.

    An exception of our own code gives the reason `bug`, because a new process would raise the same exception.
    """
    try:
        return decode(model, record.value)
    except Malformed as error:
        return dead_item(record, DeadLetterReason.MALFORMED, mask_text(str(error)))
    except Exception as error:  # noqa: BLE001 - the docstring has the reason
        text = mask_text(f"{type(error).__name__}: {error}")
        return dead_item(record, DeadLetterReason.BUG, text, raised=error)


def dead_item(record: Record, reason: DeadLetterReason, error: str = "", raised: Exception | None = None) -> DeadItem:
    """The dead item of a whole record."""
    return DeadItem(
        record.place, record.key, record.value, reason.value, error, raised, redriven=redrives(record.headers)
    )
