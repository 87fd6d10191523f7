"""Makes the HTTP answers of the Graph API: JSON with Meta's headers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from simulator.bodies import error_body
from simulator.checks.refusals import GraphRefusal

JSON = "application/json"


def meta_headers(waba_id: str, version: str, trace_id: str) -> dict[str, str]:
    """The headers of each answer: the version, a trace id, and the use of the rate limits.

    Source: Meta's page "Graph API: rate limits" for `x-business-use-case-usage`. The percentages are those of an
    account with little traffic.
    """
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
    return {
        "facebook-api-version": version,
        "x-fb-trace-id": trace_id,
        "x-business-use-case-usage": orjson.dumps(usage).decode(),
    }


def json_answer(value: object, headers: Mapping[str, str], status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(value), status=status, content_type=JSON, headers=headers)


def refused_answer(refusal: GraphRefusal, trace_id: str, headers: Mapping[str, str]) -> web.Response:
    """An error answer."""
    return web.Response(
        body=error_body(refusal, trace_id), status=refusal.http_status, content_type=JSON, headers=headers
    )
