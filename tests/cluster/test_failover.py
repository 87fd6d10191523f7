"""The primary database is killed under load, and its standby takes over."""

from __future__ import annotations

import json
import subprocess

import pytest

from schemas.dead_letters import read_headers
from schemas.topics import Topic, dead_letters_of
from tests.cluster.scenario import FLOWING, PER_S, run_scenario
from tests.cluster.world import ClusterWorld
from tests.faults.campaign import CAMPAIGNS, RunningCampaign
from tests.faults.injections import BOTH
from tests.faults.steady_load import Crowd
from tests.support.kafka_topics import committed_lag, read_all
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RECOVER_DEADLINE_S = 120.0
APPLIED_DEADLINE_S = 60.0
QUEUED = "SELECT count(*) FROM campaign_recipients WHERE status = 'queued'"


def recover(world: ClusterWorld, *options: str) -> dict[str, object]:
    """Run `campaigns recover`, as an operator does after a failover. Returns its result."""
    done = subprocess.run(
        [CAMPAIGNS, "recover", "--yes", "--json", *options],
        env=world.environment,
        cwd=world.folder,
        capture_output=True,
        text=True,
        timeout=RECOVER_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"campaigns recover ended with {done.returncode}: {done.stderr[-2000:]}"
    return dict(json.loads(done.stdout))


def test_the_synchronous_standby_is_promoted_and_nothing_is_lost(cluster: ClusterWorld, crowd: Crowd) -> None:
    """Nothing is sent before `campaigns recover --complete`. Then the releases without a claim are sent."""
    recovered: dict[str, object] = {}

    def fail_over(world: ClusterWorld) -> None:
        eventually(lambda: world.count(QUEUED), "messages are released")
        world.databases.promote()
        recovered.update(recover(world, "--complete"))

    run_scenario(cluster, crowd, "promotion of the synchronous standby", fail_over, unknown_max=BOTH)
    assert recovered["needed"] is True
    assert recovered["unknown"] == 0


def test_events_of_people_whose_rows_are_gone_do_not_stop_the_sinks(cluster: ClusterWorld, crowd: Crowd) -> None:
    """A standby without the latest commits is promoted: a whole campaign is gone, and its events still arrive."""
    cluster.databases.detach()
    lost = RunningCampaign(cluster, crowd, PER_S, "a campaign that is lost")
    lost.wait_until_flowing(FLOWING)
    cluster.databases.promote()
    lost.load.abandon()
    recover(cluster)
    posted = lost.posted()

    kafka, topic = cluster.brokers.bootstrap_servers, cluster.settings.topic(Topic.RECIPIENT_EVENTS)
    group = cluster.settings.group("sink")
    eventually(
        lambda: cluster.simulator.state()["quiet"] and committed_lag(kafka, group, topic) == 0,
        "the sinks have applied or dead-lettered all events",
        APPLIED_DEADLINE_S,
    )
    reasons = {read_headers(letter.headers()).reason for letter in read_all(kafka, dead_letters_of(topic))}
    assert reasons == {"unknown_recipient"}
    run_scenario(cluster, crowd, "after a promotion that lost commits", lambda _: None)
    assert lost.posted() == posted, "people of the lost campaign got another message"
