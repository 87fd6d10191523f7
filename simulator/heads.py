"""Reads the head of a plain send: a POST of the messages endpoint as client libraries send it. Pure.

Any other head is for the general server, which knows all of HTTP. So this module may refuse a head for any doubt, but
one that it takes must mean the same to the general server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from sys import intern

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from simulator.access import token_of

HEAD_BYTES_MAX = 4096
BODY_BYTES_MAX = 64 * 1024
HEADERS_MAX = 64
HEADS_KEPT = 1024
"""A client sends few different heads: they differ in the length of the body. The results for the last ones are kept."""
SPECIAL_HEADERS = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})
"""Headers that change how a request is read."""
_TARGET = re.compile(rb"/(v[0-9]+\.[0-9]+)/([0-9]+)/(messages|marketing_messages)/?")


@dataclass(frozen=True, slots=True)
class SendHead:
    """What the head of a send says."""

    path: str
    version: str
    phone_number_id: str
    endpoint: str
    token: str
    """The access token; empty if there is none."""
    body_bytes: int = 0


@lru_cache(maxsize=HEADS_KEPT)
def read_head(raw: bytes) -> SendHead | None:
    """The head of a plain send, or None. `raw` ends with an empty line."""
    reading = _Reading()
    parser = HttpRequestParser(reading)
    try:
        parser.feed_data(raw)
    except (HttpParserError, HttpParserUpgrade):
        return None
    target = _TARGET.fullmatch(reading.target)
    headers = dict(reading.headers)
    if (
        target is None
        or not reading.is_complete
        or parser.get_method() != b"POST"
        or parser.get_http_version() != "1.1"
        or not parser.should_keep_alive()
        or len(headers) < len(reading.headers)
        or len(headers) > HEADERS_MAX
        or not SPECIAL_HEADERS.isdisjoint(headers)
        or b"content-length" not in headers
        or (body_bytes := int(headers[b"content-length"])) > BODY_BYTES_MAX
    ):
        return None
    authorization = headers.get(b"authorization", b"").decode("utf-8", "surrogateescape")
    version, phone_number_id, endpoint = (intern(part.decode()) for part in target.groups())
    path = reading.target.decode()
    return SendHead(path, version, phone_number_id, endpoint, token_of(authorization, ""), body_bytes)


class _Reading:
    """What the parser finds in one head."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, target: bytes) -> None:
        """The target of the request."""
        self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The end of the head."""
        self.is_complete = True
