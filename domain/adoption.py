"""Decides what a row of another `campaign_recipients` table means here: a recipient, and events about it. Pure.

The table has the original shape: a status, the times of a message, its id, and a reason of failure. What it says of a
message that may have been sent becomes events of attempt 1, as if our own pipeline had sent it.

Laws: a row with any sign of a send is never due here, so nobody who was already sent to is sent to again. A row is due
only if its status is `pending` and nothing else in it speaks of an attempt. The same row gives the same events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from uuid import UUID, uuid5

from schemas.codec import PRODUCER
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.reasons import AdoptionRefusal, ReasonCode

from domain.error_codes import TABLE
from domain.facts import NOTHING, Facts, facts_of, merge
from domain.json_values import MalformedJson, read_json
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, stored
from domain.phone_numbers import normalise
from domain.status import Status, status
from domain.times import AHEAD_MAX
from domain.written_numbers import InvalidPhoneNumber

COLUMNS = (
    "id", "phone_number", "status", "whatsapp_message_id", "sent_at", "delivered_at", "read_at", "failed_at",
    "failure_reason", "retry_count", "max_retries", "template_parameters", "created_at", "updated_at",
)  # fmt: skip
"""Columns of the original table that are taken over. `scheduled_send_date` is not: the campaign is planned anew."""
REQUIRED = frozenset({"id", "phone_number", "status"})
TIMES = ("sent_at", "delivered_at", "read_at", "failed_at")
MOMENTS = frozenset({*TIMES, "created_at", "updated_at"})
"""Columns that must be times."""
ATTEMPT = 1
"""All that the other system did counts as one attempt."""
KEYS = UUID("b6f1e6a4-6a0e-5d0c-9a51-0f2f8f6c7a10")
"""Namespace of the ids of rows whose key is no UUID."""
FRESH, SENT, FAILED, IN_DOUBT = "pending", frozenset({"sent", "delivered", "read"}), "failed", "in doubt"
IN_DOUBT_WORDS = frozenset({"queued", "processing", "sending", "scheduled", "retrying", "unknown", "accepted"})
"""Statuses of a message that may be under way. Without a message id nobody knows whether it was sent."""
SKIPPED_WORDS = frozenset({"skipped", "cancelled", "opted_out"})
MAX_RETRIES = 3
MAX_RETRIES_MOST = 60
REASON_CHARACTERS_MAX = 2000
WAMID_CHARACTERS_MAX = 512
_CODE = re.compile(r"[0-9]{1,7}")


@dataclass(frozen=True, slots=True)
class AdoptedRow:
    """A recipient to add, and the events that state what happened to it."""

    id: RecipientId
    key: str
    phone_number: str = field(repr=False)
    template_parameters: Any = field(repr=False)
    max_retries: int
    created_at: datetime
    events: tuple[RecipientEvent, ...]

    @property
    def facts(self) -> Facts:
        """What the events state."""
        return reduce(merge, (facts_of(event, ATTEMPT) for event in self.events), NOTHING)

    @property
    def status(self) -> Status:
        """The status that the recipient will have."""
        return status(self.facts)

    @property
    def sent_at(self) -> datetime | None:
        """When the other system sent the message; None if the row does not say that it was sent."""
        return next((each.occurred_at for each in self.events if each.kind is EventKind.ACCEPTED), None)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not taken over, by its key, and why."""

    key: str
    reason: ReasonCode
    detail: str


@dataclass(frozen=True, slots=True)
class AdoptingCampaign:
    """The campaign that takes the rows."""

    id: CampaignId
    phone_number_id: str
    country: str | None


def adopt(row: Mapping[str, Any], campaign: AdoptingCampaign, now: datetime) -> AdoptedRow | RefusedRow:
    """Judge one row of the other table, by the names of COLUMNS. A column that it lacks is None or missing."""
    key = str(row["id"])
    try:
        number = normalise(str(row["phone_number"]) if row["phone_number"] is not None else None, campaign.country)
    except InvalidPhoneNumber as invalid:
        return RefusedRow(key, invalid.reason, invalid.reason.meaning)
    times = {name: _moment(row.get(name)) for name in (*TIMES, "created_at", "updated_at")}
    if any(at is not None and at > now + AHEAD_MAX for at in times.values()):
        return RefusedRow(key, AdoptionRefusal.IN_FUTURE, AdoptionRefusal.IN_FUTURE.meaning)
    meaning = _meaning(row, times)
    if meaning is None:
        detail = f"{AdoptionRefusal.UNKNOWN_STATUS.meaning} It is {str(row['status'])[:50]!r}."
        return RefusedRow(key, AdoptionRefusal.UNKNOWN_STATUS, detail)
    parameters: Any = None
    try:
        parameters = stored(parse(_given(row.get("template_parameters"))))
    except InvalidTemplateParameters as invalid:
        if meaning == FRESH:  # it will be sent; of a message that was sent they do not matter any more
            return RefusedRow(key, invalid.reason, str(invalid))
    created_at = times["created_at"] or now
    recipient = RecipientId(_row_id(key))
    return AdoptedRow(
        id=recipient,
        key=key,
        phone_number=number,
        template_parameters=parameters,
        max_retries=_retries(row.get("max_retries")),
        created_at=created_at,
        events=tuple(_events(row, meaning, times, recipient, campaign, times["updated_at"] or created_at)),
    )


