"""The one table of errors, as `application/problem+json`. Each has a code that programs may branch on.

The text of an error never contains SQL, an address, or a value of the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import psycopg_pool
import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from domain.lifecycle import ActionNotAllowed
from runtime.logs import mask_text
from tables.campaigns import UnknownCampaign
from tables.database import is_transient

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2

log = structlog.get_logger("api")


class Problem(HTTPException):
    """An error that becomes the answer. `errors` name fields."""

    def __init__(
        self, status: int, code: str, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.code = code
        self.errors = [{"field": field, "message": detail}] if field else []


def answer(
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem as a response."""
    body: dict[str, Any] = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "code": code}
    body["detail"] = detail
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def register(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(UnknownCampaign, _unknown_campaign)
    app.add_exception_handler(ActionNotAllowed, _not_allowed)
    app.add_exception_handler(psycopg.Error, _database)
    app.add_exception_handler(psycopg_pool.PoolTimeout, _database)
    app.add_exception_handler(Exception, _bug)


_CODES = {404: "not_found", 405: "method_not_allowed"}


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, Problem):
        return answer(error.status_code, error.code, str(error.detail), error.errors, error.headers)
    code = _CODES.get(error.status_code, "bad_request")
    return answer(error.status_code, code, str(error.detail), headers=error.headers)


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return answer(
            400, "malformed_json", "The body must be a JSON object; send the header Content-Type: application/json."
        )
    errors = [{"field": _field(item["loc"]), "message": item["msg"], "type": item["type"]} for item in found[:50]]
    named = ", ".join(dict.fromkeys(item["field"] for item in errors))
    return answer(422, "invalid_field", f"Invalid or missing: {named}", errors)


def _field(location: Sequence[Any]) -> str:
    """The name of a field as the client wrote it: `body.phone_numbers` is `phone_numbers`."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:]) if len(parts) > 1 else "".join(parts)


async def _unknown_campaign(_request: Request, _error: Exception) -> JSONResponse:
    return answer(404, "unknown_campaign", "There is no such campaign.")


async def _not_allowed(_request: Request, error: Exception) -> JSONResponse:
    return answer(409, "wrong_state", str(error))


async def _database(request: Request, error: Exception) -> JSONResponse:
    if not is_transient(error):
        return await _bug(request, error)
    log.warning("Postgres is away; a request got 503", error=mask_text(str(error)).strip())
    return answer(503, "unavailable", "Try again soon.", headers={"Retry-After": str(RETRY_AFTER_S)})


async def _bug(_request: Request, error: Exception) -> JSONResponse:
    log.error("unhandled exception in a request", exc_info=error)
    return answer(500, "internal_error", "The server failed; its log has the reason.")
