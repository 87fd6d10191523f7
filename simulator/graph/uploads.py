"""Upload sessions: files that become the samples of templates with a medium in the header.

Source: Meta's page "Resumable Upload API". The simulator counts the bytes, and keeps none.
"""

from __future__ import annotations

from itertools import count

from aiohttp import web

from simulator.access import unknown_object
from simulator.checks.refusals import Refused, one_of, param, required

TYPES = ("application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4")
LENGTH_MAX = 100 << 20
SESSIONS_MAX = 1000
"""Above it the oldest sessions are forgotten."""


class UploadEndpoints:
    """The handlers for upload sessions."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._lengths: dict[str, tuple[int, int]] = {}
        """The length of each file, and how much of it has arrived."""

    async def create(self, request: web.Request) -> dict[str, str]:
        """`POST /{app}/uploads?file_length=&file_type=`."""
        length, kind = request.query.get("file_length"), request.query.get("file_type")
        if length is None or kind is None:
            raise required("file_length" if length is None else "file_type")
        if not length.isdecimal() or not 0 < int(length) <= LENGTH_MAX:
            raise param("file_length", f"must be a number from 1 to {LENGTH_MAX}.")
        if kind not in TYPES:
            raise one_of("file_type", TYPES, kind)
        session = f"upload:{next(self._ids)}"
        self._lengths[session] = (int(length), 0)
        while len(self._lengths) > SESSIONS_MAX:
            del self._lengths[next(iter(self._lengths))]
        return {"id": session}

    async def take(self, request: web.Request) -> dict[str, str]:
        """`POST /{session}`: the file, or the rest of it. The answer has the handle of the file."""
        session, (length, arrived) = self._find(request)
        if request.headers.get("file_offset", "0") != str(arrived):
            raise param("file_offset", f"must be {arrived}.")
        while chunk := await request.content.read(1 << 16):
            arrived += len(chunk)
            if arrived > length:
                raise param("file_length", "is less than the length of the file.")
            self._lengths[session] = (length, arrived)
        return {"h": f"4:{session}:{length}"}

    async def show(self, request: web.Request) -> dict[str, object]:
        """`GET /{session}`: how much has arrived."""
        session, (_, arrived) = self._find(request)
        return {"id": session, "file_offset": arrived}

    def _find(self, request: web.Request) -> tuple[str, tuple[int, int]]:
        """The session in the path. Raises Refused if there is none."""
        session = request.match_info["session"]
        if session not in self._lengths:
            raise Refused(unknown_object(session, request.method))
        return session, self._lengths[session]
