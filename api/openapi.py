"""The OpenAPI document: every route with every answer that occurs, and errors as one `Problem`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from api.access import BODY_BYTES_MAX, IMPORT_BYTES_MAX, OPEN_PATHS
from api.bodies import RecipientIn
from api.idempotency import HEADER
from api.problem_codes import PROBLEMS, ProblemCode
from api.problems import MEDIA_TYPE

_EVERYWHERE = (401, 403, 405, 408, 413, 500, 503)
_WITH_BODY = (400, 415, 422)
_HEADERS: Mapping[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "Bearer"),
    405: ("Allow", "Every method that the path takes"),
    503: ("Retry-After", "Seconds after which the request may be repeated"),
}
_CODES_OF_SOME: Mapping[ProblemCode, frozenset[str]] = {
    ProblemCode.EMPTY_CAMPAIGN: frozenset({"activate_campaign"}),
    ProblemCode.SETTING_NOT_EDITABLE: frozenset({"edit_campaign"}),
    ProblemCode.TEMPLATE_REFUSED: frozenset({"activate_campaign", "resume_campaign", "send_test"}),
    ProblemCode.TEMPLATE_UNREADABLE: frozenset({"list_templates", "preview_template", "preview_campaign"}),
    ProblemCode.UNKNOWN_TEMPLATE: frozenset({"preview_template", "preview_campaign"}),
    ProblemCode.UNKNOWN_RECIPIENT: frozenset({"remove_recipient", "preview_campaign", "send_test"}),
    ProblemCode.RECIPIENT_RELEASED: frozenset({"remove_recipient"}),
    ProblemCode.UNUSABLE_FILE: frozenset({"import_recipients"}),
    ProblemCode.IMPORTS_BUSY: frozenset({"import_recipients"}),
}
"""Codes that only these operations answer."""
_CODES_OF_KEYS = frozenset({ProblemCode.REQUEST_IN_PROGRESS, ProblemCode.IDEMPOTENCY_KEY_REUSED})
"""Codes of the operations that take an `Idempotency-Key`."""
_PROBLEM = {"$ref": "#/components/schemas/Problem"}

DESCRIPTION = f"""
Create campaigns, add recipients, send within every limit, and see the exact progress.

**Errors** are `application/problem+json` (RFC 9457) with a `code`, a sentence in `detail`, and the wrong fields in
`errors`.

