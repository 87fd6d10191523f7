"""What WhatsApp charges for a message, by the `pricing` object of its statuses. Pure.

The price of a recipient is one text: the attempt in two digits, the category and the charge, such as
`01 marketing/billable`. Prices merge by the greatest text, so the newest attempt that has a price wins, in any order of
events. Category and charge come from closed lists: WhatsApp's words are open, and the texts become keys of counters.

Meta charges for a message when it is delivered, so a price counts once its recipient has `delivered_at`.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

CATEGORIES = (
    "authentication",
    "authentication-international",
    "marketing",
    "marketing_lite",
    "referral_conversion",
    "service",
    "utility",
)
"""The categories that Meta documents for `pricing.category`."""
OTHER = "other"
"""A category that is not documented."""


class Charge(StrEnum):
    """Whether a message is charged, and why it is not: `pricing.type`, which replaces `pricing.billable`."""

    BILLABLE = "billable"
    """Type `regular`, or a type that is not known: it counts as charged, so that a cost is not shown too low."""
    FREE = "free"
    """Not billable, for another reason than those below."""
    FREE_CUSTOMER_SERVICE = "free_customer_service"
    """An answer within 24 hours after a message of the person."""
    FREE_ENTRY_POINT = "free_entry_point"
    """Within 72 hours after a click on an advertisement that leads to WhatsApp."""


@lru_cache(4096)
def price_of(attempt: int, pricing_type: str, category: str) -> str:
    """The price of an attempt, from the type and the category of a `pricing` object."""
    known = category if category in CATEGORIES else OTHER
    charge = Charge(pricing_type) if pricing_type in set(Charge) else Charge.BILLABLE
    return f"{attempt:02d} {known}/{charge}"


def with_attempt(price: str, attempt: int) -> str:
    """The same price, of another attempt."""
    return f"{attempt:02d}{price[2:]}"
