"""`campaigns watch` draws frames on a terminal and prints lines elsewhere."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
from rich.console import Console

from cli.watch import watch_campaign
from tests.support.waiting import eventually_async
from tests.support.world import World


async def test_a_terminal_gets_a_frame_with_the_plot_and_a_pipe_gets_lines(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = await world.start_campaign(4)
    await world.run("UPDATE marketing_campaigns SET status = 'completed', completed_at = now()")
    await world.run(
        "INSERT INTO campaign_timeline (campaign_id, minute, sent, delivered, read, failed)"
        " VALUES (%s, date_trunc('minute', now()), 3, 2, 1, 0)",
        campaign,
    )
    drawn = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    assert await watch_campaign(world.connection, str(campaign), 0.2, as_json=False, console=drawn) == 0
    assert isinstance(drawn.file, io.StringIO)
    frame = drawn.file.getvalue()
    assert "0 of 4 handled" in frame
    assert "delivered  ▆" in frame
    assert "highest 3" in frame
    assert await watch_campaign(world.connection, str(campaign), 0.2, as_json=False) == 0
    assert "completed: 0 of 4 handled" in capsys.readouterr().out
    assert await watch_campaign(world.connection, str(campaign), 0.2, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["total_target"] == 4


async def test_a_terminal_shows_that_nothing_moves(world: World) -> None:
    campaign = await world.start_campaign(4)
    drawn = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    written = drawn.file
    assert isinstance(written, io.StringIO)

    async def stands_still() -> bool:
        return written.getvalue().count("0.0/s") > 1

    async with asyncio.TaskGroup() as group:
        group.create_task(watch_campaign(world.connection, str(campaign), 0.01, as_json=False, console=drawn))
        await eventually_async(stands_still)
        await world.run("UPDATE marketing_campaigns SET status = 'completed', completed_at = now()")
