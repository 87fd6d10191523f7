"""`campaigns replay`: merge a range of a topic into the rows again; first it says what that would change.

Live topics and the sink's offsets stay as they are. Rows that would become due for sending stop a run, unless allowed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from cli.asking import told
from cli.progress import Progress
from cli.row_changes import as_document, as_line
from runtime.process import EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE
from runtime.settings import Settings, read_settings
from schemas.model import CampaignId
from schemas.topics import Topic
from sinks import replay_runs, topic_scan
from sinks.database import connect
from sinks.offsets import TopicIdentity
from sinks.replay import Done, MakesDue, Plan, Replay, plan
from sinks.replay_runs import Run
from sinks.row_changes import Change
from sinks.side import Start, side_tables
from sinks.topic_identity import identify
from streams.replay_reading import REPLAYABLE, reader_of

EXIT_REFUSED = 1
LINES_MAX = 50


@dataclass(frozen=True, slots=True)
class Wish:
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


@dataclass(slots=True)
class Answer:
    """What happened."""

    verdict: str
    plan: Plan = field(default_factory=Plan)
    run: Run | None = None
    done: Done | None = None
    made_due: list[Change] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 where it refused, 75 where it is to be resumed."""
        return {"refused": EXIT_REFUSED, "stopped": EXIT_TRANSIENT}.get(self.verdict, EXIT_OK)


class WrongWish(ValueError):
    """What is asked for cannot be; nothing was done."""


def run_replay(wish: Wish) -> int:
    """`campaigns replay`."""
    return told(lambda: asyncio.run(_run(read_settings(), wish)))


async def _run(settings: Settings, wish: Wish) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        answer = await replay(settings, wish, stop, Progress(sys.stderr))
    except (WrongWish, topic_scan.WrongBound) as wrong:
        print(wrong, file=sys.stderr)
        return EXIT_USAGE
    print(orjson.dumps(document_of(answer)).decode() if wish.as_json else "\n".join(lines_of(answer)))
    return answer.exit_code


async def replay(settings: Settings, wish: Wish, stop: asyncio.Event, progress: Progress) -> Answer:
    """Plan, and apply unless it is a dry run. Raises WrongWish, WrongBound."""
    if wish.topic not in REPLAYABLE:
        raise WrongWish(f"--from-topic is one of: {', '.join(REPLAYABLE)}")
    topic = Topic(wish.topic)
    campaign = None if wish.campaign is None else CampaignId(wish.campaign)
    reader = reader_of(settings, topic)
    identity = await identify(settings, topic)
    run = await _unfinished(settings, identity, campaign, wish)
    if run is None:
        first, end = (None if text is None else topic_scan.parse_bound(text) for text in (wish.first, wish.end))
        ranges = await topic_scan.find_ranges(settings, identity.topic, first, end)
    else:
        ranges = run.ranges
    async with side_tables(settings, Start.AS_IT_IS, "replay") as side:
        found = await plan(settings, side, identity.topic, ranges, reader, campaign, stop, progress.say)
        progress.end()
        if found is None:
            return Answer("stopped", run=run)
        if wish.is_dry:
            return Answer("dry_run", found)
        if found.made_due and not wish.allow_retries:
            return Answer("refused", found, made_due=[each for each in found.changes if each.makes_due])
        if run is None:
            run = await _start(settings, identity, campaign, ranges)
        act = Replay(settings, side, run, reader, allow_retries=wish.allow_retries)
        return await _apply(act, Answer("stopped", found, run, act.done), wish, stop, progress)


async def _apply(act: Replay, answer: Answer, wish: Wish, stop: asyncio.Event, progress: Progress) -> Answer:
    try:
        if await act.apply(wish.rate, stop, progress.say):
            answer.verdict = "applied"
    except MakesDue as refused:  # the rows changed since they were looked at
        answer.verdict, answer.made_due = "refused", list(refused.changes)
    progress.end()
    return answer


async def _unfinished(
    settings: Settings, identity: TopicIdentity, campaign: CampaignId | None, wish: Wish
) -> Run | None:
    if not wish.is_resumed:
        return None
    if wish.first is not None or wish.end is not None:
        raise WrongWish("--resume goes on where the run stands: without --from and --to")
    async with await connect(settings.database_url.get_secret_value(), application_name="campaigns-replay") as found:
        run = await replay_runs.find_unfinished(found, identity.topic, campaign)
    if run is None:
        raise WrongWish("there is no unfinished replay of this topic and campaign")
    if (run.cluster_id, run.topic_id) != (identity.cluster_id, identity.topic_id):
        raise WrongWish("the topic was made anew since that replay began: start a new one")
    return run


async def _start(
    settings: Settings, identity: TopicIdentity, campaign: CampaignId | None, ranges: topic_scan.Ranges
) -> Run:
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-replay") as connection:
        return await replay_runs.start(connection, identity, campaign, ranges)


def document_of(answer: Answer) -> dict[str, Any]:
    """The answer for `--json`."""
    found, done = answer.plan, answer.done
    told_of: dict[str, Any] = {
        "verdict": answer.verdict,
        "records": found.records,
        "events": found.events,
        "refused": dict(found.refused),
        "foreign": found.foreign,
        "would_change": found.changed,
        "would_make_due": found.made_due,
        "made_due": [as_document(each) for each in answer.made_due or found.changes if each.makes_due],
    }
    if done is None:
        return {**told_of, "changes": [as_document(each) for each in found.changes]}
    return {
        **told_of,
        "run": None if answer.run is None else answer.run.id,
        "rows_changed": done.rows_changed,
        "columns": dict(done.columns),
        "statuses": dict(done.statuses),
        "unclaimed": done.unclaimed,
        "changes": [as_document(each) for each in done.changes],
    }


def lines_of(answer: Answer) -> list[str]:
    """The answer for people."""
    found, done = answer.plan, answer.done
    lines = [f"{found.records} records, {found.events} events; they would change {found.changed} row(s)"]
    lines += [f"refused: {reason} {n}" for reason, n in sorted(found.refused.items())]
    shown = found.changes if done is None else done.changes
    lines += [as_line(change) for change in shown[:LINES_MAX]]
    if len(shown) > LINES_MAX:
        lines.append(f"… and {len(shown) - LINES_MAX} more (--json shows up to 10,000)")
    if answer.verdict == "refused":
        count = max(found.made_due, len(answer.made_due))
        lines.append(f"REFUSED: {count} row(s) would become due, and be sent to; --allow-retries does it all the same")
    if done is not None:
        lines.append(f"changed {done.rows_changed} row(s)" + "".join(f"; {k}: {n}" for k, n in done.statuses.items()))
    if answer.verdict == "stopped":
        lines.append("stopped before the end: run it again" + (" with --resume" if answer.run else ""))
    return lines
