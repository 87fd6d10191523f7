"""SIGKILL, SIGTERM and SIGSTOP of every kind of process under load."""

from __future__ import annotations

import json

import pytest

from tests.faults.campaign import Result, Struck, Underway, require_exact
from tests.faults.steady import Crowd
from tests.faults.strikes import freeze_one, kill_all, stop_all
from tests.faults.world import KINDS, World

pytestmark = pytest.mark.faults
PER_S = 100.0
FLOWING = 150


def survived(underway: Underway, struck: Struck) -> Result:
    """Finish the campaign; print what it took; fail for anything that differs."""
    result = underway.finish(struck.ended_at, struck.recovery_s)
    print(json.dumps({"in_flight": struck.in_flight, **result.figures()}))
    assert struck.in_flight > 0
    require_exact(result, struck.unknown_max)
    return result


def under_load(world: World, crowd: Crowd, name: str) -> Underway:
    """A campaign that flows."""
    underway = Underway(world, crowd, PER_S, name)
    underway.wait_until_flowing(FLOWING)
    return underway


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_kind_are_killed(world: World, crowd: Crowd, kind: str) -> None:
    underway = under_load(world, crowd, f"kill {kind}")
    survived(underway, kill_all(world, underway, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_a_kind_is_told_to_stop(world: World, crowd: Crowd, kind: str) -> None:
    underway = under_load(world, crowd, f"stop {kind}")
    survived(underway, stop_all(world, underway, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_a_kind_is_frozen_past_its_lease(world: World, crowd: Crowd, kind: str) -> None:
    underway = under_load(world, crowd, f"freeze {kind}")
    survived(underway, freeze_one(world, underway, kind))
