"""A backlog that is there before the first sink starts: rows in a database, and their events in topics of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import LiteralString

from bench.contest import Arena, Run
from bench.sink.applied import Writer, applied
from bench.sink.verdict import OURS, rows_right
from bench.sink.workload import Workload, records_of
from bench.sink.world import create_topics
from bench.worlds import connected
from runtime.settings import Settings

CHANGED, LOG_BYTES, PAGE_IMAGES = "changed rows", "WAL bytes", "page images"
LOG: LiteralString = "SELECT wal_bytes::bigint, wal_fpi FROM pg_stat_wal"
VERSIONS: LiteralString = """
SELECT tableoid, ctid, xmin::text FROM campaign_recipients WHERE id = ANY(%(ids)s) UNION ALL
SELECT tableoid, ctid, xmin::text FROM messages WHERE recipient_id = ANY(%(ids)s)
"""
"""Where each row is, and the transaction that wrote it: both change with every update."""


@dataclass(frozen=True, slots=True)
class SinkBacklog:
    """Events that wait for a writer."""

    settings: Settings
    workload: Workload
    events: int
    writer: Writer
    is_replay: bool = False
    """Whether all of it is applied already, so that no row may change."""

    def applied(self, arena: Arena) -> Run:
        """Apply all events. The rows are not judged yet."""
        ids = {"ids": list(self.workload.ids()) if self.is_replay else []}
        with connected(self.settings) as connection:
            before = connection.execute(VERSIONS, ids).fetchall()
            [(bytes_before, images_before)] = connection.execute(LOG).fetchall()
            run = applied(arena, self.writer, self.settings, connection, self.events)
            [(bytes_after, images_after)] = connection.execute(LOG).fetchall()
            after = connection.execute(VERSIONS, ids).fetchall()
        more = {
            LOG_BYTES: (bytes_after - bytes_before) / self.events,
            PAGE_IMAGES: (images_after - images_before) / self.events,
            CHANGED: len(set(after).difference(before)),
        }
        return replace(run, more={**run.more, **more})

    def judged(self, run: Run) -> Run:
        """The run with the share of its rows that are right. A replay that changed a row is not right."""
        with connected(self.settings) as connection:
            right = rows_right(connection, OURS, self.workload)
        return replace(run, right=right if run.more[CHANGED] == 0 else 0.0)


def backlog_of(
    settings: Settings, workload: Workload, writer: Writer, copies: int = 1, *, is_replay: bool = False
) -> SinkBacklog:
    """Create the topics, and fill them with the events of a workload, `copies` times."""
    records = records_of(workload)
    events = create_topics(settings, (record for _ in range(copies) for record in records))
    return SinkBacklog(settings, workload, events, writer, is_replay)
