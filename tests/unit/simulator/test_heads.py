"""Which heads are those of plain sends. Any doubt is for the general server."""

from __future__ import annotations

import pytest

from simulator.heads import BODY_BYTES_MAX, HEADERS_MAX, SendHead, read_head

LINE = b"POST /v25.0/106540352242922/messages HTTP/1.1"
USUAL = (b"Host: 127.0.0.1:8002", b"Authorization: Bearer token", b"Content-Length: 17")


def head(line: bytes = LINE, *more: bytes, headers: tuple[bytes, ...] = USUAL) -> bytes:
    return b"\r\n".join((line, *headers, *more, b"", b""))


def test_a_plain_send_is_read() -> None:
    assert read_head(head()) == SendHead(
        "/v25.0/106540352242922/messages", "v25.0", "106540352242922", "messages", "token", 17
    )


@pytest.mark.parametrize(
    ("raw", "endpoint", "token"),
    [
        (head(LINE.replace(b"messages", b"messages/")), "messages", "token"),
        (head(LINE.replace(b"messages", b"marketing_messages")), "marketing_messages", "token"),
        (head(LINE, b"Connection: keep-alive", b"content-type: text/plain"), "messages", "token"),
        (head(headers=(b"authorization:OAuth other", b"content-length:0")), "messages", "other"),
        (head(headers=(b"Authorization: Basic token", b"Content-Length: 17")), "messages", ""),
        (head(headers=(b"Authorization: Bearer t\xc3\xb6", b"Content-Length: 17")), "messages", ""),
        (head(headers=(b"Authorization: Bearer two words", b"Content-Length: 17")), "messages", ""),
        (head(headers=(b"Content-Length: 17",)), "messages", ""),
        (b"\r\n" + head(), "messages", "token"),
    ],
)
def test_other_spellings_are_plain_too(raw: bytes, endpoint: str, token: str) -> None:
    read = read_head(raw)
    assert read is not None
    assert (read.endpoint, read.token) == (endpoint, token)


@pytest.mark.parametrize(
    "raw",
    [
        head(LINE.replace(b"POST", b"GET")),
        head(LINE.replace(b"POST", b"HEAD")),
        head(LINE.replace(b"messages", b"media")),
        head(LINE.replace(b"messages", b"messages?access_token=token")),
        head(LINE.replace(b"messages", b"%6dessages")),
        head(LINE.replace(b"106540352242922", b"me")),
        head(LINE.replace(b"/v25.0", b"http://127.0.0.1/v25.0")),
        head(LINE.replace(b"1.1", b"1.0")),
        head(LINE, b"Connection: close"),
        head(LINE, b"Connection: upgrade", b"Upgrade: websocket"),
        head(LINE, b"Expect: 100-continue"),
        head(LINE, b"Content-Encoding: gzip"),
        head(LINE, b"Content-Length: 17"),
        head(LINE, b"Host: again"),
        head(LINE, b"Transfer-Encoding: chunked"),
        head(headers=(b"Transfer-Encoding: chunked",)),
        head(headers=(b"Host: 127.0.0.1:8002",)),
        head(headers=(b"Content-Length: -1",)),
        head(headers=(b"Content-Length: %d" % (BODY_BYTES_MAX + 1),)),
        head(LINE, *(b"X-%d: 1" % n for n in range(HEADERS_MAX))),
        head(LINE, b"no colon"),
        head(LINE, b"Bad name: 1"),
        head().replace(b"\r\n", b"\n"),
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    ],
)
def test_anything_else_is_not_plain(raw: bytes) -> None:
    assert read_head(raw) is None
