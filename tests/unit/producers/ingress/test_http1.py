"""Connections: what a client may send, and in which order it is answered."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.ingress.http1 import (
    AHEAD_MAX,
    DISCARDED_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEAD_S,
    HEADERS_MAX,
    IDLE_S,
    LINGER_S,
)
from producers.ingress.replies import ACCEPTED, FAILED, NOT_FOUND, TOO_LARGE, TOO_SLOW
from producers.ingress.request import Request
from tests.support.http_client import HttpClient, head

OK = ACCEPTED


class Recorder:
    """Answers each request at once, or when the test says so."""

    def __init__(self, *, waits: bool = False) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.abandoned: list[bool] = []
        self._waits = waits

    def begin(self, request: Request) -> None:
        if request.path == b"/refused":
            request.answer(NOT_FOUND)
        if request.path == b"/begin-raises":
            raise ZeroDivisionError

    def receive(self, request: Request, _count: int) -> None:
        if request.path == b"/receive-raises":
            raise ZeroDivisionError

    def complete(self, request: Request) -> None:
        self.requests.append(request)
        self.bodies.append(request.body)
        if request.path == b"/complete-raises":
            raise ZeroDivisionError
        if not self._waits:
            request.answer(OK)

    def abandon(self, request: Request, *, is_slow: bool) -> None:
        self.abandoned.append(is_slow)
        request.answer(TOO_SLOW)

    def fail(self, request: Request) -> None:
        request.answer(FAILED)


def post(path: bytes, body: bytes, **headers: bytes) -> bytes:
    return (
        head(b"POST", path, {b"content-length": b"%d" % len(body), **{k.encode(): v for k, v in headers.items()}})
        + body
    )


def chunked(path: bytes, *chunks: bytes, rest: bytes = b"") -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head(b"POST", path, {b"transfer-encoding": b"chunked"}) + framed + b"0\r\n" + rest + b"\r\n"


def statuses(client: HttpClient) -> list[int]:
    return [answer.status for answer in client.answers]


@given(data=st.data())
def test_answers_do_not_depend_on_how_the_bytes_are_cut(data: st.DataObject) -> None:
    stream = post(b"/a", b"one") + post(b"/refused", b"x" * 50) + chunked(b"/b?q", b"tw", b"o") + post(b"/c", b"")
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    recorder = Recorder()
    client = HttpClient(recorder)
    client.send(
        *(stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True) if start < end)
    )
    assert statuses(client) == [200, 404, 200, 200]
    assert recorder.bodies == [b"one", b"two", b""]
    assert [request.path for request in recorder.requests] == [b"/a", b"/b", b"/c"]
    assert not client.wire.is_closed


@given(st.binary(max_size=400))
def test_any_bytes_are_answered_with_a_valid_answer_or_not_at_all(noise: bytes) -> None:
    client = HttpClient(Recorder())
    client.send(noise, noise)
    assert set(statuses(client)) <= {200, 400, 404, 431}


def test_answers_leave_in_the_order_of_the_requests() -> None:
    recorder = Recorder(waits=True)
    client = HttpClient(recorder)
    client.send(post(b"/a", b"1") + post(b"/refused", b"2") + post(b"/c", b"3"))
    first, third = recorder.requests
    third.answer(TOO_LARGE)
    assert statuses(client) == []
    first.answer(OK)
    assert statuses(client) == [200, 404, 413]


def test_only_the_first_answer_counts() -> None:
    recorder = Recorder()
    client = HttpClient(recorder)
    client.send(post(b"/a", b""))
    recorder.requests[0].answer(FAILED)
    assert statuses(client) == [200]


def test_a_client_that_sends_far_ahead_is_not_read_until_it_is_answered() -> None:
    recorder = Recorder(waits=True)
    client = HttpClient(recorder)
    client.send(*[post(b"/a", b"")] * (AHEAD_MAX + 1))
    assert client.wire.is_paused
    for request in list(recorder.requests):
        request.answer(OK)
    assert not client.wire.is_paused


def test_a_client_that_does_not_read_its_answers_is_not_read() -> None:
    client = HttpClient(Recorder())
    client.connection.pause_writing()
    assert client.wire.is_paused
    client.connection.resume_writing()
    assert not client.wire.is_paused


@pytest.mark.parametrize("path", [b"/begin-raises", b"/receive-raises", b"/complete-raises"])
def test_a_request_that_raises_is_answered_with_500_and_harms_no_other_one(path: bytes) -> None:
    recorder = Recorder(waits=True)
    client = HttpClient(recorder)
    client.send(post(b"/a", b"1") + post(path, b"2"))
    assert statuses(client) == []
    recorder.requests[0].answer(OK)
    assert statuses(client) == [200, 500]


MALFORMED = {
    "no HTTP": b"\x16\x03\x01 hello",
    "unknown method": b"FOO / HTTP/1.1\r\n\r\n",
    "version": b"GET / HTTP/2.7\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lines without CR": b"GET / HTTP/1.1\nX: 1\n\n",
    "space before colon": b"GET / HTTP/1.1\r\nX : 1\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nX: 1\r\n 2\r\n\r\n",
    "length of thousands of digits": head(b"POST", b"/", {b"content-length": b"9" * 5000}),
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "chunks not last": head(b"POST", b"/", {b"transfer-encoding": b"chunked, identity"}),
    "chunk size": head(b"POST", b"/", {b"transfer-encoding": b"chunked"}) + b"zz\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_answered_after_those_before_it_and_ends_the_connection(name: str) -> None:
    recorder = Recorder()
    client = HttpClient(recorder)
    client.send(post(b"/a", b"1"), MALFORMED[name], post(b"/b", b"2"))
    assert statuses(client) == [200, 400]
    assert client.answers[1].headers[b"connection"] == b"close"
    assert recorder.bodies == [b"1"]
    assert client.wire.has_ended_writing
    assert client.expire(after_s=LINGER_S + 1)
    assert client.wire.is_aborted


def test_bytes_after_the_last_request_are_ignored() -> None:
    recorder = Recorder(waits=True)
    client = HttpClient(recorder)
    client.send(post(b"/a", b"1", connection=b"close") + post(b"/b", b"2"))
    recorder.requests[0].answer(OK)
    assert statuses(client) == [200]
    assert client.wire.is_closed


def endless_head() -> Iterator[bytes]:
    yield b"GET / HTTP/1.1\r\nX: "
    for _ in range(HEAD_BYTES_MAX // 1000 + 1):
        yield b"a" * 1000


def test_an_endless_head_is_refused() -> None:
    client = HttpClient(Recorder())
    client.send(*endless_head())
    assert statuses(client) == [431]


def test_too_many_headers_are_refused() -> None:
    client = HttpClient(Recorder())
    client.send(head(b"GET", b"/", {b"X-%d" % number: b"1" for number in range(HEADERS_MAX + 1)}))
    assert statuses(client) == [431]


def test_a_large_body_and_the_beginning_of_the_next_request_are_no_endless_head() -> None:
    client = HttpClient(Recorder())
    client.send(post(b"/a", b"x" * (2 * HEAD_BYTES_MAX)) + b"POST /b HTTP/1.1\r\n", b"content-length: 0\r\n\r\n")
    assert statuses(client) == [200, 200]


def test_trailers_after_a_body_are_no_headers() -> None:
    recorder = Recorder()
    client = HttpClient(recorder)
    client.send(chunked(b"/a", b"1", rest=b"X-Hub-Signature-256: forged\r\n"))
    assert b"x-hub-signature-256" not in recorder.requests[0].headers
    assert statuses(client) == [200]


def test_a_body_with_two_framings_is_read_by_its_chunks_and_ends_the_connection() -> None:
    recorder = Recorder()
    client = HttpClient(recorder)
    framings = {b"content-length": b"1", b"transfer-encoding": b"chunked"}
    client.send(head(b"POST", b"/a", framings) + b"2\r\n{}\r\n0\r\n\r\n")
    assert recorder.bodies == [b"{}"]
    assert client.answers[0].headers[b"connection"] == b"close"
    assert client.wire.is_closed


def test_the_rest_of_a_refused_body_is_discarded_and_the_connection_lives() -> None:
    recorder = Recorder()
    client = HttpClient(recorder)
    client.send(head(b"POST", b"/refused", {b"content-length": b"1000"}))
    assert statuses(client) == [404]
    client.send(b"x" * 600, b"x" * 400 + post(b"/a", b"1"))
    assert statuses(client) == [404, 200]
    assert recorder.bodies == [b"1"]


def test_a_refused_body_without_end_is_cut() -> None:
    client = HttpClient(Recorder())
    client.send(head(b"POST", b"/refused", {b"content-length": b"9" * 15}))
    client.send(*[b"x" * (DISCARDED_BYTES_MAX // 4)] * 4)
    assert not client.wire.is_aborted
    client.send(b"x")
    assert client.wire.is_aborted


def test_a_client_that_waits_for_it_gets_leave_to_send_its_body() -> None:
    client = HttpClient(Recorder())
    client.send(head(b"POST", b"/a", {b"content-length": b"1", b"expect": b"100-continue"}))
    assert statuses(client) == [100]
    client.send(b"1")
    assert statuses(client) == [100, 200]
    assert not client.wire.is_closed


def test_a_client_that_waits_is_refused_without_its_body() -> None:
    client = HttpClient(Recorder())
    client.send(head(b"POST", b"/refused", {b"content-length": b"1", b"expect": b"100-continue"}))
    assert statuses(client) == [404]
    assert client.answers[0].headers[b"connection"] == b"close"


@pytest.mark.parametrize("extra", [{b"upgrade": b"h2c", b"connection": b"upgrade"}, {b"connection": b"close"}])
def test_the_connection_ends_after_a_request_that_wants_it_to_end(extra: dict[bytes, bytes]) -> None:
    client = HttpClient(Recorder())
    client.send(head(b"POST", b"/a", {b"content-length": b"1", **extra}) + b"1")
    assert statuses(client) == [200]
    assert client.wire.is_closed


def test_http_1_0_ends_after_one_request() -> None:
    client = HttpClient(Recorder())
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.wire.is_closed


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a?b=c?d", b"/a", b"b=c?d"),
        (b"http://host/a?b", b"/a", b"b"),
        (b"http://host", b"/", b""),
        (b"*", b"*", b""),
    ],
)
def test_a_target_is_split_into_path_and_query(target: bytes, path: bytes, query: bytes) -> None:
    recorder = Recorder()
    HttpClient(recorder).send(head(b"GET" if target != b"*" else b"OPTIONS", target, {}))
    assert (recorder.requests[0].path, recorder.requests[0].query) == (path, query)


def test_each_wait_has_its_limit() -> None:
    silent = HttpClient(Recorder())
    assert not silent.expire(after_s=HEAD_S)
    assert silent.expire(after_s=1)
    assert silent.wire.is_closed

    in_head = HttpClient(Recorder())
    in_head.send(post(b"/a", b"1"), b"POST /b HTTP/1.1\r\nX: ")
    assert in_head.expire(after_s=HEAD_S + 1)
    assert in_head.wire.is_closed

    in_body = HttpClient(recorder := Recorder(), body_s=20)
    in_body.send(head(b"POST", b"/a", {b"content-length": b"9"}), b"x")
    assert not in_body.expire(after_s=19)
    in_body.send(b"x")
    assert in_body.expire(after_s=2)
    assert (recorder.abandoned, statuses(in_body)) == ([True], [408])
    assert in_body.expire(after_s=LINGER_S + 1)
    assert in_body.wire.is_aborted

    idle = HttpClient(Recorder())
    idle.send(post(b"/a", b"1"))
    assert not idle.expire(after_s=HEAD_S + 1)
    assert idle.expire(after_s=IDLE_S)
    assert idle.wire.is_closed

    waiting = HttpClient(Recorder(waits=True))
    waiting.send(post(b"/a", b"1"))
    assert not waiting.expire(after_s=1_000_000)


def test_when_connections_become_few_an_idle_one_has_less_time() -> None:
    idle = HttpClient(Recorder())
    idle.send(post(b"/a", b"1"))
    assert idle.expire(after_s=HEAD_S + 1, is_crowded=True)


def test_a_stop_ends_idle_connections_at_once_and_others_after_their_answers() -> None:
    idle = HttpClient(Recorder())
    idle.connection.drain()
    assert idle.wire.is_closed

    busy = HttpClient(recorder := Recorder(waits=True))
    busy.send(post(b"/a", b"1") + post(b"/b", b"2"))
    busy.connection.drain()
    first, second = recorder.requests
    first.answer(OK)
    assert not busy.wire.is_closed
    second.answer(OK)
    assert [answer.headers.get(b"connection") for answer in busy.answers] == [None, b"close"]
    assert busy.wire.is_closed


def test_a_client_that_leaves_in_a_body_is_abandoned_and_one_that_leaves_before_its_answer_is_not() -> None:
    client = HttpClient(recorder := Recorder())
    client.send(head(b"POST", b"/a", {b"content-length": b"9"}), b"x")
    client.leave()
    assert recorder.abandoned == [False]

    left = HttpClient(recorder := Recorder(waits=True))
    left.send(post(b"/a", b"1"))
    left.leave()
    recorder.requests[0].answer(OK)
    assert (recorder.abandoned, left.wire.written) == ([], b"")
    assert left.clock.ended == [left.connection]


async def test_an_answer_has_the_date() -> None:
    client = HttpClient(Recorder())
    client.send(post(b"/a", b"1"))
    answer = await asyncio.wait_for(client.answer(), 5)
    assert answer.headers[b"date"].endswith(b" GMT")
    assert answer.body == b"ok"
