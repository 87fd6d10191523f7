"""The simulator: one HTTP server for sends and control requests, and the task that sends webhooks."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import orjson
from aiohttp import web

from simulator.bodies import error_body
from simulator.config import SimulatorConfig
from simulator.control import ControlEndpoints
from simulator.deliveries import Deliveries
from simulator.faults import Faults
from simulator.ledger import Ledger
from simulator.listener import Listener
from simulator.messages import MessagesEndpoint
from simulator.rules import RuleBook
from simulator.wamids import trace_id_of

STOP_GRACE_S = 0.5
"""Time for open requests when the simulator stops. Then their connections are cut."""


class Simulator:
    """A simulated Cloud API. Its address serves HTTP between `start` and `stop`. The same process can read `ledger`."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._salt = config.wamid_salt or secrets.token_hex(8)
        self.ledger = Ledger()
        self._rules = RuleBook(config.rules)
        self._faults = Faults(config.mps)
        self._deliveries = Deliveries(config)
        self._endpoint = MessagesEndpoint(config, self._salt, self.ledger, self._rules, self._faults, self._deliveries)
        self._listener = Listener(config.host, config.port)
        self._control = ControlEndpoints(
            config, self.ledger, self._rules, self._faults, self._deliveries, self._listener
        )
        self._runner: web.AppRunner | None = None
        self._delivering: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Start the server and the webhooks. Returns the port."""
        runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=STOP_GRACE_S
        )
        self._runner = runner
        await runner.setup()
        port = await self._listener.open(runner)
        self._delivering = asyncio.create_task(self._deliveries.run(), name="simulator deliveries")
        return port

    async def stop(self) -> None:
        """Stop the server and the webhooks. Open connections are cut."""
        self._endpoint.stop()
        self._faults.release()
        await self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.wait([self._delivering])
            if not self._delivering.cancelled():
                self._delivering.result()

    async def wait_until_stopped(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Raises the error that ended the webhooks, if there is one."""
        waiting = asyncio.create_task(stop.wait())
        watched: set[asyncio.Task[Any]] = {waiting}
        if self._delivering is not None and self._config.webhook_url is not None:
            watched.add(self._delivering)
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._delivering is not None and self._delivering.done():
            self._delivering.result()

    def _application(self) -> web.Application:
        """The application with all routes."""
        application = web.Application()
        self._control.add_to(application.router)
        path = r"/{version:v\d+\.\d+}/{phone_number_id:\d+}"
        application.router.add_post(path + "/{endpoint:messages|marketing_messages}", self._endpoint.post)
        application.router.add_get(path, self._show_phone_number)
        application.router.add_route("*", "/{tail:.*}", self._refuse_path)
        return application

    async def _show_phone_number(self, request: web.Request) -> web.Response:
        """The fields of a phone number that senders read."""
        number = {
            "id": request.match_info["phone_number_id"],
            "display_phone_number": self._config.display_phone_number,
            "verified_name": "Simulator",
            "quality_rating": "GREEN",
            "throughput": {"level": "HIGH"},
        }
        return web.Response(body=orjson.dumps(number), content_type="application/json")

    async def _refuse_path(self, request: web.Request) -> web.Response:
        """The answer of Meta's Graph API to an unknown path."""
        body = error_body(2500, trace_id_of(self._salt, 0), f"Unknown path components: {request.path}")
        return web.Response(body=body, status=400, content_type="application/json")
