"""What all Graph endpoints share: access, outages, error answers, the fields of the query, and pages of lists."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from simulator.access import GraphAccess, token_of
from simulator.answers import json_answer, meta_headers, refused_answer
from simulator.checks.refusals import GraphRefusal, Refused, invalid_parameter, param
from simulator.faults import Faults
from simulator.wamids import trace_id_of

PAGE_LENGTH = 25
PAGE_LENGTH_MAX = 1000
GraphHandler = Callable[[web.Request], Awaitable[object]]
HttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Makes an HTTP handler from a handler that returns the JSON of its answer, or raises Refused."""

    def __init__(self, waba_id: str, salt: str, access: GraphAccess, faults: Faults) -> None:
        self._waba_id = waba_id
        self._salt = salt
        self._access = access
        self._faults = faults
        self._requests = 0

    def wrap(self, handler: GraphHandler, needs_token: bool = True) -> HttpHandler:
        """The HTTP handler."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if (outage := self._faults.outage_now()) is not None:
                return _outage_answer(request, cuts=outage != "503")
            self._requests += 1
            trace_id = trace_id_of(self._salt, -self._requests)
            headers = meta_headers(self._waba_id, request.match_info.get("version", ""), trace_id)
            if needs_token and (refusal := self._refusal_of(request)) is not None:
                return refused_answer(refusal, trace_id, headers)
            try:
                value = await handler(request)
            except Refused as refused:
                return refused_answer(refused.refusal, trace_id, headers)
            if isinstance(value, web.StreamResponse):
                return value
            return json_answer(value, headers)

        return handle

    def _refusal_of(self, request: web.Request) -> GraphRefusal | None:
        """The error of the version or of the token, or None."""
        parts = request.match_info
        object_id = parts.get("phone_number_id") or parts.get("id", "")
        return self._access.refusal_of(request.path, parts.get("version"), object_id, sent_token(request))


def sent_token(request: web.Request) -> str:
    """The access token of a request; empty if there is none."""
    return token_of(request.headers.get("Authorization", ""), request.query.get("access_token", ""))


def _outage_answer(request: web.Request, cuts: bool) -> web.Response:
    """The answer in an outage of the API, or a cut connection."""
    if not cuts:
        return web.Response(status=503, text="Service Unavailable")
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def read_object(request: web.Request) -> Mapping[str, Any]:
    """The JSON object in the body. An empty body is an empty object. Raises Refused for anything else."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid_parameter("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise invalid_parameter("The request body is not a JSON object")
    return body


def selected(fields: Mapping[str, Any], request: web.Request, without_value: Collection[str] = ()) -> dict[str, Any]:
    """The fields that the query names, and the id. Without names: all. Raises Refused for a name that does not exist.

    The API leaves out a field that exists but has no value.
    """
    names = [name.strip() for name in _outside_brackets(request.query.get("fields", "")) if name.strip()]
    if not names:
        return dict(fields)
    for name in names:
        if name not in fields and name not in without_value:
            raise Refused(GraphRefusal(100, f"(#100) Tried accessing nonexisting field ({name})"))
    return {name: fields[name] for name in dict.fromkeys([*names, "id"]) if name in fields}


def _outside_brackets(text: str) -> list[str]:
    """The names of a field list, without their own fields and modifiers: `a,b{c,d},e.limit(2)` has a, b and e."""
    names, depth = [""], 0
    for character in text:
        if character in "{(":
            depth += 1
        elif character in "})":
            depth = max(0, depth - 1)
        elif depth == 0 and character == ",":
            names.append("")
        elif depth == 0:
            names[-1] += character
    return [name.partition(".")[0] for name in names]


def page_of(rows: Sequence[dict[str, Any]], request: web.Request) -> dict[str, Any]:
    """One page of a list, with Meta's cursors. Raises Refused for an invalid limit or cursor."""
    length = _number(request.query.get("limit"), PAGE_LENGTH, "limit")
    if not 1 <= length <= PAGE_LENGTH_MAX:
        raise param("limit", f"must be a number from 1 to {PAGE_LENGTH_MAX}.")
    start = _position(request.query["after"]) if "after" in request.query else 0
    if "before" in request.query:
        end = max(0, _position(request.query["before"]) - 1)
        start, length = max(0, end - length), min(length, end)
    part = rows[start : start + length]
    answer: dict[str, Any] = {"data": list(part)}
    if part:
        paging: dict[str, Any] = {"cursors": {"before": _cursor(start + 1), "after": _cursor(start + len(part))}}
        if start + len(part) < len(rows):
            paging["next"] = str(request.url.update_query(after=_cursor(start + len(part))))
        if start > 0:
            paging["previous"] = str(request.url.update_query(before=_cursor(start + 1)))
        answer["paging"] = paging
    return answer


def _number(text: str | None, default: int, name: str) -> int:
    """The number in a query parameter. Raises Refused."""
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise param(name, "must be a number.")
    return int(text)


def _cursor(position: int) -> str:
    """The cursor of a position in a list."""
    return urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position(cursor: str) -> int:
    """The position of a cursor. Raises Refused."""
    try:
        return int(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise param("after", "is not a valid cursor.") from None
