"""The ledger: one entry for each received POST, with its answer and all its statuses.

Entries are added and completed, but never removed or corrected. They are compact, because there may be a million. The
garbage collector does not know them (`gc=False`), because it would search all of them again and again and find nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from simulator.sends import Send


class SentStatus(msgspec.Struct, eq=False, gc=False):
    """One status of one message, and its delivery."""

    entry: LedgerEntry
    status: str
    timestamp: int
    code: int | None
    with_callback: bool
    times_planned: int
    times_sent: int = 0
    acknowledged: bool = False
    first_sent_at: float | None = None


class LedgerEntry(msgspec.Struct, eq=False, gc=False):
    """One POST to the messages endpoint."""

    id: int
    received_at: float
    path_version: str
    phone_number_id: str
    endpoint: str
    send: Send
    wa_id: str = ""
    """The WhatsApp id of the recipient. It can differ from the number that was dialled."""
    category: str = "service"
    """The category of the template in small letters. `service` for messages without a template."""
    nth: int = 0
    """The number of this post among those of its message, from 1. 0: it was refused at once (token, body, rate,
    outage)."""
    wamid: str | None = None
    outcome: str = "waiting"
    """One of waiting, answered, hung, cut, cut_in_answer, abandoned (the client disconnected before the answer)."""
    http_status: int | None = None
    code: int | None = None
    message_status: str | None = None
    answer_has_wamid: bool = False
    fully_written: bool = False
    answered_at: float | None = None
    accepted: bool = False
    statuses: tuple[SentStatus, ...] = ()


class Ledger:
    """All entries in order of receipt, the entries without an answer, and counters."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self.unanswered: dict[int, LedgerEntry] = {}
        self._posts: dict[str, int] = {}
        self.accepted = 0

    def open(
        self,
        received_at: float,
        version: str,
        phone_number_id: str,
        endpoint: str,
        send: Send,
        wa_id: str,
        category: str,
    ) -> LedgerEntry:
        """Add an entry for a POST whose body was read."""
        entry = LedgerEntry(
            len(self.entries) + 1, received_at, version, phone_number_id, endpoint, send, wa_id, category
        )
        self.entries.append(entry)
        self.unanswered[entry.id] = entry
        return entry

    def count(self, entry: LedgerEntry, key: str) -> int:
        """Count this post of its message, and return its number. Posts that are refused at once do not count."""
        entry.nth = self._posts[key] = self._posts.get(key, 0) + 1
        return entry.nth

    def accept(self, entry: LedgerEntry) -> None:
        """Record that the message is accepted."""
        if not entry.accepted:
            entry.accepted = True
            self.accepted += 1

    def close(self, entry: LedgerEntry, outcome: str, at: float) -> None:
        """Record how the request ended."""
        entry.outcome = outcome
        entry.answered_at = at
        self.unanswered.pop(entry.id, None)


def entry_as_json(entry: LedgerEntry) -> dict[str, Any]:
    """The JSON object of an entry, for `/_simulator/ledger`."""
    send = entry.send
    return {
        "id": entry.id,
        "received_at": entry.received_at,
        "to": send.to,
        "recipient": send.user_id,
        "wa_id": entry.wa_id,
        "group": send.group,
        "callback_data": send.callback,
        "phone_number_id": entry.phone_number_id,
        "version": entry.path_version,
        "endpoint": entry.endpoint,
        "type": send.type,
        "template": send.template,
        "language": send.language,
        "body_parameters": list(send.body_parameters),
        "nth_post": entry.nth,
        "outcome": entry.outcome,
        "answered_at": entry.answered_at,
        "http_status": entry.http_status,
        "code": entry.code,
        "wamid": entry.wamid if entry.accepted else None,
        "answer_has_wamid": entry.answer_has_wamid,
        "message_status": entry.message_status,
        "fully_written": entry.fully_written,
        "accepted": entry.accepted,
        "statuses": [_status_as_json(status) for status in entry.statuses],
    }


def _status_as_json(status: SentStatus) -> dict[str, Any]:
    """The JSON object of a status in its entry."""
    return {
        "status": status.status,
        "timestamp": status.timestamp,
        "code": status.code,
        "wamid": status.entry.wamid,
        "with_callback": status.with_callback and status.entry.send.callback is not None,
        "times_planned": status.times_planned,
        "times_sent": status.times_sent,
        "first_sent_at": status.first_sent_at,
        "acknowledged": status.acknowledged,
    }
