"""Checks that Meta signed these bytes: HMAC-SHA256 over the raw body, in constant time, with every secret in use.

It fails closed: without a secret no body is accepted. A body is never parsed before this check.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum

PREFIX = b"sha256="
_HEX_LENGTH = 64
_NON_ASCII = re.compile(r"[^\x00-\x7f]")


class SignatureCheck(StrEnum):
    """The result of a check."""

    GENUINE = "genuine"
    MISSING = "signature_missing"
    MISMATCH = "signature_mismatch"


def check(secrets: Sequence[bytes], header: bytes | None, body: bytes) -> SignatureCheck:
    """Compare `X-Hub-Signature-256` with the body under every secret. During a rotation there are several."""
    if not header or not header.startswith(PREFIX) or len(header) != len(PREFIX) + _HEX_LENGTH:
        return SignatureCheck.MISSING
    claimed = header[len(PREFIX) :].lower()
    if _matches(secrets, claimed, body):
        return SignatureCheck.GENUINE
    escaped = None if body.isascii() else escape_unicode(body)
    if escaped is not None and _matches(secrets, claimed, escaped):
        return SignatureCheck.GENUINE
    return SignatureCheck.MISMATCH


def sign(secret: bytes, body: bytes) -> bytes:
    """The value of the header for a body."""
    return PREFIX + _digest(secret, body)


def escape_unicode(body: bytes) -> bytes | None:
    """The body with `\\uXXXX` for each non-ASCII character, the form that Meta documents. None if it is not UTF-8."""
    try:
        return _NON_ASCII.sub(_escaped, body.decode()).encode()
    except UnicodeDecodeError:
        return None


def _escaped(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _matches(secrets: Sequence[bytes], claimed: bytes, body: bytes) -> bool:
    # A list, not a generator: every secret is compared, so the time does not reveal the secret that matches.
    return any([hmac.compare_digest(_digest(secret, body), claimed) for secret in secrets])  # noqa: C419


def _digest(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256).hex().encode()
