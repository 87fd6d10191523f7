"""Page, REST, topic, command and SQL show the same figures, while a campaign runs and servers are killed."""

from __future__ import annotations

import time

import pytest

from tests.faults import figures
from tests.faults.campaign import require_exact
from tests.faults.injections import Injection, kill_all, kill_kafka, kill_postgres
from tests.faults.start_and_end import start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.slow]

INJECTIONS: dict[str, Injection] = {
    "all sinks are killed": lambda world, campaign: kill_all(world, campaign, "sink"),
    "the stats publisher is killed": lambda world, campaign: kill_all(world, campaign, "stats-publisher"),
    "the API is killed": lambda world, campaign: kill_all(world, campaign, "api"),
    "Postgres is killed": kill_postgres,
    "Kafka is killed": kill_kafka,
}


def require_agreement(world: World, campaign: str) -> int:
    """Compare all places at one version, which is returned."""
    with figures.held(world, campaign) as connection:
        expected = figures.of_views(connection, campaign)
        version = int(expected["version"])
        assert figures.of_rest(world, campaign) == expected
        assert figures.of_command(world, campaign) == expected
        assert figures.prices_of_rest(world, campaign) == figures.prices_of_views(connection, campaign)
        for published in figures.of_topic(world, campaign, version):
            assert published == expected
        for shown in (figures.of_page(world, campaign), figures.of_stream(world, campaign, version)):
            to_do = expected["pending"] + expected["queued"]
            assert shown == {name: {**expected, "to_do": to_do}[name] for name in shown}
    return version


def test_every_place_shows_the_same_figures_while_servers_are_killed(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "the same figures")
    versions = [require_agreement(world, campaign.id)]
    unknown_max, recovery_s = 0, 0.0
    for name, inject in INJECTIONS.items():
        fault = inject(world, campaign)
        versions.append(require_agreement(world, campaign.id))
        recovery_s = campaign.recovery_s(fault.ended_at)
        versions.append(require_agreement(world, campaign.id))
        unknown_max += fault.unknown_max
        print(f"{name}: the figures of version {versions[-2]} and {versions[-1]} agree", flush=True)
    assert versions == sorted(versions)
    assert versions[0] < versions[-1], "the figures moved"
    require_exact(campaign.finish(time.time(), recovery_s), unknown_max)
    with world.connect() as connection:
        last = figures.of_views(connection, campaign.id)
    assert figures.of_rest(world, campaign.id) == last
