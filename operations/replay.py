"""Replay: a range of a topic is merged into the rows once more. First it is planned, then it is applied.

Live topics and the offsets of the sinks stay as they are. A run that would make a recipient due for sending is refused
unless that is allowed. The progress of a run is stored, so an interrupted run can be resumed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from operations.options import InvalidOptions
from operations.readers import REPLAYABLE, reader_of
from operations.replay_apply import MakesDue, Replay
from operations.replay_plan import OnProgress, ReplayPlan, plan
from operations.row_changes import Change
from operations.shadow import RowsStart, ShadowTables, shadow_tables
from operations.tally import ReplayTotals
from runtime.process import Transient
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.places import Ranges, TopicIdentity
from schemas.topics import Topic
from tables import replay_runs
from tables.database import connect, is_transient
from tables.replay_runs import ReplayRun
from topics import scan
from topics.identity import identify


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """The range, and what is allowed. `first` and `end` are bounds as an operator types them (`topics.scan`)."""

    topic: str
    first: str | None = None
    end: str | None = None
    campaign: UUID | None = None
    rate: float | None = None
    """Most records per second; None: no limit."""
    is_dry: bool = False
    allow_retries: bool = False
    is_resumed: bool = False


@dataclass(slots=True)
class ReplayReport:
    """The outcome: `applied`, `dry_run`, `refused` or `stopped`. `plan` is None if it was stopped while planning."""

    verdict: str
    topic: str
    ranges: Ranges
    kept: Ranges
    plan: ReplayPlan | None = None
    run: ReplayRun | None = None
    done: ReplayTotals | None = None
    made_due: list[Change] = field(default_factory=list)


async def run(
    settings: Settings, options: ReplayOptions, stop: asyncio.Event, progress: OnProgress = lambda *_: None
) -> ReplayReport:
    """Plan, and apply unless it is a dry run. Raises InvalidOptions, InvalidBound, Transient.

    An exception in the middle of the application carries a note with the number of rows that it changed.
    """
    if options.topic not in REPLAYABLE:
        raise InvalidOptions(f"--from-topic must be one of: {', '.join(REPLAYABLE)}")
    topic = Topic(options.topic)
    campaign = None if options.campaign is None else CampaignId(options.campaign)
    reader = reader_of(settings, topic)
    identity = await identify(settings, topic)
    unfinished = await _unfinished(settings, identity, campaign, options)
    first, end = (None if text is None else scan.parse_bound(text) for text in (options.first, options.end))
    bounds = await scan.resolve_bounds(settings, identity.topic, first, end)
    ranges = bounds.ranges if unfinished is None else unfinished.ranges
    report = ReplayReport("stopped", identity.topic, ranges, bounds.kept, run=unfinished)
    async with shadow_tables(settings, RowsStart.AS_IT_IS, "replay") as shadow:
        await _require(shadow, campaign, unfinished)
        report.plan = found = await plan(settings, shadow, identity.topic, ranges, reader, campaign, stop, progress)
        if found is None:
            return report
        if options.is_dry:
            report.verdict = "dry_run"
            return report
        if found.made_due and not options.allow_retries:
            report.verdict, report.made_due = "refused", [each for each in found.changes if each.makes_due]
            return report
        if report.run is None:
            report.run = await _start(settings, identity, campaign, ranges)
            await _require(shadow, campaign, report.run)
        application = Replay(settings, shadow, report.run, reader, allow_retries=options.allow_retries)
        report.done = application.done
        await _apply(application, report, options, stop, progress)
    return report


async def _apply(
    application: Replay, report: ReplayReport, options: ReplayOptions, stop: asyncio.Event, progress: OnProgress
) -> None:
    try:
        if await application.apply(options.rate, stop, progress):
            report.verdict = "applied"
    except MakesDue as refused:  # the rows changed after the plan
        report.verdict, report.made_due = "refused", list(refused.changes)
    except Exception as error:
        if isinstance(error, Transient) or is_transient(error):
            error.add_note(f"{application.done.rows_changed} row(s) changed so far; --resume continues from there")
        raise


async def _require(shadow: ShadowTables, campaign: CampaignId | None, run: ReplayRun | None) -> None:
    """Raise InvalidOptions without such a campaign, or if another process has this run. Holds the run to the end."""
    if campaign is not None and not await shadow.has_campaign(campaign):
        raise InvalidOptions(f"there is no campaign {campaign}")
    if run is not None and not await shadow.hold(str(run.id)):
        raise InvalidOptions("this replay is running in another process")


async def _unfinished(
    settings: Settings, identity: TopicIdentity, campaign: CampaignId | None, options: ReplayOptions
) -> ReplayRun | None:
    if not options.is_resumed:
        return None
    if options.first is not None or options.end is not None:
        raise InvalidOptions("--resume continues where the run stopped; leave out --from and --to")
    async with await connect(settings.database_url.get_secret_value(), application_name="campaigns-replay") as found:
        run = await replay_runs.find_unfinished(found, identity.topic, campaign)
    if run is None:
        scope = f"campaign {campaign}" if campaign else "all campaigns (add --campaign for one campaign)"
        raise InvalidOptions(f"there is no unfinished replay of {identity.topic} for {scope}")
    if (run.cluster_id, run.topic_id) != (identity.cluster_id, identity.topic_id):
        raise InvalidOptions(f"{identity.topic} was recreated since that replay began; start a new one")
    return run


async def _start(settings: Settings, identity: TopicIdentity, campaign: CampaignId | None, ranges: Ranges) -> ReplayRun:
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-replay") as connection:
        return await replay_runs.start(connection, identity, campaign, ranges)
