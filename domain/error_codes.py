"""What every error code of the Cloud API means for the recipient's row: one table, and one function over it.

Branch on the code, never on the HTTP status or the text: Meta documents only codes, and its statuses have
disagreed with them for years (500 for a missing permission, 400 for a rate limit). The HTTP column shows what
was seen, for the simulator and for readers. This module must not know how an answer travelled: see
`domain.outcomes`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from schemas.events import CODE_MAX, Failure, RetryClass

from domain.backoff import DAY_S, exponential, scaled_s
from domain.breakers import Scope


class ErrorClass(StrEnum):
    """The scope of an error, which decides what may follow."""

    THROTTLE = "throttle"
    """Too fast: slow the scope down and post the same message again. It was surely not sent."""
    TRANSIENT = "transient"
    """A problem at Meta: the row fails and is due again after a backoff."""
    HELD_BACK = "held_back"
    """Meta limits marketing to this person: retry after a day."""
    PERMANENT = "permanent"
    """Permanent for this person."""
    REQUEST = "request"
    """Our message is invalid, or the code does not belong to sending: a retry cannot succeed."""
    TEMPLATE = "template"
    """Every message of this template fails."""
    NUMBER = "number"
    """Every message of this phone number fails."""
    ACCOUNT = "account"
    """Every message of this token, app or business account fails."""


class ThrottleScope(StrEnum):
    """What a throttle slows down."""

    RECIPIENT = "recipient"
    NUMBER = "number"
    ACCOUNT = "account"


RETRYABLE = frozenset({ErrorClass.THROTTLE, ErrorClass.TRANSIENT})
NOT_OF_THE_PERSON = frozenset(ErrorClass) - {ErrorClass.PERMANENT, ErrorClass.HELD_BACK}
"""Classes of failures whose cause can be removed, so that a message may be sent again once it is gone."""
SCOPE_WIDE = frozenset({ErrorClass.TEMPLATE, ErrorClass.NUMBER, ErrorClass.ACCOUNT})


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table. `http`: the status seen with it, None where none is documented."""

    code: int
    error_class: ErrorClass
    http: int | None
    note: str
    base_s: float = 60.0
    """First backoff; it grows tenfold with each attempt."""
    scope: ThrottleScope = ThrottleScope.NUMBER
    """For throttles."""
    feeds: Scope = Scope.NUMBER
    """For problems at Meta: the scope whose breaker counts them."""
    needs_human: bool = True
    """For codes of a whole scope: nothing is sent to the scope before a human has acted."""


THROTTLE, TRANSIENT, HELD_BACK, PERMANENT, REQUEST, TEMPLATE, NUMBER, ACCOUNT = ErrorClass

