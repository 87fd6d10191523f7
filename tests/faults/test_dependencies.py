"""Kafka, Postgres and the Cloud API killed, away, cut off, late, or silent, under load."""

from __future__ import annotations

import pytest

from tests.faults.steady import Crowd
from tests.faults.story import survived, under_load
from tests.faults.strikes import delay, hang, kill_kafka, kill_postgres, kill_postgres_and_be_late, take_away
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.slow]
DEPENDENCIES = ("kafka", "postgres", "cloud")
AWAY_S = 60.0
SHORTLY_AWAY_S = 20.0
HANGING_S = 10.0
LATE_S, LATE_BY_S = 15.0, 0.4


def test_kafka_is_killed(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "kill kafka")
    survived(underway, kill_kafka(world, underway))


def test_postgres_is_killed(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "kill postgres")
    survived(underway, kill_postgres(world, underway))


def test_postgres_comes_back_late(world: World, crowd: Crowd) -> None:
    underway = under_load(world, crowd, "postgres comes back late")
    survived(underway, kill_postgres_and_be_late(world, underway))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_away_shortly(world: World, crowd: Crowd, dependency: str) -> None:
    underway = under_load(world, crowd, f"{dependency} shortly away")
    survived(underway, take_away(world, underway, dependency, SHORTLY_AWAY_S))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_away_for_a_minute(world: World, crowd: Crowd, dependency: str) -> None:
    underway = under_load(world, crowd, f"{dependency} away")
    survived(underway, take_away(world, underway, dependency, AWAY_S))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_takes_everything_and_answers_nothing(world: World, crowd: Crowd, dependency: str) -> None:
    underway = under_load(world, crowd, f"{dependency} hangs")
    survived(underway, hang(world, underway, dependency, HANGING_S))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_late(world: World, crowd: Crowd, dependency: str) -> None:
    underway = under_load(world, crowd, f"{dependency} is late")
    survived(underway, delay(world, underway, dependency, LATE_S, LATE_BY_S))
