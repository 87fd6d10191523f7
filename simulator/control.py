"""The control endpoints below `/_simulator`: read the ledger, change the rules, switch faults on and off.

They do not exist at Meta. They need no key, because the simulator is for loopback and test networks.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from simulator.cloud_errors import CLOUD_ERRORS
from simulator.config import Frozen, Rule, Share, SimulatorConfig
from simulator.deliveries import Deliveries
from simulator.faults import Faults, OutageKind
from simulator.ledger import Entry, Ledger, entry_as_json
from simulator.rules import RuleBook

ENTRIES_PER_WRITE = 500
RULES = TypeAdapter(tuple[Rule, ...])
Order = TypeVar("Order", bound=BaseModel)


class HoldOrder(Frozen):
    """Hold a share of the following answers for so many seconds (not scaled)."""

    seconds: float = Field(default=30.0, ge=0.0)
    share: Share = 1.0


class OutageOrder(Frozen):
    """Take down the API (cut connections, or answer 503) or the webhooks (silence) for so many seconds (not scaled)."""

    side: Literal["api", "webhooks"]
    seconds: float = Field(ge=0.0)
    kind: OutageKind = "abort"


class Control:
    """The handlers and their state."""

    def __init__(
        self, config: SimulatorConfig, ledger: Ledger, rules: RuleBook, faults: Faults, deliveries: Deliveries
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.rules = rules
        self.faults = faults
        self.deliveries = deliveries

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register every path."""
        router.add_get("/_simulator/ledger", self.show_ledger)
        router.add_get("/_simulator/state", self.show_state)
        router.add_get("/_simulator/unanswered", self.show_unanswered)
        router.add_get("/_simulator/config", self.show_config)
        router.add_get("/_simulator/errors", self.show_errors)
        router.add_get("/_simulator/rules", self.show_rules)
        router.add_post("/_simulator/rules", self.add_rules)
        router.add_delete("/_simulator/rules", self.clear_rules)
        router.add_post("/_simulator/hold", self.hold)
        router.add_post("/_simulator/release", self.release)
        router.add_post("/_simulator/outage", self.break_down)

    async def show_ledger(self, request: web.Request) -> web.StreamResponse:
        """NDJSON with one entry per line, in order of receipt; `after`, `limit`, `to`, `callback_data` narrow it."""
        query = request.query
        after, limit = number_in(query.get("after"), 0), number_in(query.get("limit"), len(self.ledger.entries))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        chunk: list[bytes] = []
        for entry in self.ledger.entries[after:]:
            if limit <= 0:
                break
            if not wanted(entry, query.get("to"), query.get("callback_data")):
                continue
            limit -= 1
            chunk.append(orjson.dumps(entry_as_json(entry), option=orjson.OPT_APPEND_NEWLINE))
            if len(chunk) >= ENTRIES_PER_WRITE:
                await response.write(b"".join(chunk))
                chunk.clear()
        if chunk:
            await response.write(b"".join(chunk))
        await response.write_eof()
        return response

    async def show_state(self, _request: web.Request) -> web.Response:
        """Return the state."""
        return as_json(self.state())

    def state(self) -> dict[str, Any]:
        """Counters. `quiet`: every request has ended, and every status was acknowledged or given up."""
        deliveries = self.deliveries
        unanswered = len(self.ledger.unanswered)
        return {
            "received": len(self.ledger.entries),
            "accepted": self.ledger.accepted,
            "unanswered_now": unanswered,
            "statuses_planned": deliveries.planned,
            "statuses_pending": deliveries.pending,
            "statuses_said": deliveries.sent,
            "webhooks_posted": deliveries.parcels,
            "webhooks_unacknowledged": deliveries.unacknowledged,
            "webhooks_given_up": deliveries.given_up,
            "quiet": not (unanswered or deliveries.pending or deliveries.unacknowledged),
            "next_due_in_seconds": deliveries.next_due_in_s(),
        }

    async def show_unanswered(self, _request: web.Request) -> web.Response:
        """The requests that are held without an answer now."""
        return as_json({"unanswered": [entry_as_json(entry) for entry in self.ledger.unanswered.values()]})

    async def show_config(self, _request: web.Request) -> web.Response:
        """The current configuration, with masked secrets."""
        return as_json(self.config.model_dump(mode="json", exclude={"rules"}))

    async def show_errors(self, _request: web.Request) -> web.Response:
        """Every error code of the simulator."""
        return as_json({"errors": list(CLOUD_ERRORS.values())})

    async def show_rules(self, _request: web.Request) -> web.Response:
        """The current rules."""
        return as_json({"rules": [rule.model_dump(mode="json", exclude_defaults=True) for rule in self.rules.rules]})

    async def add_rules(self, request: web.Request) -> web.Response:
        """Add the rules of the body: one, or a list."""
        raw = await request.read()
        try:
            rules = RULES.validate_json(raw if raw.lstrip()[:1] == b"[" else b"[" + raw + b"]")
        except ValidationError as invalid:
            raise refused(invalid) from invalid
        for rule in rules:
            self.rules.add(rule)
        return as_json({"added": len(rules), "in_force": len(self.rules.rules)})

    async def clear_rules(self, _request: web.Request) -> web.Response:
        """Remove all rules."""
        self.rules.clear()
        return as_json({"in_force": 0})

    async def hold(self, request: web.Request) -> web.Response:
        """Start to hold answers."""
        order = await order_in(request, HoldOrder)
        self.faults.hold(order.seconds, order.share)
        return as_json(self.state())

    async def release(self, _request: web.Request) -> web.Response:
        """Release held answers."""
        self.faults.release()
        return as_json(self.state())

    async def break_down(self, request: web.Request) -> web.Response:
        """Start an outage, or end it with 0 seconds."""
        order = await order_in(request, OutageOrder)
        if order.side == "api":
            self.faults.break_api(order.kind, order.seconds)
        else:
            self.deliveries.silence(order.seconds)
        return as_json(self.state())


async def order_in(request: web.Request, model: type[Order]) -> Order:
    """The order in a body. An empty body is an order with defaults."""
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as invalid:
        raise refused(invalid) from invalid


def refused(invalid: ValidationError) -> web.HTTPBadRequest:
    """A 400 with the reason."""
    return web.HTTPBadRequest(text=invalid.json(include_url=False), content_type="application/json")


def number_in(text: str | None, default: int) -> int:
    """A number from a query, or the default."""
    if text is None:
        return default
    if not text.isdecimal():
        raise web.HTTPBadRequest(text=f"not a number: {text!r}")
    return int(text)


def wanted(entry: Entry, to: str | None, callback: str | None) -> bool:
    """Whether an entry is requested."""
    return (to is None or to.lstrip("+ ") == entry.send.number) and (
        callback is None or callback == entry.send.callback
    )


def as_json(value: object) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(value), content_type="application/json")
