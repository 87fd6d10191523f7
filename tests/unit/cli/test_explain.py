"""The lines of an explanation: the largest group first, each with its meaning, its next time and its detail."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from cli.explain import explanation_lines
from domain.lifecycle import CampaignStatus
from domain.waiting import WaitGroup
from schemas.reasons import WaitReason
from tables.explanations import Explanation

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_the_lines_of_an_explanation() -> None:
    groups = [
        WaitGroup(WaitReason.IN_TURN, 5, NOON),
        WaitGroup(WaitReason.OUTSIDE_WINDOW, 1200, NOON, "JP"),
        WaitGroup(WaitReason.FAILED, 7),
    ]
    found = Explanation(UUID(int=1), CampaignStatus.ACTIVE, NOON, 2000, 788, groups)
    first, *lines = explanation_lines("Sale", found)
    assert first == "Sale  (active)  788 of 2,000 have a message"
    assert [line.split()[:2] for line in lines] == [["1,200", "outside_window"], ["7", "failed"], ["5", "in_turn"]]
    assert lines[0].endswith("Next: 2026-11-26 12:00:00Z.  (JP)")
    assert lines[1].endswith(WaitReason.FAILED.meaning)
