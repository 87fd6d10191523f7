"""A bundle: webhook bodies exactly as received, each with its time of receipt, in one MessagePack record.

The bodies stay untouched bytes: a signature can be checked again, and a replay reads what Meta sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import ormsgpack

from schemas.codec import Malformed

BODIES_MAX = 500
BYTES_MAX = 1024 * 1024
"""A body that is larger travels alone."""
BODY_OVERHEAD_BYTES = 16
"""Framing of one body: array 1, time 9, length of the bytes 5, rounded up."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Body(NamedTuple):
    """One webhook body. The time is kept in microseconds, as it is stored."""

    received_at_us: int
    raw: bytes

    @property
    def received_at(self) -> datetime:
        """When the ingress had the whole body."""
        return _EPOCH + timedelta(microseconds=self.received_at_us)


def encode_bundle(bodies: Sequence[Body]) -> bytes:
    """Pack bodies into one record."""
    return ormsgpack.packb([[body.received_at_us, body.raw] for body in bodies])


def decode_bundle(record: bytes | None) -> list[Body]:
    """Unpack a record. Raises Malformed when it is none of ours, whole or in part."""
    try:
        items = ormsgpack.unpackb(record or b"")
    except ormsgpack.MsgpackDecodeError:
        raise Malformed("bundle: no MessagePack") from None
    if not isinstance(items, list):
        raise Malformed("bundle: no array")
    if len(items) > BODIES_MAX:
        raise Malformed(f"bundle: more than {BODIES_MAX} bodies")
    return [_body(item) for item in items]


def _body(item: object) -> Body:
    if type(item) is list and len(item) == 2:
        received_at_us, raw = item
        if type(received_at_us) is int and type(raw) is bytes and 0 <= received_at_us < _LATEST_US:
            return Body(received_at_us, raw)
    raise Malformed("bundle: an item is no pair of time and bytes")


_LATEST_US = int((datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
