"""Which message an opt-out follows. Pure; tables/sql/opt_outs.sql repeats it, and a test compares both.

The campaign of that message is judged by its opt-outs (domain/shares.py). An opt-out that names a message follows that
message. One that names none follows the newest message that the person had in the three days before. Operators enter
opt-outs too, but those are no answer to a message.

The messages, the links between the keys of a human, and the opt-outs become known in any order. So the rule reads only
facts, and an opt-out is attributed several times: at once, and again after the pauses of `ROUND_PAUSES_S`. After the
last round it has its final message, as a status whose message is still not known after a day is final. A replay begins
the rounds again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

FOLLOWS_WITHIN = timedelta(days=3)
"""An opt-out later than this after a message does not follow it."""
CLOCKS_DIFFER = timedelta(minutes=10)
"""Meta states the time of an opt-out, and our clock that of an answer. So the opt-out may seem to come first."""
ROUND_PAUSES_S: tuple[float, ...] = (10, 60, 600, 3600, 86_400)
"""The pauses between the rounds in which an opt-out is attributed, in seconds. The first round is at once."""


@dataclass(frozen=True, slots=True)
class PersonalOptOut:
    """An opt-out by a person or by WhatsApp for them."""

    occurred_at: datetime
    wamid: str = ""
    """The message that it answers; empty if it names none."""


def followed(opt_out: PersonalOptOut, accepted: Mapping[UUID, datetime], owners: Mapping[str, UUID]) -> UUID | None:
    """The recipient whose message the opt-out follows, or None.

    `accepted`: when the newest message of each recipient who is this human was accepted, by recipient. `owners`: the
    recipients of messages by their wamid.
    """
    if opt_out.wamid:
        return owners.get(opt_out.wamid)
    earliest, latest = opt_out.occurred_at - FOLLOWS_WITHIN, opt_out.occurred_at + CLOCKS_DIFFER
    near = [(at, recipient) for recipient, at in accepted.items() if earliest <= at <= latest]
    return max(near)[1] if near else None
