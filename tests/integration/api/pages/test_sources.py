"""The board is fed by Postgres while Kafka is away, keeps its figures while Postgres is away, and recovers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from api.pages import sources
from api.pages.board import Board
from api.pages.sources import fed, read_once
from tests.faults.proxy import Proxy
from tests.support.api_client import an_api
from tests.support.waiting import eventually_async

NO_KAFKA = "127.0.0.1:1"


async def _eventually(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually_async(holds)


def _total(board: Board, campaign: str) -> int:
    known = board.get(UUID(campaign))
    return -1 if known is None else known.stats.total_target


@pytest.mark.slow
async def test_a_page_lives_through_outages(database_url: str, topic_prefix: str) -> None:
    server = urlsplit(database_url)
    assert server.port is not None
    proxy = Proxy(server.port)
    through = server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{proxy.port}").geturl()
    stop = asyncio.Event()
    try:
        async with an_api(through, NO_KAFKA, topic_prefix) as api, fed(api.services, stop):
            board, campaign = api.services.board, await api.campaign()
            with board.subscribe(UUID(campaign)), board.subscribe(None):
                await _eventually(lambda: _total(board, campaign) == 0)
                await _eventually(lambda: board.state.kafka_away_since is not None)
                assert "sender" in board.state.missing
                await api.add(campaign, "14694652751")
                await _eventually(lambda: _total(board, campaign) == 1)

                proxy.cut()
                await _eventually(lambda: board.state.postgres_away_since is not None)
                assert _total(board, campaign) == 1
                shown = await api.http.get(f"/campaigns/{campaign}")
                assert shown.status_code == 200
                assert "these figures are not live since" in shown.text

                proxy.restore()
                await _eventually(lambda: board.state.postgres_away_since is None)
                await api.add(campaign, "19453083188")
                await _eventually(lambda: _total(board, campaign) == 2)
            stop.set()
            await _eventually(lambda: board.is_closed)
    finally:
        proxy.close()


async def test_a_bug_in_a_source_ends_the_process(
    database_url: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sources, "read_once", broken)
    async with an_api(database_url, NO_KAFKA, topic_prefix) as api:

        async def serve() -> None:
            async with fed(api.services, asyncio.Event()):
                with api.services.board.subscribe(None):
                    await asyncio.Event().wait()

        with pytest.raises(ExceptionGroup) as caught:
            await serve()
    assert caught.value.subgroup(ZeroDivisionError) is not None


async def test_a_deleted_draft_leaves_the_board(database_url: str, topic_prefix: str) -> None:
    async with an_api(database_url, NO_KAFKA, topic_prefix) as api:
        board, campaign = Board(), await api.campaign()
        with board.subscribe(UUID(campaign)), board.subscribe(None):
            async with api.lists.connection() as connection:
                await read_once(connection, board)
                assert [str(each.campaign.id) for each in board.listed()] == [campaign]
                await api.http.delete(f"/api/marketing/campaigns/{campaign}")
                await read_once(connection, board)
            assert board.get(UUID(campaign)) is None
            assert board.listed() == []
