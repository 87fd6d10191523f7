"""Takes sends: judges them, plans their outcome, and answers them or cuts their connections.

A request counts when its body was read completely. If the client disconnects before its answer, the message is still
accepted (unless the plan loses it). So the messages of a killed sender may be delivered, as at Meta.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from simulator.account import Account
from simulator.admission import Admission
from simulator.answers import JSON, answer_head, meta_headers
from simulator.bodies import accepted_body, error_body
from simulator.checks.refusals import GraphRefusal
from simulator.cloud_errors import error_of
from simulator.config import Rule, SimulatorConfig
from simulator.deliveries import Deliveries
from simulator.draws import SeededDraws
from simulator.faults import Faults
from simulator.ledger import Ledger, LedgerEntry
from simulator.numbers import wa_id_of
from simulator.plan import ACCEPTED_UNLESS_LOST, MessagePlan, plan_message
from simulator.posts import SendPost
from simulator.rules import RuleBook
from simulator.sends import Send, read_send
from simulator.wamids import trace_id_of, wamid_of

BAD_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class PlannedSend(msgspec.Struct, frozen=True):
    """A send that waits for its answer."""

    post: SendPost
    entry: LedgerEntry
    plan: MessagePlan
    draws: SeededDraws
    rule: Rule | None
    delay_s: float
    """The latency of its answer in seconds."""


class SendSteps:
    """The steps of a send, whichever server has read it."""

    def __init__(
        self,
        config: SimulatorConfig,
        salt: str,
        account: Account,
        admission: Admission,
        ledger: Ledger,
        rules: RuleBook,
        faults: Faults,
        deliveries: Deliveries,
    ) -> None:
        self._config = config
        self._salt = salt
        self._account = account
        self._admission = admission
        self._ledger = ledger
        self._rules = rules
        self._faults = faults
        self._deliveries = deliveries
        self._stopping = asyncio.Event()

    def receive(self, post: SendPost) -> PlannedSend | None:
        """Judge and plan a send. None: it is answered already. Raises ConnectionError if the client has left."""
        entry = self._open(post, read_send(post.body))
        if (kind := self._faults.outage_now()) is not None:
            self._refuse_in_outage(post, entry, kind != "503")
            return None
        refusal = (
            self._admission.access_refusal(post.head) or post.broken or self._admission.send_refusal(post.body, entry)
        )
        if refusal is not None:
            self._refuse(post, entry, refusal)
            return None
        send = entry.send
        key = self._key_of(send)
        nth = self._ledger.count(entry, key)
        draws = SeededDraws(self._config.seed, key, nth)
        rule = self._rules.rule_of(send.number, send.template, entry.phone_number_id, nth)
        plan = plan_message(self._config, rule, draws, self._admission.certain_code(entry))
        delay_s = plan.latency_s
        if plan.overtaken_s is not None:
            self._accept(entry, plan)
            delay_s += plan.overtaken_s
        return PlannedSend(post, entry, plan, draws, rule, delay_s / self._config.time_scale)

    def holds(self, planned: PlannedSend) -> bool:
        """Whether the answer is held after its latency."""
        return planned.plan.outcome == "hang" or self._faults.holds(planned.draws)

    async def hold(self, planned: PlannedSend) -> None:
        """Wait for the end of a hold. A hanging request waits until the simulator stops."""
        if self._faults.holds(planned.draws):
            await self._faults.wait_while_held()
        if planned.plan.outcome == "hang":
            if not planned.plan.lost_if_unanswered:
                self._accept(planned.entry, planned.plan)
            await self._stopping.wait()

    def answer(self, planned: PlannedSend) -> None:
        """Answer the request or cut its connection, as planned. Raises ConnectionError if the client has left."""
        post, entry, plan, rule = planned.post, planned.entry, planned.plan, planned.rule
        if plan.outcome == "reject" and plan.code is not None:
            http_status = (rule.http_status if rule else None) or error_of(plan.code).http_status
            refusal = GraphRefusal(plan.code, details=rule.details if rule else None, status=http_status)
            return self._refuse(post, entry, refusal)
        if plan.outcome == "foreign" and rule is not None:
            return self._write(
                post, entry, rule.http_status or 200, rule.body.encode(), rule.content_type, from_meta=False
            )
        if plan.outcome == "cut_before":
            return self._cut(post, entry)
        if plan.outcome not in ACCEPTED_UNLESS_LOST or not plan.lost_if_unanswered:
            self._accept(entry, plan)
        if plan.outcome in ("cut_after", "hang"):
            return self._cut(post, entry)
        if plan.outcome == "bad_gateway":
            return self._write(post, entry, 502, BAD_GATEWAY_PAGE, "text/html", from_meta=False)
        if entry.send.type == "template":
            entry.message_status = "held_for_quality_assessment" if plan.outcome == "held" else "accepted"
        entry.answer_has_wamid = plan.outcome != "no_wamid"
        body = accepted_body(entry, entry.answer_has_wamid)
        if plan.outcome == "cut_in_answer":
            return self._cut_in_answer(post, entry, body)
        return self._write(post, entry, 200, body)

    def abandon(self, planned: PlannedSend) -> None:
        """Record that the client disconnected before its answer."""
        entry, plan = planned.entry, planned.plan
        if not plan.lost_if_unanswered:
            self._accept(entry, plan)
        self._ledger.close(entry, "hung" if plan.outcome == "hang" else "abandoned", time.time())

    def stop(self) -> None:
        """End the requests that hang."""
        self._stopping.set()

    def _open(self, post: SendPost, send: Send) -> LedgerEntry:
        """Add the entry of a send to the ledger."""
        head, group = post.head, self._account.groups.get(send.group or "")
        if group is not None:
            wa_id = group.participants[0]
        else:
            wa_id = wa_id_of(self._config, send.number) if send.number else ""
        category = self._admission.category_of(send)
        return self._ledger.open(time.time(), head.version, head.phone_number_id, head.endpoint, send, wa_id, category)

    def _key_of(self, send: Send) -> str:
        """The key of the message for its draws."""
        if self._config.draws_by == "callback_data" and send.callback:
            return send.callback
        return send.number or send.user_id or ""

    def _accept(self, entry: LedgerEntry, plan: MessagePlan) -> None:
        """Accept the message now, and queue its statuses."""
        if not entry.accepted:
            self._ledger.accept(entry)
            entry.wamid = wamid_of(entry.wa_id or entry.send.group or "", self._salt, entry.id)
            self._deliveries.plan(entry, plan.statuses)

    def _refuse(self, post: SendPost, entry: LedgerEntry, refusal: GraphRefusal) -> None:
        """Write an error answer."""
        entry.code = refusal.code
        self._write(post, entry, refusal.http_status, error_body(refusal, trace_id_of(self._salt, entry.id)))

    def _refuse_in_outage(self, post: SendPost, entry: LedgerEntry, aborts: bool) -> None:
        """Fail the request, because the API is down."""
        if aborts:
            self._cut(post, entry)
        else:
            self._write(post, entry, 503, b"Service Unavailable", "text/plain", from_meta=False)

    def _write(
        self,
        post: SendPost,
        entry: LedgerEntry,
        http_status: int,
        body: bytes,
        content_type: str = JSON,
        from_meta: bool = True,
    ) -> None:
        """Write the complete answer, and record whether the operating system accepted all of it."""
        entry.http_status = http_status
        try:
            post.write(self._head(post, entry, content_type, len(body), from_meta) + body)
        except ConnectionError:
            self._ledger.close(entry, "abandoned", time.time())
            raise
        entry.fully_written = post.is_written()
        self._ledger.close(entry, "answered", time.time())

    def _head(self, post: SendPost, entry: LedgerEntry, content_type: str, length: int, from_meta: bool) -> bytes:
        """The head of the answer."""
        headers: dict[str, str] = {}
        if from_meta:
            headers = meta_headers(self._config.waba_id, entry.path_version, trace_id_of(self._salt, entry.id))
        return answer_head(entry.http_status or 200, content_type, length, post.is_kept, headers)

    def _cut(self, post: SendPost, entry: LedgerEntry) -> None:
        """Cut the connection without an answer."""
        self._ledger.close(entry, "cut", time.time())
        post.cut()

    def _cut_in_answer(self, post: SendPost, entry: LedgerEntry, body: bytes) -> None:
        """Write half of the answer, then cut the connection. Raises ConnectionError if the client has left."""
        entry.http_status = 200
        self._ledger.close(entry, "cut_in_answer", time.time())
        post.write(self._head(post, entry, JSON, len(body), from_meta=True) + body[: len(body) // 2])
        post.cut()
