"""The rules that make sections of the pipeline safe, each as a switch: the model must fail where one is off.

All are on in the product. A switch that can be off without a counterexample is a rule that nothing needs, or that the
model does not see.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rules hold."""

    pk: bool = True
    """A ledger row for (recipient, attempt) ends every later claim of it."""
    due: bool = True
    """When a row is due is a function of the facts, not a column that somebody sets."""
    refuse: bool = True
    """Who is refused is not claimed: a refusal writes the ledger row itself, and only where there is none."""
    fresh: bool = True
    """A post needs a claim or renewal that was issued a second ago at most."""
    issue: bool = True
    """The age of a claim counts from its issue, not from when its answer was heard."""
    settle: bool = True
    """A refused renewal settles the ledger."""
    repub: bool = True
    """A release that was published and not claimed is published again."""
    accbits: bool = True
    """Accepted attempts are a set, and a claim asks for the status queued."""
    cancel: bool = True
    """A cancelled campaign's waiting people are skipped."""
    reopen: bool = True
    """A completed campaign in which somebody becomes due is active again."""
    token: bool = True
    """A claim whose answer was lost is read back by its token."""
    skipnew: bool = True
    """A skip by the scheduler takes an attempt of its own."""
    late: bool = True
    """The owner's answer replaces an `unknown` that the sweep declared meanwhile."""
    parking: bool = True
    """Who learns a wamid sees what was parked for it."""
    outbox: bool = True
    """The sweep publishes outcomes that their sender did not."""
    forget: bool = True
    """A release of a row that an older attempt made `sent` is kept: that attempt may still fail."""
    hidden: bool = True
    """Cancelling also skips an unclaimed attempt that hides behind an older one's `sent`."""
    lost: bool = True
    """Who loses an unposted claim to the sweep says that it was not sent."""


RULES = Rules()
NAMES = tuple(field.name for field in fields(Rules))
