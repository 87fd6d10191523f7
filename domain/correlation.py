"""Decides what one webhook status means for a recipient: an event, nothing, or a refusal. Pure.

Laws: every status has a decision. The same status, read again or in another order, gives the same event, except for its
origin and time of receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.callback import Callback, NotOurs, decode
from schemas.codec import PRODUCER
from schemas.events import EventKind, Failure, Origin, Pricing, RecipientEvent
from schemas.model import Wamid
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.webhook_statuses import StatusError, StatusItem

from domain.error_codes import failure
from domain.people import keys_named
from domain.times import AHEAD_MAX

KIND_BY_WORD = {
    "sent": EventKind.SENT,
    "delivered": EventKind.DELIVERED,
    "read": EventKind.READ,
    "played": EventKind.READ,  # a voice message was played, so it was read
    "failed": EventKind.FAILED,
}
"""Any other word is counted, stays raw in `webhooks.raw`, and changes nothing."""

NAMES_MAX = 4
"""Most names of a person in an event."""
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
"""The service did not exist before. The sink compares with the creation of the campaign."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """How to recognise our own statuses. Without `phone_numbers` (ids) every number is ours."""

    callback_secret: bytes
    deployment: str
    phone_numbers: frozenset[str] = frozenset()
    time_scale: float = 1.0

    def has(self, number: str | None) -> bool:
        """Whether a status of this number may be ours. One that names no number may."""
        return not self.phone_numbers or number is None or number in self.phone_numbers


@dataclass(frozen=True, slots=True)
class IgnoredStatus:
    """The status changes nothing. It is counted under `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class RefusedStatus:
    """The status is impossible and must be dead-lettered with this reason code."""

    reason: str


def decide(
    item: StatusItem, received_at: datetime, ours: Ownership, origin: Origin, latest: datetime | None = None
) -> RecipientEvent | IgnoredStatus | RefusedStatus:
    """Decide about one status.

    `latest`: the latest of the receipt, the time of the record and the present, by which a status is in the future.
    A dead letter of an ingress whose clock was behind is then healed by a redrive. The default is the receipt.
    """
    kind = KIND_BY_WORD.get(item.status)
    if kind is None:
        return IgnoredStatus(ItemOutcome.UNKNOWN_STATUS.value)
    found = decode(ours.callback_secret, ours.deployment, item.callback_data or "")
    if isinstance(found, NotOurs) and not ours.has(item.phone_number_id):
        return IgnoredStatus(ItemOutcome.FOREIGN_NUMBER.value)
    if item.occurred_at > (latest or received_at) + AHEAD_MAX:
        return RefusedStatus(DeadLetterReason.TIMESTAMP_IN_FUTURE.value)
    if item.occurred_at < EARLIEST:
        return RefusedStatus(DeadLetterReason.TIMESTAMP_TOO_OLD.value)
    callback = found if isinstance(found, Callback) else None
    attempt = callback.attempt if callback else None
    return RecipientEvent(
        producer=PRODUCER,
        kind=kind,
        campaign_id=callback.campaign_id if callback else None,
        recipient_id=callback.recipient_id if callback else None,
        attempt=attempt,
        wamid=Wamid(item.wamid),
        phone_number_id=(item.phone_number_id or "")[:64] or None,
        occurred_at=item.occurred_at,
        received_at=received_at,
        failure=_failure(item, attempt or 1, ours.time_scale) if kind is EventKind.FAILED else None,
        pricing=Pricing(type=item.pricing_type, category=item.pricing_category) if item.pricing_category else None,
        also_known_as=names_of(item.recipient_id, item.user_ids) if kind is EventKind.SENT and callback else None,
        origin=origin,
    )


def names_of(number: object, user_ids: Sequence[object]) -> list[str] | None:
    """The keys of the recipient in a status that has a user id: later webhooks of the person may lack one of them.

    A status without a user id names nobody who was not known: the number is the one dialled.
    """
    return list(keys_named(number, user_ids)[:NAMES_MAX]) or None if user_ids else None


def _failure(item: StatusItem, attempt: int, time_scale: float) -> Failure:
    """A failure without an error has an unknown code, so it is not retried automatically."""
    error = item.error or StatusError(None, "failed without an error")
    return failure(
        error.code,
        error.text or "failed without a text",
        attempt=attempt,
        from_webhook=True,
        time_scale=time_scale,
        transient_hint=error.is_transient,
        recipient=item.recipient_id or item.recipient_user_id or "",
    )
