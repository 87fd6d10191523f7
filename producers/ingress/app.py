"""The HTTP side of the ingress: verify the signature, hand the bytes over, and answer 200 once they are durable.

Every verified body is stored, whatever its bytes are. Only the reconciler judges content, because Meta repeats
a refused webhook for 7 days and then drops it. The app is thin, because every microsecond here is paid for every
webhook. It never logs a body.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from prometheus_client import Counter

from producers.ingress.deadlines import Deadlines
from producers.ingress.pending_bytes import PendingBytes
from producers.ingress.signature import SignatureCheck, check, is_well_formed
from runtime import metrics
from schemas.bundles import Body
from topics.publisher import PublishFailed, RecordTooLarge

WEBHOOK_PATH = "/webhooks/whatsapp"
RETRY_AFTER_S = 5
CHALLENGE_LENGTH_MAX = 1024
PARAMETERS_MAX = 20
"""Meta sends three. More are not read."""
LENGTH_DIGITS_MAX = 18
"""A Content-Length with more digits is above every limit. Python refuses to read one with thousands of digits."""
CHECKED_IN_LOOP_BYTES_MAX = 64 * 1024
"""A larger body is verified in a thread: a full-size one takes some 20 ms, and other requests must not wait for it."""

AsgiScope = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiSend = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, and the outcome under which it is counted."""

    status: int
    outcome: str
    body: bytes = b""
    content_type: bytes = b"text/plain; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    start: dict[str, Any] = field(init=False)
    """Its first message in ASGI, and `end` its second. They are built once, for all requests that get this reply."""
    end: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        headers = [(b"content-type", self.content_type), (b"x-content-type-options", b"nosniff"), length, *self.headers]
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", {"type": "http.response.body", "body": self.body})


@dataclass(frozen=True, slots=True)
class IngressOptions:
    """The secrets, the limits, and the function that makes a body durable."""

    app_secrets: tuple[bytes, ...]
    verify_token: bytes
    body_bytes_max: int
    unverified: PendingBytes
    """The budget of bytes from anyone: they are received, and their signature is not verified yet."""
    pending: PendingBytes
    """The budget of verified bytes that wait for Kafka."""
    body_timeout_s: float
    commit: Callable[[Body], Awaitable[None]]
    is_ready: Callable[[], Awaitable[bool]]


RETRY_LATER = ((b"retry-after", str(RETRY_AFTER_S).encode()),)
TOO_LARGE = Reply(413, "too_large", b"body too large")
TOO_SLOW = Reply(408, "too_slow", b"body came too slowly", headers=((b"connection", b"close"),))
OVERLOADED = Reply(503, "overloaded", b"try again later", headers=RETRY_LATER)
NOT_DURABLE = Reply(503, "not_durable", b"try again later", headers=RETRY_LATER)
GONE = Reply(400, "client_gone")
ACCEPTED = Reply(200, "accepted", b"ok")
UNSIGNED = {
    SignatureCheck.MISSING: Reply(401, SignatureCheck.MISSING, b"signature missing"),
    SignatureCheck.MISMATCH: Reply(403, SignatureCheck.MISMATCH, b"signature does not match"),
}
NOT_VERIFIED = Reply(403, "verification_refused", b"not verified")
WRONG_METHOD = Reply(405, "wrong_method", b"method not allowed", headers=((b"allow", b"GET, POST"),))
NOT_FOUND = Reply(404, "not_found", b"not found")
NO_BODY = {"type": "http.response.body", "body": b""}


