"""The answers of the ingress, and their bytes in HTTP/1.1."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from producers.ingress.signature import SignatureCheck

RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the outcome under which it is counted. `closes`: the connection ends after it."""

    status: int
    outcome: str
    body: bytes = b""
    content_type: bytes = b"text/plain; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    closes: bool = False
    _wire: dict[tuple[int, bool, bool], bytes] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Its bytes in this second. Every answer has a Date (RFC 9110, section 6.6.1)."""

    def wire(self, *, closes: bool, has_body: bool) -> bytes:
        """The bytes of the answer. An answer to HEAD has no body, and states the length all the same."""
        key = int(time.time()), closes, has_body
        found = self._wire.get(key)
        if found is None:
            self._wire.clear()
            found = self._wire[key] = self._encode(*key)
        return found

    def _encode(self, second: int, closes: bool, has_body: bool) -> bytes:
        lines = [b"HTTP/1.1 %d %s" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [b"content-type: " + self.content_type, b"x-content-type-options: nosniff"]
        lines += [b"content-length: %d" % len(self.body), *(b"%s: %s" % header for header in self.headers)]
        lines += [b"date: " + formatdate(second, usegmt=True).encode(), *([b"connection: close"] if closes else [])]
        return b"\r\n".join([*lines, b"", self.body if has_body else b""])


RETRY_LATER = ((b"retry-after", str(RETRY_AFTER_S).encode()),)
BAD_REQUEST = Reply(400, "malformed", b"not a valid request", closes=True)
HEAD_TOO_LARGE = Reply(431, "head_too_large", b"request header fields too large", closes=True)
TOO_LARGE = Reply(413, "too_large", b"body too large")
TOO_SLOW = Reply(408, "too_slow", b"body came too slowly", closes=True)
OVERLOADED = Reply(503, "overloaded", b"try again later", headers=RETRY_LATER)
NOT_DURABLE = Reply(503, "not_durable", b"try again later", headers=RETRY_LATER)
FAILED = Reply(500, "failed", b"internal error", closes=True)
GONE = Reply(400, "client_gone", closes=True)
ACCEPTED = Reply(200, "accepted", b"ok")
UNSIGNED = {
    SignatureCheck.MISSING: Reply(401, SignatureCheck.MISSING, b"signature missing"),
    SignatureCheck.MISMATCH: Reply(403, SignatureCheck.MISMATCH, b"signature does not match"),
}
NOT_VERIFIED = Reply(403, "verification_refused", b"not verified")
WRONG_METHOD = Reply(405, "wrong_method", b"method not allowed", headers=((b"allow", b"GET, POST"),))
NOT_FOUND = Reply(404, "not_found", b"not found")
