"""A client of `producers.ingress.http1` without a socket: what it sends arrives in exactly the given pieces."""

import asyncio
from typing import cast

from producers.ingress.http1 import HttpConnection
from producers.ingress.request import RequestHandler


class Clock:
    """The server of a connection: the time, and the connections that have ended."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[HttpConnection] = []

    def lost(self, connection: HttpConnection) -> None:
        self.ended.append(connection)


class WireAnswer:
    """One answer, read from the bytes on the wire."""

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Wire:
    """The transport of the client. It keeps what the server does."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False
        self.is_aborted = False
        self.has_ended_writing = False
        self.is_paused = False
        self.changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data
        self.changed.set()

    def write_eof(self) -> None:
        self.has_ended_writing = True

    def close(self) -> None:
        self.is_closed = True
        self.changed.set()

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True
        self.changed.set()

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class HttpClient:
    """One connection to a handler."""

    def __init__(self, handler: RequestHandler, body_s: float = 20.0) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.connection = HttpConnection(handler, self.clock, body_s)
        self.connection.connection_made(cast("asyncio.Transport", self.wire))

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    def leave(self) -> None:
        self.connection.connection_lost(None)

    def expire(self, *, after_s: float, is_crowded: bool = False) -> bool:
        """Let time pass. Returns whether the wait took too long."""
        self.clock.now += after_s
        if self.clock.now - self.connection.since <= self.connection.limit_s(is_crowded=is_crowded):
            return False
        self.connection.expire()
        return True

    async def answer(self) -> WireAnswer:
        """The next answer. Waits for it."""
        async with asyncio.timeout(10):
            while not (found := self.answers):
                self.wire.changed.clear()
                await self.wire.changed.wait()
        self.wire.written = b""
        return found[0]

    @property
    def answers(self) -> list[WireAnswer]:
        """The answers that have come, and are not taken by `answer`."""
        found, rest = [], self.wire.written
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            status = int(first.split()[1])
            headers = dict(line.split(b": ", 1) for line in lines)
            length = int(headers.get(b"content-length", b"0"))
            found.append(WireAnswer(status, headers, rest[:length]))
            rest = rest[length:]
        return found


def post(body: bytes, signature: bytes, path: bytes = b"/webhooks/whatsapp") -> bytes:
    """The bytes of a signed POST."""
    return head(b"POST", path, {b"X-Hub-Signature-256": signature, b"Content-Length": b"%d" % len(body)}) + body


def head(method: bytes, target: bytes, headers: dict[bytes, bytes]) -> bytes:
    """The bytes of a request up to its body."""
    lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: x", *(b"%s: %s" % pair for pair in headers.items())]
    return b"\r\n".join([*lines, b"", b""])
