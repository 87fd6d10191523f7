"""`subscription.events`: every opt-out and opt-in of a person, by source, and what is learned about their names.

A person is subscribed if no source has opted out. Readers keep the latest event of each source by `occurred_at` (of two
at one moment the opt-out), because a record may arrive twice, or after a newer one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from schemas.events import Origin, PersonName
from schemas.model import UtcTime, Wamid, WireModel
from schemas.sources import Source

SCHEMA_VERSION = 1
PERSON_CHARACTERS_MAX = 160
"""Most characters of a key: a user id has a country, `ENT.` and up to 128 characters."""


class SubscriptionKind(StrEnum):
    """Opt-out or opt-in, or names alone."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    IDENTIFIED = "identified"
    """A webhook named one person by several keys, or reported new ones. It opts nobody out or in."""


class SubscriptionEvent(WireModel):
    """One opt-out or opt-in of a person, or the names of one.

    The person is named by a key, by the message that was answered, or by both.

    Raises ValidationError if neither is there.
    """

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    person: str | None = Field(default=None, min_length=1, max_length=PERSON_CHARACTERS_MAX, repr=False)
    """The key of the person, the same for every spelling of the phone number: digits, or `user:` and a user id. None
    if a webhook names nobody: then the person is the recipient of the message `wamid`."""
    also_known_as: list[PersonName] | None = Field(default=None, max_length=4, repr=False)
    """Further keys of the same person that the webhook named. They are personal data."""
    formerly: list[PersonName] | None = Field(default=None, max_length=4, repr=False)
    """Keys that the same human has left: a changed number or user id. A former number may belong to a stranger now.
    They are personal data."""
    wamid: Wamid | None = Field(default=None, min_length=1, max_length=512, repr=False)
    """WhatsApp's id of a message. Its recipient is the same person: they answered it, or Meta refused to deliver it. It
    may be the message of another system."""
    kind: SubscriptionKind
    """Whether the person opted out or in."""
    source: Source
    """Who or what declared it. Each source has a truth of its own. Names alone come from the platform."""
    occurred_at: UtcTime
    """When it was declared. The latest event of a source is true, and of two at one moment the opt-out."""
    received_at: UtcTime | None = None
    """When the webhook reached us, by our clock. None for an operator's act."""
    origin: Origin | None = None
    """The record from which this event was read. None for an operator's act."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.person is None and self.wamid is None:
            raise ValueError("a person or a wamid is needed")
        return self

    @property
    def key(self) -> bytes:
        """The Kafka key: the person, so that the events of one person keep their order; else the wamid."""
        return (self.person or self.wamid or "").encode()
