"""What each failure, skip and pause means for a marketer, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.error_codes import NOT_OF_THE_PERSON, ErrorClass, error_class, row_of
from domain.stats import OTHER
from schemas.reasons import FailureReason, PauseReason, SkipReason
from tables.campaigns import PAUSED_BY_OPERATOR

CLASS_WORDS: Mapping[ErrorClass, tuple[str, str]] = MappingProxyType(
    {
        ErrorClass.THROTTLE: ("Too fast", "Nothing to do: the sender slows down, and each message is sent again."),
        ErrorClass.TRANSIENT: (
            "A problem at Meta",
            "Each message is sent again after a pause. If one has used up its attempts, send it again.",
        ),
        ErrorClass.HELD_BACK: (
            "Held back by Meta",
            "Nothing to do: Meta limits marketing to them. Each is tried again a day later, at most three times.",
        ),
        ErrorClass.PERMANENT: ("Not reachable", "Nothing to do: these people cannot get this message."),
        ErrorClass.REQUEST: (
            "The message is not valid",
            "Compare the parameters of the recipients with the template. Then send these messages again.",
        ),
        ErrorClass.TEMPLATE: (
            "The template is stopped",
            "Correct the template in the WhatsApp Manager. Then resume the campaign, and send these messages again.",
        ),
        ErrorClass.NUMBER: (
            "The sending number is stopped",
            "Correct the number in the WhatsApp Manager. Then resume the campaign, and send these messages again.",
        ),
        ErrorClass.ACCOUNT: (
            "The account is stopped",
            "Correct the account, its payment or its access token. Then resume, and send these messages again.",
        ),
    }
)
_OURS: Mapping[str, str] = MappingProxyType(
    {
        FailureReason.ATTEMPTS_EXHAUSTED: "Nothing to do: these messages are not sent any more.",
        FailureReason.INVALID_TEMPLATE_PARAMETERS: "Add these people to a new campaign with the right parameters.",
        FailureReason.ENDED_SENDERS: "Report it to the operators: the sender ended on these messages.",
    }
)
SKIP_MEANINGS: Mapping[str, str] = MappingProxyType({each.value: each.meaning for each in SkipReason})
_PAUSES: Mapping[str, str] = MappingProxyType(
    {PAUSED_BY_OPERATOR: "by an operator", **{each.value: each.meaning.rstrip(".") for each in PauseReason}}
)


@dataclass(frozen=True, slots=True)
class FailureLine:
    """One kind of failure of a campaign."""

    code: str
    count: int
    title: str
    note: str
    """What the code means."""
    advice: str
    """What to do."""
    can_repeat: bool
    """Whether its cause can be removed, so that sending again makes sense."""


@dataclass(frozen=True, slots=True)
class SkipLine:
    """One reason for which recipients get no message."""

    code: str
    count: int
    meaning: str


def failure_lines(failures: Mapping[str, int]) -> tuple[FailureLine, ...]:
    """The failures of a campaign, the most frequent first."""
    return tuple(_failure(code, count) for code, count in _ranked(failures))


def skip_lines(skips: Mapping[str, int]) -> tuple[SkipLine, ...]:
    """The skips of a campaign, the most frequent first."""
    return tuple(
        SkipLine(code, count, SKIP_MEANINGS.get(code, "The reason is not known to this version."))
        for code, count in _ranked(skips)
    )


def pause_text(reason: str | None) -> str:
    """Why a campaign is paused, as words after a colon."""
    code, _, words = (reason or "").partition(": ")
    return words if words and code in _PAUSES else _PAUSES.get(code, reason or "")


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The codes that occur, the most frequent first."""
    return sorted(((code, n) for code, n in counts.items() if n > 0), key=lambda pair: (-pair[1], pair[0]))


def _failure(code: str, count: int) -> FailureLine:
    if code.isdecimal():
        kind = error_class(int(code))
        title, advice = CLASS_WORDS[kind]
        row = row_of(int(code))
        note = "unknown to this version" if row is None else row.note
        return FailureLine(code, count, title, note, advice, kind in NOT_OF_THE_PERSON)
    if code == OTHER:
        return FailureLine(
            code, count, "Rarer failures", "all other codes together", "`campaigns failed` lists them.", False
        )
    ours = next((each for each in FailureReason if each == code), None)
    if ours is None:
        note, advice = "the cause has no code", "The list of people shows the reason of each."
        return FailureLine(code, count, "Failed without a code", note, advice, can_repeat=False)
    return FailureLine(code, count, "Not sent", ours.meaning.rstrip("."), _OURS[ours], can_repeat=False)
