"""The sender as a process, on a real broker, a real Postgres and the simulator: killed, stopped, fed twice."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import pytest
from confluent_kafka import Message

from runtime.settings import Settings
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from tables import ledger
from tests.support.kafka_topics import put, read_until, value_of
from tests.support.paths import ROOT
from tests.support.processes import environment, free_port, process
from tests.support.waiting import eventually
from tests.support.world import World
from topics.apply import apply

MODULE = "streams.sender.process"


class CloudApi:
    """The simulator in a process of its own, so that the test may block."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def request(self, path: str, order: dict[str, Any] | None = None) -> bytes:
        data = json.dumps(order).encode() if order is not None else None
        call = urllib.request.Request(f"{self.url}/_simulator/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=5) as answer:
            body: bytes = answer.read()
            return body

    def posts(self) -> list[str]:
        """The callback data of each post received."""
        return [json.loads(line)["callback_data"] for line in self.request("ledger").splitlines()]

    def unanswered(self) -> int:
        return len(json.loads(self.request("unanswered"))["unanswered"])


@pytest.fixture
def cloud() -> Iterator[CloudApi]:
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "simulator", "--port", str(port)], cwd=ROOT)
    api = CloudApi(port)

    def is_up() -> bool:
        try:
            return bool(api.request("state"))
        except OSError:
            return False

    try:
        eventually(is_up, "the simulator answers")
        yield api
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    apply(settings)
    return settings


@pytest.fixture
def variables(settings: Settings, world: World, cloud: CloudApi) -> dict[str, str]:
    """The environment of a sender."""
    return environment(
        settings.kafka_bootstrap_servers,
        settings.topic_prefix,
        CAMPAIGNS_DATABASE_URL=world.url,
        CAMPAIGNS_WHATSAPP_API_URL=cloud.url,
        CAMPAIGNS_WHATSAPP_ACCESS_TOKEN="token",
        CAMPAIGNS_WHATSAPP_MPS="1000",
        CAMPAIGNS_SEND_WINDOW="64",
        CAMPAIGNS_LEASE_S="3",
        CAMPAIGNS_SEND_TIMEOUT_S="2",
    )


def publish(settings: Settings, jobs: list[SendJob]) -> None:
    records = [(job.key, encode(job)) for job in jobs]
    put(settings.kafka_bootstrap_servers, settings.topic("send.jobs"), records)


def events(settings: Settings, count: int) -> list[RecipientEvent]:
    def enough(found: list[Message]) -> bool:
        return len(found) >= count

    found = read_until(settings.kafka_bootstrap_servers, settings.topic("recipient.events"), enough)
    return [RecipientEvent.model_validate_json(value_of(message)) for message in found]


async def _until(world: World, condition: LiteralString, count: int) -> None:
    """Until so many ledger rows meet the condition; another process writes them."""
    async with asyncio.timeout(60):
        while await world.run(f"SELECT count(*) FROM send_ledger WHERE {condition}") != [(count,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _settled(world: World, count: int) -> None:
    await _until(world, "published_at IS NOT NULL", count)


async def test_jobs_become_posts_and_events_and_a_stop_is_clean(
    world: World, settings: Settings, variables: dict[str, str], cloud: CloudApi, tmp_path: Path
) -> None:
    jobs = await world.release_jobs(300)
    publish(settings, jobs)
    publish(settings, jobs[:100])
    with process(MODULE, variables, tmp_path) as sender:
        await _settled(world, 300)
        assert sender.stop() == 0
    assert len(cloud.posts()) == len(set(cloud.posts())) == 300
    found = events(settings, 300)
    assert {event.kind for event in found} == {EventKind.ACCEPTED}
    assert {event.recipient_id for event in found} == {job.recipient_id for job in jobs}
    assert not any(job.recipient_name in sender.log for job in jobs)


async def test_a_stop_waits_for_the_answers_in_flight(
    world: World, settings: Settings, variables: dict[str, str], cloud: CloudApi, tmp_path: Path
) -> None:
    jobs = await world.release_jobs(20)
    cloud.request("hold", {"seconds": 30.0})
    patient = {"CAMPAIGNS_SEND_TIMEOUT_S": "20", "CAMPAIGNS_LEASE_S": "45"}
    with process(MODULE, variables | patient, tmp_path) as sender:
        publish(settings, jobs)
        eventually(lambda: cloud.unanswered() == 20, "every post is in flight")
        sender.child.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in sender.log, "the sender knows that it is to stop")
        cloud.request("release", {})
        assert sender.wait() == 0
    assert await world.run("SELECT DISTINCT outcome FROM send_ledger") == [("accepted",)]


@pytest.mark.slow
async def test_a_killed_sender_posts_nothing_twice_and_its_open_sends_become_unknown(
    world: World, settings: Settings, variables: dict[str, str], cloud: CloudApi, tmp_path: Path
) -> None:
    jobs = await world.release_jobs(150)
    with process(MODULE, variables, tmp_path) as killed:
        cloud.request("hold", {"seconds": 30.0, "share": 0.5})
        publish(settings, jobs)
        held = eventually(lambda: cloud.unanswered() if cloud.unanswered() >= 5 else None, "posts are held")
        killed.child.kill()
        killed.wait()
    cloud.request("release", {})
    with process(MODULE, variables, tmp_path) as sender:
        publish(settings, jobs)  # what a scheduler does with attempts that nobody claimed
        await _until(world, "outcome IS NOT NULL OR lease_until < now()", 150)
        assert sender.stop() == 0
    unknown = await ledger.declare_unknown(world.connection, 1000)
    assert len(cloud.posts()) == len(set(cloud.posts()))
    assert held <= len(unknown) <= 64
    outcomes = await world.run("SELECT outcome, count(*) FROM send_ledger GROUP BY 1 ORDER BY 1")
    assert outcomes == [("accepted", 150 - len(unknown)), ("unknown", len(unknown))]


async def test_a_broken_job_is_dead_lettered(
    world: World, settings: Settings, variables: dict[str, str], cloud: CloudApi, tmp_path: Path
) -> None:
    [job] = await world.release_jobs(1)
    put(settings.kafka_bootstrap_servers, settings.topic("send.jobs"), [(b"k", b"{broken")])
    publish(settings, [job])
    with process(MODULE, variables, tmp_path) as sender:
        await _settled(world, 1)
        [dead] = read_until(
            settings.kafka_bootstrap_servers, settings.topic("send.jobs.dead"), lambda found: len(found) >= 1
        )
        assert sender.stop() == 0
    assert value_of(dead) == b"{broken"
    assert dict(dead.headers() or [])["reason"] == b"malformed"
