"""Shared by the contract tests of the simulator: a client, a running simulator, and a receiver of webhooks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson
from aiohttp import ClientResponse, ClientSession, web

from simulator.config import AnswerConfig, Delay, SimulatorConfig, StatusConfig
from simulator.server import Simulator

DEADLINE_S = 15.0
APP_SECRET = "simulator-app-secret"
AT_ONCE = Delay(median_s=0.0, p99_s=0.0)
SOON = Delay(median_s=0.01, p99_s=0.01)


def quick(**changes: object) -> SimulatorConfig:
    """The preset `tidy` without delays, on a free port. `changes` are settings of SimulatorConfig."""
    tree: dict[str, object] = {
        "port": 0,
        "answers": AnswerConfig(latency=AT_ONCE),
        "statuses": StatusConfig(sent=SOON, delivered=SOON, read=SOON),
    }
    return SimulatorConfig.model_validate(tree | changes)


def template_message(to: str, callback: str | None = None) -> dict[str, object]:
    """The body of a send of a template without parameters."""
    message: dict[str, object] = {
        "messaging_product": "whatsapp",
        "to": to,
        "type": "template",
        "template": {"name": "promo", "language": {"code": "en_US"}},
    }
    if callback is not None:
        message["biz_opaque_callback_data"] = callback
    return message


@dataclass
class Receiver:
    """Receives webhooks. It answers with `answers` one after another, and then with 200."""

    answers: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    unsigned: int = 0

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        expected = hmac.new(APP_SECRET.encode(), raw, hashlib.sha256).hexdigest()
        self.unsigned += request.headers.get("X-Hub-Signature-256") != f"sha256={expected}"
        self.bodies.append(raw)
        self.signatures.append(request.headers.get("X-Hub-Signature-256", ""))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    def statuses(self) -> list[dict[str, Any]]:
        """Every status received, in order of arrival."""
        return [
            status
            for body in self.bodies
            for entry in orjson.loads(body)["entry"]
            for change in entry["changes"]
            for status in change["value"].get("statuses", ())
        ]


@dataclass
class Bench:
    """A running simulator with a client and a receiver of webhooks."""

    simulator: Simulator
    url: str
    http: ClientSession
    receiver: Receiver
    query: ClassVar[str] = ""
    """The query of sends. With any, aiohttp's server serves them."""

    def send(self, to: str, callback: str | None = None, token: str = "token", **body: object) -> Any:
        """A send in flight; use it as `async with`."""
        message = template_message(to, callback)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}/v25.0/106540352242922/messages{self.query}"
        return self.http.post(url, json=message | body, headers=headers)

    async def sent(self, to: str, callback: str | None = None, **body: Any) -> tuple[int, dict[str, Any]]:
        """A send and its answer."""
        async with self.send(to, callback, **body) as response:
            return response.status, await json_of(response)

    async def state(self) -> dict[str, Any]:
        """The simulator's state."""
        async with self.http.get(f"{self.url}/_simulator/state") as response:
            return await json_of(response)

    async def control(self, path: str, **body: object) -> dict[str, Any]:
        """Send a control request."""
        async with self.http.post(f"{self.url}/_simulator/{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await json_of(response)

    def changes(self) -> list[dict[str, Any]]:
        """Every change that the receiver got, in order of arrival."""
        return [
            change
            for body in self.receiver.bodies
            for entry in orjson.loads(body)["entry"]
            for change in entry["changes"]
        ]

    async def ledger(self, query: str = "") -> list[dict[str, Any]]:
        """The ledger's entries."""
        async with self.http.get(f"{self.url}/_simulator/ledger{query}") as response:
            return [orjson.loads(line) for line in (await response.read()).splitlines()]

    async def quiet(self) -> None:
        """Wait until every status is sent and acknowledged."""
        async with asyncio.timeout(DEADLINE_S):
            while not (await self.state())["quiet"]:  # noqa: ASYNC110 - the state is only available over HTTP
                await asyncio.sleep(0.01)


async def json_of(response: ClientResponse) -> dict[str, Any]:
    """The JSON object of an answer with any content type."""
    body: dict[str, Any] = orjson.loads(await response.read())
    return body


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the condition is a state inside the simulator
            await asyncio.sleep(0.005)


@asynccontextmanager
async def bench(config: SimulatorConfig, answers: list[int] | None = None) -> AsyncIterator[Bench]:
    """A simulator that sends its statuses to a receiver."""
    receiver = Receiver(answers or [])
    application = web.Application(client_max_size=4 << 20)
    application.router.add_post("/webhooks", receiver.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks"
    simulator = Simulator(config.model_copy(update={"webhook_url": url}))
    port = await simulator.start()
    try:
        async with ClientSession() as http:
            yield Bench(simulator, f"http://127.0.0.1:{port}", http, receiver)
    finally:
        await simulator.stop()
        await runner.cleanup()
