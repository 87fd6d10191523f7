"""The endpoint `POST /{version}/{phone-number-id}/messages`: it reads a send, plans it, waits, and answers or fails.

A request counts when its body was read completely. If the client disconnects before its answer, the message is still
accepted (unless the plan loses it). So the messages of a killed sender may be delivered, as at Meta.
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
from simulator.draws import SeededDraws
from simulator.faults import Faults
from simulator.ledger import Ledger, LedgerEntry
from simulator.plan import ACCEPTED_UNLESS_LOST, THROUGHPUT_CODE, MessagePlan, plan_message
from simulator.rules import RuleBook
from simulator.sends import MalformedSend, Send, parse_send
from simulator.wamids import trace_id_of, wamid_of

TOKEN_CODE = 190
ROUTE_PARTS = ("version", "phone_number_id", "endpoint")
BAD_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class RefusedSend:
    """An error answer to a send."""

    code: int
    http_status: int
    message: str | None = None
    details: str | None = None
    subcode: int | None = None
    kind: str = "OAuthException"


class MessagesEndpoint:
    """Handles sends."""

    def __init__(
        self,
        config: SimulatorConfig,
        salt: str,
        ledger: Ledger,
        rules: RuleBook,
        faults: Faults,
        deliveries: Deliveries,
    ) -> None:
        self._config = config
        self._salt = salt
        self._ledger = ledger
        self._rules = rules
        self._faults = faults
        self._deliveries = deliveries
        self._stopping = asyncio.Event()
        self._own_number = config.display_phone_number.lstrip("+")
        self._token = config.access_token.get_secret_value().encode() if config.access_token else None

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Handle one POST."""
        raw = await request.read()
        parsed = parse_send(raw)
        send = parsed.send if isinstance(parsed, MalformedSend) else parsed
        route = request.match_info
        version, phone_number_id, endpoint = (intern(route[part]) for part in ROUTE_PARTS)
        entry = self._ledger.open(time.time(), version, phone_number_id, endpoint, send)
        if (kind := self._faults.outage_now()) is not None:
            return await self._refuse_in_outage(request, entry, kind != "503")
        refusal = self._refusal_of(request, entry, parsed)
        if refusal is not None:
            return await self._refuse(request, entry, refusal)
        key = self._key_of(send)
        nth = self._ledger.count(entry, key)
        draws = SeededDraws(self._config.seed, key, nth)
        rule = self._rules.rule_of(send.number, send.template, phone_number_id, nth)
        plan = plan_message(self._config, rule, draws)
        try:
            await self._wait(entry, plan, draws)
        except asyncio.CancelledError:
            self._abandon(entry, plan)
            raise
        return await self._answer(request, entry, plan, rule)

    def stop(self) -> None:
        """End the requests that hang."""
        self._stopping.set()

    def _key_of(self, send: Send) -> str:
        """The key of the message for its draws."""
        if self._config.draws_by == "callback_data" and send.callback:
            return send.callback
        return send.number or send.user_id or ""

    def _refusal_of(self, request: web.Request, entry: LedgerEntry, parsed: object) -> RefusedSend | None:
        """The error of the request itself (token, number, body or rate), or None."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_valid = bool(token) and (self._token is None or hmac.compare_digest(token.encode(), self._token))
        if scheme.lower() != "bearer" or not is_valid:
            return RefusedSend(TOKEN_CODE, 401, "Invalid OAuth access token - Cannot parse access token")
        known_ids = self._config.phone_number_ids
        if known_ids is not None and entry.phone_number_id not in known_ids:
            message = (
                f"Unsupported post request. Object with ID '{entry.phone_number_id}' does not exist, "
                "cannot be loaded due to missing permissions, or does not support this operation"
            )
            return RefusedSend(100, 400, message, subcode=33, kind="GraphMethodException")
        if isinstance(parsed, MalformedSend):
            return RefusedSend(parsed.code, error_of(parsed.code).http_status, parsed.message, parsed.details)
        if entry.send.number == self._own_number:
            return RefusedSend(131021, error_of(131021).http_status)
        if not self._faults.within_rate(entry.phone_number_id):
            return RefusedSend(THROUGHPUT_CODE, error_of(THROUGHPUT_CODE).http_status)
        return None

    async def _wait(self, entry: LedgerEntry, plan: MessagePlan, draws: SeededDraws) -> None:
        """Wait for the time that the answer takes. A hanging request waits until the simulator stops."""
        scale = self._config.time_scale
        latency_s = plan.latency_s / scale
        if plan.overtaken_s is not None:
            self._accept(entry, plan)
            latency_s += plan.overtaken_s / scale
        if latency_s > 0.0:
            await asyncio.sleep(latency_s)
        await self._faults.wait_while_held(draws)
        if plan.outcome == "hang":
            if not plan.lost_if_unanswered:
                self._accept(entry, plan)
            await self._stopping.wait()

    def _accept(self, entry: LedgerEntry, plan: MessagePlan) -> None:
        """Accept the message now, and queue its statuses."""
        if not entry.accepted:
            self._ledger.accept(entry)
            entry.wamid = wamid_of(entry.send.number, self._salt, entry.id)
            self._deliveries.plan(entry, plan.statuses)

    def _abandon(self, entry: LedgerEntry, plan: MessagePlan) -> None:
        """Record that the client disconnected before its answer."""
        if not plan.lost_if_unanswered:
            self._accept(entry, plan)
        self._ledger.close(entry, "hung" if plan.outcome == "hang" else "abandoned", time.time())

    async def _answer(
        self, request: web.Request, entry: LedgerEntry, plan: MessagePlan, rule: Rule | None
    ) -> web.StreamResponse:
        """Answer the request or cut its connection, as planned."""
        if plan.outcome == "reject" and plan.code is not None:
            http_status = (rule.http_status if rule else None) or error_of(plan.code).http_status
            return await self._refuse(
                request, entry, RefusedSend(plan.code, http_status, details=rule.details if rule else None)
            )
        if plan.outcome == "foreign" and rule is not None:
            body = rule.body.encode()
            return await self._write(request, entry, rule.http_status or 200, body, rule.content_type)
        if plan.outcome == "cut_before":
            return self._cut(request, entry)
        if plan.outcome not in ACCEPTED_UNLESS_LOST or not plan.lost_if_unanswered:
            self._accept(entry, plan)
        if plan.outcome in ("cut_after", "hang"):
            return self._cut(request, entry)
        if plan.outcome == "bad_gateway":
            return await self._write(request, entry, 502, BAD_GATEWAY_PAGE, "text/html")
        if entry.send.type == "template":
            entry.message_status = "held_for_quality_assessment" if plan.outcome == "held" else "accepted"
        entry.answer_has_wamid = plan.outcome != "no_wamid"
        body = accepted_body(entry, entry.answer_has_wamid)
        if plan.outcome == "cut_in_answer":
            return await self._cut_in_answer(request, entry, body)
        return await self._write(request, entry, 200, body)

    async def _refuse(self, request: web.Request, entry: LedgerEntry, refusal: RefusedSend) -> web.StreamResponse:
        """Write an error answer."""
        entry.code = refusal.code
        trace_id = trace_id_of(self._salt, entry.id)
        body = error_body(refusal.code, trace_id, refusal.message, refusal.details, refusal.subcode, refusal.kind)
        return await self._write(request, entry, refusal.http_status, body)

    async def _refuse_in_outage(self, request: web.Request, entry: LedgerEntry, aborts: bool) -> web.StreamResponse:
        """Fail the request, because the API is down."""
        if aborts:
            return self._cut(request, entry)
        return await self._write(request, entry, 503, b"Service Unavailable", "text/plain")

    async def _write(
        self,
        request: web.Request,
        entry: LedgerEntry,
        http_status: int,
        body: bytes,
        content_type: str = "application/json",
    ) -> web.StreamResponse:
        """Write the complete answer, and record whether the operating system accepted all of it."""
        response = web.Response(body=body, status=http_status, content_type=content_type)
        response.headers["facebook-api-version"] = entry.path_version
        response.headers["x-fb-trace-id"] = trace_id_of(self._salt, entry.id)
        entry.http_status = http_status
        try:
            await response.prepare(request)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self._ledger.close(entry, "abandoned", time.time())
            raise
        transport = request.transport
        entry.fully_written = transport is not None and transport.get_write_buffer_size() == 0
        self._ledger.close(entry, "answered", time.time())
        return response

    def _cut(self, request: web.Request, entry: LedgerEntry) -> web.StreamResponse:
        """Cut the connection without an answer."""
        self._ledger.close(entry, "cut", time.time())
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _cut_in_answer(self, request: web.Request, entry: LedgerEntry, body: bytes) -> web.StreamResponse:
        """Write half of the answer, then cut the connection."""
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        entry.http_status = 200
        self._ledger.close(entry, "cut_in_answer", time.time())
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.abort()
        return response