ROWS: tuple[ErrorCode, ...] = (
    # Authorisation and account
    ErrorCode(0, ACCOUNT, 401, "access token expired or invalidated"),
    ErrorCode(3, ACCOUNT, 500, "capability or permission missing"),
    ErrorCode(10, ACCOUNT, 403, "permission denied"),
    ErrorCode(104, ACCOUNT, 401, "access token missing"),
    ErrorCode(190, ACCOUNT, 401, "access token expired or invalid"),
    *(ErrorCode(code, ACCOUNT, 403, "permission denied") for code in range(200, 300)),
    ErrorCode(368, ACCOUNT, 403, "account restricted for a policy violation"),
    ErrorCode(131005, ACCOUNT, 403, "access denied"),
    ErrorCode(131031, ACCOUNT, 403, "account locked"),
    ErrorCode(131042, ACCOUNT, 400, "payment or eligibility issue"),
    ErrorCode(131044, ACCOUNT, None, "payment issue"),
    ErrorCode(131063, ACCOUNT, None, "marketing templates are disabled on this endpoint for the account"),
    ErrorCode(131064, ACCOUNT, None, "messaging limit after template misclassification"),
    ErrorCode(134011, ACCOUNT, None, "terms of payments not accepted"),
    # Throttles: slow the scope down, repeat the same message
    ErrorCode(4, THROTTLE, 400, "call limit of the app", scope=ThrottleScope.ACCOUNT),
    ErrorCode(613, THROTTLE, 429, "call limit", scope=ThrottleScope.ACCOUNT),
    ErrorCode(80007, THROTTLE, 400, "rate limit of the business account", scope=ThrottleScope.ACCOUNT),
    ErrorCode(80008, THROTTLE, None, "too many calls to the business account", scope=ThrottleScope.ACCOUNT),
    ErrorCode(130429, THROTTLE, 429, "throughput of the number reached"),
    ErrorCode(131056, THROTTLE, 400, "too fast for this pair of numbers", scope=ThrottleScope.RECIPIENT),
    # Problems at Meta
    ErrorCode(1, TRANSIENT, 400, "invalid request or server error"),
    ErrorCode(2, TRANSIENT, 503, "service down or overloaded"),
    ErrorCode(131000, TRANSIENT, 500, "something went wrong"),
    ErrorCode(131016, TRANSIENT, 500, "service unavailable"),
    ErrorCode(131057, TRANSIENT, 500, "account in maintenance, a minute or so", base_s=120.0),
    ErrorCode(133004, TRANSIENT, 503, "server temporarily unavailable"),
    ErrorCode(134101, TRANSIENT, 400, "template is syncing, up to ten minutes", base_s=600.0, feeds=Scope.TEMPLATE),
    ErrorCode(2494100, TRANSIENT, None, "number in maintenance, a few minutes", base_s=300.0),
    # The person
    ErrorCode(131049, HELD_BACK, None, "held back to keep the ecosystem healthy"),
    ErrorCode(130403, PERMANENT, None, "the business has blocked this user"),
    ErrorCode(130472, PERMANENT, 400, "user is in a marketing experiment"),
    ErrorCode(130497, PERMANENT, None, "account may not message users of this country"),
    ErrorCode(131021, PERMANENT, 400, "sender and recipient are the same"),
    ErrorCode(131026, PERMANENT, 400, "undeliverable"),
    ErrorCode(131030, PERMANENT, None, "recipient is not on the list of the test number"),
    ErrorCode(131050, PERMANENT, None, "user stopped marketing messages"),
    ErrorCode(137000, PERMANENT, None, "identity key hash mismatch"),
    # The number
    ErrorCode(803, NUMBER, 404, "no object has this id"),
    ErrorCode(2500, NUMBER, 400, "unknown path: the id of the number or the address is wrong"),
    ErrorCode(33, NUMBER, 400, "business phone number deleted"),
    ErrorCode(131037, NUMBER, None, "number without an approved display name"),
    ErrorCode(131045, NUMBER, 500, "number registration or certificate error"),
    ErrorCode(131048, NUMBER, 400, "spam limit of the number"),
    ErrorCode(133010, NUMBER, 400, "number not registered"),
    ErrorCode(133016, NUMBER, 400, "registered or deregistered too often"),
    # The template
    ErrorCode(132001, TEMPLATE, 404, "template missing in this language or not approved"),
    ErrorCode(132007, TEMPLATE, 400, "template content violates a policy"),
    ErrorCode(132015, TEMPLATE, 400, "template paused"),
    ErrorCode(132016, TEMPLATE, 400, "template disabled"),
    ErrorCode(132068, TEMPLATE, 400, "flow blocked"),
    ErrorCode(132069, TEMPLATE, 400, "flow throttled", needs_human=False),
    ErrorCode(134102, TEMPLATE, 500, "template unavailable or account not eligible", needs_human=False),
    ErrorCode(134103, TEMPLATE, None, "template unavailable or account not eligible", needs_human=False),
    # Our request
    ErrorCode(100, REQUEST, 400, "invalid or misspelled parameter"),
    ErrorCode(130501, REQUEST, None, "message type not supported"),
    ErrorCode(131008, REQUEST, 400, "required parameter missing"),
    ErrorCode(131009, REQUEST, 400, "parameter value invalid"),
    ErrorCode(131014, REQUEST, None, "media address not found"),
    ErrorCode(131047, REQUEST, 400, "free-form message outside the service window"),
    ErrorCode(131051, REQUEST, 400, "message type not supported"),
    ErrorCode(131052, REQUEST, 400, "media download failed"),
    ErrorCode(131053, REQUEST, 400, "media upload failed"),
    ErrorCode(131055, REQUEST, 400, "method not allowed"),
    ErrorCode(131061, REQUEST, None, "max-price template through the wrong endpoint"),
    ErrorCode(131062, REQUEST, None, "business-scoped user ids not supported for this message"),
    ErrorCode(132000, REQUEST, 400, "number of parameters differs from the template"),
    ErrorCode(132005, REQUEST, 400, "text too long once filled in"),
    ErrorCode(132008, REQUEST, None, "parameter value invalid"),
    ErrorCode(132012, REQUEST, 400, "parameter format differs from the template"),
    ErrorCode(132018, REQUEST, 400, "template validation error"),
    ErrorCode(134100, REQUEST, 400, "only marketing templates here"),
    ErrorCode(135000, REQUEST, 400, "generic error in the parameters"),
    # Codes of operations that a sender never calls. A retry cannot succeed.
    ErrorCode(133000, REQUEST, 500, "deregistration failed"),
    ErrorCode(133005, REQUEST, 400, "wrong PIN"),
    ErrorCode(133006, REQUEST, 400, "number needs verification"),
    ErrorCode(133008, REQUEST, 400, "too many PIN guesses"),
    ErrorCode(133009, REQUEST, 400, "PIN guessed too fast"),
    ErrorCode(133015, REQUEST, 400, "number recently deleted"),
    ErrorCode(1752041, REQUEST, 400, "onboarding requested twice"),
    *(
        ErrorCode(code, REQUEST, None, "template management")
        for code in (2388019, 2388039, 2388040, 2388047, 2388072, 2388073, 2388293, 2388299)
    ),
    *(ErrorCode(code, REQUEST, None, "migration") for code in (2388012, 2388091, 2388093, 2388103)),
    ErrorCode(2593107, REQUEST, None, "synchronisation called too often"),
    ErrorCode(2593108, REQUEST, None, "synchronisation after more than a day"),
    *(ErrorCode(code, REQUEST, None, "template insights") for code in (200005, 200006, 200007)),
)

