"""Which recipients of other campaigns a campaign leaves out: one table. Pure.

A recipient is judged when it is released, so what the other campaigns have sent by then counts. `is_excluded` in
tables/sql/schema.sql repeats the table, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from domain.status import Status

CAMPAIGNS_MAX = 20
"""Most campaigns that one campaign excludes: each release looks into all of them."""


class ExcludedRecipients(StrEnum):
    """The recipients of the other campaigns that are left out."""

    ALL = "all"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


LEFT_OUT: Mapping[ExcludedRecipients, frozenset[Status]] = MappingProxyType({
    ExcludedRecipients.ALL: frozenset(Status),
    ExcludedRecipients.SENT: frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.UNKNOWN}),
    ExcludedRecipients.DELIVERED: frozenset({Status.DELIVERED, Status.READ}),
    ExcludedRecipients.READ: frozenset({Status.READ}),
})  # fmt: skip
"""The statuses in the other campaign that leave a person out. A message whose outcome is unknown may have been sent."""


class InvalidExclusion(ValueError):
    """A campaign cannot be excluded. The message says which and why."""


def is_excluded(statuses: Iterable[Status], recipients: ExcludedRecipients) -> bool:
    """Whether a person is left out who has these statuses in the other campaigns."""
    return not LEFT_OUT[recipients].isdisjoint(statuses)
