"""`subscription.events`: what one source said of one person, each statement that took hold.

A person is subscribed while no source says otherwise. Readers keep the latest statement of each source by
`occurred_at` (of two at one moment the opt-out), because a record may arrive twice, or after a newer one.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.model import UtcTime, WireModel

SCHEMA_VERSION = 1


class SubscriptionKind(StrEnum):
    """What was said."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class Source(StrEnum):
    """Who said it."""

    KEYWORD = "keyword"
    """The person, by a word such as STOP."""
    PLATFORM = "platform"
    """The person, in WhatsApp's own settings."""
    OPERATOR = "operator"


class SubscriptionEvent(WireModel):
    """One statement about one person: the phone number in digits, or the user id where no number is known."""

    v: int = SCHEMA_VERSION
    producer: str = ""
    person: str = Field(min_length=1, max_length=128, repr=False)
    kind: SubscriptionKind
    source: Source
    occurred_at: UtcTime

    @property
    def key(self) -> bytes:
        """The Kafka key: the person, so that one person's statements keep their order."""
        return self.person.encode()
