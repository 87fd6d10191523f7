"""The history of one message in sentences, from everything that Postgres holds about its recipient. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from api.pages.advice import SKIP_MEANINGS
from domain.status import Status
from tables.recipient_pages import Recipient

HIDDEN_FROM = 4
SHOWN_AT_END = 2

PERSON_STATUS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        Status.PENDING: ("Waiting", "clock", "quiet"),
        Status.QUEUED: ("On its way", "play", "quiet"),
        Status.SENT: ("Sent", "check", "quiet"),
        Status.DELIVERED: ("Delivered", "checks", "good"),
        Status.READ: ("Read", "eye", "good"),
        Status.FAILED: ("Failed", "warn", "bad"),
        Status.SKIPPED: ("Skipped", "cross", "quiet"),
        Status.UNKNOWN: ("Unknown", "question", "warn"),
    }
)
"""Status of a recipient to its word, icon and tone."""
_OUTCOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "accepted": ("check", "WhatsApp accepted the message"),
        "rejected": ("warn", "WhatsApp refused the message"),
        "deferred": ("clock", "The message was put off: nothing was sent"),
        "expired": ("clock", "The attempt was too old: nothing was sent"),
        "skipped": ("cross", "The attempt was skipped: nothing was sent"),
        "unknown": ("question", "The answer of WhatsApp was lost"),
    }
)


@dataclass(frozen=True, slots=True)
class StoryStep:
    """One thing that happened, or will."""

    at: datetime
    icon: str
    text: str
    detail: str = ""
    is_planned: bool = False


def masked(phone: str) -> str:
    """A phone number for a list: its beginning and its end."""
    if not phone.isdecimal() or len(phone) <= HIDDEN_FROM + SHOWN_AT_END:
        return "•••" if phone.isdecimal() else phone
    return f"+{phone[:HIDDEN_FROM]} ••••• {phone[-SHOWN_AT_END:]}"


def reason_of(recipient: Recipient) -> str:
    """Why a recipient failed or was skipped, in words; empty for the others."""
    reason = recipient.failure_reason or ""
    if recipient.status == Status.SKIPPED:
        return SKIP_MEANINGS.get(reason, reason)
    return f"{recipient.failure_code}: {reason}" if recipient.failure_code is not None and reason else reason


def last_change(recipient: Recipient) -> datetime | None:
    """The time that belongs to the status."""
    return {
        Status.READ.value: recipient.read_at,
        Status.DELIVERED.value: recipient.delivered_at,
        Status.SENT.value: recipient.sent_at,
        Status.FAILED.value: recipient.failed_at,
        Status.PENDING.value: recipient.scheduled_send_date,
    }.get(recipient.status, recipient.updated_at)


def story(
    recipient: Recipient,
    releases: Sequence[Mapping[str, Any]] = (),
    ledger: Sequence[Mapping[str, Any]] = (),
    subscriptions: Sequence[Mapping[str, Any]] = (),
) -> list[StoryStep]:
    """Everything that happened to a recipient in the order of time, and then what is planned."""
    past = sorted(_past(recipient, releases, ledger, subscriptions), key=lambda step: step.at)
    return [*past, *_planned(recipient)]


def _past(
    recipient: Recipient,
    releases: Sequence[Mapping[str, Any]],
    ledger: Sequence[Mapping[str, Any]],
    subscriptions: Sequence[Mapping[str, Any]],
) -> Iterator[StoryStep]:
    yield StoryStep(recipient.created_at, "people", "Added to the campaign")
    for each in releases:
        yield StoryStep(each["released_at"], "play", "Released", f"attempt {each['attempt']}, a sender will take it")
    for each in ledger:
        yield StoryStep(each["claimed_at"], "play", "Taken by a sender", f"attempt {each['attempt']}")
        if each["outcome"] is not None:
            icon, text = _OUTCOMES.get(each["outcome"], ("question", str(each["outcome"])))
            yield StoryStep(each["outcome_at"], icon, text, f"attempt {each['attempt']}")
    for at, icon, text in (
        (recipient.sent_at, "check", "Sent"),
        (recipient.delivered_at, "checks", "Delivered to the phone"),
        (recipient.read_at, "eye", "Read"),
    ):
        if at is not None:
            yield StoryStep(at, icon, text)
    if recipient.failed_at is not None:
        is_now = recipient.status == Status.FAILED
        yield StoryStep(recipient.failed_at, "warn", "Failed", reason_of(recipient) if is_now else "")
    if recipient.status == Status.SKIPPED:
        yield StoryStep(recipient.updated_at, "cross", "Skipped: no message is sent", reason_of(recipient))
    for each in subscriptions:
        text = "Subscribed again" if each["subscribed"] else "Opted out"
        yield StoryStep(each["occurred_at"], "people", text, f"source: {each['source']}")


def _planned(recipient: Recipient) -> Iterator[StoryStep]:
    if recipient.next_attempt_at is None:
        return
    text = "Planned" if recipient.attempt == 0 else "Will be tried again"
    yield StoryStep(recipient.next_attempt_at, "clock", text, "", is_planned=True)
