"""Feeds the board of a process: from `campaign.stats` while a page is open, and from Postgres beside it.

The topic gives the figures within a second. Postgres gives what it lacks (reasons, estimates, breakers, the order of
the list) every few seconds, and the figures too, every second, while Kafka does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from api.pages.board import Board
from api.pages.reading import read_list, report
from api.services import Services
from domain.backoff import exponential
from runtime.process import Transient
from runtime.waiting import pause
from tables import campaigns, locks, portfolio, status
from tables.database import Connection, is_transient
from topics.stats_reader import StatsReader

BESIDE_S = 4.0
"""Pause between two reads of Postgres while the topic gives the figures."""
ALONE_S = 1.0
"""The same while Kafka does not answer."""
WAIT_MIN_S = 0.5
"""Least pause, however often a change asks for a read."""
CONNECTION_S = 2.0
UNWATCHED_S = 30.0
"""The consumer stays for so long after the last page was closed."""

log = structlog.get_logger("api")


@asynccontextmanager
async def fed(services: Services, stop: asyncio.Event) -> AsyncIterator[None]:
    """Feed the board while the body runs. After `stop` all streams end, so that the server can.

    A bug in a source ends the body, and is raised in a group.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(each) for each in (_follow(services, stop), _read(services, stop), _close(services, stop))
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _close(services: Services, stop: asyncio.Event) -> None:
    await stop.wait()
    services.board.close()


# -------------------------------------------------------------------------------------------------------------- Kafka


async def _follow(services: Services, stop: asyncio.Event) -> None:
    board, tries = services.board, 0
    while not stop.is_set():
        await board.watched.wait()
        reader = StatsReader(services.settings)
        try:
            await reader.open()
            board.set_state(kafka_away_since=None)
            tries = 0
            await _take(reader, board)
        except Transient as error:
            tries += 1
            if board.state.kafka_away_since is None:
                log.warning("the page reads Postgres, because Kafka does not answer", error=str(error))
                board.set_state(kafka_away_since=services.clock())
                board.refresh.set()
            await pause(stop, exponential(tries, base_s=0.5, cap_s=2.0))
        finally:
            await reader.close()


async def _take(reader: StatsReader, board: Board) -> None:
    """Report records until no page was open for a while."""
    unwatched_at: float | None = None
    loop = asyncio.get_running_loop()
    while unwatched_at is None or loop.time() - unwatched_at < UNWATCHED_S:
        news = await reader.take()
        board.report_snapshots(news.snapshots)
        board.forget(news.deleted)
        if board.watched.is_set():
            unwatched_at = None
        elif unwatched_at is None:
            unwatched_at = loop.time()


# ----------------------------------------------------------------------------------------------------------- Postgres


async def _read(services: Services, stop: asyncio.Event) -> None:
    board = services.board
    while not stop.is_set():
        await board.watched.wait()
        board.refresh.clear()
        try:
            async with asyncio.timeout(CONNECTION_S + 3.0), services.lists.connection(CONNECTION_S) as connection:
                await read_once(connection, board)
            board.set_state(postgres_away_since=None)
        except Exception as error:
            if not (is_transient(error) or isinstance(error, TimeoutError)):
                raise
            if board.postgres_is_away(services.clock()):
                log.warning("the page keeps its last figures, because Postgres does not answer", error=str(error))
        await pause(stop, WAIT_MIN_S)
        seconds = BESIDE_S if board.state.kafka_away_since is None else ALONE_S
        await _refresh_or(board, seconds - WAIT_MIN_S)


async def _refresh_or(board: Board, seconds: float) -> None:
    try:
        await asyncio.wait_for(board.refresh.wait(), seconds)
    except TimeoutError:
        return


async def read_once(connection: Connection, board: Board) -> None:
    """Report the list, if it is open, and the campaigns of the open pages."""
    if board.is_list_watched:
        await read_list(connection, board)
    ids = sorted(board.watched_campaigns())
    found = await campaigns.read_some(connection, ids)
    await report(connection, board, found)
    board.forget(set(ids) - {each.id for each in found})
    board.set_state(missing=await _missing(connection), people=await portfolio.read(connection), is_known=True)


async def _missing(connection: Connection) -> tuple[str, ...]:
    """The parts of the pipeline without which nothing moves, as far as Postgres knows their sessions."""
    held = await status.list_locks(connection)
    sessions = await status.count_sessions(connection)
    runs = {
        "scheduler": locks.SCHEDULER in held,
        "sender": sessions.get("campaigns-sender", 0) > 0,
        "sink": sessions.get("campaigns-sink", 0) > 0,
        "stats publisher": locks.STATS_PUBLISHER in held,
    }
    return tuple(name for name, is_there in runs.items() if not is_there)
