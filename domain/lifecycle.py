"""What may be done to a campaign in which state: one table. Completion and re-opening are the scheduler's."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class CampaignStatus(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    """Nobody waits for anything. Somebody who becomes due makes it active again."""
    CANCELLED = "cancelled"


class Action(StrEnum):
    """What an operator may ask for."""

    ACTIVATE = "activate"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class WrongState(Exception):
    """This action is not for a campaign in this state; nothing was changed."""

    def __init__(self, action: str, status: CampaignStatus) -> None:
        super().__init__(f"a campaign that is {status} cannot be asked to {action}")
        self.status = status


_D, _A, _P = CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.PAUSED

ACTIONS: Mapping[Action, tuple[frozenset[CampaignStatus], CampaignStatus]] = MappingProxyType(
    {
        Action.ACTIVATE: (frozenset({_D}), _A),
        Action.PAUSE: (frozenset({_A}), _P),
        Action.RESUME: (frozenset({_P}), _A),
        Action.CANCEL: (frozenset({_D, _A, _P}), CampaignStatus.CANCELLED),
    }
)
"""From which states, and to which."""


def after(action: Action, status: CampaignStatus) -> CampaignStatus:
    """The state that follows. Raises WrongState."""
    allowed, target = ACTIONS[action]
    if status not in allowed:
        raise WrongState(action, status)
    return target
