"""The load generator against servers whose answers the test writes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from bench.ingress.load import HttpLoad, post_all

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


@contextmanager
def server(pieces: Sequence[Sequence[bytes]], request_bytes: int) -> Iterator[int]:
    """HttpAnswers the requests of one connection, each in the given pieces."""

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            for each in pieces:
                got = 0
                while got < request_bytes:
                    got += len(connection.recv(request_bytes - got))
                for piece in each:
                    connection.sendall(piece)
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def test_answers_are_counted_by_status_however_they_are_cut() -> None:
    requests = [b"x" * 2_000_000] * 4
    with server([[OK], [BUSY[:5], BUSY[5:]], [OK[:-1], OK[-1:]], [OK]], 2_000_000) as port:
        answers = post_all(HttpLoad("127.0.0.1", port, connections=1), requests)
    assert answers.by_status == {"200": 3, "503": 1}
    assert answers.accepted == [0, 2, 3]
    assert 0 < answers.p50_ms <= answers.p99_ms <= answers.max_ms


def test_requests_follow_their_schedule() -> None:
    with server([[OK]] * 5, 1) as port:
        answers = post_all(HttpLoad("127.0.0.1", port, connections=1, rate=50), [b"x"] * 5)
    assert answers.seconds >= 4 / 50


def test_a_server_that_closes_a_connection_ends_the_run() -> None:
    with server([], 1) as port, pytest.raises(ConnectionError):
        post_all(HttpLoad("127.0.0.1", port, connections=1), [b"x"])