def earliest(row: AdoptedRow) -> datetime:
    """The earliest time of a row. Its campaign must not be younger, or its events would be refused."""
    return min([row.created_at, *(event.occurred_at for event in row.events)])


def _meaning(row: Mapping[str, Any], times: Mapping[str, datetime | None]) -> str | None:
    """What the row says of its message, most certain first; None for a status that nobody knows here."""
    word = str(row["status"]).strip().lower()
    has_wamid = _wamid(row) is not None
    if word == FAILED:
        return FAILED
    if word in SENT or has_wamid or any(times[name] is not None for name in ("sent_at", "delivered_at", "read_at")):
        return "sent" if word in SENT | IN_DOUBT_WORDS | SKIPPED_WORDS | {FRESH} else None
    if word == FRESH:
        tried = times["failed_at"] is not None or _whole(row.get("retry_count")) > 0
        return IN_DOUBT if tried else FRESH
    if word in IN_DOUBT_WORDS:
        return IN_DOUBT
    return "skipped" if word in SKIPPED_WORDS else None


def _events(
    row: Mapping[str, Any],
    meaning: str,
    times: Mapping[str, datetime | None],
    recipient: RecipientId,
    campaign: AdoptingCampaign,
    changed_at: datetime,
) -> list[RecipientEvent]:
    """The events of attempt 1, in the order of what they state."""
    wamid = _wamid(row)

    def event(kind: EventKind, at: datetime, **more: Any) -> RecipientEvent:
        return RecipientEvent(
            producer=PRODUCER, kind=kind, campaign_id=campaign.id, recipient_id=recipient, attempt=ATTEMPT,
            phone_number_id=campaign.phone_number_id, occurred_at=at, received_at=at, **more,
        )  # fmt: skip

    if meaning == FRESH:
        return []
    if meaning == IN_DOUBT:
        return [event(EventKind.UNKNOWN, changed_at)]
    if meaning == "skipped":
        return [event(EventKind.SKIPPED, changed_at, skip_reason=AdoptionRefusal.SKIPPED_BEFORE.value)]
    stated = [at for at in (times["sent_at"], times["delivered_at"], times["read_at"]) if at is not None]
    word = str(row["status"]).strip().lower()
    found = []
    if meaning == FAILED:
        kind = EventKind.FAILED if wamid is not None else EventKind.REJECTED
        found.append(event(kind, times["failed_at"] or changed_at, wamid=wamid, failure=_failure(row)))
    if stated or meaning != FAILED:
        sent_at = min(stated, default=changed_at)
        read_at = times["read_at"] or (changed_at if word == "read" else None)
        delivered_at = times["delivered_at"] or read_at or (changed_at if word == "delivered" else None)
        found.append(event(EventKind.ACCEPTED, sent_at, wamid=wamid))
        if delivered_at is not None:
            found.append(event(EventKind.DELIVERED, max(sent_at, delivered_at), wamid=wamid))
        if read_at is not None:
            found.append(event(EventKind.READ, max(sent_at, read_at), wamid=wamid))
    return found


def _failure(row: Mapping[str, Any]) -> Failure:
    """The failure, which is never retried by itself: nobody knows here how often it was tried."""
    text = str(row.get("failure_reason") or AdoptionRefusal.FAILED_BEFORE.meaning).replace("\0", "")
    codes = [int(each) for each in _CODE.findall(text) if int(each) in TABLE and len(each) > 1]
    shown = text[:REASON_CHARACTERS_MAX].encode("utf-8", "replace").decode()
    return Failure(code=codes[0] if codes else None, reason=shown, retry_class=RetryClass.NEVER, backoff_s=0)


def _given(value: Any) -> Any:
    """The value of a column of JSON, also of one that stores it as a text."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value.encode("utf-8", "surrogatepass")) if value.strip() else None
    except MalformedJson:
        return value


def _wamid(row: Mapping[str, Any]) -> Wamid | None:
    value = row.get("whatsapp_message_id")
    text = str(value).strip() if value is not None else ""
    return Wamid(text) if 0 < len(text) <= WAMID_CHARACTERS_MAX and "\0" not in text else None


def _moment(value: Any) -> datetime | None:
    """A time of the row. One without a zone is in UTC."""
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _retries(value: Any) -> int:
    return min(max(value, 0), MAX_RETRIES_MOST) if isinstance(value, int) else MAX_RETRIES


def _row_id(key: str) -> UUID:
    """The key itself if it is a UUID, else one that is made of it."""
    try:
        return UUID(key)
    except ValueError:
        return uuid5(KEYS, key)
