"""A request of the ingress, and what decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from httptools import HttpParserError, parse_url

if TYPE_CHECKING:
    from producers.ingress.replies import Reply


class Answering(Protocol):
    """The connection of a request."""

    def flush(self) -> None:
        """Send the answers that are ready and whose turn it is."""


class Request:
    """One request, and the answer to it."""

    __slots__ = ("_connection", "headers", "held", "keeps_alive", "method", "path", "pieces", "query", "reply", "size")

    def __init__(
        self, connection: Answering, method: bytes, target: bytes, headers: dict[bytes, bytes], *, keeps_alive: bool
    ) -> None:
        self._connection = connection
        self.method = method
        self.path, self.query = _split(target)
        self.headers = headers
        """By name in lower case. Of two with one name the last one counts."""
        self.keeps_alive = keeps_alive
        self.pieces: list[bytes] = []
        self.size = 0
        """Bytes of the body that have come."""
        self.held = 0
        """Bytes that the handler has reserved for it."""
        self.reply: Reply | None = None

    @property
    def body(self) -> bytes:
        """The body that has come."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def answer(self, reply: Reply) -> None:
        """Answer the request. Only the first answer counts. Rest of the body that still comes is discarded."""
        if self.reply is None:
            self.reply = reply
            self.pieces = []
            self._connection.flush()


class RequestHandler(Protocol):
    """Decides about requests. Each call may answer the request."""

    def begin(self, request: Request) -> None:
        """The head of a request is complete."""

    def receive(self, request: Request, count: int) -> None:
        """So many bytes of its body have come. They are counted in `request.size` already."""

    def complete(self, request: Request) -> None:
        """The whole request has come."""

    def abandon(self, request: Request, *, is_slow: bool) -> None:
        """The body is not complete, and will not be: its client is gone, or took too long."""

    def fail(self, request: Request) -> None:
        """One of the other calls raised, and the exception is being handled."""


def _split(target: bytes) -> tuple[bytes, bytes]:
    """The path and the query of a target. A proxy may send a whole address. An invalid one has no path."""
    if target[:1] == b"/":
        path, _, query = target.partition(b"?")
        return path, query
    try:
        url = parse_url(target)
    except HttpParserError:
        return b"", b""
    return url.path or b"/", url.query or b""
