"""The codes of error answers. Each has one HTTP status and one meaning. Programs may branch on them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ProblemCode(StrEnum):
    """The kind of an error."""

    BAD_REQUEST = "bad_request"
    MALFORMED_JSON = "malformed_json"
    KEY_REQUIRED = "key_required"
    FOREIGN_HOST = "foreign_host"
    FOREIGN_ORIGIN = "foreign_origin"
    FORWARDED_REQUEST = "forwarded_request"
    NOT_FOUND = "not_found"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_SLOW = "body_too_slow"
    WRONG_STATE = "wrong_state"
    EMPTY_CAMPAIGN = "empty_campaign"
    SETTING_NOT_EDITABLE = "setting_not_editable"
    TEMPLATE_REFUSED = "template_refused"
    TEMPLATE_UNREADABLE = "template_unreadable"
    UNKNOWN_TEMPLATE = "unknown_template"
    RECIPIENT_RELEASED = "recipient_released"
    REQUEST_IN_PROGRESS = "request_in_progress"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_FIELD = "invalid_field"
    UNUSABLE_FILE = "unusable_file"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"
    IMPORTS_BUSY = "imports_busy"


PROBLEMS: Mapping[ProblemCode, tuple[int, str]] = MappingProxyType(
    {
        ProblemCode.BAD_REQUEST: (400, "The request cannot be read."),
        ProblemCode.MALFORMED_JSON: (400, "The body is not strict JSON. NaN and repeated keys are not JSON."),
        ProblemCode.KEY_REQUIRED: (401, "The request has no valid API key."),
        ProblemCode.FOREIGN_HOST: (403, "The API has no keys and the request is not to this machine."),
        ProblemCode.FOREIGN_ORIGIN: (403, "The API has no keys and a page of another site sent the request."),
        ProblemCode.FORWARDED_REQUEST: (403, "The API has no keys and a proxy forwarded the request."),
        ProblemCode.NOT_FOUND: (404, "There is nothing at this path."),
        ProblemCode.UNKNOWN_CAMPAIGN: (404, "There is no campaign with this id."),
        ProblemCode.UNKNOWN_RECIPIENT: (404, "The campaign has no such recipient."),
        ProblemCode.UNKNOWN_TEMPLATE: (404, "The account has no such template in this language."),
        ProblemCode.METHOD_NOT_ALLOWED: (405, "The path does not take this method. The header Allow has the others."),
        ProblemCode.BODY_TOO_SLOW: (408, "The body did not arrive in time."),
        ProblemCode.WRONG_STATE: (409, "The state of the campaign does not allow this. Nothing was changed."),
        ProblemCode.EMPTY_CAMPAIGN: (409, "The campaign has no recipients. Add at least one, and then activate it."),
        ProblemCode.SETTING_NOT_EDITABLE: (
            409,
            "This setting cannot change in the state of the campaign. `errors` names it. Nothing was changed.",
        ),
        ProblemCode.TEMPLATE_REFUSED: (
            409,
            "Meta would refuse messages of this template. `errors` has the reasons. Nothing was changed.",
        ),
        ProblemCode.RECIPIENT_RELEASED: (
            409,
            "The recipient was released, so it cannot be removed. To send nothing more, opt the person out.",
        ),
        ProblemCode.REQUEST_IN_PROGRESS: (409, "The first request with this Idempotency-Key is still running."),
        ProblemCode.BODY_TOO_LARGE: (413, "The body has too many bytes."),
        ProblemCode.UNSUPPORTED_MEDIA_TYPE: (415, "The Content-Type of the body is not one that this request takes."),
        ProblemCode.INVALID_FIELD: (422, "A field is missing, unknown or has a wrong value. `errors` names it."),
        ProblemCode.UNUSABLE_FILE: (422, "The file is empty, or its columns are not known. Nothing was added."),
        ProblemCode.IDEMPOTENCY_KEY_REUSED: (422, "This Idempotency-Key belongs to another request."),
        ProblemCode.INTERNAL_ERROR: (500, "The server failed. Its log has the reason."),
        ProblemCode.UNAVAILABLE: (503, "Postgres does not answer. Repeat the request after Retry-After seconds."),
        ProblemCode.TEMPLATE_UNREADABLE: (503, "The templates cannot be read from the Cloud API now."),
        ProblemCode.IMPORTS_BUSY: (503, "Two imports run already. Repeat the request after Retry-After seconds."),
    }
)
"""The HTTP status and the meaning of each code."""
