"""Checks that Meta signed these bytes: HMAC-SHA256 over the raw body, in constant time, with every secret in use.

It fails closed: without a secret no body is accepted. A body is never parsed before this check. Its work is linear in
the size of the body, whatever the bytes are, and is done in C on pieces of 64 KiB.
"""

from __future__ import annotations

import hashlib
import hmac
import json.encoder
import re
import string
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import islice

PREFIX = b"sha256="
PIECE_BYTES = 64 * 1024
"""How much of a body is escaped at a time. The escaped form may be three times as large as the body."""
_HEADER = re.compile(rb"sha256=[0-9a-fA-F]{64}")
_CONTINUES = range(0x80, 0xC0)
"""Bytes that continue a character in UTF-8."""
_CHANGED = bytes([*range(0x20), ord('"'), ord("\\"), 0x7F])
"""ASCII characters that a JSON encoder escapes, and that Meta's form leaves as they are."""
_STAND_INS = bytes(set(string.printable.encode()) - set(_CHANGED) - set(b"u0123456789abcdef "))
"""ASCII characters that a JSON encoder leaves as they are, and that no `\\uXXXX` contains."""


class SignatureCheck(StrEnum):
    """The result of a check."""

    GENUINE = "genuine"
    MISSING = "signature_missing"
    MISMATCH = "signature_mismatch"


def is_well_formed(header: bytes | None) -> bool:
    """Whether the value of `X-Hub-Signature-256` can be a signature at all."""
    return header is not None and _HEADER.fullmatch(header) is not None


def check(secrets: Sequence[bytes], header: bytes | None, body: bytes) -> SignatureCheck:
    """Compare `X-Hub-Signature-256` with the body under every secret. During a rotation there are several."""
    if header is None or _HEADER.fullmatch(header) is None:
        return SignatureCheck.MISSING
    return check_well_formed(secrets, header, body)


def check_well_formed(secrets: Sequence[bytes], header: bytes, body: bytes) -> SignatureCheck:
    """The same for a header that is known to be well-formed."""
    claimed = bytes.fromhex(header[len(PREFIX) :].decode())
    is_genuine = False
    for secret in secrets:  # every secret is compared, so the time does not reveal the secret that matches
        keyed = _keyed(secret).copy()
        keyed.update(body)
        is_genuine |= hmac.compare_digest(keyed.digest(), claimed)
    if not is_genuine and not body.isascii():
        for digest in _digests_of_escaped(secrets, body):
            is_genuine |= hmac.compare_digest(digest, claimed)
    return SignatureCheck.GENUINE if is_genuine else SignatureCheck.MISMATCH


@lru_cache(8)
def _keyed(secret: bytes) -> hmac.HMAC:
    """The HMAC of a secret before its first byte. Its copy takes 1 µs less than a new one."""
    return hmac.new(secret, digestmod=hashlib.sha256)


def sign(secret: bytes, body: bytes) -> bytes:
    """The value of the header for a body."""
    return PREFIX + hmac.digest(secret, body, hashlib.sha256).hex().encode()


def escape_unicode(body: bytes) -> Iterator[bytes]:
    """The body with `\\uXXXX` for each non-ASCII character, the form that Meta documents, in pieces.

    Raises UnicodeDecodeError if the body is not UTF-8.
    """
    start = 0
    while start < len(body):
        end = min(start + PIECE_BYTES, len(body))
        while start < end < len(body) and body[end] in _CONTINUES:
            end -= 1
        yield from _escape(body[start:end] or body[start : start + PIECE_BYTES])
        start = max(end, start + 1)


def _escape(piece: bytes) -> Iterator[bytes]:
    """Escape one piece with the JSON encoder, while other characters stand in for those that it must leave alone.

    A piece that leaves too few characters free is halved: a short piece has few different characters.
    """
    if piece.isascii():
        yield piece
        return
    changed = bytes(each for each in _CHANGED if each in piece)
    free = bytes(islice((each for each in _STAND_INS if each not in piece), len(changed)))
    if len(free) == len(changed):
        text = piece.translate(bytes.maketrans(changed, free)).decode()
        yield json.encoder.encode_basestring_ascii(text)[1:-1].encode().translate(bytes.maketrans(free, changed))
        return
    middle = len(piece) // 2
    while piece[middle] in _CONTINUES and middle:
        middle -= 1
    if not middle:
        raise UnicodeDecodeError("utf-8", piece, 0, len(piece), "no character begins here")
    yield from _escape(piece[:middle])
    yield from _escape(piece[middle:])


def _digests_of_escaped(secrets: Sequence[bytes], body: bytes) -> list[bytes]:
    digests = [_keyed(secret).copy() for secret in secrets]
    try:
        for piece in escape_unicode(body):
            for digest in digests:
                digest.update(piece)
    except UnicodeDecodeError:
        return []
    return [digest.digest() for digest in digests]
