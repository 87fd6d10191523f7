"""The one table of errors, as `application/problem+json`. Each has a code that programs may branch on.

The text of an error never contains SQL, an address, or a value of the request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg
import psycopg_pool
import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import compile_path

from api.pages import failures, paths
from api.problem_codes import PROBLEMS, ProblemCode
from api.template_checks import TemplateRefused
from api.validation import field_errors
from domain.editing import SettingNotEditable
from domain.exclusions import InvalidExclusion
from domain.lifecycle import ActionNotAllowed, EmptyCampaign
from domain.windows import InvalidWindow
from runtime.logs import mask_text
from tables.campaigns import UnknownCampaign
from tables.database import is_transient
from tables.removal import NoSuchRecipient, RecipientReleased

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
DETAILS_MAX = 5
"""Most wrong fields in the sentence of a problem. `errors` has all of them."""

_INSIST = (
    "Correct the recipients or the template. To act all the same: `ignore_template` of the REST API, or "
    "`campaigns {command} --ignore-template`."
)

log = structlog.get_logger("api")


class Problem(HTTPException):
    """An error that becomes the answer. `errors` name fields."""

    def __init__(
        self,
        code: ProblemCode,
        detail: str | None = None,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        status, meaning = PROBLEMS[code]
        super().__init__(status, detail or meaning, dict(headers) if headers else None)
        self.code = code
        self.errors = [{"field": field, "message": self.detail}] if field else list(errors)


def answer(
    code: ProblemCode,
    detail: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem as a response."""
    status, meaning = PROBLEMS[code]
    body: dict[str, Any] = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "code": code}
    body["detail"] = detail or meaning
    if errors:
        body["errors"] = list(errors)
    return _Answer(body, status, headers, MEDIA_TYPE)


class _Answer(JSONResponse):
    """JSON in which half of a character of the request cannot break the encoding."""

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def invalid_fields(found: Sequence[Mapping[str, Any]], known: Collection[str] = ()) -> Problem:
    """The problem for the errors of pydantic. `known` are the fields of the body."""
    errors = field_errors(found, known)
    named = " ".join(dict.fromkeys(f"{each['field']}: {each['message']}" for each in errors[:DETAILS_MAX]))
    return Problem(ProblemCode.INVALID_FIELD, named, errors=errors)


def register(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(UnknownCampaign, _unknown_campaign)
    app.add_exception_handler(ActionNotAllowed, _not_allowed)
    app.add_exception_handler(EmptyCampaign, _empty_campaign)
    app.add_exception_handler(TemplateRefused, _template_refused)
    app.add_exception_handler(SettingNotEditable, _not_editable)
    app.add_exception_handler(InvalidWindow, _invalid_window)
    app.add_exception_handler(InvalidExclusion, _invalid_exclusion)
    app.add_exception_handler(NoSuchRecipient, _unknown_recipient)
    app.add_exception_handler(RecipientReleased, _released)
    app.add_exception_handler(psycopg.Error, _database)
    app.add_exception_handler(psycopg_pool.PoolTimeout, _database)
    app.add_exception_handler(Exception, _bug)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, Problem):
        return _respond(request, error.code, str(error.detail), error.errors, error.headers)
    match error.status_code:
        case 404:
            return _respond(request, ProblemCode.NOT_FOUND)
        case 405:
            return _respond(request, ProblemCode.METHOD_NOT_ALLOWED, headers=_allowed(request, error.headers))
        case _:
            return _respond(request, ProblemCode.BAD_REQUEST, str(error.detail))


def _respond(
    request: Request,
    code: ProblemCode,
    detail: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page for a person, and a problem for a program."""
    if paths.is_page(request.url.path):
        return failures.failure(code, detail, is_read=request.method in ("GET", "HEAD"))
    return answer(code, detail, errors, headers)


def _allowed(request: Request, known: Mapping[str, str] | None) -> dict[str, str]:
    """The header Allow with the methods of every route of the path. The router names those of one route only."""
    methods = set(re.findall(r"[A-Z]+", (known or {}).get("allow", (known or {}).get("Allow", ""))))
    paths = request.app.openapi()["paths"]
    found = [path for path in paths if compile_path(path)[0].match(request.url.path)]
    if found:  # a path without a placeholder goes before one with it, as in OpenAPI
        methods = {method.upper() for method in paths[min(found, key=lambda path: path.count("{"))]}
    return {"Allow": ", ".join(sorted(methods))}


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _http(request, invalid_fields(error.errors()))


async def _unknown_campaign(request: Request, _error: Exception) -> Response:
    return _respond(request, ProblemCode.UNKNOWN_CAMPAIGN)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _respond(request, ProblemCode.WRONG_STATE, str(error))


async def _empty_campaign(request: Request, _error: Exception) -> Response:
    return _respond(request, ProblemCode.EMPTY_CAMPAIGN)


async def _template_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TemplateRefused)
    check = error.check
    errors = [{"field": "template", "message": each.detail, "type": each.fault} for each in check.findings]
    errors += [
        {"field": each.field, "message": f"{each.recipients:,} recipient(s): {each.detail}", "type": each.reason}
        for each in check.counts
    ]
    return _respond(request, ProblemCode.TEMPLATE_REFUSED, f"{error} {_INSIST.format(command=error.command)}", errors)


async def _not_editable(request: Request, error: Exception) -> Response:
    assert isinstance(error, SettingNotEditable)
    message = f"It cannot change while the campaign is {error.status}."
    errors = [{"field": each, "message": message} for each in error.settings]
    return _respond(request, ProblemCode.SETTING_NOT_EDITABLE, f"{error}.", errors)


async def _invalid_window(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidWindow)
    errors = [{"field": error.field, "message": str(error), "type": "invalid_window"}]
    return _respond(request, ProblemCode.INVALID_FIELD, f"{error.field}: {error}", errors)


async def _invalid_exclusion(request: Request, error: Exception) -> Response:
    field = "exclude_campaigns"
    errors = [{"field": field, "message": str(error), "type": "invalid_exclusion"}]
    return _respond(request, ProblemCode.INVALID_FIELD, f"{field}: {error}", errors)


async def _unknown_recipient(request: Request, _error: Exception) -> Response:
    return _respond(request, ProblemCode.UNKNOWN_RECIPIENT)


async def _released(_request: Request, _error: Exception) -> Response:
    return answer(ProblemCode.RECIPIENT_RELEASED)


async def _database(request: Request, error: Exception) -> Response:
    if not is_transient(error):
        return await _bug(request, error)
    log.warning("Postgres is away; a request got 503", error=mask_text(str(error)).strip())
    return _respond(request, ProblemCode.UNAVAILABLE, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _bug(request: Request, error: Exception) -> Response:
    log.error("unhandled exception in a request", exc_info=error)
    return _respond(request, ProblemCode.INTERNAL_ERROR)
