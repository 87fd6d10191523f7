"""The bodies of answers about opt-ins and opt-outs, as pydantic models."""

from __future__ import annotations

from datetime import datetime

from api.given import Given
from schemas.reasons import RecipientRefusal
from schemas.sources import Source


class SubscriptionOut(Given):
    """Whether messages to this person are allowed, and the sources that forbid them."""

    subscribed: bool
    """Whether messages are allowed: no source has opted out."""
    out_by: list[Source]
    """The sources that have opted out."""
    doubt: RecipientRefusal | None = None
    """Why the text is no number that a campaign would take. The subscription holds all the same, for `person`."""
    person: str | None = None
    """The person, if there is a doubt."""


class SubscriptionStatement(Given):
    """The latest opt-out or opt-in of one source about one person."""

    person: str
    """The canonical key of the person. A person who is known by several keys may have statements under each."""
    source: Source
    """Who declared it: an operator, a keyword of the person, or the platform."""
    subscribed: bool
    """false is an opt-out."""
    occurred_at: datetime
    """When it was declared."""


class SubscriptionsOut(Given):
    """A page of statements, in the order of person and source."""

    subscriptions: list[SubscriptionStatement]
    """The statements of the page."""
    next: str | None = None
    """`after` of the next page, or null on the last page."""
