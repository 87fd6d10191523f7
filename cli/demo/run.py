"""`campaigns demo`: the run from the start of the servers to the verdict, in this order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import httpx
import orjson
import psycopg

from cli.console import report_invalid_settings
from cli.demo.clients import CampaignApi
from cli.demo.completion import CompletionWatcher, Snapshot
from cli.demo.killing import Killing, NothingHeld, held_by, kill_while_held, note_claims
from cli.demo.people import Person, people
from cli.demo.result import DemoResult, rate_of
from cli.demo.running import running_site
from cli.demo.show import Screen
from cli.demo.stage import KEEP, Stage, StageOptions, staged
from cli.pipeline import NotReady, Stopped, stop_on_signals
from runtime.process import EXIT_TRANSIENT
from runtime.settings import InvalidSettings
from schemas import callback
from simulator.client import SimulatorClient
from stack.environment import StackUnavailable
from verdict.judge import Evidence, Held, judge
from verdict.recount import recount, reported
from verdict.rows import JudgeConnection, connect, read_counters, read_opt_outs, read_rows, read_tokens
from verdict.truth import Post, post_of

EXIT_EXACT = 0
EXIT_DIFFERS = 1
EXIT_INTERRUPTED = 130
CHECK_EVERY_S = 0.5
KILL_AT_SHARE = 0.15
"""Share of accepted recipients at which the kill comes. By then every process has work."""
HELD_MAX = 40
PATIENCE_S = 150.0
"""Time beyond the send rate itself: backoffs, a lease, and the slowest read receipt."""


@dataclass(frozen=True)
class DemoOptions:
    """The options of the command."""

    recipients: int
    mps: int
    seed: int
    time_scale: float
    site: tuple[str, str] | None = None
    """Addresses of the API and of the simulator of a running installation; None starts everything."""


def run_demo(options: DemoOptions, *, as_json: bool) -> int:
    """Run the demo and return the exit code. It is 0 only for `exact`."""
    screen = Screen()
    stop_on_signals()
    try:
        with _stage(options, screen) as stage:
            outcome = _play(stage, _as_staged(options, stage), screen)
            screen.report(outcome)
            if as_json:
                print(orjson.dumps(outcome.as_json()).decode(), flush=True)
            if outcome.verdict.word == "exact":
                return EXIT_EXACT
            if stage.folder is not None:
                (stage.folder / KEEP).touch()
            return EXIT_DIFFERS
    except InvalidSettings as wrong:
        return report_invalid_settings(wrong)
    except (StackUnavailable, NotReady, NothingHeld, psycopg.OperationalError, httpx.HTTPError) as error:
        screen.note(f"[red]no verdict: {type(error).__name__}: {error}[/red]")
        return EXIT_TRANSIENT
    except Stopped:
        screen.note("stopped")
        return EXIT_INTERRUPTED


def _stage(options: DemoOptions, screen: Screen) -> AbstractContextManager[Stage]:
    if options.site is not None:
        return nullcontext(running_site(*options.site, screen.note))
    return staged(StageOptions(options.mps, options.seed, options.time_scale), screen.note)


def _as_staged(options: DemoOptions, stage: Stage) -> DemoOptions:
    """The options that hold: the processes of a running installation have a rate and a time scale of their own."""
    if stage.supervisor is not None:
        return options
    return replace(options, mps=stage.settings.whatsapp_mps, time_scale=stage.settings.time_scale)


def _play(stage: Stage, options: DemoOptions, screen: Screen) -> DemoResult:
    everyone = people(options.recipients, options.seed)
    with (
        CampaignApi(stage.api_url, _key(stage)) as api,
        SimulatorClient(stage.simulator_url) as simulator,
        connect(stage.settings.database_url.get_secret_value()) as connection,
    ):
        campaign = _prepare(api, everyone, screen)
        api.activate(campaign)
        started = time.monotonic()
        screen.note(
            f"activated: {options.recipients} recipients at {options.mps} messages a second, seed {options.seed}"
        )
        killing = _killing(stage, options, simulator, connection, screen, started)
        watch = CompletionWatcher(stage.settings, simulator, connection, campaign)
        deadline = started + options.recipients / options.mps + PATIENCE_S + _longest_retries_s(options)
        with screen.progress(options.recipients) as update:
            snapshot, is_over = _watch_until(deadline, watch, lambda seen: update(api.stats(campaign), seen.describe()))
        seconds = time.monotonic() - started
        screen.note("at rest" if is_over else f"not at rest in time: {snapshot.describe()}")
        trouble = _trouble(stage, simulator, snapshot, is_over=is_over)
        evidence = _evidence(stage, api, simulator, connection, campaign, everyone, killing, trouble)
        return DemoResult(
            verdict=judge(evidence),
            killing=killing,
            stats=evidence.reported,
            failures=_failures(evidence),
            failure_texts=_texts(evidence),
            statuses_sent=int(simulator.state()["statuses_said"]),
            seconds=seconds,
            rate=rate_of([post.received_at for post in evidence.posts]),
            seed=options.seed,
            restarts=stage.restarts(),
        )


def _key(stage: Stage) -> str:
    return stage.settings.api_keys[0].get_secret_value() if stage.settings.api_keys else ""


def _killing(
    stage: Stage,
    options: DemoOptions,
    simulator: SimulatorClient,
    connection: JudgeConnection,
    screen: Screen,
    started: float,
) -> Killing | None:
    """Kill a sender in the middle of the run. None if the processes are not ours."""
    if stage.supervisor is None:
        return None
    _wait_for_the_middle(simulator, options, started)
    killing = kill_while_held(simulator, stage.supervisor, _held_target(options), screen.note)
    return note_claims(killing, connection)


def _watch_until(deadline: float, watch: CompletionWatcher, show: Callable[[Snapshot], None]) -> tuple[Snapshot, bool]:
    """Take snapshots until the run is over or the deadline has passed. Returns the last one, and whether it is over."""
    while True:
        snapshot, is_over = watch.read()
        show(snapshot)
        if is_over or time.monotonic() > deadline:
            return snapshot, is_over
        time.sleep(CHECK_EVERY_S)


def _prepare(api: CampaignApi, everyone: list[Person], screen: Screen) -> str:
    """Create the campaign, its recipients and opt-outs through the REST API."""
    campaign = api.create("Demo")
    added = api.add(campaign, everyone)
    leaving = [person for person in everyone if person.opted_out]
    api.opt_out(leaving)
    screen.note(f"campaign created: {added} recipients added, {len(leaving)} of them opted out")
    return campaign


def _wait_for_the_middle(simulator: SimulatorClient, options: DemoOptions, started: float) -> None:
    """Wait until a part of the messages is accepted."""
    while simulator.state()["accepted"] < options.recipients * KILL_AT_SHARE:
        if time.monotonic() > started + PATIENCE_S:
            raise NothingHeld("too few messages were sent in time")
        time.sleep(0.02)


def _held_target(options: DemoOptions) -> int:
    """How many requests the killed sender should have in flight: fewer in a small run."""
    return max(1, min(HELD_MAX, options.recipients // 10))


def _longest_retries_s(options: DemoOptions) -> float:
    """Seconds of three failures by webhook in a row, whose backoffs double from 10 minutes."""
    return (600 + 1200 + 2400) / options.time_scale


def _trouble(stage: Stage, simulator: SimulatorClient, snapshot: Snapshot, *, is_over: bool) -> tuple[str, ...]:
    """Reasons that make a verdict impossible."""
    found = []
    if not is_over:
        found.append(f"not at rest in time: {snapshot.describe()}")
    if given_up := simulator.state()["webhooks_given_up"]:
        found.append(f"the simulator gave up {given_up} webhooks that were never acknowledged")
    if stage.restarts().get("simulator"):
        found.append("the simulator itself ended, and its ledger with it")
    return tuple(found)


def _evidence(
    stage: Stage,
    api: CampaignApi,
    simulator: SimulatorClient,
    connection: JudgeConnection,
    campaign: str,
    everyone: list[Person],
    killing: Killing | None,
    trouble: tuple[str, ...],
) -> Evidence:
    """Collect the evidence for the verdict."""
    entries = list(simulator.ledger())
    posts, versions, strangers = _posts(stage, entries, campaign)
    rows = read_rows(connection, campaign)
    held = frozenset[Held]() if killing is None else held_by(killing, read_tokens(connection), versions)
    return Evidence(
        rows=rows,
        posts=posts,
        numbers=frozenset(person.number for person in everyone),
        parameters={person.number: person.parameters for person in everyone},
        opted_out=frozenset(person.number for person in everyone if person.opted_out),
        held_by_killed=held,
        counters=read_counters(connection, campaign),
        recount=recount(rows, read_opt_outs(connection, campaign)),
        reported=api.stats(campaign),
        recount_reported=reported(rows),
        trouble=trouble + ((f"{strangers} posts lack our callback data",) if strangers else ()),
    )


def _posts(
    stage: Stage, entries: list[dict[str, Any]], campaign: str
) -> tuple[list[Post], Mapping[Held, Collection[str]], int]:
    """The posts of the campaign that the simulator received, the process of each, and how many are not ours at all."""
    secret = stage.settings.callback_secret.get_secret_value().encode()
    posts, versions, strangers = [], dict[Held, set[str]](), 0
    for entry in entries:
        text = callback.decode(secret, stage.settings.deployment, entry["callback_data"] or "")
        if isinstance(text, callback.NotOurs):
            strangers += 1
            continue
        if str(text.campaign_id) != campaign:
            continue  # a running installation may have sent other campaigns
        post = post_of(entry, str(text.recipient_id), text.attempt)
        posts.append(post)
        versions.setdefault((post.recipient_id, post.attempt), set()).add(entry["version"])
    return posts, versions, strangers


def _failures(evidence: Evidence) -> dict[str, int]:
    """Failed rows by code, or by their reason if Meta gave no code."""
    failed = [row for row in evidence.rows if row.status == "failed"]
    return dict(Counter(str(row.failure_reason if row.failure_code is None else row.failure_code) for row in failed))


def _texts(evidence: Evidence) -> dict[str, str]:
    """The shortest text of Meta for each code."""
    texts: dict[str, str] = {}
    for row in evidence.rows:
        code, text = str(row.failure_code), row.failure_reason or ""
        if row.status == "failed" and row.failure_code is not None:
            texts[code] = min(texts.get(code, text), text, key=len)
    return texts
