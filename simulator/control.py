"""The control endpoints below `/_simulator`: they show the ledger, change the rules, and switch faults on and off.

Meta has no such endpoints. They need no key, because the simulator is for loopback and test networks.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from simulator.checks.refusals import Refused
from simulator.cloud_errors import CLOUD_ERRORS
from simulator.config import Probability, Rule, SimulatorConfig, StrictModel
from simulator.deliveries import Deliveries
from simulator.events import EventWebhooks
from simulator.events.kinds import event_senders
from simulator.faults import Faults, OutageKind
from simulator.ledger import Ledger, LedgerEntry, entry_as_json
from simulator.listener import Listener
from simulator.rules import RuleBook

ENTRIES_PER_WRITE = 500
RULES = TypeAdapter(tuple[Rule, ...])
ControlBody = TypeVar("ControlBody", bound=BaseModel)


class HoldRequest(StrictModel):
    """Delays a share of the following answers. The seconds are not divided by `time_scale`."""

    seconds: float = Field(default=30.0, ge=0.0)
    share: Probability = 1.0


class OutageRequest(StrictModel):
    """Stops the API or the webhooks for a time. `kind`: the API cuts connections, answers 503, or refuses connections.

    While connections are refused, the control endpoints answer on connections that are open already.

    The seconds are not divided by `time_scale`.
    """

    side: Literal["api", "webhooks"]
    seconds: float = Field(ge=0.0)
    kind: OutageKind = "abort"


class ControlEndpoints:
    """The handlers of the control endpoints."""

    def __init__(
        self,
        config: SimulatorConfig,
        ledger: Ledger,
        rules: RuleBook,
        faults: Faults,
        deliveries: Deliveries,
        listener: Listener,
        events: EventWebhooks,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._rules = rules
        self._faults = faults
        self._deliveries = deliveries
        self._listener = listener
        self._events = event_senders(events)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        router.add_get("/_simulator/ledger", self._show_ledger)
        router.add_get("/_simulator/state", self._show_state)
        router.add_get("/_simulator/unanswered", self._show_unanswered)
        router.add_get("/_simulator/config", self._show_config)
        router.add_get("/_simulator/errors", self._show_errors)
        router.add_get("/_simulator/rules", self._show_rules)
        router.add_post("/_simulator/rules", self._add_rules)
        router.add_delete("/_simulator/rules", self._remove_rules)
        router.add_post("/_simulator/events/{kind}", self._send_event)
        router.add_get("/_simulator/events", self._list_events)
        router.add_post("/_simulator/hold", self._hold)
        router.add_post("/_simulator/release", self._release)
        router.add_post("/_simulator/outage", self._start_outage)

    async def _show_ledger(self, request: web.Request) -> web.StreamResponse:
        """The entries as NDJSON in order of receipt. The query may have `after`, `limit`, `to` and `callback_data`."""
        query = request.query
        after, limit = _number_from(query.get("after"), 0), _number_from(query.get("limit"), len(self._ledger.entries))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        chunk: list[bytes] = []
        for entry in self._ledger.entries[after:]:
            if limit <= 0:
                break
            if not _matches(entry, query.get("to"), query.get("callback_data")):
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

    async def _show_state(self, _request: web.Request) -> web.Response:
        """The counters."""
        return _json_response(self._state())

    def _state(self) -> dict[str, Any]:
        """The counters. `quiet` means that every request has ended, and every status was acknowledged or given up."""
        deliveries = self._deliveries
        unanswered = len(self._ledger.unanswered)
        return {
            "received": len(self._ledger.entries),
            "accepted": self._ledger.accepted,
            "unanswered_now": unanswered,
            "statuses_planned": deliveries.planned,
            "statuses_pending": deliveries.pending,
            "statuses_said": deliveries.sent,
            "webhooks_posted": deliveries.posts,
            "webhooks_unacknowledged": deliveries.unacknowledged,
            "webhooks_given_up": deliveries.given_up,
            "quiet": not (unanswered or deliveries.pending or deliveries.unacknowledged),
            "next_due_in_seconds": deliveries.next_due_in_s(),
        }

    async def _show_unanswered(self, _request: web.Request) -> web.Response:
        """The requests that are held without an answer now."""
        return _json_response({"unanswered": [entry_as_json(entry) for entry in self._ledger.unanswered.values()]})

    async def _show_config(self, _request: web.Request) -> web.Response:
        """The current configuration, with masked secrets."""
        return _json_response(self._config.model_dump(mode="json", exclude={"rules"}))

    async def _show_errors(self, _request: web.Request) -> web.Response:
        """Every error code of the simulator."""
        return _json_response({"errors": list(CLOUD_ERRORS.values())})

    async def _show_rules(self, _request: web.Request) -> web.Response:
        """The current rules."""
        return _json_response(
            {"rules": [rule.model_dump(mode="json", exclude_defaults=True) for rule in self._rules.rules]}
        )

    async def _add_rules(self, request: web.Request) -> web.Response:
        """Add the rules in the body: one rule or a list."""
        raw = await request.read()
        try:
            rules = RULES.validate_json(raw if raw.lstrip()[:1] == b"[" else b"[" + raw + b"]")
        except ValidationError as invalid:
            raise _bad_request(invalid) from invalid
        for rule in rules:
            self._rules.add(rule)
        return _json_response({"added": len(rules), "in_force": len(self._rules.rules)})

    async def _remove_rules(self, request: web.Request) -> web.Response:
        """Remove the rules with the name in the query, or all rules."""
        self._rules.remove(request.query.get("name"))
        return _json_response({"in_force": len(self._rules.rules)})

    async def _send_event(self, request: web.Request) -> web.Response:
        """Send the webhook of an event. `is_sent` is false without a receiver of webhooks."""
        kind = request.match_info["kind"]
        if kind not in self._events:
            raise web.HTTPNotFound(text=f"no such event: {kind!r}; the events are {', '.join(sorted(self._events))}")
        model, send = self._events[kind]
        try:
            result = send(await _read_body(request, model))
        except Refused as refused:
            raise web.HTTPBadRequest(text=str(refused)) from refused
        return _json_response({**result, "is_sent": self._config.webhook_url is not None})

    async def _list_events(self, _request: web.Request) -> web.Response:
        """The kinds of events, with the schema of the settings of each."""
        return _json_response({kind: model.model_json_schema() for kind, (model, _) in sorted(self._events.items())})

    async def _hold(self, request: web.Request) -> web.Response:
        """Start to hold answers."""
        body = await _read_body(request, HoldRequest)
        self._faults.hold(body.seconds, body.share)
        return _json_response(self._state())

    async def _release(self, _request: web.Request) -> web.Response:
        """Send all held answers now."""
        self._faults.release()
        return _json_response(self._state())

    async def _start_outage(self, request: web.Request) -> web.Response:
        """Start an outage. 0 seconds end it."""
        body = await _read_body(request, OutageRequest)
        if body.side == "api":
            self._faults.start_outage(body.kind, body.seconds)
            await self._listener.refuse(body.seconds if body.kind == "refuse" else 0.0)
        else:
            self._deliveries.pause(body.seconds)
        return _json_response(self._state())


async def _read_body(request: web.Request, model: type[ControlBody]) -> ControlBody:
    """The body of a control request. An empty body has the default values."""
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as invalid:
        raise _bad_request(invalid) from invalid


def _bad_request(invalid: ValidationError) -> web.HTTPBadRequest:
    """A 400 that lists the invalid fields."""
    return web.HTTPBadRequest(text=invalid.json(include_url=False), content_type="application/json")


def _number_from(text: str | None, default: int) -> int:
    """The number in a query parameter, or the default."""
    if text is None:
        return default
    if not text.isdecimal():
        raise web.HTTPBadRequest(text=f"not a number: {text!r}")
    return int(text)


def _matches(entry: LedgerEntry, to: str | None, callback: str | None) -> bool:
    """Whether an entry matches the query."""
    return (to is None or to.lstrip("+ ") == entry.send.number) and (
        callback is None or callback == entry.send.callback
    )


def _json_response(value: object) -> web.Response:
    """A JSON response with this value."""
    return web.Response(body=orjson.dumps(value), content_type="application/json")
