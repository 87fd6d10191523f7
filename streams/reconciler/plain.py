"""The short way of a plain body: nothing in it but statuses sent, delivered or read, in the form that Meta sends. Pure.

Nearly every webhook is plain. Its events are written directly as JSON, at a tenth of the cost. The bytes are those that
the general way writes, which a property test proves. A status that is unusual in itself is left to `reading`. At
anything else that is unusual this module gives up, and `reading` reads the whole body: every refusal, every ignored
item and every odd spelling is decided there, and only there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from domain.correlation import EARLIEST, Ownership, names_of
from domain.people import USER, person_of_user
from domain.times import AHEAD_MAX
from schemas.callback import CallbackTexts, decode_texts
from schemas.codec import PRODUCER
from schemas.events import SCHEMA_VERSION
from schemas.places import Record
from schemas.webhook_statuses import PARENT_ID_SPELLINGS, UNBILLED_TYPE, Contact, read_contacts
from schemas.webhooks import ITEMS_MAX, MESSAGES_FIELD, OTHER_PARTS, WHATSAPP_OBJECT

KINDS = {"sent": "sent", "delivered": "delivered", "read": "read", "played": "read"}
"""The status words of a plain body, and the kinds of their events."""
_WAMID = re.compile(r"[A-Za-z0-9.:_=+/-]{1,512}")
_WORD = re.compile(r"[A-Za-z0-9_]{1,64}")
"""Words and ids that are JSON as they are."""
_SECONDS = re.compile(r"[0-9]{1,11}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST_S = (EARLIEST - _EPOCH) // timedelta(seconds=1)
_AHEAD_US = AHEAD_MAX // _MICROSECOND
_LATEST_US = (datetime.max.replace(tzinfo=UTC) - AHEAD_MAX - _EPOCH) // _MICROSECOND
"""At a later present no status is plain: the general way cannot add to it either."""
_HEAD = f'{{"v":{SCHEMA_VERSION},"producer":"{PRODUCER}","kind":"'
TIMES_KEPT = 4096
"""Statuses that arrive together happened within few seconds of each other."""


class PlainEvent(NamedTuple):
    """An event as it is published. `body`: the position of its body in the bundle."""

    key: bytes
    value: bytes
    kind: str
    body: int


class StatusesLeft(NamedTuple):
    """The statuses of one value that are not plain, with their positions in the body."""

    value: dict[str, Any]
    statuses: list[tuple[int, Any]]


@dataclass(slots=True)
class ShortReading:
    """What the short way made of a body, and what it leaves."""

    events: list[PlainEvent]
    left: list[StatusesLeft]
    items: int = 0
    """All statuses of the body."""


class _Unusual(Exception):
    """Something is not plain."""


class ShortWay:
    """Writes the events of the plain bodies of one record.

    `present`: the time of the record or the present, the later one, by which a status is in the future.
    """

    __slots__ = ("_body", "_latest_s", "_origin", "_ownership", "_place", "_present_us", "_received_at")

    def __init__(self, record: Record, ownership: Ownership, present: datetime) -> None:
        self._ownership = ownership
        self._present_us = (present - _EPOCH) // _MICROSECOND
        self._place = f'"origin":{{"topic":"{record.topic}","partition":{record.partition},"offset":{record.offset},'

    def read(self, index: int, received_at_us: int, body: Any) -> ShortReading | None:
        """The events of the body at `index`, which was read from strict JSON. None: no part of it is plain."""
        latest_us = max(received_at_us, self._present_us)
        if latest_us > _LATEST_US or type(body) is not dict or body.get("object") != WHATSAPP_OBJECT:
            return None
        self._body = index
        self._latest_s = (latest_us + _AHEAD_US) // 1_000_000
        self._received_at = _time_us(received_at_us)
        self._origin = f'{self._place}"index":{index}}}}}'
        found = ShortReading([], [])
        try:
            for entry in _list(body, "entry"):
                for change in _list(entry, "changes"):
                    if type(change) is not dict or change.get("field") != MESSAGES_FIELD:
                        return None
                    self._read_value(change.get("value"), found)
        except _Unusual:
            return None
        return found if found.events and found.items <= ITEMS_MAX else None

    def _read_value(self, value: Any, found: ShortReading) -> None:
        """Add the events of one value. Raises _Unusual if the value itself is not plain."""
        statuses = _list(value, "statuses")
        if any(part in value for part in OTHER_PARTS):
            raise _Unusual
        metadata = value.get("metadata")
        number = metadata.get("phone_number_id") if type(metadata) is dict else None
        if type(number) is not str or _WORD.fullmatch(number) is None:
            raise _Unusual
        is_our_number = self._ownership.has(number)
        contacts = read_contacts(value.get("contacts"))
        left = []
        for position, status in enumerate(statuses, start=found.items):
            try:
                found.events.append(self._event(status, number, contacts, is_our_number=is_our_number))
            except _Unusual:
                left.append((position, status))
        if left:
            found.left.append(StatusesLeft(value, left))
        found.items += len(statuses)

    def _event(self, status: Any, number: str, contacts: Mapping[str, Contact], *, is_our_number: bool) -> PlainEvent:
        if type(status) is not dict or "errors" in status or status.get("type", "message") != "message":
            raise _Unusual
        wamid, word, seconds = status.get("id"), status.get("status"), status.get("timestamp")
        if type(wamid) is not str or type(word) is not str or _WAMID.fullmatch(wamid) is None:
            raise _Unusual
        kind = KINDS.get(word)
        if kind is None or type(seconds) is not str or _SECONDS.fullmatch(seconds) is None:
            raise _Unusual
        if not _EARLIEST_S <= int(seconds) <= self._latest_s:
            raise _Unusual
        ids, key = self._attempt(status.get("biz_opaque_callback_data"), wamid, is_our_number=is_our_number)
        names = _names(status, contacts) if kind == "sent" and ids else ""
        text = (
            f'{_HEAD}{kind}",{ids}"wamid":"{wamid}","phone_number_id":"{number}","occurred_at":"{_time(seconds)}",'
            f'"received_at":"{self._received_at}","held_for_quality":false,{_pricing(status)}{names}{self._origin}'
        )
        return PlainEvent(key.encode(), text.encode(), kind, self._body)

    def _attempt(self, data: Any, wamid: str, *, is_our_number: bool) -> tuple[str, str]:
        """The fields of the attempt, and the key."""
        if data is None and is_our_number:
            return "", wamid
        found = decode_texts(self._ownership.callback_secret, self._ownership.deployment, data)
        if found is None:  # the general way knows whether it is another system's
            raise _Unusual
        return _ids(found), found.recipient_id


def _ids(found: CallbackTexts) -> str:
    return f'"campaign_id":"{found.campaign_id}","recipient_id":"{found.recipient_id}","attempt":{found.attempt},'


def _names(status: dict[str, Any], contacts: Mapping[str, Contact]) -> str:
    """The field for the names of the recipient, or nothing."""
    recipient, user = status.get("recipient_id"), status.get("recipient_user_id")
    parents = [status[name] for name in PARENT_ID_SPELLINGS if name in status]
    if not (user or parents or contacts):
        return ""
    if any(type(each) is not str for each in (recipient or "", user or "")) or len(parents) > 1:
        raise _Unusual
    if recipient and _WORD.fullmatch(recipient) is None:  # the general way reads other spellings
        raise _Unusual
    contact = contacts.get(recipient or "") or contacts.get(user or "") or ()
    users = [each for each in (user, *parents, *contact) if each]
    keys = names_of(recipient, users)
    if keys is None:
        return ""
    if not all(map(_is_user_id, users)):
        raise _Unusual
    listed = '","'.join(keys)
    return f'"also_known_as":["{listed}"],'


def _is_user_id(name: Any) -> bool:
    """Whether a name is a user id as Meta writes it. The general way cleans others."""
    return type(name) is str and person_of_user(name) == USER + name


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if type(value) is dict else None
    if type(found) is not list:
        raise _Unusual
    return found


def _pricing(status: dict[str, Any]) -> str:
    """The field for the price category, or nothing."""
    pricing = status.get("pricing")
    if pricing is None:
        return ""
    if type(pricing) is not dict:
        raise _Unusual
    kind, category = pricing.get("type", ""), pricing.get("category")
    if type(kind) is not str or type(category) is not str or _WORD.fullmatch(category) is None:
        raise _Unusual
    if kind and _WORD.fullmatch(kind) is None:
        raise _Unusual
    if not kind and pricing.get("billable") is False:
        kind = UNBILLED_TYPE
    return f'"pricing":{{"type":"{kind}","category":"{category}"}},'


@lru_cache(TIMES_KEPT)
def _time(seconds: str) -> str:
    """A time in whole seconds, as pydantic writes it."""
    return f"{_date_and_time(int(seconds))}Z"


def _time_us(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{_date_and_time(seconds)}.{rest:06d}Z" if rest else f"{_date_and_time(seconds)}Z"


@lru_cache(TIMES_KEPT)
def _date_and_time(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[: -len("+00:00")]
