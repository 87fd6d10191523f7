"""`campaigns replay`: merge a range of a topic into the rows again; first it says what that would change.

Live topics and the sink's offsets stay as they are. Rows that would become due for sending stop a run, unless allowed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from uuid import UUID

import orjson

from cli.console import run_command
from cli.progress import ProgressLine
from cli.replay_answer import ReplayReport, document_of, lines_of
from operations.readers import REPLAYABLE, reader_of
from operations.replay import MakesDue, Replay, plan
from operations.shadow import ShadowTables, Start, shadow_tables
from runtime.process import EXIT_USAGE, Transient
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.places import Ranges, TopicIdentity
from schemas.topics import Topic
from tables import replay_runs
from tables.database import connect, is_transient
from tables.replay_runs import ReplayRun
from tables.shadow import try_name
from topics import scan
from topics.identity import identify


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is asked for."""

    topic: str
    first: str | None = None
    end: str | None = None
    campaign: UUID | None = None
    rate: float | None = None
    is_dry: bool = False
    allow_retries: bool = False
    is_resumed: bool = False
    as_json: bool = False


class WrongOptions(ValueError):
    """What is asked for cannot be; nothing was done."""


def run_replay(wish: ReplayOptions) -> int:
    """`campaigns replay`."""
    return run_command(lambda settings: asyncio.run(_run(settings, wish)))


async def _run(settings: Settings, wish: ReplayOptions) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        answer = await replay(settings, wish, stop, ProgressLine(sys.stderr))
    except (WrongOptions, scan.WrongBound) as wrong:
        print(wrong, file=sys.stderr)
        return EXIT_USAGE
    print(orjson.dumps(document_of(answer)).decode() if wish.as_json else "\n".join(lines_of(answer)))
    return answer.exit_code


async def replay(settings: Settings, wish: ReplayOptions, stop: asyncio.Event, progress: ProgressLine) -> ReplayReport:
    """Plan, and apply unless it is a dry run. Raises WrongWish, WrongBound."""
    if wish.topic not in REPLAYABLE:
        raise WrongOptions(f"--from-topic is one of: {', '.join(REPLAYABLE)}")
    topic = Topic(wish.topic)
    campaign = None if wish.campaign is None else CampaignId(wish.campaign)
    reader = reader_of(settings, topic)
    identity = await identify(settings, topic)
    run = await _unfinished(settings, identity, campaign, wish)
    first, end = (None if text is None else scan.parse_bound(text) for text in (wish.first, wish.end))
    asked = await scan.resolve_bounds(settings, identity.topic, first, end)
    ranges = asked.ranges if run is None else run.ranges
    answer = ReplayReport("stopped", identity.topic, ranges, asked.kept, run=run)
    async with shadow_tables(settings, Start.AS_IT_IS, "replay") as side:
        await _require(side, campaign, run)
        answer.plan = found = await plan(settings, side, identity.topic, ranges, reader, campaign, stop, progress.say)
        progress.end()
        if found is None:
            return answer
        if wish.is_dry:
            answer.verdict = "dry_run"
            return answer
        if found.made_due and not wish.allow_retries:
            answer.verdict, answer.made_due = "refused", [each for each in found.changes if each.makes_due]
            return answer
        if run is None:
            answer.run = run = await _start(settings, identity, campaign, ranges)
            await _require(side, campaign, run)
        act = Replay(settings, side, run, reader, allow_retries=wish.allow_retries)
        answer.done = act.done
        return await _apply(act, answer, wish, stop, progress)


async def _require(side: ShadowTables, campaign: CampaignId | None, run: ReplayRun | None) -> None:
    """Raises WrongWish where there is no such campaign, or somebody else is at this run; holds it until the end."""
    if campaign is not None and not (await side.run("find_campaign", {"campaign": campaign}))[0][0]:
        raise WrongOptions(f"there is no campaign {campaign}")
    if run is not None and not await try_name(side.connection, str(run.id)):
        raise WrongOptions("that replay is going on at this moment, in another process")


async def _apply(
    act: Replay, answer: ReplayReport, wish: ReplayOptions, stop: asyncio.Event, progress: ProgressLine
) -> ReplayReport:
    try:
        if await act.apply(wish.rate, stop, progress.say):
            answer.verdict = "applied"
    except MakesDue as refused:  # the rows changed since they were looked at
        answer.verdict, answer.made_due = "refused", list(refused.changes)
    except Exception as error:
        progress.end()
        if isinstance(error, Transient) or is_transient(error):
            print(f"{act.done.rows_changed} row(s) changed so far; --resume goes on from there", file=sys.stderr)
        raise
    progress.end()
    return answer


async def _unfinished(
    settings: Settings, identity: TopicIdentity, campaign: CampaignId | None, wish: ReplayOptions
) -> ReplayRun | None:
    if not wish.is_resumed:
        return None
    if wish.first is not None or wish.end is not None:
        raise WrongOptions("--resume goes on where the run stands: without --from and --to")
    async with await connect(settings.database_url.get_secret_value(), application_name="campaigns-replay") as found:
        run = await replay_runs.find_unfinished(found, identity.topic, campaign)
    if run is None:
        of = f"campaign {campaign}" if campaign else "all campaigns (with --campaign: of that one)"
        raise WrongOptions(f"there is no unfinished replay of {identity.topic} and {of}")
    if (run.cluster_id, run.topic_id) != (identity.cluster_id, identity.topic_id):
        raise WrongOptions(f"{identity.topic} was made anew since that replay began: start a new one")
    return run


async def _start(settings: Settings, identity: TopicIdentity, campaign: CampaignId | None, ranges: Ranges) -> ReplayRun:
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-replay") as connection:
        return await replay_runs.start(connection, identity, campaign, ranges)