class IngressApp:
    """The ASGI application. It has no lifespan, as granian's interface `asginl` requires."""

    def __init__(self, options: IngressOptions, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._options = options
        self._now_us = now_us
        self._log = structlog.get_logger("ingress")
        self._logged_at: dict[str, float] = {}
        # One thread: strangers can occupy one core at most. It is started with the first large body.
        self._verifier = ThreadPoolExecutor(1, "signature-check")
        self._deadlines = Deadlines(options.body_timeout_s)
        self._counters: dict[str, Counter] = {}

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Answer one request."""
        if scope["path"] == WEBHOOK_PATH:
            answer = await self._take(scope, receive) if scope["method"] == "POST" else self._answer_others(scope)
            self._count(answer)
        else:
            answer = await self._answer_probe(scope)
        await send(answer.start)
        await send(answer.end if scope["method"] != "HEAD" else NO_BODY)

    def _count(self, answer: Reply) -> None:
        """Count the answer under its outcome. To find a counter by its label costs more than to count."""
        counter = self._counters.get(answer.outcome)
        if counter is None:
            counter = self._counters[answer.outcome] = metrics.INGRESS_REQUESTS.labels(answer.outcome)
        counter.inc()
        if answer.status >= 400:
            self._log_refusal(answer)

    def _answer_others(self, scope: AsgiScope) -> Reply:
        """The answer to a request for the path of the webhooks that brings no webhook."""
        return self._verify(scope["query_string"]) if scope["method"] == "GET" else WRONG_METHOD

    async def _answer_probe(self, scope: AsgiScope) -> Reply:
        match scope["path"], scope["method"]:
            case "/health", "GET" | "HEAD":
                return _json(200, {"status": "ok"})
            case "/ready", "GET" | "HEAD":
                ready = await self._options.is_ready()
                return _json(200 if ready else 503, {"status": "ready" if ready else "kafka_unreachable"})
            case (("/health" | "/ready"), _):
                return WRONG_METHOD
            case _:
                return NOT_FOUND

    def _verify(self, query: bytes) -> Reply:
        """Answer Meta's verification of the callback address with its challenge."""
        parameters = _parameters(query)
        token, challenge = parameters.get(b"hub.verify_token", b""), parameters.get(b"hub.challenge", b"")
        is_ours = hmac.compare_digest(token, self._options.verify_token) and bool(self._options.verify_token)
        is_complete = parameters.get(b"hub.mode") == b"subscribe" and 0 < len(challenge) <= CHALLENGE_LENGTH_MAX
        if not is_ours or not is_complete:
            return NOT_VERIFIED
        return Reply(200, "verified", challenge)

    async def _take(self, scope: AsgiScope, receive: AsgiReceive) -> Reply:
        """The way of a webhook. Nearly all are small and come in one piece: they take the short way."""
        headers = dict(scope["headers"])
        signature = headers.get(b"x-hub-signature-256")
        if not is_well_formed(signature):
            return UNSIGNED[SignatureCheck.MISSING]
        length = headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > LENGTH_DIGITS_MAX or int(length) > self._options.body_bytes_max):
            return TOO_LARGE
        waiting = self._deadlines.begin()
        try:
            message = await receive()
        except asyncio.CancelledError:
            if self._deadlines.is_overdue(waiting):
                return TOO_SLOW
            raise
        finally:
            self._deadlines.end(waiting)
        raw: bytes | None = message.get("body")
        if raw is None or message.get("more_body") or len(raw) > CHECKED_IN_LOOP_BYTES_MAX:
            return await self._take_in_pieces(signature, message, receive)
        if len(raw) > self._options.body_bytes_max:
            return TOO_LARGE
        if not self._options.unverified.has_room(len(raw)):  # it is verified at once, so nothing is reserved
            return OVERLOADED
        verdict = check(self._options.app_secrets, signature, raw)
        return await self._hand_over(raw) if verdict is SignatureCheck.GENUINE else UNSIGNED[verdict]

    async def _take_in_pieces(
        self, signature: bytes | None, first: MutableMapping[str, Any], receive: AsgiReceive
    ) -> Reply:
        """The way of a webhook that is large, or that comes in pieces."""
        with self._options.unverified.request() as take:
            raw = await self._read(first, receive, take)
            if isinstance(raw, Reply):
                return raw
            secrets = self._options.app_secrets
            if len(raw) <= CHECKED_IN_LOOP_BYTES_MAX:
                verdict = check(secrets, signature, raw)
            else:
                loop = asyncio.get_running_loop()
                verdict = await loop.run_in_executor(self._verifier, check, secrets, signature, raw)
        return await self._hand_over(raw) if verdict is SignatureCheck.GENUINE else UNSIGNED[verdict]

    async def _read(
        self, message: MutableMapping[str, Any], receive: AsgiReceive, take: Callable[[int], bool]
    ) -> bytes | Reply:
        """The whole body from its first message on, or the reply that refuses it.

        Bytes are counted on arrival: a false length is harmless.
        """
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._options.body_timeout_s):
                while True:
                    if message["type"] == "http.disconnect":
                        return GONE
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._options.body_bytes_max:
                        return TOO_LARGE
                    if not take(len(chunk)):
                        return OVERLOADED
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
                    message = await receive()
        except TimeoutError:
            return TOO_SLOW

    async def _hand_over(self, raw: bytes) -> Reply:
        pending = self._options.pending
        if not pending.take(len(raw)):
            return OVERLOADED
        try:
            await self._options.commit(Body(self._now_us(), raw))
        except (PublishFailed, RecordTooLarge) as error:
            self._log_refusal(NOT_DURABLE, reason=str(error))
            return NOT_DURABLE
        finally:
            pending.release(len(raw))
        return ACCEPTED

    def _log_refusal(self, answer: Reply, **more: str) -> None:
        """Log one line per second and kind, so that invalid requests cannot fill the disk."""
        now = time.monotonic()
        if now - self._logged_at.get(answer.outcome, -1.0) >= 1.0:
            self._logged_at[answer.outcome] = now
            self._log.warning("webhook refused", status=answer.status, outcome=answer.outcome, **more)


def _parameters(query: bytes) -> dict[bytes, bytes]:
    """The parameters of a query as bytes, whatever its bytes are. The first of several with one name counts."""
    found: dict[bytes, bytes] = {}
    for part in query.replace(b"+", b" ").split(b"&", PARAMETERS_MAX)[:PARAMETERS_MAX]:
        name, _, value = part.partition(b"=")
        found.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
    return found


def _json(status: int, content: dict[str, str]) -> Reply:
    return Reply(status, content["status"], orjson.dumps(content), b"application/json")
