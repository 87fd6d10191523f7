"""Checks the permission and the size of each request before anything else sees it. It is a plain ASGI middleware.

With keys set, every request except the probes, the documentation and the sign-in needs one. The paths of the page also
take a session, which a browser sends as a cookie (`api/pages/session.py`). No other path does. A request that changes
something on the page must come from the page itself. Without keys, the API listens on loopback only and checks Host and
Origin, because any web page in the operator's browser can post to loopback. A request that a proxy forwards comes from
somewhere else, whatever its Host is.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.documentation import PUBLIC_PATHS
from api.keys import matching_key
from api.pages import failures, paths
from api.pages import session as sessions
from api.pages.forms import SESSION
from api.pages.session import PageSession
from api.problem_codes import ProblemCode
from api.problems import Problem, answer

OPEN_PATHS = frozenset({"/health", "/ready"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FORWARDING_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})
READING_METHODS = frozenset({"GET", "HEAD"})
FORWARDING_PREFIX = "x-forwarded-"
"""A proxy or tunnel adds such headers to the requests of others."""
BODY_BYTES_MAX = 8 * 1024 * 1024
"""Room for 10,000 recipients with half a kilobyte of parameters each."""
BODY_TIMEOUT_S = 30.0
"""A streamed body may take longer as a whole, but each of its pieces comes within this time."""
STREAMED_PATH = re.compile(rf"/api/marketing/campaigns/[^/]+/recipients/import|{paths.CAMPAIGNS}/[^/]+/import")
"""The paths whose body is handled while it arrives: the import of a file, over REST and by the page."""
IMPORT_BYTES_MAX = 512 * 1024 * 1024
"""About five million lines of a file."""


class TooLarge(Exception):
    """The body has more bytes than allowed."""


class Access:
    """Refuses requests without permission and bodies that are too large. It reads and passes on the others."""

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr], body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._keys = [key.get_secret_value().encode() for key in keys]
        self._body_bytes_max = body_bytes_max
        self._without_key = PageSession(secrets.token_bytes(32), "loopback", is_signed_in=False)
        """The session of the page without keys. Its forms are out of date after a restart."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"]
        is_page = paths.is_page(path)
        key = self._key(headers)
        session = self._session(headers, key) if is_page else None
        if session is not None:
            scope[SESSION] = session
            key = key or (session.key if self._keys else None)
        refusal = None if path in OPEN_PATHS else self._refusal(scope["method"], path, headers, key)
        if refusal is not None:
            code, detail = refusal
            if is_page:
                await self._refuse_page(scope, code, detail)(scope, receive, send)
                return
            challenge = _CHALLENGE if code is ProblemCode.KEY_REQUIRED else None
            await answer(code, detail, headers=challenge)(scope, receive, send)
            return
        if scope["method"] == "POST" and STREAMED_PATH.fullmatch(path):
            with structlog.contextvars.bound_contextvars(api_key="none" if key is None else key_id(key)):
                await self._app(scope, _limited(receive, IMPORT_BYTES_MAX), send)
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

    def _refusal(self, method: str, path: str, headers: Headers, key: bytes | None) -> tuple[ProblemCode, str] | None:
        is_page = paths.is_page(path)
        if is_page and method not in READING_METHODS and not is_of_this_page(headers):
            return ProblemCode.FOREIGN_ORIGIN, "The form was not sent by this page, so nothing was done."
        if self._keys:
            needs_key = path not in PUBLIC_PATHS and not paths.is_open(path)
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

    def _key(self, headers: Headers) -> bytes | None:
        """The key of the request, if it is one of ours."""
        given = headers.get("x-api-key")
        if given is None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else ""
        return matching_key(self._keys, given)

    def _session(self, headers: Headers, key: bytes | None) -> PageSession | None:
        """The session of a request to the page: of its cookie, or of a key in its headers."""
        if not self._keys:
            return self._without_key
        cookie = cookie_parser(headers.get("cookie", "")).get(sessions.COOKIE, "")
        found = sessions.read(cookie, self._keys, int(time.time()))
        if found is None and key is not None:
            return PageSession(key, "header", is_signed_in=False)
        return found

    def _refuse_page(self, scope: Scope, code: ProblemCode, detail: str) -> ASGIApp:
        if code is ProblemCode.KEY_REQUIRED:
            if scope["method"] not in READING_METHODS:
                return failures.sign_in(paths.form_page(scope["path"]), was_sent=True)
            query = scope["query_string"].decode("latin-1")
            return failures.sign_in(f"{scope['path']}?{query}" if query else scope["path"])
        return failures.failure(code, detail, is_read=scope["method"] in READING_METHODS)


def is_of_this_page(headers: Headers) -> bool:
    """Whether a browser sent the request for a page of this origin. Only a browser can set these headers.

    A request without them is refused: every browser sends one of them with a form.
    """
    fetched = headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched == "same-origin"
    _, separator, authority = headers.get("origin", "").partition("://")
    return bool(separator) and authority.lower() == headers.get("host", "").lower()


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


def _limited(receive: Receive, bytes_max: int) -> Receive:
    """The pieces of a streamed body, which raise Problem if they are too many or too late."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await receive()
        except TimeoutError:
            raise Problem(ProblemCode.BODY_TOO_SLOW, headers={"Connection": "close"}) from None
        size += len(message.get("body", b""))
        if size > bytes_max:
            detail = f"The body is larger than {bytes_max} bytes. The lines before that were added."
            raise Problem(ProblemCode.BODY_TOO_LARGE, detail, headers={"Connection": "close"})
        return message

    return limited


def _replay(body: bytes, receive: Receive) -> Receive:
    is_delivered = False

    async def replay() -> Message:
        nonlocal is_delivered
        if is_delivered:
            return await receive()
        is_delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
