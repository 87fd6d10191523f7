"""One connection to the Cloud API, which posts one request at a time and reads its answer.

llhttp, the parser of Node.js, reads the bytes (`httptools`), so no grammar is ours. `docs/decisions.md` has the reasons
for a client of our own, and `docs/benchmarks.md` the figures.

Nothing is posted twice. Once a request has been given to the operating system, an error leaves its outcome unknown. A
connection is used again only if the whole request has left, and if the answer ended where its own head says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from schemas.reasons import TransportError

ANSWER_BYTES_MAX = 64 * 1024
"""Largest answer that is read, with its head. A real answer has about 2 KiB."""


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """A complete answer. `retry_after`: the header of this name, as it came."""

    status: int
    body: bytes
    retry_after: str | None


class PostConnection(asyncio.Protocol):
    """A connection of a pool. `freed`: called when it can post again. `ended`: called once, when it is closed."""

    __slots__ = (
        "_body", "_ended", "_freed", "_is_framed", "_loop", "_parser", "_result", "_retry_after", "_size", "_status",
        "_timer", "_transport", "idle_since",
    )  # fmt: skip

    def __init__(self, freed: Callable[[PostConnection], None], ended: Callable[[PostConnection], None]) -> None:
        self._freed = freed
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._result: asyncio.Future[PostAnswer | TransportError] | None = None
        """The result of the request that waits for its answer."""
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        """Since when it is free, by the clock of the event loop."""
        self._reset()

    def _reset(self) -> None:
        """Forget the answer before."""
        self._size = 0
        self._status = 0
        """0 until the head of the answer is complete."""
        self._is_framed = False
        """Whether the head says where the body ends. Otherwise it ends with the connection."""
        self._retry_after: str | None = None
        self._body: list[bytes] = []

    # What the pool calls.

    @property
    def is_open(self) -> bool:
        """Whether a request can be posted."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, request: bytes, until: float) -> PostAnswer | TransportError:
        """Send the bytes of a request, and return its answer. `until`: the limit, by the clock of the event loop.

        The error CONNECT means that nothing has left.
        """
        if self._transport is None or self._transport.is_closing() or self._loop.time() >= until:
            self.close()
            return TransportError.CONNECT
        result: asyncio.Future[PostAnswer | TransportError] = self._loop.create_future()
        self._result = result
        self._timer = self._loop.call_at(until, self._end, TransportError.TIMEOUT)
        self._transport.write(request)
        try:
            return await result
        finally:
            if result.cancelled():  # the answer is still to come, and would be taken for that of the next request
                self._end(TransportError.DISCONNECT)

    def close(self) -> None:
        """End the connection. A request without an answer ends too."""
        self._end(TransportError.DISCONNECT)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server has accepted the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._parser = HttpResponseParser(self)
        # The same leniencies as those of aiohttp's client.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer. Bytes that nobody asked for end the connection."""
        self._size += len(data)
        if self._result is None or self._parser is None:
            self._end(TransportError.DISCONNECT)
            return
        if self._size > ANSWER_BYTES_MAX:
            self._end(TransportError.TOO_LARGE)
            return
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError:
            raise  # a bug in one of the methods below; the event loop logs it and closes the connection
        except (HttpParserError, HttpParserUpgrade):
            self._end(TransportError.DISCONNECT)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended. An answer without a length is complete then, unless an error ended it."""
        self._transport = None
        if self._result is not None and self._status and not self._is_framed and exc is None:
            self._answer()
        self._end(TransportError.DISCONNECT)
        self._ended(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins. A second one after the answer is not ours."""
        if self._result is None:
            self._end(TransportError.DISCONNECT)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete."""
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._is_framed = True
            case b"retry-after":
                self._retry_after = value.decode("latin-1")
            case _:
                pass

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self._parser is not None:
            self._status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        """A part of the body has come."""
        self._body.append(piece)

    def on_message_complete(self) -> None:
        """The answer is complete. An interim one comes before the answer itself (RFC 9110, section 15.2)."""
        if self._transport is None or self._parser is None or self._result is None:
            return
        if self._status < 200:
            self._reset()
            return
        is_reusable = self._parser.should_keep_alive() and self._transport.get_write_buffer_size() == 0
        self._answer()
        if not is_reusable:
            self._end(TransportError.DISCONNECT)
        else:
            self._reset()
            self.idle_since = self._loop.time()
            self._freed(self)

    # Own steps.

    def _answer(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._finish(PostAnswer(self._status, body, self._retry_after))

    def _finish(self, found: PostAnswer | TransportError) -> None:
        """Give the request that waits its result."""
        result, self._result = self._result, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if result is not None and not result.done():
            result.set_result(found)

    def _end(self, error: TransportError) -> None:
        """Close the connection at once. A request without an answer ends with this error."""
        self._finish(error)
        transport, self._transport, self._parser = self._transport, None, None  # the parser refers to this object
        if transport is not None:
            transport.abort()
