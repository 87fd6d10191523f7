"""The whole simulator: its parts behind one HTTP server, started and stopped in order."""

from __future__ import annotations

import asyncio
import secrets

import orjson
from aiohttp import web

from simulator.bodies import error_body
from simulator.config import SimulatorConfig
from simulator.control import Control
from simulator.deliveries import Deliveries
from simulator.faults import Faults
from simulator.ledger import Ledger
from simulator.messages import MessagesEndpoint
from simulator.rules import RuleBook
from simulator.wamids import trace_id_of

STOP_GRACE_S = 0.5
"""Open requests get this long when the simulator stops; then they are cut."""


class Simulator:
    """A running Cloud API: `start` it, use it over HTTP (or read `ledger` in the same process), `stop` it."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.salt = config.wamid_salt or secrets.token_hex(8)
        self.ledger = Ledger()
        self.rules = RuleBook(config.rules)
        self.faults = Faults(config.mps)
        self.deliveries = Deliveries(config)
        self.endpoint = MessagesEndpoint(config, self.salt, self.ledger, self.rules, self.faults, self.deliveries)
        self.control = Control(config, self.ledger, self.rules, self.faults, self.deliveries)
        self.runner: web.AppRunner | None = None
        self.delivering: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Start to listen and to send statuses. Returns the port."""
        runner = web.AppRunner(
            self.application(), access_log=None, handler_cancellation=True, shutdown_timeout=STOP_GRACE_S
        )
        self.runner = runner
        await runner.setup()
        await web.TCPSite(runner, self.config.host, self.config.port, backlog=1024).start()
        self.delivering = asyncio.create_task(self.deliveries.run(), name="simulator deliveries")
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Cut open connections and stop."""
        self.endpoint.stopping.set()
        self.faults.release()
        if self.runner is not None:
            await self.runner.cleanup()
        if self.delivering is not None:
            self.delivering.cancel()
            await asyncio.wait([self.delivering])
            if not self.delivering.cancelled():
                self.delivering.result()

    def application(self) -> web.Application:
        """All routes."""
        application = web.Application()
        self.control.add_to(application.router)
        path = r"/{version:v\d+\.\d+}/{phone_number_id:\d+}"
        application.router.add_post(path + "/{endpoint:messages|marketing_messages}", self.endpoint.post)
        application.router.add_get(path, self.show_phone_number)
        application.router.add_route("*", "/{tail:.*}", self.refuse_path)
        return application

    async def show_phone_number(self, request: web.Request) -> web.Response:
        """Return the fields of a phone number that senders use."""
        number = {
            "id": request.match_info["phone_number_id"],
            "display_phone_number": self.config.display_phone_number,
            "verified_name": "Simulator",
            "quality_rating": "GREEN",
            "throughput": {"level": "HIGH"},
        }
        return web.Response(body=orjson.dumps(number), content_type="application/json")

    async def refuse_path(self, request: web.Request) -> web.Response:
        """Graph's answer to an unknown path."""
        body = error_body(2500, trace_id_of(self.salt, 0), f"Unknown path components: {request.path}")
        return web.Response(body=body, status=400, content_type="application/json")


async def run(config: SimulatorConfig, stop: asyncio.Event) -> None:
    """Run a simulator until a stop is requested. A failure of its deliveries ends it with that error."""
    simulator = Simulator(config)
    try:
        await simulator.start()
        await until_stopped(simulator, stop)
    finally:
        await simulator.stop()


async def until_stopped(simulator: Simulator, stop: asyncio.Event) -> None:
    """Wait for the stop. Raises the error that ended the deliveries, if any."""
    waiting = asyncio.create_task(stop.wait())
    watched = {waiting}
    if simulator.delivering is not None and simulator.config.webhook_url is not None:
        watched.add(simulator.delivering)  # type: ignore[arg-type]
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if simulator.delivering is not None and simulator.delivering.done():
        simulator.delivering.result()