TABLE: dict[int, ErrorCode] = {row.code: row for row in ROWS}

BY_SUBCODE: dict[tuple[int, int], ErrorCode] = {
    (100, 33): ErrorCode(33, NUMBER, 400, "the number does not exist, or the token may not use it"),
}
"""Code and subcode, where the subcode decides. Meta calls subcodes deprecated, and still sends this one."""

HELD_BACK_S = DAY_S
"""Meta: earlier "will only result in another error", and since 2026 also counts against the account."""
WEBHOOK_BACKOFF_MIN_S = 600
"""A failure that comes by webhook may still be overtaken by a delivery."""
BACKOFF_FACTOR = 10.0
"""The retries come after a minute, ten minutes and an hour, so that three of them outlast an outage of ten minutes."""
BACKOFF_MAX_S = 3600
NO_MARKETING_PREFIXES = ("1", "US.")
"""The calling code +1. Meta refuses marketing messages to it with 131049 since 1 April 2025."""


def row_of(code: int | None, subcode: int | None = None) -> ErrorCode | None:
    """The row of a code, or None for an unknown one. A subcode that the table knows decides."""
    if code is None:
        return None
    by_subcode = BY_SUBCODE.get((code, subcode)) if subcode is not None else None
    return by_subcode or TABLE.get(code)


def error_class(code: int | None, subcode: int | None = None, *, transient_hint: bool = False) -> ErrorClass:
    """The class of a code. An unknown one is the request's, unless Meta itself calls it transient."""
    row = row_of(code, subcode)
    if row is not None:
        return row.error_class
    return TRANSIENT if transient_hint else REQUEST


def failure(
    code: int | None,
    reason: str,
    *,
    attempt: int,
    from_webhook: bool,
    time_scale: float,
    transient_hint: bool = False,
    recipient: str = "",
) -> Failure:
    """What a failed attempt states about itself: why, and what may follow.

    `transient_hint` is Meta's `is_transient`, which counts for unknown codes only. `recipient` is the number or the
    user id of the person, if it is known: Meta delivers no marketing to the United States, so a day later is no better.
    """
    code = code if code is not None and 0 <= code <= CODE_MAX else None
    kind = error_class(code, transient_hint=transient_hint)
    row = row_of(code)
    if kind is HELD_BACK and not recipient.startswith(NO_MARKETING_PREFIXES):
        retry_class, wait_s = RetryClass.HELD_BACK, float(HELD_BACK_S)
    elif kind in RETRYABLE:
        retry_class = RetryClass.BACKOFF
        wait_s = exponential(attempt, base_s=row.base_s if row else 60.0, factor=BACKOFF_FACTOR, cap_s=BACKOFF_MAX_S)
        wait_s = max(wait_s, WEBHOOK_BACKOFF_MIN_S) if from_webhook else wait_s
    else:
        return Failure(code=code, reason=reason[:2000], retry_class=RetryClass.NEVER, backoff_s=0)
    return Failure(code=code, reason=reason[:2000], retry_class=retry_class, backoff_s=scaled_s(wait_s, time_scale))


def codes_of(classes: Collection[ErrorClass]) -> frozenset[int]:
    """The codes of these classes. An unknown code is a request's and is not listed."""
    return frozenset(row.code for row in ROWS if row.error_class in classes)
