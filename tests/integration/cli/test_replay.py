"""`campaigns replay` as a process: killed, resumed, and its output."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from schemas.events import EventKind
from schemas.model import Wamid
from schemas.topics import Topic
from tables import stats
from tests.support.processes import start_command
from tests.support.waiting import eventually_async
from tests.support.world import World

EVENTS = Topic.RECIPIENT_EVENTS.value
pytestmark = pytest.mark.usefixtures("topics", "no_shadow_tables_stay")


def command(world: World, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return start_command(world.environment, folder, "replay", *arguments)


async def ended(child: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, printed = await asyncio.to_thread(child.communicate, None, 60)
    return child.returncode, out, printed.decode()


async def test_a_killed_command_is_resumed_and_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    people = await world.add_recipients(300)
    await world.publish_events(
        *(world.event(person, kind, 1) for person in people for kind in (EventKind.SENT, EventKind.READ))
    )
    killed = command(world, tmp_path, "--from-topic", EVENTS, "--rate", "100", "--yes")

    async def has_begun() -> bool:
        return bool(await world.value("SELECT sum(records_done) FROM replay_runs"))

    await eventually_async(has_begun)
    killed.kill()
    await ended(killed)
    done = await world.value("SELECT records_done FROM replay_runs")
    assert 0 < done < 600, "the kill fell in the middle"
    assert await world.value("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'campaigns_side')") == 1

    code, out, printed = await ended(command(world, tmp_path, "--from-topic", EVENTS, "--resume", "--yes", "--json"))
    assert code == 0, printed
    document = json.loads(out)
    assert (document["verdict"], document["records"]) == ("applied", 600 - done)
    assert "records" in printed
    assert await world.run("SELECT status, count(*) FROM campaign_recipients GROUP BY 1") == [("read", 300)]
    assert await stats.recount(world.connection, world.campaign) == []
    code, _, printed = await ended(command(world, tmp_path, "--from-topic", EVENTS, "--from", "yesterday"))
    assert (code, "neither a time" in printed) == (64, True)


async def test_logs_leave_stdout_to_the_answer(world: World, tmp_path: Path) -> None:
    [person] = await world.add_recipients(1)
    wamids = [f"wamid.{name}{'A' * 40}" for name in ("HBgLMTQ2OTAwMDAwMDE", "HBgLMTQ2OTAwMDAwMDI")]
    await world.publish_events(*(world.event(person, EventKind.ACCEPTED, wamid=Wamid(wamid)) for wamid in wamids))
    code, out, printed = await ended(command(world, tmp_path, "--from-topic", EVENTS, "--dry-run", "--json"))
    assert (code, json.loads(out)["would_change"]) == (0, 1)
    assert "double send" in printed
    assert "HBgL" not in out.decode() + printed
