"""What an edited template means for a campaign that sends with it. Pure.

Meta reports that somebody edited a template, with its texts but without its whole structure. The template as it is now
decides: parameters that fit it go on, parameters that do not fit pause the campaign, and so does a template that cannot
be read, because Meta might refuse every message.

Laws: a campaign goes on only if the template was read, nothing refuses it, and nothing misfits. The reason of a pause
names the component, and is never longer than a report may be.

Source: Meta, webhooks reference, message_template_components_update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.template_fit import Finding, Misfit

REASON_CHARACTERS_MAX = 400
"""The most of a reason on `campaign.control`."""
_THEN = "Then resume the campaign."


class TemplateFit(StrEnum):
    """What the comparison of an edited template with the parameters showed."""

    FITS = "fits"
    """The parameters fit. The campaign goes on."""
    MISFITS = "misfits"
    """Meta would refuse messages. The campaign is paused."""
    UNREADABLE = "unreadable"
    """The template cannot be read. The campaign is paused."""


@dataclass(frozen=True, slots=True)
class EditVerdict:
    """What becomes of a campaign. `reason`: why it is paused; None: it goes on."""

    fit: TemplateFit
    reason: str | None = None


def unread(why: str) -> EditVerdict:
    """The verdict on a template that cannot be read. `why`: a sentence."""
    return _paused(
        TemplateFit.UNREADABLE,
        f"The template was edited, and it cannot be read to compare it with the parameters: {why}",
        "Compare it with `campaigns templates check`.",
    )


def refused(findings: Sequence[Finding]) -> EditVerdict | None:
    """The verdict on a template that Meta does not send. None: nothing refuses it."""
    found = next((each for each in findings if each.refuses), None)
    if found is None:
        return None
    return _paused(
        TemplateFit.MISFITS, f"The template was edited. {found.detail}", "Wait for its approval, or correct it."
    )


def misfitting(misfits: Sequence[Misfit], recipients: int) -> EditVerdict:
    """The verdict after the first recipients that do not fit. `recipients`: how many they are at least."""
    first = misfits[0]
    return _paused(
        TemplateFit.MISFITS,
        f"The template was edited, and the parameters of at least {recipients:,} waiting recipient(s) no longer fit. "
        f"{first.field}: {first.detail}",
        "Correct the template, or cancel the campaign.",
    )


def _paused(fit: TemplateFit, what: str, remedy: str) -> EditVerdict:
    tail = f" {remedy} {_THEN}"
    return EditVerdict(fit, what[: REASON_CHARACTERS_MAX - len(tail)] + tail)
