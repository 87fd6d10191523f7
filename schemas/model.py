"""The frozen base of all records, their ids and times. Old readers must accept new fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, NewType
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

RecipientId = NewType("RecipientId", UUID)
CampaignId = NewType("CampaignId", UUID)
Wamid = NewType("Wamid", str)

ATTEMPT_MAX = 62
"""Attempts fit a signed 64-bit set (bit n = attempt n), so the 62nd is the last."""


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware time, normalised to UTC; naive ones are refused."""


class WireModel(BaseModel):
    """Base of every record: immutable, tolerant of fields that a newer producer added.

    The docstring of a field is its description in the published JSON Schema.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)
