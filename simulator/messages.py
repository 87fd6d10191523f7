"""The endpoint `POST /{version}/{phone-number-id}/messages`: it reads a send, plans it, waits, and answers or fails.

A request counts when its body was read completely. If the client disconnects before its answer, the message is still
accepted (unless the plan loses it). So the messages of a killed sender may be delivered, as at Meta.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from sys import intern

from aiohttp import web

from simulator.account import Account
from simulator.admission import Admission
from simulator.answers import meta_headers, write_answer
from simulator.bodies import accepted_body, error_body
from simulator.checks.messages import check_mark_as_read, is_mark_as_read
from simulator.checks.refusals import GraphRefusal, Refused
from simulator.cloud_errors import error_of
from simulator.config import Rule, SimulatorConfig
from simulator.deliveries import Deliveries
from simulator.draws import SeededDraws
from simulator.faults import Faults
from simulator.graph.guard import Guard
from simulator.ledger import Ledger, LedgerEntry
from simulator.numbers import wa_id_of
from simulator.plan import ACCEPTED_UNLESS_LOST, MessagePlan, plan_message
from simulator.rules import RuleBook
from simulator.sends import Send, parse_body, read_send
from simulator.wamids import trace_id_of, wamid_of

ROUTE_PARTS = ("version", "phone_number_id", "endpoint")
BAD_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class MessagesEndpoint:
    """Handles sends, and the requests that mark a received message as read."""

    def __init__(
        self,
        config: SimulatorConfig,
        salt: str,
        account: Account,
        admission: Admission,
        guard: Guard,
        ledger: Ledger,
        rules: RuleBook,
        faults: Faults,
        deliveries: Deliveries,
    ) -> None:
        self._config = config
        self._salt = salt
        self._account = account
        self._admission = admission
        self._reading = guard.wrap(self._mark_as_read)
        self._ledger = ledger
        self._rules = rules
        self._faults = faults
        self._deliveries = deliveries
        self._stopping = asyncio.Event()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Handle one POST."""
        raw = await request.read()
        body, broken = _parse(raw)
        if is_mark_as_read(body):
            return await self._reading(request)
        entry = self._open(request, read_send(body))
        if (kind := self._faults.outage_now()) is not None:
            return self._refuse_in_outage(request, entry, kind != "503")
        refusal = (
            self._admission.access_refusal(request, entry.phone_number_id)
            or broken
            or self._admission.send_refusal(body, entry)
        )
        if refusal is not None:
            return self._refuse(request, entry, refusal)
        send = entry.send
        key = self._key_of(send)
        nth = self._ledger.count(entry, key)
        draws = SeededDraws(self._config.seed, key, nth)
        rule = self._rules.rule_of(send.number, send.template, entry.phone_number_id, nth)
        plan = plan_message(self._config, rule, draws, self._admission.certain_code(entry))
        try:
            await self._wait(entry, plan, draws)
        except asyncio.CancelledError:
            self._abandon(entry, plan)
            raise
        return await self._answer(request, entry, plan, rule)

    def _open(self, request: web.Request, send: Send) -> LedgerEntry:
        """Add the entry of a send to the ledger."""
        version, phone_number_id, endpoint = (intern(request.match_info[part]) for part in ROUTE_PARTS)
        group = self._account.groups.get(send.group or "")
        if group is not None:
            wa_id = group.participants[0]
        else:
            wa_id = wa_id_of(self._config, send.number) if send.number else ""
        category = self._admission.category_of(send)
        return self._ledger.open(time.time(), version, phone_number_id, endpoint, send, wa_id, category)

    async def _mark_as_read(self, request: web.Request) -> dict[str, bool]:
        """Mark a received message as read. It is no send, so it is not in the ledger."""
        refusal = self._admission.access_refusal(request, request.match_info["phone_number_id"])
        if refusal is not None:
            raise Refused(refusal)
        check_mark_as_read(parse_body(await request.read()))
        return {"success": True}

    def stop(self) -> None:
        """End the requests that hang."""
        self._stopping.set()

    def _key_of(self, send: Send) -> str:
        """The key of the message for its draws."""
        if self._config.draws_by == "callback_data" and send.callback:
            return send.callback
        return send.number or send.user_id or ""

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
            entry.wamid = wamid_of(entry.wa_id or entry.send.group or "", self._salt, entry.id)
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
            return self._refuse(
                request, entry, GraphRefusal(plan.code, details=rule.details if rule else None, status=http_status)
            )
        if plan.outcome == "foreign" and rule is not None:
            body = rule.body.encode()
            return self._write(request, entry, rule.http_status or 200, body, rule.content_type, from_meta=False)
        if plan.outcome == "cut_before":
            return self._cut(request, entry)
        if plan.outcome not in ACCEPTED_UNLESS_LOST or not plan.lost_if_unanswered:
            self._accept(entry, plan)
        if plan.outcome in ("cut_after", "hang"):
            return self._cut(request, entry)
        if plan.outcome == "bad_gateway":
            return self._write(request, entry, 502, BAD_GATEWAY_PAGE, "text/html", from_meta=False)
        if entry.send.type == "template":
            entry.message_status = "held_for_quality_assessment" if plan.outcome == "held" else "accepted"
        entry.answer_has_wamid = plan.outcome != "no_wamid"
        body = accepted_body(entry, entry.answer_has_wamid)
        if plan.outcome == "cut_in_answer":
            return await self._cut_in_answer(request, entry, body)
        return self._write(request, entry, 200, body)

    def _refuse(self, request: web.Request, entry: LedgerEntry, refusal: GraphRefusal) -> web.StreamResponse:
        """Write an error answer."""
        entry.code = refusal.code
        body = error_body(refusal, trace_id_of(self._salt, entry.id))
        return self._write(request, entry, refusal.http_status, body)

    def _refuse_in_outage(self, request: web.Request, entry: LedgerEntry, aborts: bool) -> web.StreamResponse:
        """Fail the request, because the API is down."""
        if aborts:
            return self._cut(request, entry)
        return self._write(request, entry, 503, b"Service Unavailable", "text/plain", from_meta=False)

    def _write(
        self,
        request: web.Request,
        entry: LedgerEntry,
        http_status: int,
        body: bytes,
        content_type: str = "application/json",
        from_meta: bool = True,
    ) -> web.StreamResponse:
        """Write the complete answer, and record whether the operating system accepted all of it."""
        headers = (
            meta_headers(self._config.waba_id, entry.path_version, trace_id_of(self._salt, entry.id))
            if from_meta
            else {}
        )
        entry.http_status = http_status
        try:
            response = write_answer(request, http_status, content_type, headers, body)
        except ConnectionError:
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


def _parse(raw: bytes) -> tuple[Mapping[str, object], GraphRefusal | None]:
    """The JSON object in a body, or an empty one and the error."""
    try:
        return parse_body(raw), None
    except Refused as refused:
        return {}, refused.refusal
