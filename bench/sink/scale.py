"""The sink against itself: two processes, a table of ten million rows, and a replay that changes nothing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench.contest import ROUNDS_MIN, Arena, Run
from bench.shares import root_of_groups
from bench.sink.backlogs import CHANGED, LOG_BYTES, PAGE_IMAGES, SinkBacklog, backlog_of
from bench.sink.large import added_campaign, large_arena, large_database, spread_recipients, warm
from bench.sink.progress import Connected
from bench.sink.stage import SINK_WRITER, SMOKE_RECIPIENTS
from bench.solo import Measured, Note, SoloStage, Table
from bench.worlds import connected, own_database
from runtime.settings import Settings
from tables.migrate import migrate

RECIPIENTS, RECIPIENTS_OF_TWO = 40_000, 100_000
CORE_SHARE = 0.2
"""What each sink may use where Postgres must have room for two of them."""
COPIES, SMOKE_COPIES = 6, 1
"""How often a replay has all events again: a million statuses."""
ONE, TWO = "one sink, small table", "two sinks, small table"
ONE_SLOW, TWO_SLOW = "one sink with a fifth of a core", "two sinks with a fifth of a core each"
CAMPAIGN_OF_LARGE, SPREAD = "a campaign in 10 million rows", "recipients spread over 10 million rows"
REPLAY = "a replay in 10 million rows"
COMPARED_WITH = {TWO_SLOW: ONE_SLOW}
"""What a variant is compared with, if it is not one sink."""
NOTES = (
    "One sink and its Postgres use most of two cores, so two sinks cannot be twice as fast here.",
    "With a fifth of a core for each sink, Postgres has room for both. That ratio shows whether they wait for locks.",
    "CPU, WAL bytes and page images are those of an event.",
    "A page that changes for the first time after a checkpoint is written to the WAL as a whole: a page image.",
)
Backlogs = Mapping[str, SinkBacklog]
"""What is applied in a round, by the name of the variant."""
Runs = Mapping[str, Sequence[Run]]


def _measure(arena: Arena, note: Note) -> Measured:
    rounds = arena.items(ROUNDS_MIN, 1)
    with ExitStack() as ending:
        own = ending.enter_context(large_arena(arena, note))
        large = ending.enter_context(large_database(own))
        backlogs = [prepared(own, large, ending, note) for _ in range(rounds)]
        with connected(large) as connection:
            settle(connection)
            runs = applied_in_turn(own, backlogs, note)
            return measured(backlogs, runs, connection)


def prepared(arena: Arena, large: Settings, ending: ExitStack, note: Note) -> Backlogs:
    """Prepare the rows and the topics of a round. Small databases last until `ending`."""
    recipients = arena.items(RECIPIENTS, SMOKE_RECIPIENTS)
    slow = replace(SINK_WRITER, core_share=CORE_SHARE)
    two, two_slow = replace(SINK_WRITER, processes=2), replace(slow, processes=2)
    small = {ONE: (SINK_WRITER, recipients), TWO: (two, arena.items(RECIPIENTS_OF_TWO, SMOKE_RECIPIENTS))}
    if not arena.is_smoke and root_of_groups() is not None:
        small |= {ONE_SLOW: (slow, RECIPIENTS_OF_TWO), TWO_SLOW: (two_slow, RECIPIENTS_OF_TWO)}
    found = {}
    for name, (writer, number) in small.items():
        settings = ending.enter_context(own_database(arena))
        migrate(settings.database_url.get_secret_value())
        with connected(settings) as connection:
            found[name] = backlog_of(settings, added_campaign(connection, number), writer)
    with connected(large) as connection:
        campaign = added_campaign(connection, recipients)
        found[CAMPAIGN_OF_LARGE] = backlog_of(_own_topics(arena, large), campaign, SINK_WRITER)
        copies = arena.items(COPIES, SMOKE_COPIES)
        found[REPLAY] = backlog_of(_own_topics(arena, large), campaign, SINK_WRITER, copies, is_replay=True)
        spread = spread_recipients(connection, recipients)
        found[SPREAD] = backlog_of(_own_topics(arena, large), spread, SINK_WRITER)
    note("the backlogs of a round are prepared")
    return found


def _own_topics(arena: Arena, settings: Settings) -> Settings:
    return settings.model_copy(update={"topic_prefix": arena.prefix()})


def settle(connection: Connected) -> None:
    """Write what the preparation has changed, and read the indexes that the sink searches."""
    connection.execute("CHECKPOINT")
    warm(connection)


def applied_in_turn(arena: Arena, backlogs: Sequence[Backlogs], note: Note) -> Runs:
    """Apply the backlogs round by round. A replay follows its campaign."""
    runs: dict[str, list[Run]] = {name: [] for name in backlogs[0]}
    for number, each in enumerate(backlogs):
        for name, backlog in each.items():
            run = backlog.applied(arena)
            runs[name].append(run)
            note(f"round {number + 1} of {len(backlogs)}: {name}: {run.rate:,.0f}/s")
    return runs


def measured(backlogs: Sequence[Backlogs], runs: Runs, connection: Connected) -> Measured:
    """Judge the results of all runs, and make the table."""
    judged = {
        name: [each[name].judged(run) for each, run in zip(backlogs, found, strict=True)]
        for name, found in runs.items()
    }
    right = min(run.right for found in judged.values() for run in found)
    summary = {f"{name}, ratio": round(statistics.median(_ratios(judged, name)), 3) for name in judged}
    return Measured([_table(judged)], right, summary, [*NOTES, _huge_pages(connection)])


def _huge_pages(connection: Connected) -> str:
    [(status,)] = connection.execute("SELECT current_setting('huge_pages_status', true)").fetchall()
    return f"The shared memory of the server has {'huge pages' if status == 'on' else 'no huge pages'}."


def _ratios(runs: Runs, name: str) -> list[float]:
    first = runs[COMPARED_WITH.get(name, ONE)]
    return [run.rate / one.rate for run, one in zip(runs[name], first, strict=True)]


def _table(runs: Runs) -> Table:
    rows = []
    for name, found in runs.items():
        ratios = _ratios(runs, name)
        more = {key: statistics.median(run.more[key] for run in found) for key in found[0].more}
        rows.append([
            name,
            f"{statistics.median(run.rate for run in found):,.0f}",
            f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
            f"{statistics.median(run.cpu_s_per_million for run in found):.1f}",
            f"{more['Postgres CPU s / million']:.1f}",
            f"{more[LOG_BYTES]:,.0f}",
            f"{more[PAGE_IMAGES]:.2f}",
            f"{max(run.memory_mb for run in found):.0f}",
            f"{min(run.right for run in found):.0%}",
            f"{more[CHANGED]:,.0f}" if name == REPLAY else "",
        ])  # fmt: skip
    headings = (
        "", "events/s", "ratio (min-max)", "CPU us", "Postgres us", "WAL bytes", "page images", "MiB", "right", CHANGED,
    )  # fmt: skip
    return Table("the sink against itself", headings, rows)


SINK_SCALE = SoloStage(
    "sink-scale",
    "Sink, at scale",
    f"A backlog of 4.2 events for each of {RECIPIENTS:,} messages is applied. The small table has nothing else. "
    "The other table has ten million rows of earlier campaigns with their messages. Once the campaign was added "
    "to it as a whole, as campaigns are. Once as many recipients are spread evenly over all rows, which no "
    "campaign does. A replay applies the events of that campaign six times again. Two sinks share "
    f"{RECIPIENTS_OF_TWO:,} messages in a small table. All tables are in one server with the settings of an "
    "installation (docs/operations/run.md): a quarter of the memory, and fsync. All backlogs are prepared before "
    "the first sink starts. Then comes a checkpoint, and the indexes that the sink searches are read. Wamids are "
    "in random order, as Meta's are. In the end all counters are compared with all rows. A ratio compares runs of"
    f" the same round, of {ROUNDS_MIN}: with one sink and the small table, and two slow sinks with one slow sink.",
    _measure,
    (
        "More than two sinks: the two cores are shared with Kafka and Postgres.",
        "A table that does not fit into the memory of the machine.",
        "A disk that takes long for a sync.",
    ),
    is_large=True,
)
