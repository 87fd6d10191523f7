"""The media of the account: uploaded ones, and those in messages from people.

Source: Meta's page "Media" of the Cloud API reference (types, sizes, time to live).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

from simulator.checks.refusals import param

MEGABYTE = 1 << 20
SIZE_MAX_BY_TYPE = {
    **dict.fromkeys(("audio/aac", "audio/amr", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/opus"), 16 * MEGABYTE),
    **dict.fromkeys(("image/jpeg", "image/png"), 5 * MEGABYTE),
    **dict.fromkeys(("video/3gpp", "video/mp4"), 16 * MEGABYTE),
    **dict.fromkeys(
        (
            "application/msword",
            "application/pdf",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "text/plain",
        ),
        100 * MEGABYTE,
    ),
    "image/webp": MEGABYTE // 2,
}
"""The types that can be uploaded, and the most bytes of each."""
TYPES_OF_KIND = {
    "audio": ("audio/",),
    "image": ("image/jpeg", "image/png"),
    "sticker": ("image/webp",),
    "video": ("video/",),
}
"""How the types of each kind of message start. A document has any type."""
UPLOAD_MAX = 100 * MEGABYTE
STORED_MAX = 256 * MEGABYTE
"""Above it the oldest media are forgotten. Meta forgets them after 30 days."""
FIRST_ID = 1_037_543_291_543_001


@dataclass(frozen=True, slots=True)
class Medium:
    """One medium. `phone_number_id` is the number that it was uploaded for."""

    id: str
    phone_number_id: str
    mime_type: str
    content: bytes
    sha256: str


class MediaStore(Collection[str]):
    """The media by id. It is a collection of their ids."""

    def __init__(self) -> None:
        self._ids = count(FIRST_ID)
        self._by_id: dict[str, Medium] = {}
        self._stored = 0

    def __contains__(self, media_id: object) -> bool:
        """Whether there is a medium with this id."""
        return media_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        """The ids, the oldest first."""
        return iter(self._by_id)

    def __len__(self) -> int:
        """The number of media."""
        return len(self._by_id)

    def add(self, phone_number_id: str, mime_type: str, content: bytes) -> Medium:
        """Add a medium. Raises Refused for a type or a size that the API does not take."""
        size_max = SIZE_MAX_BY_TYPE.get(mime_type.partition(";")[0].strip().lower())
        if size_max is None:
            types = ", ".join(sorted(SIZE_MAX_BY_TYPE))
            raise param(
                "file", f"must be a file with one of the following types: {types}. Received file of type '{mime_type}'."
            )
        if not content:
            raise param("file", "must be a file that is not empty.")
        if len(content) > size_max:
            raise param("file", f"must be a file of at most {size_max} bytes for the type {mime_type}.")
        medium = Medium(str(next(self._ids)), phone_number_id, mime_type, content, sha256(content).hexdigest())
        self._by_id[medium.id] = medium
        self._stored += len(content)
        while self._stored > STORED_MAX:
            self.remove(next(iter(self._by_id)))
        return medium

    def get(self, media_id: str) -> Medium | None:
        """The medium with this id."""
        return self._by_id.get(media_id)

    def fits(self, kind: str, media_id: str) -> bool:
        """Whether the medium, if there is one, can be in a message of this kind."""
        medium = self._by_id.get(media_id)
        return medium is None or medium.mime_type.lower().startswith(TYPES_OF_KIND.get(kind, ("",)))

    def remove(self, media_id: str) -> None:
        """Forget a medium."""
        medium = self._by_id.pop(media_id, None)
        if medium is not None:
            self._stored -= len(medium.content)
