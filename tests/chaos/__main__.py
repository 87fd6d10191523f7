"""Runs the schedule for the given time, waits until all work is done, and prints the verdict as the last line.

python -m tests.chaos --minutes 30 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from cli.pipeline import Stopped, stop_on_signals
from tests.chaos import laws
from tests.chaos.laws import Received
from tests.chaos.limited import LimitedCampaign
from tests.chaos.resolution_times import ResolutionTimes
from tests.chaos.schedule import next_fault
from tests.faults.campaign import Result, RunningCampaign
from tests.faults.injections import wait_seconds
from tests.faults.steady_load import Crowd
from tests.faults.world import TIME_SCALE, World, start_world
from verdict.truth import TimeSpan

PER_S = 60.0
"""Half of the rate of the pipeline with its simulator on two cores, so that a backlog can be sent."""
PEOPLE_MAX = 40_000
"""The budget of the portfolio. The load stays below it, so that only `lower limit` stops the campaigns."""
WINDOW_S = 86_400.0 / TIME_SCALE
"""The 24 hours of the budget."""
LATE_S = 25.0
"""A charge counts for up to three buckets longer than its post, which a hanging network may delay."""
CHARGED = """
    SELECT coalesce(sum(people), 0)::int FROM portfolio_buckets
    WHERE began_at > clock_timestamp() - make_interval(secs => %s)
"""
EXIT_INTERRUPTED = 130


@dataclass
class Tally:
    """The faults and their effects so far."""

    faults: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    unknown_max: int = 0
    failures: list[str] = field(default_factory=list)
    blurred: list[TimeSpan] = field(default_factory=list)
    """The times of faults that delay what was posted already."""


def main() -> int:
    """Run the schedule. The exit code is 0 only for an exact verdict."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    stop_on_signals()
    try:
        with start_world(WHATSAPP_PORTFOLIO_LIMIT=PEOPLE_MAX) as world:
            verdict = _run(world, options.minutes * 60.0, options.seed)
    except Stopped:
        return EXIT_INTERRUPTED
    print(json.dumps(verdict), flush=True)
    return 0 if verdict["verdict"] == "exact" else 1


def _run(world: World, seconds: float, seed: int) -> dict[str, object]:
    log(f"seed {seed}, {seconds / 60:.1f} minutes, {PER_S:.0f} messages a second; logs in {world.folder}")
    crowd = Crowd(seed, int(PER_S * seconds * 1.2) + 5000)
    rng = random.Random(seed)
    tally = Tally()
    campaign = RunningCampaign(world, crowd, PER_S, f"chaos {seed}")
    campaign.wait_until_flowing(100)
    limited = LimitedCampaign(world, crowd, campaign, seed)
    end = time.monotonic() + seconds
    with ResolutionTimes(world, campaign.id) as resolution:
        while time.monotonic() < end:
            _run_fault(world, campaign, rng, tally, end)
        try:
            recovery_s = campaign.recovery_s(time.time())
            campaign.load.stop()
            of_limited = limited.end(tally.blurred)
            result = campaign.finish(time.time(), recovery_s, from_topic=True)
        except AssertionError as failed:
            return {"verdict": "differs", "seed": seed, "failures": [*tally.failures, *limited.failures, str(failed)]}
    tally.failures += [*limited.failures, *_budget_failures(world, campaign, limited, result, of_limited)]
    return {**_conclude(world, result, tally, resolution, seed), "limited": _figures(limited, of_limited)}


def _figures(limited: LimitedCampaign, result: Result) -> dict[str, object]:
    """What happened in the campaign with limits."""
    verdict = result.judged.verdict
    return {
        **limited.acts,
        "recipients": sum(verdict.statuses.values()),
        "messages_sent": verdict.messages_accepted,
        "skipped": verdict.statuses["skipped"],
        "rows_wrong": len(verdict.wrong_rows),
        "counters_wrong": len(verdict.wrong_counters),
        "double_sends": verdict.double_sends,
    }


