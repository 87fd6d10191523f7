"""The simulator: one HTTP server for sends and control requests, and the task that sends webhooks."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from aiohttp import web

from simulator.access import GraphAccess
from simulator.account import Account
from simulator.admission import Admission
from simulator.config import SimulatorConfig
from simulator.connections import SendConnections
from simulator.control import ControlEndpoints
from simulator.deliveries import Deliveries
from simulator.events import EventWebhooks
from simulator.faults import Faults
from simulator.graph.guard import Guard
from simulator.graph.messages import MessagesEndpoint
from simulator.graph.nodes import Nodes
from simulator.ledger import Ledger
from simulator.listener import Listener
from simulator.messages import SendSteps
from simulator.rules import RuleBook

STOP_GRACE_S = 0.5
"""Time for open requests when the simulator stops. Then their connections are cut."""


class Simulator:
    """A simulated Cloud API. Its address serves HTTP between `start` and `stop`. The same process can read `ledger`."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._salt = config.wamid_salt or secrets.token_hex(8)
        self.ledger = Ledger()
        self._rules = RuleBook(config.rules)
        self._faults = Faults(config.mps, config.pair_limit)
        self._deliveries = Deliveries(config)
        self.account = Account(config)
        access = GraphAccess(config)
        guard = Guard(config.waba_id, self._salt, access, self._faults)
        admission = Admission(config, self.account, access, self._faults)
        self._steps = SendSteps(
            config, self._salt, self.account, admission, self.ledger, self._rules, self._faults, self._deliveries
        )
        self._endpoint = MessagesEndpoint(self._steps, admission, guard)
        self._events = EventWebhooks(config, self._salt, self.account, self._deliveries)
        self._nodes = Nodes(config, self.account, access, guard, self._events.review)
        self._listener = Listener(config.host, config.port)
        self._control = ControlEndpoints(
            config, self.ledger, self._rules, self._faults, self._deliveries, self._listener, self._events
        )
        self._runner: web.AppRunner | None = None
        self._connections: SendConnections | None = None
        self._delivering: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Start the server and the webhooks. Returns the port."""
        runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=STOP_GRACE_S
        )
        self._runner = runner
        await runner.setup()
        assert runner.server is not None, "it is set up"
        self._connections = SendConnections(self._steps, runner.server)
        port = await self._listener.open(self._connections.accept)
        self._events.origin = f"http://{self._config.host}:{port}"
        self._delivering = asyncio.create_task(self._deliveries.run(), name="simulator deliveries")
        return port

    async def stop(self) -> None:
        """Stop the server and the webhooks. Open connections are cut."""
        self._steps.stop()
        self._faults.release()
        await self._listener.close()
        if self._connections is not None:
            await self._connections.close(STOP_GRACE_S)
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
        # Sends come first, because the router tries the patterns in this order.
        path = r"/{version:v\d+\.\d+}/{phone_number_id:\d+}/{endpoint:messages|marketing_messages}"
        for ending in ("", "/"):
            application.router.add_post(path + ending, self._endpoint.post)
        self._control.add_to(application.router)
        self._nodes.add_to(application.router)
        return application
