"""The stand-in for the Cloud API, over a socket."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from bench.children import ROOT, accepts, child, free_port, wait_until

BODY = b'{"to":"4915112345678","biz_opaque_callback_data":"%s"}'
POST = b"POST /v25.0/77/messages HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number, log = free_port(), tmp_path_factory.mktemp("stand-in") / "log"
    with child([sys.executable, ROOT / "bench" / "sender" / "stand_in.py", "--port", str(number)], log) as running:
        wait_until(lambda: accepts(number), running, log)
        yield number


def talk(port: int, *pieces: bytes) -> bytes:
    """The body of the answer to one request, which is sent in pieces."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = connection.recv(65_536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Length: %d" % len(body) in head
    return body


def test_each_post_gets_an_id_of_its_own_after_a_delay_and_is_kept(port: int) -> None:
    began = time.monotonic()
    raw = BODY % b"first"
    first = json.loads(talk(port, POST % (len(raw), raw)))
    raw = BODY % b"second"
    whole = POST % (len(raw), raw)
    second = json.loads(talk(port, whole[:30], whole[30:-5], whole[-5:]))
    assert time.monotonic() - began >= 2 * 0.049
    assert first["contacts"][0]["wa_id"] == "4915112345678"
    wamids = [answer["messages"][0]["id"] for answer in (first, second)]
    assert len(set(wamids)) == 2
    posts = json.loads(talk(port, b"GET /posts HTTP/1.1\r\n\r\n"))
    assert [(data, number, wamid) for data, number, wamid, _ in posts] == [
        ("first", "77", wamids[0]),
        ("second", "77", wamids[1]),
    ]
    assert talk(port, b"GET /count HTTP/1.1\r\n\r\n") == b"2"
