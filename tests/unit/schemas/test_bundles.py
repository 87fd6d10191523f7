"""Bundles keep the bytes unchanged, and other records are malformed."""

import ormsgpack
import pytest

from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.codec import Malformed


def test_bodies_are_decoded_byte_for_byte_in_order() -> None:
    bodies = [Body(1_767_225_600_123_456, b"\x00\xff{"), Body(0, b"")]
    assert decode_bundle(encode_bundle(bodies)) == bodies


def test_the_time_of_receipt_is_aware_and_exact() -> None:
    assert Body(1_767_225_600_123_456, b"").received_at.isoformat() == "2026-01-01T00:00:00.123456+00:00"


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"",
        b"{}",
        ormsgpack.packb({"a": 1}),
        ormsgpack.packb([1]),
        ormsgpack.packb([[1, "text"]]),
        ormsgpack.packb([[True, b""]]),
        ormsgpack.packb([[-1, b""]]),
        ormsgpack.packb([[2**62, b""]]),
        ormsgpack.packb([[1, b"", 3]]),
    ],
)
def test_anything_else_is_malformed(record: bytes | None) -> None:
    with pytest.raises(Malformed):
        decode_bundle(record)
