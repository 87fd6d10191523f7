"""What the outcome of a post says about each scope of a breaker: one table by outcome and error class. Pure.

An error of Meta for one person proves that endpoint, account and number work. An error of a whole scope proves that the
wider scopes answer. What an outcome does not prove is neutral, so that nothing closes a breaker by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from domain.breakers import SCOPES, Scope, Signal, letters
from domain.error_codes import ErrorClass, ThrottleScope, row_of
from domain.outcomes import Accepted, NotSent, Outcome, Rejected, Throttled, UnknownOutcome

_R, _T, _N, _A, _E = Scope
_GOOD = Signal.GOOD

BY_CLASS: Mapping[ErrorClass, Mapping[Scope, Signal]] = MappingProxyType(
    {
        ErrorClass.THROTTLE: {_E: _GOOD},
        ErrorClass.TRANSIENT: {_E: _GOOD},  # and bad for the scope of its row
        ErrorClass.HELD_BACK: {_N: _GOOD, _A: _GOOD, _E: _GOOD},
        ErrorClass.PERMANENT: {_N: _GOOD, _A: _GOOD, _E: _GOOD},
        ErrorClass.REQUEST: {_T: Signal.REQUEST, _A: _GOOD, _E: _GOOD},
        ErrorClass.TEMPLATE: {_T: Signal.HUMAN, _N: _GOOD, _A: _GOOD, _E: _GOOD},
        ErrorClass.NUMBER: {_N: Signal.HUMAN, _E: _GOOD},
        ErrorClass.ACCOUNT: {_A: Signal.HUMAN, _E: _GOOD},
    }
)
"""The signals of an answer with an error of Meta, by its class. A scope that is missing here is neutral."""

TROUBLE = frozenset({Signal.BAD, Signal.FOREIGN, Signal.REQUEST, Signal.OPEN, Signal.HUMAN})
NEUTRAL = letters({})
"""The letters of an outcome that says nothing: the message was not posted."""


TOKEN_CODES = frozenset({0, 3, 10, 104, 190, *range(200, 300), 131005})
"""Codes of the class account that a token causes: it has expired, or lacks a permission."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one outcome: five letters, and the code and reason that an opened breaker shows."""

    letters: str = NEUTRAL
    code: int | None = None
    reason: str | None = None

    @property
    def is_trouble(self) -> bool:
        """Whether a scope may have to be held, so that no other message may rely on what was known before."""
        return not TROUBLE.isdisjoint(self.letters)

    def concerns(self, *scopes: Scope) -> bool:
        """Whether it is trouble for one of these scopes."""
        return any(letter in TROUBLE for scope, letter in zip(Scope, self.letters, strict=True) if scope in scopes)


NO_SIGNALS = Signals()
_ALL_GOOD = Signals(letters(dict.fromkeys(Scope, _GOOD)))


def signals_of(outcome: Outcome) -> Signals:
    """The signals of an outcome."""
    match outcome:
        case Accepted():
            return _ALL_GOOD  # made once, because nearly every message has it
        case Rejected(code=code, subcode=subcode, transient_hint=hint):
            return _of_error(code, subcode, is_transient=hint)
        case Throttled(scope=ThrottleScope.RECIPIENT, code=code):
            return Signals(letters({_R: Signal.OPEN, _E: _GOOD}), code, _reason(code, None))
        case Throttled(code=code):
            return Signals(letters({} if code is None else {_E: _GOOD}), code)
        case UnknownOutcome(reason=reason, code=code, subcode=subcode, is_foreign=is_foreign):
            if is_foreign or code is None:
                return Signals(letters({_E: Signal.FOREIGN if is_foreign else Signal.BAD}), None, reason)
            return _of_unknown(code, subcode, reason)
        case NotSent(reason=reason, is_endpoint=is_endpoint):
            return Signals(letters({_E: Signal.BAD} if is_endpoint else {}), None, reason)
        case _:
            assert_never(outcome)


def at_number(signals: Signals) -> Signals:
    """The signals of a message from a number with a token of its own: what the token causes holds that number alone."""
    if signals.code not in TOKEN_CODES:
        return signals
    found = {scope: Signal(letter) for scope, letter in zip(SCOPES, signals.letters, strict=True)}
    return replace(signals, letters=letters({**found, _N: found[_A], _A: Signal.NEUTRAL}))


def signals_of_status(code: int | None) -> Signals:
    """The signals of a webhook's `failed`: a code of a whole scope holds that scope. It proves nothing else.

    Meta reports some of these codes, such as a payment block, only after it has accepted the message.
    """
    row = row_of(code)
    scope = _SCOPE_WIDE.get(row.error_class) if row is not None else None
    if row is None or scope is None:
        return NO_SIGNALS
    signal = Signal.HUMAN if row.needs_human else Signal.OPEN
    return Signals(letters({scope: signal}), code, _reason(code, row.note))


_SCOPE_WIDE = {ErrorClass.TEMPLATE: _T, ErrorClass.NUMBER: _N, ErrorClass.ACCOUNT: _A}


def _of_error(code: int | None, subcode: int | None, *, is_transient: bool) -> Signals:
    row = row_of(code, subcode)
    kind = row.error_class if row else ErrorClass.TRANSIENT if is_transient else ErrorClass.REQUEST
    signals = dict(BY_CLASS[kind])
    if kind is ErrorClass.TRANSIENT:
        signals[row.feeds if row else Scope.NUMBER] = Signal.BAD
    elif row is not None and not row.needs_human:
        signals = {scope: Signal.OPEN if each is Signal.HUMAN else each for scope, each in signals.items()}
    return Signals(letters(signals), code, _reason(code, row.note if row else None))


def _of_unknown(code: int, subcode: int | None, reason: str) -> Signals:
    """An answer 5xx with a code: a code of a whole scope holds it, and any other counts for the number."""
    row = row_of(code, subcode)
    if row is not None and row.error_class in (ErrorClass.TEMPLATE, ErrorClass.NUMBER, ErrorClass.ACCOUNT):
        return _of_error(code, subcode, is_transient=False)
    return Signals(letters({_N: Signal.BAD, _E: _GOOD}), code, reason)


def _reason(code: int | None, note: str | None) -> str:
    """The text that an operator sees: never the text of an answer, which may name a person."""
    return f"code {code}: {note}" if note else f"code {code}" if code is not None else "an error without a code"
