"""Makes the HTTP answers of the Graph API: JSON with Meta's headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from simulator.bodies import error_body
from simulator.checks.refusals import GraphRefusal

JSON = "application/json"
PHRASES = {int(status): status.phrase for status in HTTPStatus}


def meta_headers(waba_id: str, version: str, trace_id: str) -> dict[str, str]:
    """The headers of each answer: the version, a trace id, and the use of the rate limits.

    Source: Meta's page "Graph API: rate limits" for `x-business-use-case-usage`. The percentages are those of an
    account with little traffic.
    """
    return {
        "facebook-api-version": version,
        "x-fb-trace-id": trace_id,
        "x-business-use-case-usage": _usage(waba_id),
    }


@lru_cache(maxsize=16)
def _usage(waba_id: str) -> str:
    usage = {
        waba_id: [
            {
                "type": "messaging",
                "call_count": 1,
                "total_cputime": 1,
                "total_time": 1,
                "estimated_time_to_regain_access": 0,
            }
        ]
    }
    return orjson.dumps(usage).decode()


class WrittenAnswer(web.StreamResponse):
    """What a handler of the general server returns when its answer is written already, or its connection is cut."""

    def __init__(self, is_kept: bool) -> None:
        super().__init__()
        self._is_kept = is_kept

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open."""
        return self._is_kept

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's
        """Nothing is left to prepare."""
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing is left to write."""


def answer_head(status: int, content_type: str, length: int, is_kept: bool, headers: Mapping[str, str]) -> bytes:
    """The head of an answer with a body of this length. `is_kept`: the connection stays open after it."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return (
        f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n"
        f"Date: {_date(int(time.time()))}\r\n"
        f"Connection: {'keep-alive' if is_kept else 'close'}\r\n"
        f"{lines}\r\n"
    ).encode()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def json_answer(value: object, headers: Mapping[str, str], status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(value), status=status, content_type=JSON, headers=headers)


def refused_answer(refusal: GraphRefusal, trace_id: str, headers: Mapping[str, str]) -> web.Response:
    """An error answer."""
    return web.Response(
        body=error_body(refusal, trace_id), status=refusal.http_status, content_type=JSON, headers=headers
    )
