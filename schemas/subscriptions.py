"""`subscription.events`: every effective opt-out and opt-in of a person, by source.

A person is subscribed if no source has opted out. Readers keep the latest event of each source by `occurred_at` (of two
at one moment the opt-out), because a record may arrive twice, or after a newer one.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.model import UtcTime, WireModel

SCHEMA_VERSION = 1
PERSON_CHARACTERS_MAX = 160
"""Most characters of a key: a user id has a country, `ENT.` and up to 128 characters."""


class SubscriptionKind(StrEnum):
    """Opt-out or opt-in."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class Source(StrEnum):
    """The source of an opt-out or opt-in."""

    KEYWORD = "keyword"
    """The person, by a word such as STOP."""
    PLATFORM = "platform"
    """The person, in WhatsApp's own settings."""
    OPERATOR = "operator"


class SubscriptionEvent(WireModel):
    """One opt-out or opt-in of a person."""

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    person: str = Field(min_length=1, max_length=PERSON_CHARACTERS_MAX, repr=False)
    """The key of the person, the same for every spelling of the phone number: digits, or `user:` and a user id."""
    kind: SubscriptionKind
    """Whether the person opted out or in."""
    source: Source
    """Who or what declared it. Each source has a truth of its own."""
    occurred_at: UtcTime
    """When it was declared. The latest event of a source is true, and of two at one moment the opt-out."""

    @property
    def key(self) -> bytes:
        """The Kafka key: the person, so that the events of one person keep their order."""
        return self.person.encode()
