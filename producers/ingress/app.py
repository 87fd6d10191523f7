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
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import structlog

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


class IngressApp:
    """The ASGI application. It has no lifespan, as granian's interface `asginl` requires."""

    def __init__(self, options: IngressOptions, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._options = options
        self._now_us = now_us
        self._log = structlog.get_logger("ingress")
        self._logged_at: dict[str, float] = {}
        # One thread: strangers can occupy one core at most. It is started with the first large body.
        self._verifier = ThreadPoolExecutor(1, "signature-check")

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Answer one request."""
        answer = await self._answer(scope, receive)
        if scope["path"] == WEBHOOK_PATH:
            metrics.INGRESS_REQUESTS.labels(answer.outcome).inc()
            if answer.status >= 400:
                self._log_refusal(answer)
        length = (b"content-length", str(len(answer.body)).encode())
        headers = [(b"content-type", answer.content_type), (b"x-content-type-options", b"nosniff"), length]
        await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, *answer.headers]})
        await send({"type": "http.response.body", "body": answer.body if scope["method"] != "HEAD" else b""})

    async def _answer(self, scope: AsgiScope, receive: AsgiReceive) -> Reply:
        match scope["path"], scope["method"]:
            case "/webhooks/whatsapp", "POST":
                return await self._take(scope, receive)
            case "/webhooks/whatsapp", "GET":
                return self._verify(scope["query_string"])
            case "/health", "GET" | "HEAD":
                return _json(200, {"status": "ok"})
            case "/ready", "GET" | "HEAD":
                ready = await self._options.is_ready()
                return _json(200 if ready else 503, {"status": "ready" if ready else "kafka_unreachable"})
            case (("/webhooks/whatsapp" | "/health" | "/ready"), _):
                return Reply(405, "wrong_method", b"method not allowed", headers=((b"allow", b"GET, POST"),))
            case _:
                return Reply(404, "not_found", b"not found")

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
        headers = dict(scope["headers"])
        signature = headers.get(b"x-hub-signature-256")
        if not is_well_formed(signature):
            return UNSIGNED[SignatureCheck.MISSING]
        with self._options.unverified.request() as take:
            raw = await self._read(headers.get(b"content-length", b""), receive, take)
            if isinstance(raw, Reply):
                return raw
            verdict = await self._check(signature, raw)
        if verdict is not SignatureCheck.GENUINE:
            return UNSIGNED[verdict]
        with self._options.pending.request() as take:
            return await self._hand_over(raw) if take(len(raw)) else OVERLOADED

    async def _check(self, signature: bytes | None, raw: bytes) -> SignatureCheck:
        secrets = self._options.app_secrets
        if len(raw) <= CHECKED_IN_LOOP_BYTES_MAX:
            return check(secrets, signature, raw)
        return await asyncio.get_running_loop().run_in_executor(self._verifier, check, secrets, signature, raw)

    async def _read(self, length: bytes, receive: AsgiReceive, take: Callable[[int], bool]) -> bytes | Reply:
        """The whole body, or the reply that refuses it. Bytes are counted on arrival: a false length is harmless."""
        if length.isdigit() and (len(length) > LENGTH_DIGITS_MAX or int(length) > self._options.body_bytes_max):
            return TOO_LARGE
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._options.body_timeout_s):
                while True:
                    message = await receive()
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
        except TimeoutError:
            return TOO_SLOW

    async def _hand_over(self, raw: bytes) -> Reply:
        received_at_us = self._now_us()
        try:
            await self._options.commit(Body(received_at_us, raw))
        except (PublishFailed, RecordTooLarge) as error:
            self._log_refusal(NOT_DURABLE, reason=str(error))
            return NOT_DURABLE
        metrics.INGRESS_ACK_SECONDS.observe((self._now_us() - received_at_us) / 1e6)
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
