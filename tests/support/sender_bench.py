"""A sender in the test's process: its world, a publisher in memory, and a Cloud API whose answers the test writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import orjson
from aiohttp import web
from pydantic import SecretStr

from runtime.settings import Settings
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.places import Record
from streams.sender.claims import boot_time
from streams.sender.process import Sender, sending
from tables.ledger import Claim
from tests.support.world import NUMBER_ID, World, open_world
from topics.memory import MemoryPublisher

Answer = Callable[[int], Awaitable[web.Response]]


def job_record(value: bytes | None, key: bytes | None = None) -> Record:
    """A record of `send.jobs` as it was read."""
    return Record("p.send.jobs", 3, 17, key, value)


class Kafka(MemoryPublisher):
    """The in-memory publisher, read as events."""

    def events(self) -> list[RecipientEvent]:
        return [RecipientEvent.model_validate_json(each.value or b"") for each in self.of_topic("p.recipient.events")]

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events()]


class Api:
    """A Cloud API whose answers the test writes. It keeps the recipient of each post."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.callbacks: list[str] = []
        self.open_posts = 0
        self.open_posts_max = 0
        self.arrived = asyncio.Event()
        self.answer: Answer = self.accept
        self.url = ""

    async def accept(self, number: int) -> web.Response:
        return web.json_response({"messages": [{"id": f"wamid.{number:04d}"}]})

    async def take(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.posts.append(body["to"])
        self.callbacks.append(body["biz_opaque_callback_data"])
        self.open_posts += 1
        self.open_posts_max = max(self.open_posts, self.open_posts_max)
        self.arrived.set()
        try:
            return await self.answer(len(self.posts))
        finally:
            self.open_posts -= 1

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        application = web.Application()
        application.router.add_post(f"/v25.0/{NUMBER_ID}/messages", self.take)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()


def error_answer(code: int, status: int = 400) -> Answer:
    async def answer(number: int) -> web.Response:
        return web.json_response({"error": {"code": code, "message": "no"}}, status=status)

    return answer


@dataclass
class Bench:
    """Everything around one sender."""

    world: World
    kafka: Kafka
    api: Api
    sender: Sender

    async def take(self, jobs: Sequence[SendJob]) -> None:
        await self.sender.intake.take([job_record(encode(job)) for job in jobs])

    async def add_claim(self) -> tuple[SendJob, Claim, float]:
        """One claimed attempt, with when it was claimed."""
        [job] = await self.world.release_jobs(1)
        issued_at, token = boot_time(), uuid4()
        await self.world.claim([job], token=token, lease_s=2)
        return job, Claim(job.recipient_id, job.attempt, token), issued_at

    async def finish(self) -> None:
        async with asyncio.timeout(20):
            await self.sender.window.empty()
            await self.sender.outbox.published()

    async def ledger_rows(self) -> list[tuple[object, ...]]:
        return await self.world.run("SELECT outcome, published_at IS NOT NULL FROM send_ledger")


@contextlib.asynccontextmanager
async def open_bench(
    database_url: str, progressed: Callable[[], None] = lambda: None, **changed: object
) -> AsyncIterator[Bench]:
    api, kafka = Api(), Kafka()
    async with open_world(database_url) as world, api.serving():
        values = {
            "kafka_bootstrap_servers": "unused:1",
            "database_url": SecretStr(database_url),
            "topic_prefix": "p.",
            "whatsapp_api_url": api.url,
            "whatsapp_mps": 2000,
            "callback_secret": SecretStr("k"),
            "send_window": 64,
            **changed,
        }
        async with sending(Settings.model_validate(values), kafka, progressed) as sender:
            yield Bench(world, kafka, api, sender)
