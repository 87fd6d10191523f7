"""Checks the permission and the size of each request before anything else sees it. It is a plain ASGI middleware.

With keys set, every request except the probes and the documentation needs one. The page at `/` takes the key as a
password too, because a browser can send that. No other path does: a browser would add the password to requests that
other sites start. Without keys, the API listens on loopback only and checks Host and Origin, because any web page in
the operator's browser can post to loopback. A request that a proxy forwards comes from somewhere else, whatever its
Host is.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import page
from api.documentation import PUBLIC_PATHS
from api.problem_codes import ProblemCode
from api.problems import answer

OPEN_PATHS = frozenset({"/health", "/ready"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FORWARDING_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})
FORWARDING_PREFIX = "x-forwarded-"
"""A proxy or tunnel adds such headers to the requests of others."""
BODY_BYTES_MAX = 8 * 1024 * 1024
"""Room for 10,000 recipients with half a kilobyte of parameters each."""
BODY_TIMEOUT_S = 30.0


class TooLarge(Exception):
    """The body has more bytes than allowed."""


class Access:
    """Refuses requests without permission and bodies that are too large. It reads and passes on the others."""

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr], body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._keys = [key.get_secret_value().encode() for key in keys]
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"]
        is_page = path == page.PATH and scope["method"] == "GET"
        key = self._key(headers, with_password=is_page)
        refusal = None if path in OPEN_PATHS else self._refusal(headers, key, needs_key=path not in PUBLIC_PATHS)
        if refusal is not None:
            code, detail = refusal
            if is_page:
                await page.failure(code)(scope, receive, send)
                return
            challenge = _CHALLENGE if code is ProblemCode.KEY_REQUIRED else None
            await answer(code, detail, headers=challenge)(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_read(headers, receive, self._body_bytes_max), BODY_TIMEOUT_S)
        except TooLarge:
            detail = f"The body is larger than {self._body_bytes_max} bytes."
            await answer(ProblemCode.BODY_TOO_LARGE, detail, headers={"Connection": "close"})(scope, receive, send)
        except TimeoutError:
            await answer(ProblemCode.BODY_TOO_SLOW)(scope, receive, send)
        else:
            with structlog.contextvars.bound_contextvars(api_key="none" if key is None else key_id(key)):
                await self._app(scope, _replay(body, receive), send)

    def _refusal(self, headers: Headers, key: bytes | None, *, needs_key: bool) -> tuple[ProblemCode, str] | None:
        if self._keys:
            return (
                None
                if key is not None or not needs_key
                else (ProblemCode.KEY_REQUIRED, "Send a valid key in the header X-API-Key or Authorization: Bearer.")
            )
        if not is_loopback_authority(headers.get("host", "")):
            return ProblemCode.FOREIGN_HOST, "This API accepts only requests to localhost."
        if is_forwarded(headers):
            detail = "A proxy forwarded this request. Set CAMPAIGNS_API_KEYS to allow that."
            return ProblemCode.FORWARDED_REQUEST, detail
        origin = headers.get("origin")
        if origin is not None and not is_loopback_origin(origin):
            return ProblemCode.FOREIGN_ORIGIN, "This API does not accept requests from other web pages."
        return None

    def _key(self, headers: Headers, *, with_password: bool) -> bytes | None:
        """The key of the request, if it is one of ours."""
        given = headers.get("x-api-key")
        if given is None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else ""
            if with_password and scheme.lower() == "basic":
                given = _password(token.strip())
        # Every key is compared, so that the time does not reveal the key that matches.
        matches = [key for key in self._keys if hmac.compare_digest(given.encode(), key)]
        return matches[0] if matches else None


def _password(credentials: str) -> str:
    """The password of RFC 7617; empty if it cannot be read."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def key_id(key: bytes) -> str:
    """A short name of a key for log lines: it tells keys apart and reveals nothing of them."""
    return hashlib.sha256(key).hexdigest()[:8]


_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def is_loopback_authority(authority: str) -> bool:
    """Whether `host[:port]` names this machine."""
    try:
        parts = urlsplit(f"//{authority}")
        _ = parts.port
    except ValueError:
        return False
    return parts.hostname in LOOPBACK_NAMES and parts.netloc == authority and "@" not in authority


def is_forwarded(headers: Headers) -> bool:
    """Whether a proxy has passed this request on."""
    return any(name in FORWARDING_HEADERS or name.startswith(FORWARDING_PREFIX) for name in headers)


def is_loopback_origin(origin: str) -> bool:
    """Whether the request comes from a web page of this machine."""
    scheme, separator, authority = origin.partition("://")
    return scheme in ("http", "https") and bool(separator) and is_loopback_authority(authority)


async def _read(headers: Headers, receive: Receive, bytes_max: int) -> bytes:
    stated = headers.get("content-length", "0")
    if stated.isascii() and stated.isdigit() and int(stated[:20]) > bytes_max:
        raise TooLarge
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise TooLarge
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_delivered = False

    async def replay() -> Message:
        nonlocal is_delivered
        if is_delivered:
            return await receive()
        is_delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
