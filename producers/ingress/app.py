"""The webhooks: verify the signature, hand the bytes over, and answer 200 once they are durable.

Every verified body is stored, whatever its bytes are. Only the reconciler judges content, because Meta repeats
a refused webhook for 7 days and then drops it. The app is thin, because every microsecond here is paid for every
webhook. It never logs a body.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from prometheus_client import Counter

from producers.ingress import replies
from producers.ingress.bundler import Bundler, Publish
from producers.ingress.pending_bytes import PendingBytes
from producers.ingress.replies import Reply
from producers.ingress.request import Request
from producers.ingress.signature import SignatureCheck, check_well_formed, is_well_formed
from runtime import metrics
from schemas.bundles import Body
from topics.publisher import PublishFailed, RecordTooLarge

WEBHOOK_PATH = b"/webhooks/whatsapp"
CHALLENGE_LENGTH_MAX = 1024
PARAMETERS_MAX = 20
"""Meta sends three. More are not read."""
LENGTH_DIGITS_MAX = 18
"""A Content-Length with more digits is above every limit. Python refuses to read one with thousands of digits."""
CHECKED_IN_LOOP_BYTES_MAX = 64 * 1024
"""A larger body is verified in a thread: a full-size one takes some 20 ms, and other requests must not wait for it."""


@dataclass(frozen=True, slots=True)
class IngressOptions:
    """The secrets, the limits, and the function that makes a bundle durable."""

    app_secrets: tuple[bytes, ...]
    verify_token: bytes
    body_bytes_max: int
    unverified: PendingBytes
    """The budget of bytes from anyone: they are received, and their signature is not verified yet."""
    pending: PendingBytes
    """The budget of verified bytes that wait for Kafka."""
    publish: Publish
    is_ready: Callable[[], Awaitable[bool]]


class IngressApp:
    """Handles the requests of the ingress. See `request.RequestHandler`."""

    def __init__(self, options: IngressOptions, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._options = options
        self._now_us = now_us
        self._log = structlog.get_logger("ingress")
        self._logged_at: dict[str, float] = {}
        # One thread: strangers can occupy one core at most. It is started with the first large body.
        self._verifier = ThreadPoolExecutor(1, "signature-check")
        self._bundler: Bundler[Request] = Bundler(options.publish, self._settle)
        self._counters: dict[str, Counter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, request: Request) -> None:
        """Refuse a webhook that cannot be genuine before its body comes, and answer requests that need no body."""
        if request.path != WEBHOOK_PATH:
            self._answer_probe(request)
            return
        if request.method != b"POST":
            is_query = request.method == b"GET"
            self._finish(request, self._verify(request.query) if is_query else replies.WRONG_METHOD)
            return
        if not is_well_formed(request.headers.get(b"x-hub-signature-256")):
            self._finish(request, replies.UNSIGNED[SignatureCheck.MISSING])
            return
        length = request.headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > LENGTH_DIGITS_MAX or int(length) > self._options.body_bytes_max):
            self._finish(request, replies.TOO_LARGE)

    def receive(self, request: Request, count: int) -> None:
        """Count bytes on arrival: a false length is harmless."""
        if request.size > self._options.body_bytes_max or request.path != WEBHOOK_PATH:
            self._finish(request, replies.TOO_LARGE)
        elif not self._options.unverified.take(count, request.held):
            self._finish(request, replies.OVERLOADED)
        else:
            request.held += count

    def complete(self, request: Request) -> None:
        """Verify a body: a small one at once, and a large one in a thread."""
        if request.path != WEBHOOK_PATH:
            return
        raw = request.body
        secrets, signature = self._options.app_secrets, request.headers[b"x-hub-signature-256"]
        if len(raw) > CHECKED_IN_LOOP_BYTES_MAX:
            self._spawn(request, self._verify_large(request, signature, raw))
        else:
            self._judge(request, raw, check_well_formed(secrets, signature, raw))

    def abandon(self, request: Request, *, is_slow: bool) -> None:
        """Release what the request holds. A client that is gone reads no answer; it is counted all the same."""
        self._finish(request, replies.TOO_SLOW if is_slow else replies.GONE)

    def fail(self, request: Request) -> None:
        """Answer 500 for a request that our code cannot handle. Meta repeats it."""
        self._log.exception("a request raised")
        self._finish(request, replies.FAILED)

    async def _verify_large(self, request: Request, signature: bytes, raw: bytes) -> None:
        verify = partial(check_well_formed, self._options.app_secrets, signature, raw)
        self._judge(request, raw, await asyncio.get_running_loop().run_in_executor(self._verifier, verify))

    def _judge(self, request: Request, raw: bytes, verdict: SignatureCheck) -> None:
        """Hand a genuine body over, and refuse any other."""
        self._options.unverified.release(request.held)
        request.held = 0
        if verdict is not SignatureCheck.GENUINE:
            self._finish(request, replies.UNSIGNED[verdict])
        elif not self._options.pending.take(len(raw)):
            self._finish(request, replies.OVERLOADED)
        else:
            self._bundler.add(Body(self._now_us(), raw), request)

    def _settle(self, requests: Sequence[Request], failure: Exception | None) -> None:
        """Answer the requests of a bundle: its bodies are durable, or it is not known."""
        self._options.pending.release(sum(request.size for request in requests))
        reply = replies.ACCEPTED
        if isinstance(failure, PublishFailed | RecordTooLarge):
            reply = replies.NOT_DURABLE
            self._log_refusal(reply, reason=str(failure))
        elif failure is not None:
            reply = replies.FAILED
            self._log.error("a bundle raised", exc_info=failure)
        self._count(reply, len(requests))
        for request in requests:
            request.answer(reply)

    def _finish(self, request: Request, reply: Reply) -> None:
        """Answer a request that is not handed over."""
        self._options.unverified.release(request.held)
        request.held = 0
        self._count(reply)
        request.answer(reply)

    def _count(self, reply: Reply, count: int = 1) -> None:
        """Count answers under their outcome. To find a counter by its label costs more than to count."""
        counter = self._counters.get(reply.outcome)
        if counter is None:
            counter = self._counters[reply.outcome] = metrics.INGRESS_REQUESTS.labels(reply.outcome)
        counter.inc(count)
        if reply.status >= 400:
            self._log_refusal(reply)

    def _answer_probe(self, request: Request) -> None:
        match request.path, request.method:
            case b"/health", b"GET" | b"HEAD":
                request.answer(_json(200, {"status": "ok"}))
            case b"/ready", b"GET" | b"HEAD":
                self._spawn(request, self._answer_ready(request))
            case ((b"/health" | b"/ready"), _):
                request.answer(replies.WRONG_METHOD)
            case _:
                request.answer(replies.NOT_FOUND)

    async def _answer_ready(self, request: Request) -> None:
        ready = await self._options.is_ready()
        request.answer(_json(200 if ready else 503, {"status": "ready" if ready else "kafka_unreachable"}))

    def _spawn(self, request: Request, work: Coroutine[Any, Any, None]) -> None:
        """Do work for a request that takes a while."""

        async def contained() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001 - a request that fails harms no other one
                self.fail(request)

        task = asyncio.get_running_loop().create_task(contained())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _verify(self, query: bytes) -> Reply:
        """Answer Meta's verification of the callback address with its challenge."""
        parameters = _parameters(query)
        token, challenge = parameters.get(b"hub.verify_token", b""), parameters.get(b"hub.challenge", b"")
        is_ours = hmac.compare_digest(token, self._options.verify_token) and bool(self._options.verify_token)
        is_complete = parameters.get(b"hub.mode") == b"subscribe" and 0 < len(challenge) <= CHALLENGE_LENGTH_MAX
        if not is_ours or not is_complete:
            return replies.NOT_VERIFIED
        return Reply(200, "verified", challenge)

    def _log_refusal(self, reply: Reply, **more: str) -> None:
        """Log one line per second and kind, so that invalid requests cannot fill the disk."""
        now = time.monotonic()
        if now - self._logged_at.get(reply.outcome, -1.0) >= 1.0:
            self._logged_at[reply.outcome] = now
            self._log.warning("webhook refused", status=reply.status, outcome=reply.outcome, **more)


def _parameters(query: bytes) -> dict[bytes, bytes]:
    """The parameters of a query as bytes, whatever its bytes are. The first of several with one name counts."""
    found: dict[bytes, bytes] = {}
    for part in query.replace(b"+", b" ").split(b"&", PARAMETERS_MAX)[:PARAMETERS_MAX]:
        name, _, value = part.partition(b"=")
        found.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
    return found


def _json(status: int, content: dict[str, str]) -> Reply:
    return Reply(status, content["status"], orjson.dumps(content), b"application/json")
