"""Which settings of a campaign may change in which state: one table.

A draft may change in everything that it was created with. Once a campaign is activated, its messages must stay the same
for all of its recipients, so only settings that change no message are left. The plan sorts the recipients by the clocks
that decide for them, so those do not change either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from domain.lifecycle import ActionNotAllowed, CampaignStatus

WINDOW = frozenset({"window_days", "window_from", "window_to", "quiet_from", "quiet_to", "start_at"})
"""The settings that decide when a message may be sent."""
CANARY = frozenset({
    "canary", "canary_percent", "canary_min", "canary_max", "canary_wait_minutes",
    "failure_limit_percent", "opt_out_limit_percent", "block_limit_percent", "unknown_limit_percent",
})  # fmt: skip
"""The size of the canary, and the shares of people at which a campaign is paused."""
FREQUENCY = frozenset({"frequency_capped", "cap_wait_days"})
"""How the campaign keeps to the frequency cap."""
EXCLUSIONS = frozenset({"exclude_campaigns", "exclude_recipients"})
"""The people who get no message because of other campaigns."""
_CHANGING_NO_MESSAGE = (
    frozenset({"name", "daily_send_limit", "country", "stale_after_hours"}) | WINDOW | CANARY | FREQUENCY | EXCLUSIONS
)
SETTINGS = _CHANGING_NO_MESSAGE | {
    "template_name", "language_code", "phone_number_id", "endpoint", "time_zone", "window_zone"
}  # fmt: skip
"""The settings of a campaign."""

EDITABLE: Mapping[CampaignStatus, frozenset[str]] = MappingProxyType(
    {
        CampaignStatus.DRAFT: SETTINGS,
        CampaignStatus.ACTIVE: _CHANGING_NO_MESSAGE,
        CampaignStatus.PAUSED: _CHANGING_NO_MESSAGE,
        CampaignStatus.COMPLETED: _CHANGING_NO_MESSAGE,
        CampaignStatus.CANCELLED: frozenset({"name"}),
    }
)
"""State to the settings that may change in it."""
REPLANNED = frozenset({CampaignStatus.ACTIVE, CampaignStatus.PAUSED})
"""States in which a change of `PLANNED_BY` makes a new plan."""
OPENED_BY = WINDOW | {"window_zone", "time_zone", "country"}
"""The settings that decide whether the window ever opens."""
PLANNED_BY = frozenset({"daily_send_limit", "start_at"})


class SettingNotEditable(ActionNotAllowed):
    """The state does not allow a change of these settings; nothing was changed."""

    def __init__(self, settings: Collection[str], status: CampaignStatus) -> None:
        self.settings = tuple(sorted(settings))
        allowed = ", ".join(sorted(EDITABLE[status]))
        super().__init__(
            f"{', '.join(self.settings)} cannot change while the campaign is {status}: only {allowed} can. "
            "To send with other settings, clone the campaign and edit the clone",
            status,
        )


def judge_edit(status: CampaignStatus, changed: Collection[str]) -> None:
    """Permit a change of these settings in this state. Raises SettingNotEditable, which names those that cannot."""
    refused = set(changed) - EDITABLE[status]
    if refused:
        raise SettingNotEditable(refused, status)
