"""A POST of a send that was read completely, whichever server read it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from simulator.checks.refusals import GraphRefusal, Refused
from simulator.heads import SendHead
from simulator.sends import parse_body


class SendPost(msgspec.Struct, frozen=True):
    """A POST of a send, and the connection on which it is answered."""

    head: SendHead
    body: Mapping[str, object]
    broken: GraphRefusal | None
    """The error of a body that is no JSON object."""
    transport: asyncio.Transport | None
    """None: the client has left."""
    is_kept: bool = True
    """Whether the connection stays open after the answer."""

    def write(self, raw: bytes) -> None:
        """Write to the connection. Raises ConnectionError if the client has left."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has left")
        self.transport.write(raw)

    def is_written(self) -> bool:
        """Whether the operating system has taken all bytes that were written."""
        return self.transport is not None and self.transport.get_write_buffer_size() == 0

    def cut(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self.transport.abort()


def parsed(raw: bytes) -> tuple[Mapping[str, object], GraphRefusal | None]:
    """The JSON object in a body, or an empty one and the error."""
    try:
        return parse_body(raw), None
    except Refused as refused:
        return {}, refused.refusal
