"""The rules that make the pipeline safe, each as a switch. The model must find a violation if a rule is off.

The product follows all rules. If the model finds no violation without a rule, then either the rule is unnecessary or
the model is incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that are on."""

    pk: bool = True
    """A ledger row of (recipient, attempt) prevents every later claim of that attempt."""
    due: bool = True
    """The due time of a row is computed from its facts, and no code sets it as a column."""
    refuse: bool = True
    """A refusal writes the ledger row instead of a claim, and only if there is no row yet."""
    fresh: bool = True
    """A post needs a claim or a renewal that was issued at most a second ago."""
    issue: bool = True
    """The age of a claim counts from its issue, and not from the receipt of its answer."""
    settle: bool = True
    """A refused renewal settles the ledger."""
    repub: bool = True
    """A release that was published and not claimed is published again."""
    accbits: bool = True
    """Accepted attempts are a set, and a claim requires the status queued."""
    cancel: bool = True
    """The waiting recipients of a cancelled campaign are skipped."""
    reopen: bool = True
    """A completed campaign becomes active again if one of its recipients becomes due."""
    token: bool = True
    """A claim whose answer was lost is read back by its token."""
    skipnew: bool = True
    """A skip by the scheduler uses a new attempt."""
    late: bool = True
    """The answer of the owner replaces an `unknown` that the sweep has declared meanwhile."""
    parking: bool = True
    """A recipient that gets a wamid also gets the facts that were parked for it."""
    outbox: bool = True
    """The sweep publishes outcomes that their sender did not publish."""
    forget: bool = True
    """A release of a row that an older attempt made `sent` is kept: that attempt may still fail."""
    hidden: bool = True
    """Cancelling also skips an unclaimed attempt of a row that an older attempt made `sent`."""
    held: bool = True
    """Claims and renewals obey an open breaker."""
    probe: bool = True
    """An open breaker lets one message through at a time, and only where no human is needed."""
    lost: bool = True
    """A sender that loses an unposted claim to the sweep reports that the message was not sent."""
    marks: bool = True
    """Nothing is claimed while a webhook that is more than a minute old may not be applied."""
    links: bool = True
    """An opt-out, a message and the cap hold for a human under all keys."""
    waits: bool = True
    """A statement that names a message which is not known yet waits for it."""
    twins: bool = True
    """Of two rows of a campaign that turn out to be one human, one gets the message."""
    cap: bool = True
    """A claim obeys the frequency cap too: a link may have come since the release."""
    window: bool = True
    """A release needs an open window, and its message may be posted until the end of the window."""
    edit: bool = True
    """New hours expire what was released before."""
    day: bool = True
    """A release obeys the limit of the day."""
    people: bool = True
    """A release obeys the budget of the portfolio."""
    back: bool = True
    """What was surely not posted is given back to the portfolio."""


RULES = Rules()
LIMITS = ("marks", "links", "waits", "twins", "cap", "window", "edit", "day", "people", "back")
"""The rules of people and limits. Only a limited walk needs them."""
NAMES = tuple(field.name for field in fields(Rules))
