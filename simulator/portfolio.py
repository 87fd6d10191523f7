"""The messaging limit of the portfolio: how many people it may open a conversation with in 24 hours. Pure.

Source: Meta's page "Messaging limits": different people in a moving window of 24 hours, outside the customer service
window, over all numbers of the portfolio. The page names no code; providers see 131048 for what is above the limit.
"""

from __future__ import annotations

from collections import OrderedDict

LIMIT_CODE = 131048
WINDOW_S = 86_400.0
"""Of the limit, and of the customer service window after a person's message, in which the business may write freely."""
TIERS = {250: "TIER_250", 2_000: "TIER_2K", 10_000: "TIER_10K", 100_000: "TIER_100K"}


class PortfolioLimit:
    """Counts each person once, from the newest message on."""

    def __init__(self, people_max: int, window_s: float = WINDOW_S) -> None:
        self._people_max = people_max
        self._window_s = window_s
        self._sent_at: OrderedDict[str, float] = OrderedDict()

    def allows(self, person: str, now: float) -> bool:
        """Whether a message to this person is within the limit now (seconds of any clock). If so, it counts."""
        while self._sent_at and next(iter(self._sent_at.values())) <= now - self._window_s:
            self._sent_at.popitem(last=False)
        if person not in self._sent_at and len(self._sent_at) >= self._people_max:
            return False
        self._sent_at[person] = now
        self._sent_at.move_to_end(person)
        return True


def tier_of(people_max: int | None) -> str:
    """The limit in the word of the Graph API."""
    return "TIER_UNLIMITED" if people_max is None else TIERS.get(people_max, f"TIER_{people_max}")
