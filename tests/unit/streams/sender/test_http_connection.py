"""One connection to the Cloud API: how it reads answers, and when it may be used again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import TransportError
from streams.sender.http_connection import ANSWER_BYTES_MAX, PostAnswer, PostConnection

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HELLO = PostAnswer(200, b"hello", None)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\nRetry-After: 9\r\n\r\n" + PLAIN
THROTTLED = b"HTTP/1.1 429 Too Many\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\nhello"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n"


class CloudWire:
    """The transport of a connection. It keeps what is written, and `unsent` bytes of it wait for the server."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unsent = 0
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return self.unsent


class OneConnection:
    """A connection that is open, and what it reports."""

    def __init__(self) -> None:
        self.wire = CloudWire()
        self.freed = 0
        self.connection = PostConnection(self._free, lambda _connection: None)
        wire: Any = self.wire
        self.connection.connection_made(wire)

    def _free(self, _connection: PostConnection) -> None:
        self.freed += 1

    async def exchange(self, *pieces: bytes, ends: bool = False) -> PostAnswer | TransportError:
        """Post, receive these bytes, and return the result. `ends`: the server ends the connection then."""
        posting = asyncio.create_task(self.connection.post(REQUEST, asyncio.get_running_loop().time() + 60))
        await asyncio.sleep(0)
        for piece in pieces:
            self.connection.data_received(piece)
        if ends:
            self.connection.connection_lost(None)
        return await asyncio.wait_for(posting, 5)


def run(check: Callable[[OneConnection], Any]) -> None:
    """Run a check in an event loop of its own, because Hypothesis repeats it."""

    async def main() -> None:
        await check(OneConnection())

    asyncio.run(main())


@given(data=st.data())
@pytest.mark.parametrize(
    ("stream", "answer", "is_reusable"),
    [
        (PLAIN, HELLO, True),
        (CHUNKED, HELLO, True),
        (INTERIM, HELLO, True),
        (THROTTLED, PostAnswer(429, b"", "7"), True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", PostAnswer(204, b"", None), True),
        (CLOSING, HELLO, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", HELLO, False),
        (PLAIN + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnot", HELLO, False),
    ],
)
def test_an_answer_does_not_depend_on_how_its_bytes_are_cut(
    stream: bytes, answer: PostAnswer, is_reusable: bool, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True) if start < end]

    async def check(one: OneConnection) -> None:
        assert await one.exchange(*pieces) == answer
        assert one.connection.is_open == (not one.wire.is_aborted) == is_reusable
        assert one.wire.written == [REQUEST]
        if is_reusable:
            assert await one.exchange(PLAIN) == HELLO  # and nothing of the first answer is left
            assert one.freed == 2

    run(check)


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_no_bytes_leave_a_request_waiting_or_are_read_twice(pieces: list[bytes], ends: bool) -> None:
    async def check(one: OneConnection) -> None:
        found = await one.exchange(*pieces, ends=True)
        assert isinstance(found, PostAnswer) or found is TransportError.DISCONNECT
        assert one.wire.written == [REQUEST]
        one.connection.data_received(b"more")
        assert not one.connection.is_open

    run(check)


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
async def test_a_connection_that_ends_before_its_answer_leaves_the_outcome_unknown(cut: int) -> None:
    assert await OneConnection().exchange(CHUNKED[:cut], ends=True) is TransportError.DISCONNECT


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    assert await OneConnection().exchange(UNFRAMED, ends=True) == HELLO
    one = OneConnection()
    posting = asyncio.create_task(one.connection.post(REQUEST, asyncio.get_running_loop().time() + 60))
    await asyncio.sleep(0)
    one.connection.data_received(UNFRAMED)
    one.connection.connection_lost(ConnectionResetError())
    assert await posting is TransportError.DISCONNECT


@pytest.mark.parametrize("stream", [SWITCHING, b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_an_answer_that_cannot_be_read_ends_the_connection(stream: bytes) -> None:
    one = OneConnection()
    assert await one.exchange(stream) is TransportError.DISCONNECT
    assert one.wire.is_aborted


async def test_an_answer_of_the_largest_size_is_read_and_a_larger_one_is_not() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    room = ANSWER_BYTES_MAX - len(head % 65_000)
    answer = await OneConnection().exchange(head % room, b"x" * room)
    assert isinstance(answer, PostAnswer)
    assert len(answer.body) == room
    one = OneConnection()
    assert await one.exchange(head % (room + 1), b"x" * (room + 1)) is TransportError.TOO_LARGE
    assert one.wire.is_aborted


async def test_an_answer_that_comes_before_its_request_has_left_is_read_and_the_connection_is_not_used_again() -> None:
    one = OneConnection()
    one.wire.unsent = 10
    assert await one.exchange(PLAIN) == HELLO
    assert (one.freed, one.wire.is_aborted) == (0, True)


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    """The next request would take them for its answer."""
    one = OneConnection()
    assert await one.exchange(PLAIN) == HELLO
    one.connection.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    assert one.wire.is_aborted
    assert await one.connection.post(REQUEST, asyncio.get_running_loop().time() + 60) is TransportError.CONNECT
    assert one.wire.written == [REQUEST]


async def test_a_request_whose_time_is_over_is_not_sent() -> None:
    one = OneConnection()
    assert await one.connection.post(REQUEST, asyncio.get_running_loop().time()) is TransportError.CONNECT
    assert one.wire.written == []
    assert one.wire.is_aborted


async def test_a_request_without_an_answer_in_time_is_unknown() -> None:
    one = OneConnection()
    until = asyncio.get_running_loop().time() + 0.01
    assert await asyncio.wait_for(one.connection.post(REQUEST, until), 5) is TransportError.TIMEOUT
    assert one.wire.is_aborted


async def test_a_request_that_is_cancelled_takes_its_connection_with_it() -> None:
    """Its answer is still to come."""
    one = OneConnection()
    posting = asyncio.create_task(one.connection.post(REQUEST, asyncio.get_running_loop().time() + 60))
    await asyncio.sleep(0)
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    assert one.wire.is_aborted
    assert one.freed == 0
