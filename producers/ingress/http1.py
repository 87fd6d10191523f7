"""HTTP/1.1 connections without a task for each request, because that is most of the cost of a small webhook.

llhttp, the parser of Node.js, reads the bytes (`httptools`). A request reaches its handler by four calls, and is
answered by one: `request.answer(reply)`, at once or later. With an ASGI server, two threads and a task handed each
request over five times: 60 µs of CPU for a webhook, where this needs 15. `docs/benchmarks.md` has the profile.

Every input has a limit: the size of a head, the bytes of a refused body that are read, the time of each wait, and the
requests that a client sends ahead. The limits of bodies are those of the handler.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from producers.ingress.replies import BAD_REQUEST, HEAD_TOO_LARGE, Reply
from producers.ingress.request import Request, RequestHandler

HEAD_BYTES_MAX = 32 * 1024
"""A head that is longer is refused when the next bytes of it come. One read from the socket is 256 KiB at most."""
HEADERS_MAX = 100
DISCARDED_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of a refused body that are read, so that its sender gets to read the answer. Then the connection is cut."""
AHEAD_MAX = 8
"""Requests of one connection that wait for their answers before it is read on."""
HEAD_S = 10.0
"""A client that has not sent its request line and headers within this time is disconnected. When connections become
few, this is the limit of idle ones too."""
IDLE_S = 75.0
"""How long an open connection may have no request. A proxy in front mostly closes it after 60 s, and must be first."""
LINGER_S = 5.0
"""How long a client may take to read the last answer."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Clock(Protocol):
    """What a connection needs of its server."""

    now: float
    """The time of the last sweep, in seconds. Waits are not timed more exactly."""

    def lost(self, connection: HttpConnection) -> None:
        """The connection has ended."""


class HttpConnection(asyncio.Protocol):
    """One client. Answers leave in the order of the requests, whatever the order in which they are ready."""

    __slots__ = (
        "_ahead", "_body_s", "_clock", "_current", "_discarded", "_handler", "_head_bytes", "_headers", "_heads",
        "_is_blocked", "_is_broken", "_is_draining", "_is_ending", "_is_in_head", "_is_paused", "_parser", "_target",
        "_transport", "since",
    )  # fmt: skip

    def __init__(self, handler: RequestHandler, clock: Clock, body_s: float) -> None:
        self._handler = handler
        self._clock = clock
        self._body_s = body_s
        self._transport: asyncio.Transport | None = None
        self._parser: HttpRequestParser | None = None
        self._ahead: deque[Request] = deque()
        """The requests without an answer, in the order in which they came."""
        self._current: Request | None = None
        """The request whose body is coming."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_in_head = False
        self._heads = 0
        """Heads that have begun."""
        self._head_bytes = 0
        """Bytes of this head, without those that came together with the request before it."""
        self._discarded = 0
        self._is_broken = False
        """Whether what comes cannot be read."""
        self._is_draining = False
        """Whether the connection ends after the requests that have come."""
        self._is_ending = False
        """Whether nothing more is answered."""
        self._is_blocked = False
        """Whether the client does not read its answers."""
        self._is_paused = False
        self.since = clock.now
        """When the present wait began: a connection, a request, or the idle time after one."""

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._parser = HttpRequestParser(self)
        # A body in chunks with a length too is read by its chunks, and its connection closed (RFC 9112, section 6.3).
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if (self._is_ending and self._current is None) or self._is_broken:
            self._discard(len(data))
            return
        assert self._parser is not None
        heads = self._heads
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._end_after_answers()  # no other protocol is spoken here, so the request was answered as usual
        except HttpParserError:
            self._refuse(BAD_REQUEST)
        if self._is_in_head and self._heads == heads:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(HEAD_TOO_LARGE)
        if len(self._ahead) > AHEAD_MAX:
            self._pace()

    def pause_writing(self) -> None:
        """The client does not read its answers, so none of its requests is read either."""
        self._is_blocked = True
        self._pace()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_blocked = False
        self._pace()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection has ended."""
        self._transport = self._parser = None  # the parser refers to the connection
        request, self._current = self._current, None
        if request is not None and request.reply is None:
            self._handler.abandon(request, is_slow=False)
        self._clock.lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers = {}
        self._heads += 1
        self._head_bytes = 0
        self._is_in_head = True
        self.since = self._clock.now

    def on_url(self, piece: bytes) -> None:
        """Part of the target has come."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete. Those after the body are ignored: they come from nobody who signed anything."""
        if self._is_in_head:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._is_in_head = False
        if self._is_ending:
            return
        assert self._parser is not None
        headers = self._headers
        if len(headers) > HEADERS_MAX:
            self._refuse(HEAD_TOO_LARGE)
            return
        keeps_alive = self._parser.should_keep_alive() and not (
            b"transfer-encoding" in headers and b"content-length" in headers
        )
        waits = b"expect" in headers
        request = Request(self, self._parser.get_method(), self._target, headers, keeps_alive=keeps_alive and not waits)
        self._current = request
        self._ahead.append(request)
        try:
            self._handler.begin(request)
        except Exception:  # noqa: BLE001 - a request that fails harms no other one of its connection
            self._handler.fail(request)
        if waits and request.reply is None:
            request.keeps_alive = keeps_alive
            self._continue(request)

    def on_body(self, piece: bytes) -> None:
        """Part of the body has come."""
        request = self._current
        if request is None:
            return
        if request.reply is not None:
            self._discard(len(piece))
            return
        request.size += len(piece)
        request.pieces.append(piece)
        try:
            self._handler.receive(request, len(piece))
        except Exception:  # noqa: BLE001 - as above
            self._handler.fail(request)

    def on_message_complete(self) -> None:
        """The request is complete."""
        request, self._current = self._current, None
        if request is None:
            return
        if self._is_ending:
            self._close()
        elif request.reply is None:
            try:
                self._handler.complete(request)
            except Exception:  # noqa: BLE001 - as above
                self._handler.fail(request)
        else:
            self.since = self._clock.now

    # What the server and requests call.

    def limit_s(self, *, is_crowded: bool) -> float:
        """How long the present wait may take, from `since` on."""
        if self._is_ending:
            return LINGER_S
        if self._current is not None:
            return self._body_s
        if self._ahead:
            return math.inf  # the handler bounds its own waits
        return HEAD_S if self._is_in_head or is_crowded or not self._heads else IDLE_S

    def flush(self) -> None:
        """Send the answers that are ready and whose turn it is."""
        while self._ahead and (reply := self._ahead[0].reply) is not None:
            request = self._ahead.popleft()
            if self._transport is None or self._is_ending:
                continue
            closes = reply.closes or not request.keeps_alive or (self._is_draining and not self._ahead)
            self._transport.write(reply.wire(closes=closes, has_body=request.method != b"HEAD"))
            if closes:
                self._end(is_complete=self._current is not request and not self._is_broken)
        if not self._ahead and not self._is_ending:
            self.since = self._clock.now
        if self._is_paused:
            self._pace()

    def drain(self) -> None:
        """End after the requests that have come, and at once if there is none."""
        self._is_draining = True
        if not self._ahead and self._current is None:
            self._close()

    def expire(self) -> None:
        """The present wait has taken too long."""
        request = self._current
        if self._transport is None:
            return
        if request is not None and request.reply is None:
            self.since = self._clock.now
            self._handler.abandon(request, is_slow=True)
        elif self._is_ending or self._is_blocked or request is not None:
            self._transport.abort()
        else:
            self._close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()

    # Own steps.

    def _pace(self) -> None:
        """Read from the client, or let it wait."""
        waits = self._is_blocked or len(self._ahead) > AHEAD_MAX
        if self._transport is None or waits == self._is_paused or self._transport.is_closing():
            return
        self._is_paused = waits
        if waits:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _continue(self, request: Request) -> None:
        """Let a client send its body that waits for this. One that has requests ahead sends it after a while."""
        if self._transport is not None and self._ahead[0] is request:
            self._transport.write(_CONTINUE)

    def _refuse(self, reply: Reply) -> None:
        """Answer what cannot be read, after the requests before it. Nothing more is read."""
        request, self._current = self._current, None
        if self._is_ending or self._transport is None:
            return
        if request is None and self._ahead and not self._ahead[-1].keeps_alive:
            return  # bytes after the last request of this connection
        if request is None or request.reply is not None:
            request = Request(self, b"", b"/", {}, keeps_alive=False)
            self._ahead.append(request)
        self._is_broken = self._is_draining = True
        request.answer(reply)

    def _end_after_answers(self) -> None:
        if self._ahead:
            self._ahead[-1].keeps_alive = False
            self._is_draining = True
        else:
            self._end(is_complete=True)

    def _end(self, *, is_complete: bool) -> None:
        """Answer nothing more. While a client still sends, it is read: a reset could destroy the answer before it."""
        self._is_ending = True
        if is_complete:
            self._close()
            return
        self.since = self._clock.now
        if self._transport is not None:
            self._transport.write_eof()

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > DISCARDED_BYTES_MAX:
            self.abort()

    def _close(self) -> None:
        """Close when the last answer is sent."""
        self._is_ending = True
        self.since = self._clock.now
        if self._transport is not None:
            self._transport.close()
