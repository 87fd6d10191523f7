"""The groups of the account's numbers.

Source: Meta's pages "Groups API" and "Group messages". A created group is there at once; with Meta a webhook says so.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from simulator.wamids import user_id_of

FIRST_ID = 120_363_000_000_000_001
GROUP_ID = r"Y2FwaV9ncm91cD[A-Za-z0-9_-]+"
"""The form of an id: base64 of a text that starts with `capi_group`."""
PARTICIPANTS = ("12045550100", "12045550101")
"""People who join each group at once. Messages to a group get the statuses of the first one."""
SUBJECT_MAX = 128
DESCRIPTION_MAX = 2048


@dataclass(slots=True)
class Group:
    """One group. `participants` are WhatsApp ids."""

    id: str
    phone_number_id: str
    subject: str
    description: str
    join_approval_mode: str
    created_at: int
    participants: list[str] = field(default_factory=list)

    @property
    def invite_link(self) -> str:
        """The link with which people join."""
        return f"https://chat.whatsapp.com/{self.id}"

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "messaging_product": "whatsapp",
            "id": self.id,
            "subject": self.subject,
            "description": self.description,
            "suspended": False,
            "creation_timestamp": str(self.created_at),
            "join_approval_mode": self.join_approval_mode,
            "participants": [{"wa_id": one, "user_id": user_id_of(one)} for one in self.participants],
            "total_participant_count": len(self.participants),
        }


class GroupStore:
    """The groups by id."""

    def __init__(self) -> None:
        self._ids = count(FIRST_ID)
        self._by_id: dict[str, Group] = {}

    def has(self, group_id: str) -> bool:
        """Whether there is a group with this id."""
        return group_id in self._by_id

    def add(self, phone_number_id: str, subject: str, description: str, approval: str, created_at: int) -> Group:
        """Create a group."""
        group_id = urlsafe_b64encode(f"capi_group:{phone_number_id}:{next(self._ids)}".encode()).decode().rstrip("=")
        group = Group(group_id, phone_number_id, subject, description, approval, created_at, list(PARTICIPANTS))
        self._by_id[group.id] = group
        return group

    def get(self, group_id: str) -> Group | None:
        """The group with this id."""
        return self._by_id.get(group_id)

    def of_number(self, phone_number_id: str) -> list[Group]:
        """The groups of a number, the oldest first."""
        return [group for group in self._by_id.values() if group.phone_number_id == phone_number_id]

    def remove(self, group_id: str) -> None:
        """Delete a group."""
        self._by_id.pop(group_id, None)