**Limits.** A request adds at most 10,000 recipients and has at most {BODY_BYTES_MAX // 1024**2} MiB. A page of
recipients has at most 1,000 rows, and a page of campaigns 500. An import streams up to {IMPORT_BYTES_MAX // 1024**2}
MiB.

**Idempotency-Key.** Requests that create something take this header. A repeated request with the same key and body
gets the stored answer, with `Idempotent-Replayed: true`, and changes nothing. The same key with another request is 422.

**Days** of `daily_send_limit` are days in the campaign's `time_zone` (UTC by default).

**Changes.** A draft can be edited in everything, deleted, and cloned. Once a campaign is activated, only its name, its
daily limit and its country can change, because its messages must stay the same for all recipients. Clone it to send
something else.

**Template parameters** are a list of texts (positional), an object with the keys "1", "2", ... (positional), an object
with names (named), or `{{"components": [...]}}` as the Cloud API takes them. Numbers keep their text. Parameters that
the Cloud API cannot take are refused when the recipient is added.

**Opt-outs.** A person who has opted out is skipped in every campaign, whatever the spelling of the number is.

**Frequency cap.** All campaigns together send a person at most so many messages in so many days, if the operator has
set a cap. A campaign can be exempt (`frequency_capped`).

**CSV.** The list of recipients is also CSV (`?format=csv`, or `Accept: text/csv`) or a file for Excel
(`?format=excel`). It then has all rows.
""".strip()

TAGS = [
    {"name": "campaigns", "description": "Drafts, running campaigns, and what an operator does to them."},
    {"name": "recipients", "description": "The people of a campaign."},
    {"name": "templates", "description": "The message templates of the account, and how campaigns fit them."},
    {"name": "stats", "description": "The exact progress."},
    {"name": "subscriptions", "description": "Opt-outs and opt-ins by the operator."},
    {"name": "frequency-cap", "description": "How often all campaigns together may send to one person."},
    {"name": "probes", "description": "For load balancers and orchestrators. They need no key."},
]


class FieldError(BaseModel):
    """One wrong field."""

    field: str = Field(description="Path of the field, such as phone_numbers or template_parameters.2")
    message: str = Field(description="What is wrong, and what to write")
    type: str | None = Field(default=None, description="Kind of the fault, for programs")


class ProblemBody(BaseModel):
    """An error, as RFC 9457 describes it. Programs branch on `code`, people read `detail`."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Always about:blank")
    title: str = Field(description="The code in words")
    status: int = Field(description="The HTTP status")
    code: ProblemCode = Field(description="The kind of the error")
    detail: str = Field(description="What happened and what to do, in words")
    errors: list[FieldError] = Field(default_factory=list, description="The wrong fields")


def document(app: FastAPI, *, needs_key: bool) -> dict[str, Any]:
    """The document of all routes of the app. With `needs_key` every request but the probes needs a key."""
    found = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    recipient = RecipientIn.model_json_schema()
    schemas |= problem.pop("$defs") | {"Problem": problem, "RecipientIn": recipient}
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    # Without keys the API listens on loopback only, and a request needs none.
    found["security"] = [{"ApiKey": []}, {"Bearer": []}, *([] if needs_key else [{}])]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    _link(found["paths"])
    return found


def _link(paths: Mapping[str, Any]) -> None:
    """Declare that each operation of a campaign may follow its creation: it takes the `id` of that answer."""
    operations = [operation for methods in paths.values() for operation in methods.values()]
    links = {
        operation["operationId"]: {
            "operationId": operation["operationId"], "parameters": {"campaign_id": "$response.body#/id"},
        }
        for operation in operations
        if "campaign_id" in {each["name"] for each in operation.get("parameters", ())}
    }  # fmt: skip
    for operation in operations:
        if "201" in operation["responses"]:
            operation["responses"]["201"]["links"] = links


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Declare every error that the operation may answer."""
    responses = operation["responses"]
    if path in OPEN_PATHS:
        operation["security"] = []
        return
    responses.pop("422", None)
    statuses = {int(status) for status in responses if status.isdigit() and int(status) >= 400} | {*_EVERYWHERE}
    if "requestBody" in operation:
        statuses |= {*_WITH_BODY}
    parameters = {each["name"] for each in operation.get("parameters", ())}
    if parameters - {"campaign_id", "recipient_id"}:
        statuses.add(422)
    unused = {ProblemCode.NOT_FOUND, ProblemCode.BAD_REQUEST}
    if parameters & {"campaign_id", "template_name"}:
        statuses.add(404)
    if "campaign_id" not in parameters:
        unused.add(ProblemCode.UNKNOWN_CAMPAIGN)
    unused |= {code for code, only in _CODES_OF_SOME.items() if operation["operationId"] not in only}
    has_key = HEADER.lower() in {name.lower() for name in parameters}
    if not has_key:
        unused |= _CODES_OF_KEYS
    changes_campaign = "campaign_id" in parameters and method != "get"
    if not changes_campaign:
        unused.add(ProblemCode.WRONG_STATE)
    if has_key or changes_campaign:
        statuses.add(409)
    for status in sorted(statuses):
        responses[str(status)] = _response(status, unused)
    operation["responses"] = dict(sorted(responses.items()))


def _response(status: int, unused: Collection[ProblemCode]) -> dict[str, Any]:
    codes = [code for code, (of_status, _) in PROBLEMS.items() if of_status == status and code not in unused]
    example_code = codes[0]
    answer: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {PROBLEMS[code][1]}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": _PROBLEM, "example": example(example_code)}},
    }
    if status in _HEADERS:
        name, meaning = _HEADERS[status]
        answer["headers"] = {name: {"description": meaning, "schema": {"type": "string"}}}
    return answer


def example(code: ProblemCode) -> dict[str, Any]:
    """An error answer with this code."""
    status, meaning = PROBLEMS[code]
    title = code.replace("_", " ")
    found: dict[str, Any] = {
        "type": "about:blank", "title": title, "status": status, "code": code.value, "detail": meaning,
    }  # fmt: skip
    if code is ProblemCode.INVALID_FIELD:
        message = "There is no field of this name. Did you mean daily_send_limit?"
        found["errors"] = [{"field": "daily_limit", "message": message, "type": "extra_forbidden"}]
    return found
