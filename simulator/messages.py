"""The endpoint `POST /{version}/{phone-number-id}/messages`: read a send, plan, wait, answer or fail, record it.

A request counts once its body was read completely. If the client disconnects before its answer, the message is accepted
nevertheless (unless the plan loses it). The requests of a killed sender depend on that.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass
from sys import intern

from aiohttp import web

from simulator.bodies import accepted_body, error_body
from simulator.cloud_errors import error_of
from simulator.config import Rule, SimulatorConfig
from simulator.deliveries import Deliveries
from simulator.dice import Dice
from simulator.faults import Faults
from simulator.ledger import Entry, Ledger
from simulator.plan import ACCEPTED_UNLESS_LOST, THROUGHPUT_CODE, MessagePlan, plan_message
from simulator.rules import RuleBook
from simulator.sends import MalformedSend, Send, parse_send
from simulator.wamids import trace_id_of, wamid_of

TOKEN_CODE = 190
ROUTE_PARTS = ("version", "phone_number_id", "endpoint")
BAD_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class RefusedSend:
    """An error answer without a plan."""

    code: int
    http_status: int
    message: str | None = None
    details: str | None = None
    subcode: int | None = None
    kind: str = "OAuthException"


class MessagesEndpoint:
    """The endpoint and its parts."""

    def __init__(
        self,
        config: SimulatorConfig,
        salt: str,
        ledger: Ledger,
        rules: RuleBook,
        faults: Faults,
        deliveries: Deliveries,
    ) -> None:
        self.config = config
        self.salt = salt
        self.ledger = ledger
        self.rules = rules
        self.faults = faults
        self.deliveries = deliveries
        self.stopping = asyncio.Event()
        self.own_number = config.display_phone_number.lstrip("+")
        self.token = config.access_token.get_secret_value().encode() if config.access_token else None

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Handle one send."""
        raw = await request.read()
        parsed = parse_send(raw)
        send = parsed.send if isinstance(parsed, MalformedSend) else parsed
        route = request.match_info
        version, phone_number_id, endpoint = (intern(route[part]) for part in ROUTE_PARTS)
        entry = self.ledger.open(time.time(), version, phone_number_id, endpoint, send)
        if (kind := self.faults.outage_now()) is not None:
            return await self.refuse_in_outage(request, entry, kind == "abort")
        refusal = self.refusal_of(request, entry, parsed)
        if refusal is not None:
            return await self.refuse(request, entry, refusal)
        key = self.key_of(send)
        nth = self.ledger.count(entry, key)
        dice = Dice(self.config.seed, key, nth)
        rule = self.rules.rule_of(send.number, send.template, nth)
        plan = plan_message(self.config, rule, dice)
        try:
            await self.wait(entry, plan, dice)
        except asyncio.CancelledError:
            self.abandon(entry, plan)
            raise
        return await self.answer(request, entry, plan, rule)

    def key_of(self, send: Send) -> str:
        """The key of the message in its draws."""
        if self.config.draws_by == "callback_data" and send.callback:
            return send.callback
        return send.number or send.user_id or ""

    def refusal_of(self, request: web.Request, entry: Entry, parsed: object) -> RefusedSend | None:
        """The error of the request itself, if any: token, number, body, rate."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = bool(token) and (self.token is None or hmac.compare_digest(token.encode(), self.token))
        if scheme.lower() != "bearer" or not known:
            return RefusedSend(TOKEN_CODE, 401, "Invalid OAuth access token - Cannot parse access token")
        ours = self.config.phone_number_ids
        if ours is not None and entry.phone_number_id not in ours:
            message = (
                f"Unsupported post request. Object with ID '{entry.phone_number_id}' does not exist, "
                "cannot be loaded due to missing permissions, or does not support this operation"
            )
            return RefusedSend(100, 400, message, subcode=33, kind="GraphMethodException")
        if isinstance(parsed, MalformedSend):
            return RefusedSend(parsed.code, error_of(parsed.code).http_status, parsed.message, parsed.details)
        if entry.send.number == self.own_number:
            return RefusedSend(131021, error_of(131021).http_status)
        if not self.faults.within_rate(entry.phone_number_id):
            return RefusedSend(THROUGHPUT_CODE, error_of(THROUGHPUT_CODE).http_status)
        return None

    async def wait(self, entry: Entry, plan: MessagePlan, dice: Dice) -> None:
        """Wait as long as the answer takes; a hanging one waits until the simulator stops."""
        scale, faults = self.config.time_scale, self.faults
        latency_s = plan.latency_s / scale
        if plan.overtaken_s is not None:
            self.accept(entry, plan)
            latency_s += plan.overtaken_s / scale
        if latency_s > 0.0:
            await asyncio.sleep(latency_s)
        if faults.hold_s is not None and dice.happens("hold", faults.hold_share):
            try:
                async with asyncio.timeout(faults.hold_s):
                    await faults.released.wait()
            except TimeoutError:
                pass  # the hold has ended: the answer is sent
        if plan.outcome == "hang":
            if not plan.lost_if_unanswered:
                self.accept(entry, plan)
            await self.stopping.wait()

    def accept(self, entry: Entry, plan: MessagePlan) -> None:
        """Accept the message now, and queue its statuses."""
        if not entry.accepted:
            self.ledger.accept(entry)
            entry.wamid = wamid_of(entry.send.number, self.salt, entry.id)
            self.deliveries.plan(entry, plan.statuses)

    def abandon(self, entry: Entry, plan: MessagePlan) -> None:
        """Record a client that disconnected without an answer."""
        if not plan.lost_if_unanswered:
            self.accept(entry, plan)
        self.ledger.close(entry, "hung" if plan.outcome == "hang" else "abandoned", time.time())

    async def answer(
        self, request: web.Request, entry: Entry, plan: MessagePlan, rule: Rule | None
    ) -> web.StreamResponse:
        """End the request as planned."""
        if plan.outcome == "reject" and plan.code is not None:
            http_status = (rule.http_status if rule else None) or error_of(plan.code).http_status
            return await self.refuse(
                request, entry, RefusedSend(plan.code, http_status, details=rule.details if rule else None)
            )
        if plan.outcome == "cut_before":
            return self.cut(request, entry)
        if plan.outcome not in ACCEPTED_UNLESS_LOST or not plan.lost_if_unanswered:
            self.accept(entry, plan)
        if plan.outcome in ("cut_after", "hang"):
            return self.cut(request, entry)
        if plan.outcome == "bad_gateway":
            return await self.write(request, entry, 502, BAD_GATEWAY_PAGE, "text/html")
        if entry.send.type == "template":
            entry.message_status = "held_for_quality_assessment" if plan.outcome == "held" else "accepted"
        entry.answer_has_wamid = plan.outcome != "no_wamid"
        body = accepted_body(entry, entry.answer_has_wamid)
        if plan.outcome == "cut_in_answer":
            return await self.cut_in_answer(request, entry, body)
        return await self.write(request, entry, 200, body)

    async def refuse(self, request: web.Request, entry: Entry, refusal: RefusedSend) -> web.StreamResponse:
        """Write an error answer."""
        entry.code = refusal.code
        trace_id = trace_id_of(self.salt, entry.id)
        body = error_body(refusal.code, trace_id, refusal.message, refusal.details, refusal.subcode, refusal.kind)
        return await self.write(request, entry, refusal.http_status, body)

    async def refuse_in_outage(self, request: web.Request, entry: Entry, aborts: bool) -> web.StreamResponse:
        """Refuse the request, because the API is down."""
        if aborts:
            return self.cut(request, entry)
        return await self.write(request, entry, 503, b"Service Unavailable", "text/plain")

    async def write(
        self, request: web.Request, entry: Entry, http_status: int, body: bytes, content_type: str = "application/json"
    ) -> web.StreamResponse:
        """Write the whole answer, and record whether the system accepted all of it."""
        response = web.Response(body=body, status=http_status, content_type=content_type)
        response.headers["facebook-api-version"] = entry.path_version
        response.headers["x-fb-trace-id"] = trace_id_of(self.salt, entry.id)
        entry.http_status = http_status
        try:
            await response.prepare(request)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.ledger.close(entry, "abandoned", time.time())
            raise
        transport = request.transport
        entry.fully_written = transport is not None and transport.get_write_buffer_size() == 0
        self.ledger.close(entry, "answered", time.time())
        return response

    def cut(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        """Cut the connection without an answer."""
        self.ledger.close(entry, "cut", time.time())
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def cut_in_answer(self, request: web.Request, entry: Entry, body: bytes) -> web.StreamResponse:
        """Write half of the answer, then cut the connection."""
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        entry.http_status = 200
        self.ledger.close(entry, "cut_in_answer", time.time())
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.abort()
        return response
