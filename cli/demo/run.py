"""`campaigns demo`: the run from an empty stage to the verdict, in the order in which one sees it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import psycopg

from cli.console import report_invalid_settings
from cli.demo.clients import CampaignApi, SimulatorClient
from cli.demo.completion import CompletionWatcher, Snapshot
from cli.demo.killing import Killing, NothingHeld, held_by, kill_while_held, note_claims
from cli.demo.people import Person, people
from cli.demo.result import DemoResult, rate_of
from cli.demo.show import Screen
from cli.demo.stage import KEEP, Stage, StageOptions, staged
from cli.pipeline import NotReady, Stopped, stop_on_signals
from runtime.settings import WrongSettings
from schemas import callback
from stack.places import StackUnavailable
from verdict.judge import Evidence, Held, judge
from verdict.recount import recount, reported
from verdict.rows import JudgeConnection, connect, read_counters, read_rows, read_tokens
from verdict.truth import Post, post_of

EXIT_EXACT = 0
EXIT_DIFFERS = 1
EXIT_TRANSIENT = 75
EXIT_INTERRUPTED = 130
LOOK_EVERY_S = 0.5
KILL_AT_SHARE = 0.15
"""Of the recipients accepted: by then every process has work."""
HELD_MAX = 40
PATIENCE_S = 150.0
"""Beyond the time that the rate itself takes: backoffs, a lease, and the slowest reader of a message."""


@dataclass(frozen=True)
class DemoOptions:
    """The options of the command."""

    recipients: int
    mps: int
    seed: int
    time_scale: float


def run_demo(wishes: DemoOptions, *, as_json: bool) -> int:
    """Run it all; returns the exit code, 0 only for `exact`."""
    screen = Screen()
    stop_on_signals()
    try:
        with staged(StageOptions(wishes.mps, wishes.seed, wishes.time_scale), screen.say) as stage:
            outcome = _play(stage, wishes, screen)
            screen.report(outcome)
            if as_json:
                print(orjson.dumps(outcome.as_json()).decode(), flush=True)
            if outcome.verdict.word == "exact":
                return EXIT_EXACT
            (stage.folder / KEEP).touch()
            return EXIT_DIFFERS
    except WrongSettings as wrong:
        return report_invalid_settings(wrong)
    except (StackUnavailable, NotReady, NothingHeld, psycopg.OperationalError, httpx.HTTPError) as error:
        screen.say(f"[red]no verdict: {type(error).__name__}: {error}[/red]")
        return EXIT_TRANSIENT
    except Stopped:
        screen.say("stopped")
        return EXIT_INTERRUPTED


def _play(stage: Stage, wishes: DemoOptions, screen: Screen) -> DemoResult:
    everyone = people(wishes.recipients, wishes.seed)
    with (
        CampaignApi(stage.api_url) as api,
        SimulatorClient(stage.simulator_url) as simulator,
        connect(stage.settings.database_url.get_secret_value()) as connection,
    ):
        campaign = _prepare(api, everyone, screen)
        api.activate(campaign)
        started = time.monotonic()
        screen.say(f"activated: {wishes.recipients} recipients at {wishes.mps} messages a second, seed {wishes.seed}")
        _wait_for_the_middle(simulator, wishes, started)
        killing = kill_while_held(simulator, stage.supervisor, _held_wanted(wishes), screen.say)
        killing = note_claims(killing, connection)
        watch = CompletionWatcher(stage.settings, simulator, connection, campaign)
        deadline = started + wishes.recipients / wishes.mps + PATIENCE_S + _longest_retries_s(wishes)
        with screen.progress(wishes.recipients) as update:
            look, is_over = _watch_until(deadline, watch, lambda seen: update(api.stats(campaign), seen.describe()))
        seconds = time.monotonic() - started
        screen.say("at rest" if is_over else f"not at rest in time: {look.describe()}")
        trouble = _trouble(stage, simulator, look, is_over=is_over)
        evidence = _evidence(stage, api, simulator, connection, campaign, everyone, killing, trouble)
        return DemoResult(
            verdict=judge(evidence),
            killing=killing,
            stats=evidence.reported,
            failures=_failures(evidence),
            failure_texts=_texts(evidence),
            statuses_said=int(simulator.state()["statuses_said"]),
            seconds=seconds,
            rate=rate_of([post.received_at for post in evidence.posts]),
            seed=wishes.seed,
            restarts={name: stage.supervisor.restarts_of(name) for name in stage.supervisor.names()},
        )


def _watch_until(deadline: float, watch: CompletionWatcher, show: Callable[[Snapshot], None]) -> tuple[Snapshot, bool]:
    """Look until it is over, or until the deadline; the last look, and whether it is over."""
    while True:
        look, is_over = watch.look()
        show(look)
        if is_over or time.monotonic() > deadline:
            return look, is_over
        time.sleep(LOOK_EVERY_S)


def _prepare(api: CampaignApi, everyone: list[Person], screen: Screen) -> str:
    """Everything before the activation, through the REST API as any user would."""
    campaign = api.create("Demo")
    added = api.add(campaign, everyone)
    leaving = [person for person in everyone if person.opted_out]
    api.opt_out(leaving)
    screen.say(f"campaign created: {added} recipients added, {len(leaving)} of them opted out")
    return campaign


def _wait_for_the_middle(simulator: SimulatorClient, wishes: DemoOptions, started: float) -> None:
    """Return when a part of the messages is accepted; the kill itself waits for what it needs."""
    while simulator.state()["accepted"] < wishes.recipients * KILL_AT_SHARE:
        if time.monotonic() > started + PATIENCE_S:
            raise NothingHeld("hardly anything was sent")
        time.sleep(0.02)


def _held_wanted(wishes: DemoOptions) -> int:
    """How many requests the victim should have on the way: many, but no more than a small run can offer."""
    return max(1, min(HELD_MAX, wishes.recipients // 10))


def _longest_retries_s(wishes: DemoOptions) -> float:
    """Three webhook failures in a row, each backed off twice as long as the one before, from 10 minutes."""
    return (600 + 1200 + 2400) / wishes.time_scale


def _trouble(stage: Stage, simulator: SimulatorClient, look: Snapshot, *, is_over: bool) -> tuple[str, ...]:
    """What takes the ground from under a verdict."""
    found = []
    if not is_over:
        found.append(f"not at rest in time: {look.describe()}")
    if given_up := simulator.state()["webhooks_given_up"]:
        found.append(f"the simulator gave up {given_up} webhooks that were never acknowledged")
    if stage.supervisor.restarts_of("simulator"):
        found.append("the simulator itself ended, and its ledger with it")
    return tuple(found)


def _evidence(
    stage: Stage,
    api: CampaignApi,
    simulator: SimulatorClient,
    connection: JudgeConnection,
    campaign: str,
    everyone: list[Person],
    killing: Killing,
    trouble: tuple[str, ...],
) -> Evidence:
    """Read everything that the verdict looks at."""
    entries = list(simulator.ledger())
    posts, versions, strangers = _posts(stage, entries)
    rows = read_rows(connection, campaign)
    held = held_by(killing, read_tokens(connection), versions)
    return Evidence(
        rows=rows,
        posts=posts,
        numbers=frozenset(person.number for person in everyone),
        parameters={person.number: person.parameters for person in everyone},
        opted_out=frozenset(person.number for person in everyone if person.opted_out),
        held_by_killed=held,
        counters=read_counters(connection, campaign),
        recount=recount(rows),
        reported=api.stats(campaign),
        recount_reported=reported(rows),
        trouble=trouble + ((f"{strangers} posts without callback data of ours",) if strangers else ()),
    )


def _posts(stage: Stage, entries: list[dict[str, Any]]) -> tuple[list[Post], Mapping[Held, Collection[str]], int]:
    """The simulator's entries as posts of our attempts, who posted each, and how many are not ours."""
    secret = stage.settings.callback_secret.get_secret_value().encode()
    posts, versions, strangers = [], dict[Held, set[str]](), 0
    for entry in entries:
        said = callback.decode(secret, stage.settings.deployment, entry["callback_data"] or "")
        if isinstance(said, callback.NotOurs):
            strangers += 1
            continue
        post = post_of(entry, str(said.recipient_id), said.attempt)
        posts.append(post)
        versions.setdefault((post.recipient_id, post.attempt), set()).add(entry["version"])
    return posts, versions, strangers


def _failures(evidence: Evidence) -> dict[str, int]:
    """Failed rows by code; by their own reason where Meta gave no code."""
    failed = [row for row in evidence.rows if row.status == "failed"]
    return dict(Counter(str(row.failure_reason if row.failure_code is None else row.failure_code) for row in failed))


def _texts(evidence: Evidence) -> dict[str, str]:
    """What Meta says about each code, in its shortest words."""
    texts: dict[str, str] = {}
    for row in evidence.rows:
        code, said = str(row.failure_code), row.failure_reason or ""
        if row.status == "failed" and row.failure_code is not None:
            texts[code] = min(texts.get(code, said), said, key=len)
    return texts
