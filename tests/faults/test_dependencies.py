"""Kafka, Postgres and the Cloud API are killed, unreachable, slow, or silent under load."""

from __future__ import annotations

import pytest

from tests.faults.injections import cut_off, delay, hang, kill_kafka, kill_postgres, kill_postgres_and_restart_slowly
from tests.faults.start_and_end import finish_exactly, start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.slow]
DEPENDENCIES = ("kafka", "postgres", "cloud")
LONG_OUTAGE_S = 60.0
SHORT_OUTAGE_S = 20.0
HANG_S = 10.0
SLOW_S, DELAY_S = 15.0, 0.4


def test_kafka_is_killed(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "kill kafka")
    finish_exactly(campaign, kill_kafka(world, campaign))


def test_postgres_is_killed(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "kill postgres")
    finish_exactly(campaign, kill_postgres(world, campaign))


def test_postgres_is_slow_after_a_restart(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "postgres is slow after a restart")
    finish_exactly(campaign, kill_postgres_and_restart_slowly(world, campaign))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_unreachable_for_20_seconds(world: World, crowd: Crowd, dependency: str) -> None:
    campaign = start_under_load(world, crowd, f"{dependency} short outage")
    finish_exactly(campaign, cut_off(world, campaign, dependency, SHORT_OUTAGE_S))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_unreachable_for_a_minute(world: World, crowd: Crowd, dependency: str) -> None:
    campaign = start_under_load(world, crowd, f"{dependency} long outage")
    finish_exactly(campaign, cut_off(world, campaign, dependency, LONG_OUTAGE_S))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_accepts_requests_and_never_answers(world: World, crowd: Crowd, dependency: str) -> None:
    campaign = start_under_load(world, crowd, f"{dependency} hangs")
    finish_exactly(campaign, hang(world, campaign, dependency, HANG_S))


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_is_slow(world: World, crowd: Crowd, dependency: str) -> None:
    campaign = start_under_load(world, crowd, f"{dependency} is slow")
    finish_exactly(campaign, delay(world, campaign, dependency, SLOW_S, DELAY_S))
