"""One scenario: a campaign under load, a fault, the recovery, the pauses, and the verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.pauses import Pauses, longest_gap
from tests.cluster.probes import Probe, Probes
from tests.cluster.world import ClusterWorld
from tests.faults.campaign import Result, RunningCampaign, require_exact
from tests.faults.injections import wait_for_work_in_flight
from tests.faults.steady_load import Crowd
from tests.support.waiting import eventually

PER_S = 15.0
FLOWING = 40
APPLIED_DEADLINE_S = 90.0

LONGEST_WAIT = """
    SELECT extract(epoch FROM max(l.claimed_at - r.created_at))::float8
    FROM send_ledger AS l JOIN campaign_recipients AS r ON r.id = l.recipient_id
    WHERE l.campaign_id = %s AND l.attempt = 1
"""
APPLIED = "SELECT wamid FROM messages WHERE wamid LIKE 'wamid.probe.%%' AND delivered_at IS NOT NULL"

Fault = Callable[[ClusterWorld], None]
"""Causes a fault. It returns when the cause is gone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The pauses and the verdict of a scenario."""

    pauses: Pauses
    result: Result
    refused: list[Probe]
    """The probes that no ingress acknowledged."""


def run_scenario(world: ClusterWorld, crowd: Crowd, name: str, fault: Fault, *, unknown_max: int = 0) -> Outcome:
    """Run a fault under load, print the figures, and fail for any difference or any lost webhook."""
    campaign = RunningCampaign(world, crowd, PER_S, name)
    campaign.wait_until_flowing(FLOWING)
    with world.probes() as probes:
        eventually(lambda: len(probes.acknowledged) >= FLOWING, "probes are acknowledged")
        in_flight = wait_for_work_in_flight(world, campaign, "sink")
        since = time.time()
        fault(world)
        gone = time.time()
        recovery_s = campaign.recovery_s(gone)
        until = time.time()
        probes.stop()
        result = campaign.finish(gone, recovery_s)
    pauses = _pauses(world, campaign, probes, since, until)
    figures = {"scenario": name, "cause_s": round(gone - since, 1), **_shown(pauses), "probes": len(probes.ended)}
    print(json.dumps({**figures, "in_flight": in_flight, **result.figures()}), flush=True)
    assert in_flight > 0
    require_exact(result, unknown_max)
    require_applied(world, probes.acknowledged)
    return Outcome(pauses, result, probes.refused)


def require_applied(world: ClusterWorld, acknowledged: list[Probe]) -> None:
    """Fail if a webhook that an ingress answered with 200 did not reach the database."""
    wanted = {probe.wamid for probe in acknowledged}

    def missing() -> set[str]:
        with world.connect() as connection:
            return wanted - {row[0] for row in connection.execute(APPLIED).fetchall()}

    eventually(lambda: not missing(), "every acknowledged webhook is in the database", APPLIED_DEADLINE_S)


def _pauses(world: ClusterWorld, campaign: RunningCampaign, probes: Probes, since: float, until: float) -> Pauses:
    with world.connect() as connection:
        found = connection.execute(LONGEST_WAIT, [campaign.id]).fetchone()
    assert found is not None
    return Pauses(
        longest_gap((float(entry["received_at"]) for entry in world.simulator.ledger()), since, until),
        longest_gap((probe.ended_at for probe in probes.acknowledged), since, until),
        len(probes.refused),
        float(found[0]),
    )


def _shown(pauses: Pauses) -> dict[str, object]:
    return {
        "sends_paused_s": round(pauses.sends.seconds, 1),
        "sends_paused_at": time.strftime("%H:%M:%S", time.localtime(pauses.sends.start)),
        "acknowledgements_paused_s": round(pauses.acknowledgements.seconds, 1),
        "acknowledgements_paused_at": time.strftime("%H:%M:%S", time.localtime(pauses.acknowledgements.start)),
        "refused": pauses.refused,
        "longest_wait_s": round(pauses.longest_wait_s, 1),
    }
