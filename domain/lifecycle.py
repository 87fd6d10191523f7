"""The actions on campaigns by state: one table. The scheduler alone completes and reopens campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class CampaignStatus(StrEnum):
    """The state of a campaign."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    """No recipient waits. A recipient that becomes due makes the campaign active again."""
    CANCELLED = "cancelled"


class Action(StrEnum):
    """The actions of an operator."""

    ACTIVATE = "activate"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class ActionNotAllowed(Exception):
    """The action is not allowed in this state; nothing was changed."""

    def __init__(self, message: str, status: CampaignStatus) -> None:
        super().__init__(message)
        self.status = status


class EmptyCampaign(ActionNotAllowed):
    """A campaign without recipients cannot be activated; nothing was changed."""

    def __init__(self, status: CampaignStatus) -> None:
        super().__init__("the campaign has no recipients: add at least one, and then activate it", status)


_D, _A, _P = CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED

ACTIONS: Mapping[Action, tuple[frozenset[CampaignStatus], CampaignStatus]] = MappingProxyType(
    {
        Action.ACTIVATE: (frozenset({_D}), _A),
        Action.PAUSE: (frozenset({_A}), _P),
        Action.RESUME: (frozenset({_P}), _A),
        Action.CANCEL: (frozenset({_D, _A, _P}), CampaignStatus.CANCELLED),
    }
)
"""Action to the states in which it is allowed, and the state that follows."""


def after(action: Action, status: CampaignStatus, *, is_empty: bool = False) -> CampaignStatus:
    """The state that follows. Raises ActionNotAllowed, and EmptyCampaign for the activation of an empty campaign."""
    allowed, target = ACTIONS[action]
    if status not in allowed:
        already = status is target
        message = f"the campaign is already {status}" if already else f"the campaign is {status}: cannot {action} it"
        raise ActionNotAllowed(message, status)
    if action is Action.ACTIVATE and is_empty:
        raise EmptyCampaign(status)
    return target