def _budget_failures(
    world: World, campaign: RunningCampaign, limited: LimitedCampaign, result: Result, of_limited: Result
) -> list[str]:
    """What contradicts the budget of the portfolio, and the rows of the campaign with limits."""
    verdict = of_limited.judged.verdict
    failures = [f"limited: {', '.join(row.fields)}; {row.found_status}" for row in verdict.wrong_rows]
    failures += [f"limited: counter {name}" for name in verdict.wrong_counters]
    failures += [f"limited: {verdict.double_sends} double sends"] * (verdict.double_sends > 0)
    posts = [Received(post.number, post.received_at) for post in (*campaign.posts(), *limited.posts())]
    failures += laws.above_portfolio(posts, PEOPLE_MAX, WINDOW_S)
    now, charged = time.time(), world.count(CHARGED, WINDOW_S + WINDOW_S / 96)
    least = len({post.number for post in posts if post.at > now - WINDOW_S})
    most = len({post.number for post in posts if post.at > now - WINDOW_S - LATE_S})
    most += result.unknown_ever + of_limited.unknown_ever
    if not least <= charged <= most:
        failures.append(f"the budget of the portfolio has {charged} people, the posts explain {least} to {most}")
    return failures


def _run_fault(world: World, campaign: RunningCampaign, rng: random.Random, tally: Tally, end: float) -> None:
    planned = next_fault(rng)
    wait_seconds(min(planned.pause_s, max(0.0, end - time.monotonic())))
    started, began_at = time.monotonic(), time.time()
    tally.faults[planned.kind] += 1
    try:
        fault = planned.inject(world, campaign)
        lasted_s = time.monotonic() - started
        recovery_s = campaign.recovery_s(fault.ended_at)
        world.require_alive()
    except AssertionError as failed:
        tally.failures.append(f"{planned.name}: {failed}")
        log(f"{planned.name:40} FAILED: {failed}")
        return
    finally:
        if planned.delays_posts:
            tally.blurred.append(TimeSpan(began_at, time.time()))
    tally.unknown_max += fault.unknown_max
    tally.recoveries_s.append(recovery_s)
    log(f"{planned.name:40} in flight {fault.in_flight:4}  lasted {lasted_s:5.1f} s  recovered in {recovery_s:5.1f} s")


def _conclude(world: World, result: Result, tally: Tally, resolution: ResolutionTimes, seed: int) -> dict[str, object]:
    verdict = result.judged.verdict
    failures = [*tally.failures, *verdict.trouble]
    if result.unknown_ever > tally.unknown_max:
        failures.append(f"{result.unknown_ever} were unknown, the faults explain {tally.unknown_max}")
    lost = sum("row_missing" in row.fields or row.found_status == "queued" for row in verdict.wrong_rows)
    exact = verdict.word == "exact" and not failures
    for row in verdict.wrong_rows[:20]:
        statuses = f"status {row.found_status}, expected {row.expected_status}"
        log(f"mismatch in row {row.row_id}: {', '.join(row.fields)}; {statuses}")
        for value in row.values:
            log(f"    {value}")
    return {
        "verdict": "exact" if exact else "differs",
        "seed": seed,
        "faults": sum(tally.faults.values()),
        "by_kind": dict(sorted(tally.faults.items())),
        "recovery_median_s": round(statistics.median(tally.recoveries_s), 1) if tally.recoveries_s else None,
        "recovery_max_s": round(max(tally.recoveries_s), 1) if tally.recoveries_s else None,
        "recipients": len(verdict.statuses) and sum(verdict.statuses.values()),
        "messages_sent": verdict.messages_accepted,
        "webhooks_acknowledged": result.webhooks,
        "statuses_said": int(world.simulator.state()["statuses_said"]),
        "lost": lost,
        "rows_wrong": len(verdict.wrong_rows),
        "counters_wrong": len(verdict.wrong_counters),
        "double_sends": verdict.double_sends,
        "unknown": result.unknown_ever,
        "unknown_healed": result.judged.resolved,
        "unknown_left": result.unknown_left,
        "healed_median_s": resolution.median_s(),
        "healed_max_s": resolution.max_s(),
        "restarts": {name: n for name in world.supervisor.names() if (n := world.supervisor.restarts_of(name))},
        "failures": failures,
    }


def log(line: str) -> None:
    """Print a line with the current time."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
